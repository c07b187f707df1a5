"""The first stage of a source that is no table: files become rows of tables, kept until they are mapped.

Neighbouring files are read together as one job; what a job makes lies in a folder that gets its name when it
is whole. A job that has its folder is done: that is all there is to going on after a kill.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.threads import thread_count
from pipelines.sources.allocation import keep_freed_memory
from pipelines.sources.records import FATES, InputFile, Part, RecordReader

BYTES_A_JOB = 24_000_000
FILES_A_JOB = 500
ROWS_HELD = 200_000
SMALL_INPUT = 32_000_000
"""Below this many bytes worker processes cost more than they give."""
_RAW = "raw"
_FATES = "fates"


@dataclass(frozen=True)
class Projected:
    """What the first stage made.

    Attributes:
        files: of the input, by number.
        frames: the Parquet files of each table, in file order.
        fates: the Parquet files of fates: FATES with `_file_no`.
        raw: the Parquet files of rejected records as sent: _file_no, _row, raw.
        n_records: how many records each file held.
        notes: what readers said beside the account.
    """

    files: tuple[InputFile, ...]
    frames: dict[str, list[Path]] = field(default_factory=dict)
    fates: list[Path] = field(default_factory=list)
    raw: list[Path] = field(default_factory=list)
    n_records: Counter[int] = field(default_factory=Counter)
    notes: Counter[tuple[str, str]] = field(default_factory=Counter)


def project(
    reader: RecordReader, files: Sequence[InputFile], folder: Path, *, n_workers: int | None, keep_raw: bool
) -> Projected:
    """Read all files into rows of tables.

    Args:
        reader: what reads them.
        files: in their order.
        folder: private; jobs that are whole in it are not done again.
        n_workers: processes, this one among them; by the input's size and the CPUs where it is not given.
        keep_raw: whether rejected records are kept as they were sent.

    Raises:
        InputError: files that cannot be read at all.
    """
    jobs = _jobs(files)
    weight = sum(file_size(file) for file in files)
    wanted = n_workers or (1 if weight < SMALL_INPUT else thread_count())
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.part"):
        shutil.rmtree(left, ignore_errors=True)
    # A job that kept no rejected records is not the one that is to keep them.
    kind = "raw" if keep_raw else "job"
    folders = [folder / f"{kind}-{number:06d}" for number in range(len(jobs))]
    undone = [
        (reader, job, made, keep_raw) for job, made in zip(jobs, folders, strict=True) if not made.exists()
    ]
    problems = _run_jobs(undone, min(wanted, len(undone)))
    if problems:
        raise InputError(problems)
    return _collected(files, folders)


Job = tuple[RecordReader, Sequence[InputFile], Path, bool]


def _run_jobs(jobs: Sequence[Job], n_processes: int) -> list[Problem]:
    """Run all jobs; gives what is wrong with their files.

    Other processes take them from the first on, this one from the last: it would else wait for them, also
    while they begin.
    """
    problems: list[Problem] = []
    taker = os.getpid()
    with _workers(n_processes - 1) as pool:
        with _not_interrupted():
            pending = [pool.submit(_run_if_free, taker, *job) for job in jobs] if pool else []
        for job in reversed(jobs):
            problems += _problems_of(_run_if_free, taker, *job)
        for future in pending:
            problems += _problems_of(future.result)
    return list(dict.fromkeys(problems))


def _run_if_free(
    taker: int,
    reader: RecordReader,
    files: Sequence[InputFile],
    folder: Path,
    keep_raw: bool,  # noqa: FBT001 part of what is sent to workers
) -> None:
    """Run a job unless another process of the same ingest (`taker`) has taken it."""
    try:
        folder.with_name(f"{folder.name}.{taker}.taken.part").mkdir(mode=0o700)
    except FileExistsError:
        return
    run_job(reader, files, folder, keep_raw)


@contextmanager
def _not_interrupted() -> Iterator[None]:
    """Processes that are started meanwhile leave Ctrl-C to the one that starts them: it ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _problems_of(call: Callable[..., None], *arguments: object) -> tuple[Problem, ...]:
    try:
        call(*arguments)
    except InputError as error:
        return tuple(error.problems)
    except BrokenExecutor:
        advice = "see that there is memory enough, or give fewer --workers"
        return (Problem("a process that read records was ended from outside", next_step=advice),)
    return ()


@contextmanager
def _workers(n_workers: int) -> Iterator[Executor | None]:
    """Further processes, in which polars has one thread; None for none."""
    if n_workers < 1:
        yield None
        return
    others = set(multiprocessing.active_children())
    before = os.environ.get("POLARS_MAX_THREADS")
    os.environ["POLARS_MAX_THREADS"] = "1"
    try:
        # A forked child would inherit the threads of polars in a state that can deadlock.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(n_workers, mp_context=spawn, initializer=end_with_parent) as pool:
            try:
                yield pool
            except BaseException:
                for worker in set(multiprocessing.active_children()) - others:
                    worker.kill()
                raise
    finally:
        if before is None:
            os.environ.pop("POLARS_MAX_THREADS", None)
        else:
            os.environ["POLARS_MAX_THREADS"] = before


def end_with_parent() -> None:
    """End this worker process when the one that started it has died: it would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel
        watch = threading.Thread(target=lambda: (wait([sentinel]), os._exit(1)), daemon=True)
        watch.start()


def _jobs(files: Sequence[InputFile]) -> list[list[InputFile]]:
    """Neighbouring files, until they weigh enough."""
    jobs: list[list[InputFile]] = []
    weight = 0
    for file in files:
        size = file_size(file)
        if not jobs or weight + size > BYTES_A_JOB or len(jobs[-1]) >= FILES_A_JOB:
            jobs.append([])
            weight = 0
        jobs[-1].append(file)
        weight += size
    return jobs


def file_size(file: InputFile) -> int:
    """How many bytes a file has.

    Raises:
        InputError: it cannot be looked at: it is gone, or may not be.
    """
    return _state(file)[0]


def _state(file: InputFile) -> tuple[int, int]:
    """Size and time of a file: another state means other content."""
    try:
        found = file.path.stat()
    except OSError as error:
        raise InputError(Problem("a file cannot be read", file.label, error.strerror or "")) from None
    return found.st_size, found.st_mtime_ns


def run_job(
    reader: RecordReader,
    files: Sequence[InputFile],
    folder: Path,
    keep_raw: bool,  # noqa: FBT001 part of what is sent to workers
) -> None:
    """Read some files into a folder that gets its name when all is in it."""
    keep_freed_memory()
    # A worker may outlive a killed ingest for a moment: it must not write into the folder of the next one's.
    making = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    making.mkdir(mode=0o700)
    store = _JobStore(making, keep_raw=keep_raw)
    problems: list[Problem] = []
    for file in files:
        try:
            before = _state(file)
            for part in reader.read(file):
                store.add(file, part, reader.lookups)
            _check_unchanged(file, before)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    store.finish()
    try:
        making.replace(folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(making)  # the same job was done meanwhile, with the same result


def _check_unchanged(file: InputFile, before: tuple[int, int]) -> None:
    """Raise where a file was written while it was read: that is neither its old nor its new content."""
    if _state(file) != before:
        advice = "run the command again when nothing writes it"
        raise InputError(Problem("a file changed while it was read", file.label, next_step=advice))


class _JobStore:
    """Holds the rows of a job and writes them when they are many."""

    def __init__(self, folder: Path, *, keep_raw: bool) -> None:
        self._folder, self._keep_raw = folder, keep_raw
        self._held: dict[str, list[pl.DataFrame]] = defaultdict(list)
        self._n_held: Counter[str] = Counter()
        self._n_written: Counter[str] = Counter()
        self._n_records: Counter[int] = Counter()
        self._notes: Counter[tuple[str, str]] = Counter()

    def add(self, file: InputFile, part: Part, lookups: frozenset[str]) -> None:
        """Take one part of a file."""
        _check_account(file, part, lookups)
        number = pl.lit(file.number, pl.UInt32).alias("_file_no")
        for name, rows in part.tables.items():
            if rows.height:
                self._hold(f"table-{name}", rows.with_columns(number))
        if part.fates.height:
            self._hold(_FATES, part.fates.with_columns(number))
        if self._keep_raw and part.raw:
            raw = pl.DataFrame({"_row": list(part.raw), "raw": list(part.raw.values())})
            self._hold(_RAW, raw.select(pl.col("_row").cast(pl.Int64), "raw", number))
        self._n_records[file.number] += part.n_records
        self._notes += part.notes

    def _hold(self, name: str, rows: pl.DataFrame) -> None:
        self._held[name].append(rows)
        self._n_held[name] += rows.height
        if self._n_held[name] >= ROWS_HELD:
            self._write(name)

    def _write(self, name: str) -> None:
        rows = pl.concat(self._held.pop(name))
        rows.write_parquet(
            self._folder / f"{name}-{self._n_written[name]:05d}.parquet", compression="lz4", statistics=False
        )
        self._n_written[name] += 1
        self._n_held[name] = 0

    def finish(self) -> None:
        """Write what is held, and the counts."""
        for name in list(self._held):
            self._write(name)
        counts = {
            "n_records": {str(number): count for number, count in self._n_records.items()},
            "notes": [[topic, text, count] for (topic, text), count in self._notes.items()],
        }
        (self._folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")


def _check_account(file: InputFile, part: Part, lookups: frozenset[str]) -> None:
    """Every record of a part is a row or has a fate.

    Raises:
        InputError: it does not close, which is a fault of the reader.
    """
    n_rows = sum(rows["_row"].n_unique() for name, rows in part.tables.items() if name not in lookups)
    ended = part.fates.filter(pl.col("fate") != "field")
    n_fates = ended.select("table", "_row").n_unique() if ended.height else 0
    if n_rows + n_fates != part.n_records:
        raise InputError(
            Problem(
                "the account of a file does not close",
                file.label,
                f"{n_rows:,} records in tables and {n_fates:,} that are not, of {part.n_records:,}",
                next_step="this is a fault of the program: report it",
            )
        )


def _collected(files: Sequence[InputFile], folders: Sequence[Path]) -> Projected:
    made = Projected(tuple(files))
    for folder in folders:
        for path in sorted(folder.glob("*.parquet")):
            name = path.stem.rpartition("-")[0]
            if name.startswith("table-"):
                made.frames.setdefault(name.removeprefix("table-"), []).append(path)
            else:
                (made.fates if name == _FATES else made.raw).append(path)
        counts = json.loads((folder / "counts.json").read_text("utf-8"))
        made.n_records.update({int(number): count for number, count in counts["n_records"].items()})
        made.notes.update({(topic, text): count for topic, text, count in counts["notes"]})
    return made


def read_fates(projected: Projected) -> pl.DataFrame:
    """All fates: the columns of FATES and _file_no."""
    nothing = pl.DataFrame(schema={**FATES, "_file_no": pl.UInt32()})
    return pl.concat([nothing, *(pl.read_parquet(path) for path in projected.fates)])
