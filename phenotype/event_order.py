"""The canonical order of events, found fast: three keys packed into one number, the rest only in ties."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from phenotype.trajectory import EVENT_ORDER

_LARGEST = 2**63
_TICKS = (60_000_000, 1_000_000, 1_000, 1)
"""Minutes, seconds, milliseconds and microseconds: the coarsest that all times are whole multiples of."""


def in_event_order(events: pl.DataFrame) -> pl.DataFrame:
    """Events sorted by EVENT_ORDER, then lineage_id, nulls first.

    Args:
        events: columns of EVENTS, in any order.
    """
    if not events.height:
        return events
    events = events.rechunk()
    order, follows = _by_three_keys(events)
    events = events[order]
    ties = (follows | follows.shift(-1, fill_value=False)).arg_true()
    if not ties.len():
        return events
    sorted_ties = events[ties].with_columns(_at=ties).sort([*EVENT_ORDER, "lineage_id"], nulls_last=False)
    return events[pl.int_range(events.height, eager=True, dtype=pl.UInt32).scatter(ties, sorted_ties["_at"])]


def _by_three_keys(events: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """The order by subject, time and code, and which rows in it equal the row before in all three."""
    packed = _packed(events)
    if packed is not None:
        order = np.argsort(packed)
        in_order = packed[order]
        follows = np.concatenate([[False], in_order[1:] == in_order[:-1]])
        return pl.Series(order), pl.Series(follows)
    keys = events.select("subject_id", "time", "code")
    by_keys = keys.select(pl.arg_sort_by(keys.columns, nulls_last=False)).to_series()
    keys = keys[by_keys]
    is_same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(1)) for name in keys.columns)
    return by_keys, keys.select(is_same & (pl.int_range(pl.len()) > 0)).to_series()


def _packed(events: pl.DataFrame) -> NDArray[np.int64] | None:
    """One number a row that sorts as subject, time (null first) and code; None where 63 bits are too few."""
    if events["subject_id"].null_count() or events["code"].null_count():
        return None
    subject, n_subjects = _ranks(events["subject_id"])
    code, n_codes = _ranks(events["code"])
    ticks, n_ticks = _time_ticks(events["time"])
    if n_subjects * n_ticks * n_codes >= _LARGEST:
        return None
    packed: NDArray[np.int64] = ((subject * n_ticks + ticks) * n_codes + code).to_numpy()
    return packed


def _ranks(values: pl.Series) -> tuple[pl.Series, int]:
    """Each value's place among the distinct ones, from 0, and how many there are."""
    distinct = values.unique().sort()
    places = pl.int_range(distinct.len(), eager=True, dtype=pl.Int64)
    return values.replace_strict(distinct, places, return_dtype=pl.Int64), distinct.len()


def _time_ticks(times: pl.Series) -> tuple[pl.Series, int]:
    """Times as whole ticks from 1, null as 0, and how many different ones there may be."""
    instants = times.cast(pl.Int64)
    first, last = instants.min(), instants.max()
    if not isinstance(first, int) or not isinstance(last, int):
        return pl.repeat(0, times.len(), dtype=pl.Int64, eager=True), 1
    since = instants - first
    tick = next(tick for tick in _TICKS if tick == 1 or not (since % tick != 0).any())
    return (since // tick + 1).fill_null(0), (last - first) // tick + 2
