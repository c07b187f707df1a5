"""Sequences -> batches of tensors: positions, padding by length, and events left out on request."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from phenotype.networks.positions import Layout, Picked, lay_out
from phenotype.networks.sums import N_SUMMARIES, sum_up
from phenotype.sequences import Ints, Sequences


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
    picked = Picked(
        owner,
        event,
        event < sequences.older_start[rows][owner],
        event >= sequences.recent_start[rows][owner],
    )
    return _assemble(sequences, rows, lay_out(sequences, rows, position, picked), picked, age)


def _assemble(
    sequences: Sequences, rows: Ints, layout: Layout, picked: Picked, age: npt.NDArray[np.float32]
) -> SequenceBatch:
    n_rows, width = layout.kind.shape
    sums = sum_up(sequences, rows, layout, picked)
    n_sums = n_rows * (width + N_SUMMARIES)
    order = np.argsort(sums.place, kind="stable")
    place, token, weight, event = (part[order] for part in sums)
    bins = np.where(event >= 0, sequences.value_bin[event], 0) if len(event) else event
    valued = np.flatnonzero(bins > 0)
    starts = np.arange(n_sums)

    def tensor(values: npt.NDArray[Any], dtype: type[np.generic]) -> Tensor:
        """An array as a tensor of that type."""
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
