"""Five million events: a simulated hospital, its patients copied under new numbers until there are enough.

Every copy has its own subjects, contacts, windows and lineage.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
from harness import simulated_dataset

from phenotype.trajectory import Dataset

N_PATIENTS, N_EVENTS, SEED = 3_300, 5_000_000, 11
COPY = 1 << 48
"""The ids of a copy are those of its source within a range of its own."""
TABLES = ("contacts", "codings", "observation", "lineage")
IDS = ("subject_id", "contact_id", "stay_id", "lineage_id")


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


def n_events_of(large: Path) -> int:
    """How many events there are."""
    return int(Dataset(large).events().select(pl.len()).collect().item())


def _moved(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """A frame with its ids in the range of a copy."""
    return frame.with_columns(
        (pl.col(name) % COPY + number * COPY).alias(name) for name in IDS if name in frame.columns
    )
