"""The private folder beside a dataset in which an ingest or join works: locked, kept where it is killed."""

from __future__ import annotations

import fcntl
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ontology.errors import ConfigurationError, Problem
from pipelines.sources.mapping import Mapping
from pipelines.sources.records import files_under


@contextmanager
def workspace(out: Path, mapping: Mapping, input_path: Path) -> Iterator[Path]:
    """A folder of mode 700 that only this ingest uses; what an earlier one left of the same input is in it.

    It is gone when the dataset stands or when the ingest ended with an error; a process that was killed
    or interrupted leaves it, and the same command goes on from it.

    Args:
        out: the dataset's folder.
        mapping: what is done with the input.
        input_path: the input; what was made of files that have changed since is thrown away.

    Raises:
        ConfigurationError: another ingest writes the same dataset.
    """
    with locked_folder(out) as folder:
        plan = _plan(mapping, input_path, out)
        plan_file = folder / "plan"
        if not plan_file.exists() or plan_file.read_text("ascii") != plan:
            _empty(folder)
            plan_file.write_text(plan, encoding="ascii")
        try:
            yield folder / "records"
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def named(out: Path) -> Path:
    """The folder under a name that others can be made of: "." and ".." have none."""
    return out if out.name not in {"", ".."} else out.resolve()


@contextmanager
def locked_folder(out: Path) -> Iterator[Path]:
    """A folder of mode 700 beside a dataset, while nobody else writes it; what killed runs left is put right.

    Args:
        out: the dataset's folder.

    Raises:
        ConfigurationError: another run writes the same dataset.
    """
    folder = out.with_name(f".{out.name}.ingest")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    with (folder / "lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                Problem("another ingest writes this dataset", str(out), next_step="wait until it has ended")
            ) from None
        _put_in_order(out)
        yield folder


def _put_in_order(out: Path) -> None:
    """Take away what killed ingests left, and put back a dataset that one had moved aside."""
    for left in _left_behind(out, "part"):
        shutil.rmtree(left, ignore_errors=True)
    for former in _left_behind(out, "old"):
        if out.exists():
            shutil.rmtree(former, ignore_errors=True)
        else:
            former.replace(out)


def _left_behind(out: Path, ending: str) -> list[Path]:
    """Folders of this dataset that runs named after their process; "data.2" is another than "data"."""
    name = re.compile(rf"\.{re.escape(out.name)}\.[0-9]+\.{ending}")
    return sorted(path for path in out.parent.iterdir() if name.fullmatch(path.name))


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == "lock":
            continue
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _plan(mapping: Mapping, input_path: Path, out: Path) -> str:
    """A digest of the program, the mapping's reader and options, and each file's name, size and time.

    A dataset may be written into the folder of its input: what the ingest itself writes is no input.
    """
    from importlib.metadata import version

    files = sorted(files_under(input_path)) if input_path.is_dir() else [input_path]
    if out.parent.resolve().is_relative_to(input_path.resolve()):
        files = [path for path in files if not _is_own(path, out)]
    described = [
        (str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()
    ]
    content = [version("pesta"), mapping.reader, mapping.options, described]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _is_own(path: Path, out: Path) -> bool:
    """Whether a file is of the dataset, its key, or what an ingest of it makes on the way."""
    resolved, beside = path.resolve(), out.parent.resolve()
    if not resolved.is_relative_to(beside) or resolved == beside:
        return False
    first = resolved.relative_to(beside).parts[0]
    return first in (out.name, f"{out.name}.key") or first.startswith(f".{out.name}.")
