"""Sequences -> batches of tensors: positions, padding by length, and events left out on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from phenotype.networks.clocks import Clocks, tell_times
from phenotype.networks.positions import Layout, Picked, lay_out, lengths, pick
from phenotype.networks.sums import N_SUMMARIES, Sums, sum_up
from phenotype.sequences import Ints, Sequences

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

__all__ = ["SequenceBatch", "bucketed", "lengths", "make_batch"]


class SequenceBatch(NamedTuple):
    """What a network reads: U units with T columns each, which answer R prediction rows.

    A unit's columns are its static facts, the count of what is older than its window, its dated positions,
    and its read-outs, one a row; then padding. Column i sees column j where rank[j] <= rank[i] and j is no
    read-out, and itself. Sums 0 to U * T - 1 are the columns. Where there are summaries, each unit has one
    row and N_SUMMARIES * R sums follow, R each, added up over codes: the code's latest events; and, of the
    whole history and of each window of SUMMARY_HOURS, the mean of the code's events and log(1 + how often)
    it occurs.

    Attributes:
        code, value_bin: int64 tokens and bins that are summed, in the order of the sums.
        code_weight, value_weight: float32 weight of each.
        value: float32 robust z-score of each value bin's event.
        value_code: int64 token of each value bin's event.
        code_start, value_start: (S,) int64, where each sum begins.
        hours: (U, T) float64 from an origin of the unit's own; 0 where a column is undated.
        clock_hours: (U, T) float32, never below 0: hours until the prediction time where rows are read alone;
            else since the history's first dated event. 0 where a column is undated.
        gap_hours: (U, T) float32, hours since the time point before it.
        kind: (U, T) int64, one of PADDING, STATIC, OLDER, RECENT, READ_OUT.
        rank: (U, T) int64.
        length: (U,) int64 columns in use.
        read_out: (R,) int64 flat column (unit * T + column) where each row's risk is read.
        row: (R,) int64 number in the Sequences of each row.
        age: (U, T) float32 years, NaN where unknown: the row's in every column where rows are read alone,
            else at the column's own time.
        next_code: (N,) int64 tokens of dated events; none where config.next_event_weight is 0.
        next_value_bin: (N,) int64 bin of each one's value, 0 for none.
        next_position: (N,) int64 flat column that stands before its time point and is to foresee it.
        next_weight: (N,) float32, 1 over the number of the time point's events.
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
    clock_hours: Tensor
    gap_hours: Tensor
    kind: Tensor
    rank: Tensor
    length: Tensor
    read_out: Tensor
    row: Tensor
    age: Tensor
    next_code: Tensor
    next_value_bin: Tensor
    next_position: Tensor
    next_weight: Tensor


def make_batch(
    sequences: Sequences,
    units: Ints,
    config: NetworkConfig,
    keep: npt.NDArray[np.bool_] | None = None,
) -> SequenceBatch:
    """The batch of some units, one read-out for each row that they answer.

    Args:
        sequences: where the events are.
        units: (U,) unit numbers, repeats allowed; none at all gives a batch of no rows.
        config: position, reading, summaries and next_event_weight.
        keep: which events are read, for all units end to end (`sequences.n_events()[units]` each); the others
            are deleted, not blanked: an emptied position is gone.
    """
    picked = pick(sequences, units, keep)
    layout = lay_out(sequences, units, picked, config)
    with_summaries = bool(getattr(config, "summaries", False)) and config.reading == "alone"
    sums = sum_up(sequences, units, layout, picked, with_summaries=with_summaries)
    n_sums = layout.kind.size + with_summaries * N_SUMMARIES * len(layout.row)
    clocks = tell_times(sequences, units, picked, layout, config)
    foresees = float(getattr(config, "next_event_weight", 0.0)) > 0
    following = _next_events(sequences, picked, layout) if foresees else _NOTHING
    return _tensors(sequences, sums, n_sums, layout, clocks, following)


class _Next(NamedTuple):
    code: npt.NDArray[Any]
    value_bin: npt.NDArray[Any]
    position: npt.NDArray[Any]
    weight: npt.NDArray[Any]


_NOTHING = _Next(*(np.zeros(0) for _ in range(4)))


def _next_events(sequences: Sequences, picked: Picked, layout: Layout) -> _Next:
    """The dated events that some column stands before."""
    dated = layout.dated
    first = dated.first[dated.position]
    column = layout.dated_column[first] - 1
    n_simultaneous = np.bincount(first, minlength=1)[first]
    is_foreseen = column >= dated.owner[dated.position] * layout.kind.shape[1]
    event = picked.event[dated.place[is_foreseen]]
    return _Next(
        code=sequences.token[event],
        value_bin=sequences.value_bin[event],
        position=column[is_foreseen],
        weight=1 / n_simultaneous[is_foreseen],
    )


def _tensors(  # noqa: PLR0917 the parts of a batch
    sequences: Sequences, sums: Sums, n_sums: int, layout: Layout, clocks: Clocks, following: _Next
) -> SequenceBatch:
    bins = np.where(sums.event >= 0, sequences.value_bin[sums.event], 0) if len(sums.event) else sums.event
    valued = np.flatnonzero(bins > 0)

    def tensor(values: npt.NDArray[Any], dtype: type[np.generic]) -> Tensor:
        """An array as a tensor of that type."""
        return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))

    return SequenceBatch(
        code=tensor(sums.token, np.int64),
        code_weight=tensor(sums.weight, np.float32),
        code_start=tensor(_starts(sums.place, n_sums), np.int64),
        value_bin=tensor(bins[valued], np.int64),
        value_code=tensor(sums.token[valued], np.int64),
        value=tensor(sequences.value[sums.event[valued]], np.float32),
        value_weight=tensor(sums.weight[valued], np.float32),
        value_start=tensor(_starts(sums.place[valued], n_sums), np.int64),
        hours=tensor(clocks.hours, np.float64),
        clock_hours=tensor(clocks.clock_hours, np.float32),
        gap_hours=tensor(clocks.gap_hours, np.float32),
        kind=tensor(layout.kind, np.int64),
        rank=tensor(layout.rank, np.int64),
        length=tensor(layout.length, np.int64),
        read_out=tensor(layout.read_out, np.int64),
        row=tensor(layout.row, np.int64),
        age=tensor(clocks.age, np.float32),
        next_code=tensor(following.code, np.int64),
        next_value_bin=tensor(following.value_bin, np.int64),
        next_position=tensor(following.position, np.int64),
        next_weight=tensor(following.weight, np.float32),
    )


def _starts(place: Ints, n_sums: int) -> Ints:
    """Where each sum begins among ascending places."""
    counts = np.bincount(place, minlength=n_sums)
    return np.cumsum(counts) - counts


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
