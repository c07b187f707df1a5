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
SUMMARY_HOURS = (24.0, 720.0)
"""Look-behind windows that are summarised for the read-out beside the whole history."""
N_SUMMARIES = 1 + 2 * (1 + len(SUMMARY_HOURS))


class SequenceBatch(NamedTuple):
    """What the network reads; B rows with T positions and S = B * (T + N_SUMMARIES) sums of embeddings.

    Sums 0 to B * T - 1 are the positions. Then come summaries of each row, added up over codes, B sums each:
    the code's latest events; and, of the whole history and of each window of SUMMARY_HOURS, the mean of the
    code's events and log(1 + how often) it occurs.

    Attributes:
        code, value_bin: int64 tokens and bins that are summed, in the order of the sums.
        code_weight, value_weight: float32 weight of each.
        value: float32 robust z-score of each value bin's event.
        value_code: int64 token of each value bin's event.
        code_start, value_start: (S,) int64, where each sum begins.
        hours: (B, T) float64, hours after the prediction time, never above 0; 0 where a position is undated.
        gap_hours: (B, T) float32, hours since the time point before it.
        kind: (B, T) int64, one of PADDING, STATIC, OLDER, RECENT, READ_OUT.
        rank: (B, T) int64; a position sees those of no higher rank.
        read_out: (B,) int64, where in T the risk is read.
        age: (B,) float32 years, NaN where unknown.
    """

    code: Tensor
    code_weight: Tensor
    code_start: Tensor
    value_bin: Tensor
    value_code: Tensor
    value: Tensor
    value_weight: Tensor
    value_start: Tensor
    hours: Tensor
    gap_hours: Tensor
    kind: Tensor
    rank: Tensor
    read_out: Tensor
    age: Tensor


class _Picked(NamedTuple):
    """Events of a batch that are read: their row in the batch, their number, their part of the history."""

    owner: Ints
    event: Ints
    is_static: npt.NDArray[np.bool_]
    is_recent: npt.NDArray[np.bool_]


class _Layout(NamedTuple):
    """Where everything stands, (B, T), and the position of every single event."""

    hours: npt.NDArray[np.float64]
    gap_hours: npt.NDArray[np.float64]
    kind: Ints
    rank: Ints
    read_out: Ints
    column: Ints


class _Sums(NamedTuple):
    """What is summed where: sum, token, weight, and the event whose value counts (-1: none)."""

    place: Ints
    token: Ints
    weight: npt.NDArray[np.float64]
    event: Ints


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
    picked = _Picked(
        owner,
        event,
        event < sequences.older_start[rows][owner],
        event >= sequences.recent_start[rows][owner],
    )
    return _assemble(sequences, rows, _lay_out(sequences, rows, position, picked), picked, age)


def _lay_out(
    sequences: Sequences, rows: Ints, position: Literal["time_point", "event"], picked: _Picked
) -> _Layout:
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
    layout = _Layout(
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
    layout.hours[owner, column] = (known - sequences.prediction[rows][owner]) / _MICROSECONDS_PER_HOUR
    layout.gap_hours[owner, column] = gap / _MICROSECONDS_PER_HOUR
    last = np.maximum(read_out - 1, 0)
    layout.gap_hours[np.arange(n_rows), read_out] = -layout.hours[np.arange(n_rows), last]
    return layout


def _assemble(
    sequences: Sequences, rows: Ints, layout: _Layout, picked: _Picked, age: npt.NDArray[np.float32]
) -> SequenceBatch:
    n_rows, width = layout.kind.shape
    sums = _sums(sequences, rows, layout, picked)
    n_sums = n_rows * (width + N_SUMMARIES)
    order = np.argsort(sums.place, kind="stable")
    place, token, weight, event = (part[order] for part in sums)
    bins = np.where(event >= 0, sequences.value_bin[event], 0) if len(event) else event
    valued = np.flatnonzero(bins > 0)
    starts = np.arange(n_sums)

    def tensor(values: npt.NDArray[Any], dtype: type[np.generic]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))

    return SequenceBatch(
        code=tensor(token, np.int64),
        code_weight=tensor(weight, np.float32),
        code_start=tensor(np.searchsorted(place, starts), np.int64),
        value_bin=tensor(bins[valued], np.int64),
        value_code=tensor(token[valued], np.int64),
        value=tensor(sequences.value[event[valued]], np.float32),
        value_weight=tensor(weight[valued], np.float32),
        value_start=tensor(np.searchsorted(place[valued], starts), np.int64),
        hours=tensor(layout.hours, np.float64),
        gap_hours=tensor(layout.gap_hours, np.float32),
        kind=tensor(layout.kind, np.int64),
        rank=tensor(layout.rank, np.int64),
        read_out=tensor(layout.read_out, np.int64),
        age=tensor(age, np.float32),
    )


def _sums(sequences: Sequences, rows: Ints, layout: _Layout, picked: _Picked) -> _Sums:
    """Positions, the log counts of what is older, and the summaries of the history."""
    n_rows, width = layout.kind.shape
    owner, event = picked.owner, picked.event
    token = sequences.token[event].astype(np.int64)
    n_tokens = int(token.max(initial=0)) + 1
    is_older = ~picked.is_static & ~picked.is_recent
    older_owner, older_token, older_counts = _count(owner[is_older], token[is_older], n_tokens)
    older_column = (layout.kind[:, 0] == STATIC).astype(np.int64)
    single = np.flatnonzero(~is_older)
    place = (owner * width + layout.column)[single]
    older_place = older_owner * width + older_column[older_owner]
    parts = [
        _Sums(place, token[single], np.ones(len(single)), event[single]),
        _Sums(older_place, older_token, np.log1p(older_counts), np.full(len(older_counts), -1)),
    ]
    keys, group = np.unique(owner * n_tokens + token, return_inverse=True)
    latest = np.full(len(keys), np.iinfo(np.int64).min)
    np.maximum.at(latest, group, sequences.known[event])
    begin = n_rows * width
    last = np.flatnonzero(sequences.known[event] == latest[group])
    parts.append(_mean(begin, owner, token, event, group, last))
    prediction = sequences.prediction[rows][owner]
    since = prediction - np.where(picked.is_static, prediction, sequences.known[event])
    hours_ago = np.where(picked.is_static, np.inf, since / _MICROSECONDS_PER_HOUR)
    for number, window in enumerate((np.inf, *SUMMARY_HOURS)):
        within = np.flatnonzero(hours_ago <= window)
        start = begin + (1 + 2 * number) * n_rows
        parts.append(_mean(start, owner, token, event, group, within))
        in_owner, in_token, counts = _count(owner[within], token[within], n_tokens)
        nothing = np.full(len(counts), -1)
        parts.append(_Sums(start + n_rows + in_owner, in_token, np.log1p(counts), nothing))
    return _Sums(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _mean(begin: int, owner: Ints, token: Ints, event: Ints, group: Ints, chosen: Ints) -> _Sums:  # noqa: PLR0917
    """Of each row, the sum over codes of the mean of the chosen events; `group` numbers row and code."""
    counts = np.bincount(group[chosen], minlength=1)
    return _Sums(begin + owner[chosen], token[chosen], 1 / counts[group[chosen]], event[chosen])


def _count(owner: Ints, token: Ints, n_tokens: int) -> tuple[Ints, Ints, Ints]:
    """How often each token stands in each row: row, token, count."""
    keys, counts = np.unique(owner * n_tokens + token, return_counts=True)
    return keys // n_tokens, keys % n_tokens, counts


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
        number = np.cumsum(opens)
        return np.asarray(number - number[start[owner]] if len(owner) else number, dtype=np.int64)

    return within_row(first), within_row(new_time), first, gap


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
