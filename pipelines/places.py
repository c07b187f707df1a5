"""Whether results can be written where they are asked for; told before any work."""

from __future__ import annotations

from pathlib import Path

from ontology.errors import ConfigurationError, Problem


def check_folder(out: Path, *, marker: str | None = None, what: str = "results") -> None:
    """See that a folder can be made, or gone on with, where it is asked for.

    Args:
        out: the folder that will be written.
        marker: the file by which a folder that the same command began is known; None: any folder will do.
        what: what the folder is for.

    Raises:
        ConfigurationError: a file stands there, or a folder that holds something else.
    """
    if out.exists() and not out.is_dir():
        raise ConfigurationError(
            Problem(
                f"a file stands where the folder of {what} is to be",
                where=f"--out {out}",
                found="a file",
                allowed="a new folder, or one that is there",
                next_step="give another --out",
            )
        )
    if marker is None or not out.is_dir() or (out / marker).exists():
        return
    if any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise ConfigurationError(
            Problem(
                f"the folder holds something else than {what}",
                where=f"--out {out}",
                found=f"files, and no {marker} among them",
                allowed="a new or empty folder, or one that the same command began",
                next_step="give another --out",
            )
        )
