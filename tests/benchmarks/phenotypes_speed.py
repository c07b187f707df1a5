"""All shipped definitions over 5,000,000 events: how long and how much memory, in a fresh process.

The events are those of a simulated hospital, its patients copied under new numbers until there are enough:
every copy has its own subjects, contacts and lineage. The time runs from opening the dataset to
phenotypes.parquet on disk, reading the definitions and the ontology among it. Processor seconds stand beside
it, because they hardly change when the machine is busy.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import polars as pl
from harness import finish, own_peak_mb, run, simulated_dataset

from phenotype.definitions.text import load_definitions
from phenotype.phenotypes import write_phenotypes
from phenotype.trajectory import Dataset, open_dataset

N_PATIENTS, N_EVENTS, SEED = 3_300, 5_000_000, 11
SECONDS, MEGABYTES = 60, 4096
COPY = 1 << 48
"""The ids of a copy are those of its source within a range of its own."""


def blown_up(source: Dataset, out: Path) -> int:
    """Writes copies of a dataset side by side; returns the number of events."""
    events, contacts, codings = source.events().collect(), source.contacts(), source.codings()
    n_copies = -(-N_EVENTS // events.height)
    (out / "data").mkdir(parents=True, exist_ok=True)
    for number in range(n_copies):
        moved = [_moved(frame, number) for frame in (events, contacts, codings)]
        moved[0].write_parquet(out / "data" / f"{number}.parquet")
        for name, frame in zip(("contacts", "codings"), moved[1:], strict=True):
            frame.write_parquet(out / f"{name}-{number}.parquet")
    for name in ("contacts", "codings"):
        parts = sorted(out.glob(f"{name}-*.parquet"))
        pl.concat([pl.read_parquet(part) for part in parts]).write_parquet(out / f"{name}.parquet")
        for part in parts:
            part.unlink()
    return events.height * n_copies


def _moved(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """A frame with its ids in the range of a copy."""
    ids = [name for name in ("subject_id", "contact_id", "stay_id", "lineage_id") if name in frame.columns]
    return frame.with_columns((pl.col(name) % COPY + number * COPY).alias(name) for name in ids)


def measure(folder: Path) -> None:
    """In a process of its own: prints seconds, processor seconds, peak MB, definitions and rows."""
    started, started_processor = time.perf_counter(), time.process_time()
    definitions = load_definitions()
    rows = write_phenotypes(folder / "phenotypes.parquet", open_dataset(folder), definitions)
    seconds, processor = time.perf_counter() - started, time.process_time() - started_processor
    peak_mb = own_peak_mb()
    print(f"{seconds} {processor} {peak_mb} {len(definitions)} {rows.height}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for the datasets; kept")
    parser.add_argument("--measure", action="store_true", help="one measurement in this process")
    given = parser.parse_args()
    large = given.out / "large"
    if given.measure:
        measure(large)
        return
    if not (large / "codings.parquet").exists():
        blown_up(Dataset(simulated_dataset(given.out, n_patients=N_PATIENTS, seed=SEED)), large)
    n_events = open_dataset(large).events().select(pl.len()).collect().item()
    done = run([sys.executable, str(Path(__file__)), "--out", str(given.out), "--measure"])
    seconds, processor, peak_mb, n_definitions, n_rows = map(float, done.output.split())
    figures = (
        f"{n_definitions:.0f} definitions over {n_events:,} events: {seconds:.1f} s "
        f"({processor:.1f} processor seconds), {peak_mb:.0f} MB, {n_rows:,.0f} phenotypes"
    )
    is_shown = n_events >= N_EVENTS and seconds < SECONDS and peak_mb < MEGABYTES
    finish(is_shown=is_shown, figures=figures)


if __name__ == "__main__":
    main()
