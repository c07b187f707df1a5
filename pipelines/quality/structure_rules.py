"""Rules about the form of a dataset: columns, keys, references, order, lineage."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, LINEAGE, OBSERVATION
from pipelines.quality.outcomes import Outcome, counted, one_count
from pipelines.quality.rules import Columns, LineageComplete, OneShard, Reference, Sorted, Unique
from pipelines.quality.surroundings import Surroundings

_TABLES = {"contacts": CONTACTS, "codings": CODINGS, "observation": OBSERVATION, "lineage": LINEAGE}


def conclude_columns(_: Columns, around: Surroundings) -> Outcome:
    """By table: the columns that the format gives it, and how many are missing or of another type."""
    rows = []
    for name, schema in {"events": EVENTS, **_TABLES}.items():
        files = around.dataset.shards if name == "events" else (around.dataset.path / f"{name}.parquet",)
        for file in files:
            if file.exists():
                there = pl.read_parquet_schema(file)
                rows.append((name, len(schema), sum(there.get(key) != kind for key, kind in schema.items())))
    frame = pl.DataFrame(rows, schema=["concept", "n_rows", "n_violated"], orient="row")
    return Outcome(counted(frame.group_by("concept").agg(pl.all().sum())))


def conclude_unique(rule: Unique, around: Surroundings) -> Outcome:
    """How many rows repeat what an earlier row has in the key's columns."""
    table = _table(rule.table, around)
    if table is None or not table.height:
        return Outcome(counted(pl.DataFrame({"n_rows": [0], "n_violated": [0]})), reason=f"no {rule.table}")
    return Outcome(one_count(table.height, table.height - table.n_unique(rule.columns)))


def _table(name: str, around: Surroundings) -> pl.DataFrame | None:
    if name != "codes":
        return around.tables[name]
    file = around.dataset.path / "metadata" / "codes.parquet"
    return pl.read_parquet(file, columns=["code"]) if file.exists() else None


def conclude_reference(rule: Reference, around: Surroundings) -> Outcome:
    """How many of the rows that name something name what is not there."""
    named = around.tables[rule.table][rule.column].drop_nulls()
    known = around.tables[rule.target][rule.target_column].drop_nulls().unique()
    n_lost = int((~named.is_in(known.implode())).sum())
    reason = "" if named.len() else f"no row of {rule.table} names any"
    return Outcome(one_count(named.len(), n_lost), reason=reason)


def count_sorted(_: Sorted, events: pl.LazyFrame, __: Surroundings) -> pl.DataFrame:
    """Rows of a file that stand after one that they should precede, or apart from their subject's."""
    rows = events.select("subject_id", "time").collect()
    is_same = pl.col("subject_id") == pl.col("subject_id").shift(1)
    goes_back = is_same & (pl.col("time") < pl.col("time").shift(1))
    is_late_static = is_same & pl.col("time").is_null() & pl.col("time").shift(1).is_not_null()
    n_back = int(rows.select((goes_back | is_late_static).fill_null(value=False).sum()).item())
    n_apart = rows["subject_id"].rle_id().n_unique() - rows["subject_id"].n_unique()
    return pl.DataFrame({"n_rows": [rows.height], "n_violated": [n_back + n_apart]})


def conclude_added(_: object, tally: pl.DataFrame, __: Surroundings) -> Outcome:
    """The outcome of a rule whose pieces already count rows and wrong rows."""
    found = counted(tally)
    return Outcome(found, reason="" if found.height else "no such events")


def count_subjects(_: OneShard, events: pl.LazyFrame, __: Surroundings) -> pl.DataFrame:
    """The subjects of a file."""
    return events.select("subject_id").unique().collect().with_columns(n_files=pl.lit(1, pl.Int64))


def conclude_one_shard(_: OneShard, tally: pl.DataFrame, __: Surroundings) -> Outcome:
    """How many subjects stand in several files."""
    return Outcome(one_count(tally.height, int((tally["n_files"] > 1).sum())))


def count_lineage(_: LineageComplete, events: pl.LazyFrame, around: Surroundings) -> pl.DataFrame:
    """Events of a file with a lineage_id, and how many of those ids lineage.parquet lacks."""
    named = events.select("lineage_id").drop_nulls().collect()["lineage_id"].to_numpy()
    file = around.dataset.path / "lineage.parquet"
    known = _lineage_ids(file, file.stat().st_mtime_ns)
    place = np.searchsorted(known, named)
    is_there = (
        known[np.minimum(place, known.size - 1)] == named if known.size else np.zeros(named.size, dtype=bool)
    )
    return pl.DataFrame({"n_rows": [named.size], "n_violated": [int((~is_there).sum())]})


@lru_cache(maxsize=1)
def _lineage_ids(file: Path, _changed: int) -> NDArray[np.int64]:
    """The distinct ids of lineage.parquet, sorted; read once while the file stays as it is."""
    scan = pl.scan_parquet(file).select(pl.col("lineage_id").cast(pl.Int64))
    return scan.drop_nulls().unique().sort("lineage_id").collect()["lineage_id"].to_numpy()
