"""Lineage ids of the sources made those of the joined dataset, and the lineage rows copied under them."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow.parquet as pq

from phenotype.trajectory import LINEAGE
from phenotype.writing import DatasetWriter
from pipelines.joining.parts import Source

ROWS_AT_A_TIME = 500_000
MOVED = pl.Schema({"old": pl.Int64(), "new": pl.Int64()})


def lineage_offsets(sources: Sequence[Source]) -> list[int]:
    """What is added to the lineage ids of each source, so that no two sources share one."""
    offsets, following = [], 0
    for source in sources:
        offsets.append(following)
        file = source.dataset.path / "lineage.parquet"
        if file.exists():
            largest = pl.scan_parquet(file).select(pl.col("lineage_id").max()).collect().item()
            following += 0 if largest is None else int(largest) + 1
    return offsets


def settled(moved: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Where every id that moved has come to rest; of several places the smallest.

    Args:
        moved: columns of MOVED, an id may move on from where it was moved to.

    Returns:
        Columns of MOVED, each old id once.
    """
    moves = pl.concat([pl.DataFrame(schema=MOVED), *moved]).group_by("old").agg(pl.col("new").min())
    while True:
        onwards = moves.join(moves, left_on="new", right_on="old", how="left", suffix="_on")
        if onwards["new_on"].is_null().all():
            return moves
        moves = onwards.select("old", new=pl.coalesce("new_on", "new"))


def with_settled_ids(rows: pl.DataFrame, moves: pl.DataFrame, column: str = "lineage_id") -> pl.DataFrame:
    """Rows whose lineage ids are where the ids have come to rest.

    Args:
        rows: with the column.
        moves: columns of MOVED, settled.
        column: of the ids.
    """
    if not moves.height:
        return rows
    told = rows.join(moves, left_on=column, right_on="old", how="left", maintain_order="left")
    return told.with_columns(pl.coalesce("new", column).alias(column)).drop("new")


def copy_lineage(
    sources: Sequence[Source], offsets: Sequence[int], moves: pl.DataFrame, writer: DatasetWriter
) -> None:
    """Hand every lineage row of every source to the writer, under its id in the joined dataset."""
    for source, offset in zip(sources, offsets, strict=True):
        file = source.dataset.path / "lineage.parquet"
        if not file.exists():
            continue
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(ROWS_AT_A_TIME):
                rows = pl.DataFrame(pl.from_arrow(batch))
                rows = rows.with_columns(pl.col("lineage_id") + offset)
                writer.add_lineage(
                    with_settled_ids(rows, moves).select(
                        pl.col(name).cast(dtype) for name, dtype in LINEAGE.items()
                    )
                )
