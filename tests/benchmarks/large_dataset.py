"""Five million events: a simulated hospital, its patients copied under new numbers until there are enough.

Every copy has its own subjects, contacts, windows and lineage.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from harness import own_peak_mb, run, simulated_dataset

from phenotype.trajectory import Dataset

N_PATIENTS, N_EVENTS, SEED = 3_300, 5_000_000, 11
COPY = 1 << 48
"""The ids of a copy are those of its source within a range of its own."""
TABLES = ("contacts", "codings", "observation", "lineage")
IDS = ("subject_id", "contact_id", "stay_id", "lineage_id")


@dataclass(frozen=True)
class Measured:
    """What some work on the large dataset cost.

    Attributes:
        n_events: of the dataset.
        seconds, processor_seconds: by the wall, and of all threads.
        peak_mb: the largest resident set.
        told: what the work told of itself.
    """

    n_events: int
    seconds: float
    processor_seconds: float
    peak_mb: float
    told: tuple[float, ...]

    @property
    def words(self) -> str:
        """The costs for a line of figures."""
        return (
            f"over {self.n_events:,} events: {self.seconds:.1f} s "
            f"({self.processor_seconds:.1f} processor seconds), {self.peak_mb:.0f} MB"
        )


def large_dataset(out: Path) -> Path:
    """The dataset in out/large, made where it is not there yet."""
    large = out / "large"
    if not (large / "ingest.json").exists():
        source = Dataset(simulated_dataset(out, n_patients=N_PATIENTS, seed=SEED))
        events = source.events().collect()
        tables = {name: pl.read_parquet(source.path / f"{name}.parquet") for name in TABLES}
        n_copies = -(-N_EVENTS // events.height)
        (large / "data").mkdir(parents=True, exist_ok=True)
        for number in range(n_copies):
            _moved(events, number).write_parquet(large / "data" / f"{number}.parquet")
        for name, table in tables.items():
            copies = [_moved(table, number) for number in range(n_copies)]
            pl.concat(copies).write_parquet(large / f"{name}.parquet")
        shutil.copytree(source.path / "metadata", large / "metadata", dirs_exist_ok=True)
        shutil.copy(source.path / "ingest.json", large / "ingest.json")
    return large


def measured_apart(what: str | None, script: str, work: Callable[[Path], tuple[float, ...]]) -> Measured:
    """Measure some work on the large dataset in a fresh process, which ends here.

    Args:
        what: the script's description.
        script: the file that calls this.
        work: done with the dataset's folder; gives what else is to be told.
    """
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the datasets; kept")
    parser.add_argument("--measure", action="store_true", help="one measurement in this process")
    given = parser.parse_args()
    large = large_dataset(given.out)
    if given.measure:
        started, started_processor = time.perf_counter(), time.process_time()
        told = work(large)
        seconds, processor = time.perf_counter() - started, time.process_time() - started_processor
        print(seconds, processor, own_peak_mb(), *told)
        raise SystemExit(0)
    n_events = int(Dataset(large).events().select(pl.len()).collect().item())
    done = run([sys.executable, script, "--out", str(given.out), "--measure"])
    seconds, processor, peak_mb, *told_back = map(float, done.output.split())
    return Measured(n_events, seconds, processor, peak_mb, tuple(told_back))


def _moved(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """A frame with its ids in the range of a copy."""
    return frame.with_columns(
        (pl.col(name) % COPY + number * COPY).alias(name) for name in IDS if name in frame.columns
    )
