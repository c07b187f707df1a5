"""Where a batch's events stand: static facts, the count of what is older, dated positions, the read-out."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from phenotype.sequences import Ints, Sequences

PADDING, STATIC, OLDER, RECENT, READ_OUT = range(5)
MICROSECONDS_PER_HOUR = 3.6e9
_AFTER_ALL = 1 << 30


class Picked(NamedTuple):
    """Events of a batch that are read: their row in the batch, their number, their part of the history."""

    owner: Ints
    event: Ints
    is_static: npt.NDArray[np.bool_]
    is_recent: npt.NDArray[np.bool_]


class Layout(NamedTuple):
    """Where everything stands, (B, T), and the position of every single event."""

    hours: npt.NDArray[np.float64]
    gap_hours: npt.NDArray[np.float64]
    kind: Ints
    rank: Ints
    read_out: Ints
    column: Ints


def lay_out(
    sequences: Sequences, rows: Ints, position: Literal["time_point", "event"], picked: Picked
) -> Layout:
    """Static facts first, then the count of what is older, then the dated positions, last the read-out."""
    n_rows = len(rows)
    is_older = ~picked.is_static & ~picked.is_recent
    has_static = np.bincount(picked.owner[picked.is_static], minlength=n_rows) > 0
    has_older = np.bincount(picked.owner[is_older], minlength=n_rows) > 0
    owner, known = picked.owner[picked.is_recent], sequences.known[picked.event[picked.is_recent]]
    step, rank, first, gap = _steps(owner, known, position, n_rows)
    front = has_static.astype(np.int64) + has_older
    read_out = front + np.bincount(owner[first], minlength=n_rows)
    shape = (n_rows, int(read_out.max(initial=0)) + 1)
    layout = Layout(
        hours=np.zeros(shape),
        gap_hours=np.zeros(shape),
        kind=np.full(shape, PADDING, dtype=np.int64),
        rank=np.full(shape, _AFTER_ALL + 1, dtype=np.int64),
        read_out=read_out,
        column=np.zeros(len(picked.owner), dtype=np.int64),
    )
    older_column = has_static.astype(np.int64)
    layout.column[is_older] = older_column[picked.owner[is_older]]
    layout.column[picked.is_recent] = column = front[owner] + step
    for where, kind, order in (
        ((has_static, 0), STATIC, 0),
        ((has_older, older_column[has_older]), OLDER, 1),
        ((owner, column), RECENT, 2 + rank),
        ((np.arange(n_rows), read_out), READ_OUT, _AFTER_ALL),
    ):
        layout.kind[where], layout.rank[where] = kind, order
    layout.hours[owner, column] = (known - sequences.prediction[rows][owner]) / MICROSECONDS_PER_HOUR
    layout.gap_hours[owner, column] = gap / MICROSECONDS_PER_HOUR
    last = np.maximum(read_out - 1, 0)
    layout.gap_hours[np.arange(n_rows), read_out] = -layout.hours[np.arange(n_rows), last]
    return layout


def _steps(
    owner: Ints, known: Ints, position: Literal["time_point", "event"], n_rows: int
) -> tuple[Ints, Ints, npt.NDArray[np.bool_], Ints]:
    """Of each dated event: its position in its row, its time's rank, whether it opens a position, its gap.

    The gap is microseconds since the row's time point before, the same for all events of one time point.
    """
    new_row = np.ones(len(owner), dtype=bool)
    new_row[1:] = owner[1:] != owner[:-1]
    new_time = new_row.copy()
    new_time[1:] |= known[1:] != known[:-1]
    first = new_time if position == "time_point" else np.ones(len(owner), dtype=bool)
    start = np.minimum(np.searchsorted(owner, np.arange(n_rows)), max(len(owner) - 1, 0))
    opening = np.maximum.accumulate(np.where(new_time, np.arange(len(owner)), 0)) if len(owner) else owner
    gap = np.where(new_row, 0, known - np.concatenate([known[:1], known[:-1]]))[opening]

    def within_row(opens: npt.NDArray[np.bool_]) -> Ints:
        """Numbers that grow where something opens, from 0 in each row."""
        number = np.cumsum(opens)
        return np.asarray(number - number[start[owner]] if len(owner) else number, dtype=np.int64)

    return within_row(first), within_row(new_time), first, gap
