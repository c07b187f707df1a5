"""All shipped quality checks over 5,000,000 events: how long and how much memory, in a fresh process.

The events are those of a simulated hospital, its patients copied under new numbers until there are enough:
every copy has its own subjects, contacts, windows and lineage. The time runs from opening the dataset to the
page on disk. Processor seconds stand beside it, because they hardly change when the machine is busy.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

import polars as pl
from harness import finish, own_peak_mb, run, simulated_dataset

from phenotype.trajectory import Dataset, open_dataset
from pipelines.quality.checking import check_quality

N_PATIENTS, N_EVENTS, SEED = 3_300, 5_000_000, 11
SECONDS, MEGABYTES = 60, 4096
COPY = 1 << 48
"""The ids of a copy are those of its source within a range of its own."""
TABLES = ("contacts", "codings", "observation", "lineage")
IDS = ("subject_id", "contact_id", "stay_id", "lineage_id")


def blown_up(source: Dataset, out: Path) -> int:
    """Writes copies of a dataset side by side; returns the number of events."""
    events = source.events().collect()
    tables = {name: pl.read_parquet(source.path / f"{name}.parquet") for name in TABLES}
    n_copies = -(-N_EVENTS // events.height)
    (out / "data").mkdir(parents=True, exist_ok=True)
    for number in range(n_copies):
        _moved(events, number).write_parquet(out / "data" / f"{number}.parquet")
    for name, table in tables.items():
        pl.concat([_moved(table, number) for number in range(n_copies)]).write_parquet(
            out / f"{name}.parquet"
        )
    shutil.copytree(source.path / "metadata", out / "metadata", dirs_exist_ok=True)
    shutil.copy(source.path / "ingest.json", out / "ingest.json")
    return events.height * n_copies


def _moved(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """A frame with its ids in the range of a copy."""
    return frame.with_columns(
        (pl.col(name) % COPY + number * COPY).alias(name) for name in IDS if name in frame.columns
    )


def measure(folder: Path) -> None:
    """In a process of its own: prints seconds, processor seconds, peak MB, checks and those judged."""
    started, started_processor = time.perf_counter(), time.process_time()
    result = check_quality(folder, None, folder / "quality")
    seconds, processor = time.perf_counter() - started, time.process_time() - started_processor
    n_judged = sum(result.state(check.id) != "not applicable" for check in result.checks)
    print(f"{seconds} {processor} {own_peak_mb()} {len(result.checks)} {n_judged}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the datasets; kept")
    parser.add_argument("--measure", action="store_true", help="one measurement in this process")
    given = parser.parse_args()
    large = given.out / "large"
    if given.measure:
        measure(large)
        return
    if not (large / "ingest.json").exists():
        blown_up(Dataset(simulated_dataset(given.out, n_patients=N_PATIENTS, seed=SEED)), large)
    n_events = open_dataset(large).events().select(pl.len()).collect().item()
    done = run([sys.executable, str(Path(__file__)), "--out", str(given.out), "--measure"])
    seconds, processor, peak_mb, n_checks, n_judged = map(float, done.output.split())
    figures = (
        f"{n_checks:.0f} checks ({n_judged:.0f} judged) over {n_events:,} events: {seconds:.1f} s "
        f"({processor:.1f} processor seconds), {peak_mb:.0f} MB"
    )
    is_shown = n_events >= N_EVENTS and seconds < SECONDS and peak_mb < MEGABYTES
    finish(is_shown=is_shown, figures=figures)


if __name__ == "__main__":
    main()
