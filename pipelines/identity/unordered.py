"""A dataset of shifted dates forgets in what order its rows stood: that order would tell the shifts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from phenotype.trajectory import LINEAGE
from phenotype.writing import write_shard

Numbers = np.ndarray[Any, np.dtype[np.int64]]
ROWS_A_BUCKET = 1_000_000
_CONTENT = ["source", "sent_code", "sent_value", "sent_unit", "sent_alternates"]
_NUMBERS = "[0-9]+"


def forget_order(folder: Path, work: Path) -> None:
    """Renumber the lineage by subject and take row numbers and the numbers in files' names away.

    Rows of an extract often stand in the order of time. Two neighbours of different subjects then happened at
    about one time, so that row numbers, or lineage ids that grow with them, would tell how far the subjects'
    dates were moved against each other.

    Args:
        folder: the dataset, whole but not in place; events, codings, lineage and source_columns change.
        work: a private folder.
    """
    shards = sorted((folder / "data").glob("*.parquet"), key=lambda path: int(path.stem))
    renumbered = _renumbered(folder, shards)
    if not renumbered.size:
        return
    for shard in shards:
        write_shard(shard, _under_new_ids(pl.read_parquet(shard), renumbered))
    codings = _under_new_ids(pl.read_parquet(folder / "codings.parquet"), renumbered)
    codings.write_parquet(folder / "codings.parquet", compression="zstd", compression_level=1)
    _rewrite_lineage(folder / "lineage.parquet", renumbered, work)
    _rewrite_source_columns(folder / "source_columns", renumbered)


def _renumbered(folder: Path, shards: list[Path]) -> Numbers:
    """The new number of each lineage id: by the events as they stand, then the codings, then the rest."""
    lineage = pl.scan_parquet(folder / "lineage.parquet")
    largest = lineage.select(pl.col("lineage_id").max()).collect().item()
    new: Numbers = np.full(0 if largest is None else largest + 1, -1, dtype=np.int64)
    following = 0
    for path in (*shards, folder / "codings.parquet"):
        following = _number(new, pl.read_parquet(path, columns=["lineage_id"])["lineage_id"], following)
    rest = pl.Series("lineage_id", np.flatnonzero(new < 0), dtype=pl.Int64)
    if rest.len():
        unnamed = lineage.filter(pl.col("lineage_id").is_in(rest.implode()))
        _number(new, unnamed.sort(_CONTENT, nulls_last=False).collect()["lineage_id"], following)
    return new


def _number(new: Numbers, ids: pl.Series, following: int) -> int:
    """Give numbers to the ids that have none, in their order; the next number."""
    distinct = ids.drop_nulls().unique(maintain_order=True).to_numpy()
    fresh = distinct[new[distinct] < 0]
    new[fresh] = np.arange(following, following + fresh.size)
    return following + int(fresh.size)


def _under_new_ids(rows: pl.DataFrame, renumbered: Numbers) -> pl.DataFrame:
    ids = pl.Series("lineage_id", renumbered, dtype=pl.Int64).gather(rows["lineage_id"])
    return rows.with_columns(ids)


def _rewrite_lineage(file: Path, renumbered: Numbers, work: Path) -> None:
    """Write the lineage in the order of its new ids; sorted in buckets, so that memory is bounded."""
    buckets = work / "lineage"
    buckets.mkdir()
    with pq.ParquetFile(file) as parquet:
        for number, batch in enumerate(parquet.iter_batches(ROWS_A_BUCKET)):
            rows = _under_new_ids(pl.DataFrame(pl.from_arrow(batch)), renumbered).with_columns(
                pl.lit(None, LINEAGE["row"]).alias("row"),
                pl.col("file").str.replace_all(_NUMBERS, "#"),
                _bucket=pl.col("lineage_id") // ROWS_A_BUCKET,
            )
            for (bucket,), part in rows.partition_by("_bucket", as_dict=True, include_key=False).items():
                part.write_parquet(buckets / f"{bucket}-{number}.parquet", compression="lz4")
    schema = pl.DataFrame(schema=LINEAGE).to_arrow().schema
    with pq.ParquetWriter(file, schema, compression="zstd") as target:
        for bucket in range(renumbered.size // ROWS_A_BUCKET + 1):
            parts = [pl.read_parquet(path) for path in sorted(buckets.glob(f"{bucket}-*.parquet"))]
            if parts:
                whole = pl.concat(parts).select(pl.col(name).cast(to) for name, to in LINEAGE.items())
                target.write_table(whole.sort("lineage_id", *_CONTENT).to_arrow().cast(schema))


def _rewrite_source_columns(folder: Path, renumbered: Numbers) -> None:
    """One file a shard, in the order of the new ids."""
    files = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
    for shard in sorted({path.stem.split("-")[0] for path in files}):
        own = [path for path in files if path.stem.split("-")[0] == shard]
        rows = pl.concat([pl.read_parquet(path) for path in own], how="diagonal_relaxed")
        for path in own:
            path.unlink()
        in_order = _under_new_ids(rows, renumbered).sort("lineage_id", maintain_order=True)
        in_order.write_parquet(folder / f"{shard}-00000.parquet", compression="zstd")
