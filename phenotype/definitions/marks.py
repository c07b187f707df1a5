"""Marks: what a criterion denotes, in their one order, equal ones merged.

A mark is a dated row with an optional value and the events that it rests on. Marks that agree in all columns
of MARK_ORDER are one mark; it is known as soon as one of them is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from phenotype.trajectory import INSTANT

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MARKS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "value": pl.Float64(),
        "stay_id": pl.Int64(),
        "contact_id": pl.Int64(),
        "known_time": INSTANT,
        "evidence": pl.List(pl.Int64()),
    }
)
"""end_time is null for what has not ended, known_time for what is not known within the record."""
MARK_ORDER = ["subject_id", "start_time", "end_time", "value", "stay_id", "contact_id"]
"""The order of marks, nulls first, and what makes two marks the same."""
NEVER = np.iinfo(np.int64).max
"""Stands for a null known_time among microseconds: later than every instant."""
SIGNIFICANT_DIGITS = 7
"""As many decimal digits as a 32-bit float holds at least in the ranges of clinical values."""
DECIMALS = 6
"""Sums, differences and ratios are rounded to these, so that 113.3 - 86.8 is 26.5."""


def no_marks() -> pl.DataFrame:
    """No marks."""
    return pl.DataFrame(schema=MARKS)


def as_marks(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with the columns of MARKS, in MARK_ORDER, the same ones merged, evidence sorted and unique.

    Args:
        rows: columns of MARKS, in any order; evidence may repeat itself.
    """
    rows = rows.select(pl.col(name).cast(dtype) for name, dtype in MARKS.items())
    rows = _in_order(rows)
    is_same = _equal_to_previous(rows, MARK_ORDER)
    if is_same.any():
        rows = _merged(rows, is_same)
    return _tidy_evidence(rows)


def _in_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows sorted by MARK_ORDER: by subject and start first, the rest only where these tie."""
    if rows.height < 2:
        return rows
    subject, start = instants(rows, "subject_id"), instants(rows, "start_time")
    follows = (subject[1:] > subject[:-1]) | ((subject[1:] == subject[:-1]) & (start[1:] >= start[:-1]))
    if not follows.all():
        order = np.lexsort((start, subject))
        rows, subject, start = rows[order], subject[order], start[order]
    same = np.zeros(rows.height, dtype=np.bool_)
    same[1:] = (subject[1:] == subject[:-1]) & (start[1:] == start[:-1])
    tied = same.copy()
    tied[:-1] |= same[1:]
    if not tied.any():
        return rows
    places = np.flatnonzero(tied)
    keys = rows[places].select(*MARK_ORDER, _place=pl.Series(places))
    order = np.arange(rows.height)
    order[places] = keys.sort([*MARK_ORDER, "_place"], nulls_last=False)["_place"].to_numpy()
    return rows[order]


def _equal_to_previous(rows: pl.DataFrame, columns: Sequence[str]) -> Ints:
    same = [pl.col(name).eq_missing(pl.col(name).shift(1)) for name in columns]
    equal = rows.select((pl.all_horizontal(same) & (pl.int_range(pl.len()) > 0)).alias("same"))
    return np.asarray(equal["same"].to_numpy())


def _merged(rows: pl.DataFrame, is_same: Ints) -> pl.DataFrame:
    number = np.cumsum(~is_same.astype(np.bool_)) - 1
    evidence = (
        pl.DataFrame({"_mark": number, "evidence": rows["evidence"], "known_time": rows["known_time"]})
        .group_by("_mark", maintain_order=True)
        .agg(pl.col("evidence").explode(), pl.col("known_time").min())
    )
    kept = rows.filter(~pl.Series(is_same))
    return kept.with_columns(evidence["evidence"], evidence["known_time"])


def _tidy_evidence(rows: pl.DataFrame) -> pl.DataFrame:
    lengths = rows["evidence"].list.len()
    if not rows.height or (lengths <= 1).all():
        return rows
    tidy = pl.col("evidence").list.drop_nulls().list.unique().list.sort()
    return rows.with_columns(pl.when(pl.col("evidence").list.len() > 1).then(tidy).otherwise("evidence"))


def instants(rows: pl.DataFrame, column: str, *, null: int = np.iinfo(np.int64).min) -> Ints:
    """A column of whole numbers or instants as int64 (microseconds), nulls replaced."""
    series = rows[column].cast(rows.schema[column]).to_physical().cast(pl.Int64)
    return np.asarray(series.fill_null(null).to_numpy())


def as_instants(microseconds: Ints) -> pl.Series:
    """Microseconds as instants; NEVER becomes null."""
    numbers = pl.Series(microseconds, dtype=pl.Int64)
    is_never = pl.Series(microseconds == NEVER)
    return pl.select(pl.when(~is_never).then(numbers)).to_series().cast(INSTANT)


def values_of(rows: pl.DataFrame) -> Floats:
    """The marks' values, NaN where null."""
    return np.asarray(rows["value"].fill_null(float("nan")).to_numpy(), dtype=np.float64)


def as_values(numbers: Floats) -> pl.Series:
    """Numbers as a value column: NaN and infinities become null."""
    return pl.Series(np.where(np.isfinite(numbers), numbers, np.nan), nan_to_null=True).cast(pl.Float64)


def as_stored(numbers: Floats) -> Floats:
    """Numbers at the digits that a 32-bit float holds: 38.29999924 is 38.3."""
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(numbers)))
    digits = SIGNIFICANT_DIGITS - 1 - np.where(np.isfinite(magnitude), magnitude, 0)
    digits = np.clip(digits, -22, 22)
    up, down = 10.0 ** np.maximum(digits, 0), 10.0 ** np.maximum(-digits, 0)
    rounded: Floats = np.rint(numbers * up / down) / up * down
    return rounded


def rounded(numbers: Floats) -> Floats:
    """Computed numbers at DECIMALS decimals."""
    result: Floats = np.round(numbers, DECIMALS)
    return result


def as_lists(flat: Ints, lengths: Ints) -> pl.Series:
    """A column of lists from their elements in a row and the length of each."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(flat, pa.int64()))
    column = pl.from_arrow(lists)
    assert isinstance(column, pl.Series)  # noqa: S101 - an array is a column
    return column.cast(pl.List(pl.Int64))


def latest(*columns: pl.Expr) -> pl.Expr:
    """The latest of several known_times, null where any is null."""
    is_known = pl.all_horizontal(column.is_not_null() for column in columns)
    return pl.when(is_known).then(pl.max_horizontal(columns))
