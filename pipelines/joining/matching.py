"""Rows of two sources matched one to one, the nearest first, the same way whatever order they come in."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

PAIRS = pl.Schema({"left": pl.Int64(), "right": pl.Int64()})


def equal_rows(left: pl.DataFrame, right: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Rows equal in all keys (null equals null): the first with the first, the second with the second.

    Args:
        left: with `_id` and the keys; the order of the rows decides among equal ones.
        right: the same of the other source.
        keys: columns to compare.

    Returns:
        Columns of PAIRS.
    """
    columns = list(keys)
    ranked = [rows.with_columns(_rank=pl.int_range(pl.len()).over(columns)) for rows in (left, right)]
    joined = ranked[0].join(ranked[1], on=[*columns, "_rank"], how="inner", nulls_equal=True)
    return joined.select(left="_id", right="_id_right").cast(PAIRS)


def nearest(candidates: pl.DataFrame, scores: Sequence[str]) -> pl.DataFrame:
    """Of candidate pairs those that are each other's nearest, then of what is left, until none is left.

    Args:
        candidates: left, right and the scores (less is nearer; null is furthest).
        scores: the columns to compare by, the weightiest first; ties go by left and right.

    Returns:
        Columns of PAIRS: no left and no right row twice.
    """
    taken = [pl.DataFrame(schema=PAIRS)]
    left_over = candidates.sort([*scores, "left", "right"], nulls_last=True).select("left", "right")
    while left_over.height:
        is_nearest = pl.col("left").is_first_distinct() & pl.col("right").is_first_distinct()
        mutual = left_over.filter(is_nearest)
        taken.append(mutual.cast(PAIRS))
        left_over = left_over.join(mutual, on="left", how="anti", maintain_order="left")
        left_over = left_over.join(mutual, on="right", how="anti", maintain_order="left")
    return pl.concat(taken)


def unmatched(rows: pl.DataFrame, pairs: pl.DataFrame, side: str) -> pl.DataFrame:
    """The rows whose `_id` stands in no pair, in their order.

    Args:
        rows: with `_id`.
        pairs: columns of PAIRS.
        side: "left" or "right".
    """
    return rows.join(pairs, left_on="_id", right_on=side, how="anti", maintain_order="left")
