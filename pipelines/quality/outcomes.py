"""What counting gives: rows asked and rows wrong by group, details behind them, or why nothing was asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

COUNTS = pl.Schema(
    {
        "concept": pl.String(),
        "unit_id": pl.String(),
        "period": pl.String(),
        "n_rows": pl.Int64(),
        "n_violated": pl.Int64(),
    }
)
"""One group: the code, code system, file or other name that it is about; the place; the time; rows asked;
rows that are wrong. Null where the rows are not counted by it."""
KEYS = ("concept", "unit_id", "period")


@dataclass(frozen=True)
class Outcome:
    """What a rule found.

    Attributes:
        counts: columns of COUNTS; no rows where there was nothing to ask.
        details: what lies behind the counts, by month and group; its columns are the rule's own. No values of
            single patients, no subject.
        reason: why there was nothing to ask.
    """

    counts: pl.DataFrame
    details: pl.DataFrame | None = None
    reason: str = ""


def counted(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with all columns of COUNTS, sorted; groups in which nothing was asked are left out."""
    columns = [
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in COUNTS.items()
    ]
    return frame.select(columns).filter(pl.col("n_rows") > 0).sort(KEYS, nulls_last=False)


def one_count(n_rows: int, n_violated: int) -> pl.DataFrame:
    """The counts of a rule that has one group."""
    return counted(pl.DataFrame({"n_rows": [n_rows], "n_violated": [n_violated]}))


def add_up(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tallies of several pieces of the data as one.

    Columns that begin with `n_` are added, low and high are the lowest and highest, all others are keys.

    Args:
        parts: at least one frame, all with the same columns.
    """
    whole = pl.concat(parts)
    keys = [name for name in whole.columns if not _is_sum(name)]
    sums = [_added(name) for name in whole.columns if _is_sum(name)]
    if not keys:
        return whole.select(sums)
    return whole.group_by(keys).agg(sums).select(whole.columns).sort(keys, nulls_last=False)


def _is_sum(name: str) -> bool:
    return name.startswith("n_") or name in {"low", "high"}


def _added(name: str) -> pl.Expr:
    return {"low": pl.col("low").min(), "high": pl.col("high").max()}.get(name, pl.col(name).sum())
