"""The kernel of the features: aggregates of every code in every look-behind window, as sparse cells.

Shapes: N events, G groups (one group = the events of one code of one subject), S subjects, R prediction rows,
W windows, A aggregations, P pairs (a row and a group of its subject), K boundaries a row.

Nothing here mixes values of different segments: each aggregate is computed from the events of its own window
alone, so a row has the same bits whatever happens after it, to other patients, or to the order of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phenotype.grouped_events import GroupedEvents
from phenotype.ordered_threads import in_order
from phenotype.segments import Segments, aggregate_segments

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

TIME_BITS = 53
SUBJECTS_A_BLOCK = 1 << (62 - TIME_BITS)
CELLS_A_BLOCK = 1_000_000
"""Pairs times boundaries that are worked on together: what keeps scratch arrays near 100 MB."""


@dataclass(frozen=True)
class WindowRequest:
    """What is asked of the kernel.

    Attributes:
        subject: (R,) subject numbers, ascending.
        prediction_time: (R,) microseconds, ascending within a subject.
        windows: lengths in microseconds: a window is (prediction time - length, prediction time]; None is all
            that was known before.
        aggregations: names that `aggregate_segments` knows.
    """

    subject: Ints
    prediction_time: Ints
    windows: tuple[int | None, ...]
    aggregations: tuple[str, ...]


@dataclass(frozen=True)
class CellBlock:
    """The cells of consecutive prediction rows in CSR order.

    Attributes:
        first_row: number of the first of these rows.
        n_cells: (rows of the block,) cells in each row.
        column: column number of each cell, (code * W + window) * A + aggregation, ascending in each row.
        data: the cells.
    """

    first_row: int
    n_cells: Ints
    column: npt.NDArray[np.int32]
    data: Floats


def window_cells(events: GroupedEvents, request: WindowRequest) -> Iterator[CellBlock]:
    """Every cell of (row, code, window, aggregation) that exists, block after block of rows."""
    n_groups = np.diff(events.subject_start)[request.subject]
    n_boundaries = 1 + sum(window is not None for window in request.windows)
    blocks = _blocks(request.subject, n_groups * n_boundaries)
    return in_order(lambda block: _block_cells(events, request, *block), blocks)


def _blocks(subject: Ints, cost: Ints) -> Iterator[tuple[int, int]]:
    """Row ranges within the cost and the subjects of a block, one row at least."""
    total = np.concatenate([[0], np.cumsum(cost)])
    first = 0
    while first < len(cost):
        by_cost = int(np.searchsorted(total, total[first] + CELLS_A_BLOCK, side="right")) - 1
        by_subject = int(np.searchsorted(subject, subject[first] + SUBJECTS_A_BLOCK))
        last = max(first + 1, min(by_cost, by_subject))
        yield first, last
        first = last


@dataclass(frozen=True)
class _Block:
    """Rows first..last and the groups of their subjects; subjects, groups and events numbered from 0.

    Attributes:
        time: microseconds of the block's events.
        value: their values.
        start: (groups + 1,) first event of each group.
        subject_start: (subjects + 1,) first group of each subject.
        subject: (rows,).
        prediction_time: (rows,) microseconds.
    """

    time: Ints
    value: Floats
    start: Ints
    subject_start: Ints
    subject: Ints
    prediction_time: Ints


def _cut(events: GroupedEvents, request: WindowRequest, first: int, last: int) -> tuple[_Block, Ints]:
    """The block of some rows, and the code of each of its groups."""
    subject = request.subject[first:last]
    subjects = events.subject_start[subject[0] : subject[-1] + 2]
    groups = events.group_start[subjects[0] : subjects[-1] + 1]
    members = slice(groups[0], groups[-1])
    block = _Block(
        time=events.time[members],
        value=events.value[members],
        start=groups - groups[0],
        subject_start=subjects - subjects[0],
        subject=subject - subject[0],
        prediction_time=request.prediction_time[first:last],
    )
    return block, events.group_code[subjects[0] : subjects[-1]]


def _block_cells(events: GroupedEvents, request: WindowRequest, first: int, last: int) -> CellBlock:
    block, group_code = _cut(events, request, first, last)
    n_windows, n_aggregations = len(request.windows), len(request.aggregations)
    row, group, lower, upper = _pair_bounds(block, request.windows)
    filled = np.flatnonzero((lower < upper[:, None]).ravel())
    pair, window = np.divmod(filled, n_windows)
    segments = Segments(lower.ravel()[filled], upper[pair], block.prediction_time[row[pair]])
    cells = aggregate_segments(block.time, block.value, segments, request.aggregations)
    is_present = ~np.isnan(cells)
    first_column = (group_code[group[pair]] * n_windows + window) * n_aggregations
    offset = np.arange(n_aggregations, dtype=np.int32)
    column: npt.NDArray[np.int32] = np.add.outer(first_column.astype(np.int32), offset)
    n_cells = np.bincount(row[pair], weights=is_present.sum(axis=1), minlength=last - first)
    return CellBlock(first, n_cells.astype(np.int64), column[is_present], cells[is_present])


def _pair_bounds(block: _Block, windows: tuple[int | None, ...]) -> tuple[Ints, Ints, Ints, Ints]:
    """Row, group, first event in each window (P, W) and one past the last known event (P,), row after row.

    Pairs without a known event are left out; a lower bound that equals the upper one is an empty window.
    """
    n_groups = np.diff(block.subject_start)[block.subject]
    row = np.repeat(np.arange(len(block.subject)), n_groups)
    shift = block.subject_start[block.subject] - (np.cumsum(n_groups) - n_groups)
    group = np.arange(len(row)) + shift[row]
    finite = [window for window in windows if window is not None]
    table, group_cell, slot = _counts_by_boundary(block, [0, *finite])
    upper = table[group_cell[group] + slot[row, 0]]
    is_known = upper > block.start[group]
    row, group, upper = row[is_known], group[is_known], upper[is_known]
    lower = np.empty((len(upper), len(windows)), dtype=np.int64)
    for number, window in enumerate(windows):
        if window is None:
            lower[:, number] = block.start[group]
        else:
            lower[:, number] = table[group_cell[group] + slot[row, 1 + finite.index(window)]]
    return row, group, lower, upper


def _counts_by_boundary(block: _Block, lengths: list[int]) -> tuple[Ints, Ints, Ints]:
    """How many events of the block, in group order, lie up to each boundary in time of each group.

    Every row has a boundary each length before its prediction time; an event at a boundary lies before it.
    The boundaries of a subject are sorted into slots, each event falls into its slot, and a running sum over
    (group, slot) is then at once the number of the first event after the boundary.

    Returns:
        The running sums; the place of each group's first slot in them; the slot of each boundary (rows, K).
    """
    n_subjects = len(block.subject_start) - 1
    n_boundaries = np.bincount(block.subject, minlength=n_subjects) * len(lengths)
    first_slot = np.cumsum(n_boundaries) - n_boundaries
    boundaries, instants = _on_one_axis(block, lengths)
    order = np.argsort(boundaries.ravel(), kind="stable")
    slot = np.empty(len(order), dtype=np.int64)
    slot[order] = np.arange(len(order))
    group_subject = np.repeat(np.arange(n_subjects), np.diff(block.subject_start))
    group_slots = n_boundaries[group_subject] + 1
    group_cell = np.cumsum(group_slots) - group_slots
    cell = np.searchsorted(boundaries.ravel()[order], instants)
    cell += np.repeat(group_cell - first_slot[group_subject], np.diff(block.start))
    table = np.cumsum(np.bincount(cell, minlength=int(group_slots.sum())))
    return table, group_cell, slot.reshape(boundaries.shape) - first_slot[block.subject, None]


def _on_one_axis(block: _Block, lengths: list[int]) -> tuple[Ints, Ints]:
    """Boundaries (rows, K) and instants of the events, the subjects one after another on one axis of time.

    Each subject has 2^53 microseconds (285 years) up to its last prediction time in the block; what is older
    stands at their beginning, before every finite window. Only the block's last subject can have later
    events, and they stand after every boundary.
    """
    n_subjects = len(block.subject_start) - 1
    floor = np.arange(n_subjects, dtype=np.int64) << TIME_BITS
    latest = np.zeros(n_subjects, dtype=np.int64)
    latest[block.subject] = block.prediction_time
    shift = floor + ((1 << TIME_BITS) - 1) - latest
    boundaries = (block.prediction_time + shift[block.subject])[:, None] - np.array(lengths, dtype=np.int64)
    n_events = np.diff(block.start[block.subject_start])
    instants = block.time + np.repeat(shift, n_events)
    if block.time.min(initial=0) <= latest.max() - (1 << TIME_BITS):
        instants = np.maximum(instants, np.repeat(floor, n_events))
    return np.maximum(boundaries, floor[block.subject, None]), instants
