"""Sequences -> batches of tensors: positions, padding by length, and events left out on request."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from phenotype.sequences import Ints, Sequences

PADDING, STATIC, OLDER, RECENT, READ_OUT = range(5)
_MICROSECONDS_PER_HOUR = 3.6e9
_AFTER_ALL = 1 << 30


class SequenceBatch(NamedTuple):
    """What the network reads; E events of B rows with T positions.

    Attributes:
        token, value_bin: (E,) int64.
        value, weight: (E,) float32; weight is 1, for older events log(1 + how often).
        has_value: (E,) float32, 0 or 1.
        place: (E,) int64, the event's position in the flattened (B * T).
        hours: (B, T) float64, hours after the prediction time, never above 0; 0 where a position is undated.
        gap_hours: (B, T) float32, hours since the position before it.
        kind: (B, T) int64, one of PADDING, STATIC, OLDER, RECENT, READ_OUT.
        rank: (B, T) int64; a position sees those of no higher rank.
        read_out: (B,) int64, where in T the risk is read.
        age: (B,) float32 years, NaN where unknown.
    """

    token: Tensor
    value_bin: Tensor
    value: Tensor
    weight: Tensor
    has_value: Tensor
    place: Tensor
    hours: Tensor
    gap_hours: Tensor
    kind: Tensor
    rank: Tensor
    read_out: Tensor
    age: Tensor


def make_batch(
    sequences: Sequences,
    rows: Ints,
    position: Literal["time_point", "event"],
    keep: npt.NDArray[np.bool_] | None = None,
) -> SequenceBatch:
    """The batch of some rows, one read-out a row.

    Args:
        sequences: where the events are.
        rows: (B,) row numbers, repeats allowed.
        position: what one position is.
        keep: which events are read, for all rows end to end (`sequences.n_events()[rows]` each); the others
            are deleted, not blanked: an emptied position is gone.
    """
    n_events = (sequences.end - sequences.static_start)[rows]
    owner = np.repeat(np.arange(len(rows)), n_events)
    before = np.cumsum(n_events) - n_events
    event = sequences.static_start[rows][owner] + np.arange(len(owner)) - before[owner]
    age = sequences.age[rows].astype(np.float32)
    if keep is not None:
        age_event = sequences.age_event[rows]
        place = np.where(age_event >= 0, before + age_event - sequences.static_start[rows], 0)
        is_gone = (age_event >= 0) & ~keep[place] if len(keep) else np.zeros(len(rows), bool)
        age[is_gone] = np.nan
        owner, event = owner[keep], event[keep]
    is_static = event < sequences.older_start[rows][owner]
    is_recent = event >= sequences.recent_start[rows][owner]
    return _assemble(sequences, rows, position, owner, event, is_static, is_recent, age)


def _assemble(  # noqa: PLR0917 the parts of one selection
    sequences: Sequences,
    rows: Ints,
    position: Literal["time_point", "event"],
    owner: Ints,
    event: Ints,
    is_static: npt.NDArray[np.bool_],
    is_recent: npt.NDArray[np.bool_],
    age: npt.NDArray[np.float32],
) -> SequenceBatch:
    n_rows = len(rows)
    is_older = ~is_static & ~is_recent
    has_static = np.bincount(owner[is_static], minlength=n_rows) > 0
    has_older = np.bincount(owner[is_older], minlength=n_rows) > 0
    front = has_static.astype(np.int64) + has_older
    recent_owner, recent_known = owner[is_recent], sequences.known[event[is_recent]]
    step, rank, first = _steps(recent_owner, recent_known, position, n_rows)
    read_out = front + np.bincount(recent_owner[first], minlength=n_rows)
    width = int(read_out.max(initial=0)) + 1

    kind = np.full((n_rows, width), PADDING, dtype=np.int64)
    ranks = np.full((n_rows, width), _AFTER_ALL + 1, dtype=np.int64)
    hours = np.zeros((n_rows, width))
    kind[has_static, 0], ranks[has_static, 0] = STATIC, 0
    kind[has_older, has_static[has_older].astype(np.int64)] = OLDER
    ranks[has_older, has_static[has_older].astype(np.int64)] = 1
    column = front[recent_owner] + step
    kind[recent_owner, column], ranks[recent_owner, column] = RECENT, 2 + rank
    hours[recent_owner, column] = (
        recent_known - sequences.prediction[rows][recent_owner]
    ) / _MICROSECONDS_PER_HOUR
    each = np.arange(n_rows)
    kind[each, read_out], ranks[each, read_out] = READ_OUT, _AFTER_ALL
    is_dated = (kind[:, 1:] >= RECENT) & (kind[:, :-1] == RECENT)
    gap = np.zeros((n_rows, width))
    gap[:, 1:] = np.where(is_dated, hours[:, 1:] - hours[:, :-1], 0.0)

    counted_owner, counted_token, counts = _count(owner[is_older], sequences.token[event[is_older]])
    single = event[~is_older]
    place = np.where(is_static, owner * width, 0)
    place[is_recent] = recent_owner * width + column
    older_place = counted_owner * width + has_static[counted_owner]
    n_counted = len(counts)

    def joined(of_events: npt.NDArray[Any], dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.concatenate([of_events[single].astype(dtype), np.zeros(n_counted, dtype)])

    value_bin = joined(sequences.value_bin, np.int64)
    return SequenceBatch(
        token=torch.from_numpy(np.concatenate([sequences.token[single].astype(np.int64), counted_token])),
        value_bin=torch.from_numpy(value_bin),
        value=torch.from_numpy(joined(sequences.value, np.float32)),
        weight=torch.from_numpy(np.concatenate([np.ones(len(single)), np.log1p(counts)]).astype(np.float32)),
        has_value=torch.from_numpy((value_bin > 0).astype(np.float32)),
        place=torch.from_numpy(np.concatenate([place[~is_older], older_place])),
        hours=torch.from_numpy(hours),
        gap_hours=torch.from_numpy(gap.astype(np.float32)),
        kind=torch.from_numpy(kind),
        rank=torch.from_numpy(ranks),
        read_out=torch.from_numpy(read_out),
        age=torch.from_numpy(age),
    )


def _steps(
    owner: Ints, known: Ints, position: Literal["time_point", "event"], n_rows: int
) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """Each dated event's position in its row, the rank of its time, and whether it opens a position."""
    new_row = np.ones(len(owner), dtype=bool)
    new_row[1:] = owner[1:] != owner[:-1]
    new_time = new_row.copy()
    new_time[1:] |= known[1:] != known[:-1]
    first = new_time if position == "time_point" else np.ones(len(owner), dtype=bool)
    start = np.searchsorted(owner, np.arange(n_rows))
    start = np.minimum(start, max(len(owner) - 1, 0))

    def within_row(opens: npt.NDArray[np.bool_]) -> Ints:
        number = np.cumsum(opens)
        return np.asarray(number - number[start[owner]] if len(owner) else number, dtype=np.int64)

    return within_row(first), within_row(new_time), first


def _count(owner: Ints, token: npt.NDArray[np.int32]) -> tuple[Ints, Ints, Ints]:
    """How often each token stands among each row's older events: row, token, count."""
    n_tokens = int(token.max(initial=0)) + 1
    keys, counts = np.unique(owner * n_tokens + token, return_counts=True)
    return keys // n_tokens, keys % n_tokens, counts


def bucketed(
    lengths: Ints, batch_positions: int, generator: np.random.Generator | None = None, spread: int = 32
) -> list[Ints]:
    """Row numbers in batches of like length, none above batch_positions when padded (a single row may be).

    Args:
        lengths: (n,) positions of each row.
        batch_positions: rows times longest row of one batch.
        generator: shuffles rows among batches and the batches themselves; none: by length, ascending.
        spread: batches' worth of shuffled rows that are sorted together.
    """
    if generator is None:
        return _cut(np.argsort(lengths, kind="stable"), lengths, batch_positions)
    order = generator.permutation(len(lengths))
    mean = max(float(lengths.mean()), 1.0) if len(lengths) else 1.0
    chunk = max(int(spread * batch_positions / mean), 1)
    batches: list[Ints] = []
    for start in range(0, len(order), chunk):
        rows = order[start : start + chunk]
        batches += _cut(rows[np.argsort(lengths[rows], kind="stable")], lengths, batch_positions)
    return [batches[number] for number in generator.permutation(len(batches))]


def _cut(rows: Ints, lengths: Ints, batch_positions: int) -> list[Ints]:
    """Rows, ascending by length, cut where one more would pass the budget."""
    batches, start = [], 0
    for stop in range(1, len(rows)):
        if (stop + 1 - start) * lengths[rows[stop]] > batch_positions:
            batches.append(rows[start:stop])
            start = stop
    if len(rows):
        batches.append(rows[start:])
    return batches
