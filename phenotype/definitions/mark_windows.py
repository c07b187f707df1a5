"""Windows over marks: which marks of a group start in a span of time, and what their values come to.

Shapes: N marks on the line, Q queries, a range [low, high) of marks for each query.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.definitions.marks import NEVER, Floats, Ints, as_instants, as_lists, instants, values_of

HOUR = 3_600_000_000
PAIRS_A_BLOCK = 4_000_000
"""Queries times marks that are worked on together: what keeps scratch arrays near 200 MB."""
GROUP_COLUMNS = {"subject": "subject_id", "stay": "stay_id", "contact": "contact_id"}


def microseconds(hours: float) -> int:
    """Hours as whole microseconds."""
    return round(hours * HOUR)


@dataclass(frozen=True)
class Line:
    """Marks laid out group after group, in time within each.

    Attributes:
        marks: (N,) marks in that order; those that belong to no group are left out.
        group: (N,) the group of each, ascending.
    """

    marks: pl.DataFrame
    group: Ints

    @cached_property
    def start(self) -> Ints:
        """(N,) microseconds of the marks' starts."""
        return instants(self.marks, "start_time")

    @cached_property
    def value(self) -> Floats:
        """(N,) values, NaN where null."""
        return values_of(self.marks)

    @cached_property
    def known(self) -> Ints:
        """(N,) microseconds from which on each is known, NEVER where it is not."""
        return instants(self.marks, "known_time", null=NEVER)

    @cached_property
    def _groups(self) -> tuple[Ints, Ints]:
        """The different groups and the first mark of each, with N at the end."""
        different, first = np.unique(self.group, return_index=True)
        return different, np.append(first, len(self.group))

    def group_range(self, group: Ints) -> tuple[Ints, Ints]:
        """(Q,) the range of all marks of each group asked for; empty where there are none."""
        different, first = self._groups
        place = np.searchsorted(different, group)
        found = np.zeros(len(group), dtype=np.bool_)
        inside = place < len(different)
        found[inside] = different[place[inside]] == group[inside]
        place = np.where(found, place, 0)
        low = np.where(found, first[place], 0) if len(different) else np.zeros(len(group), dtype=np.int64)
        high = np.where(found, first[place + 1], 0) if len(different) else low.copy()
        return low, high

    def place(self, group: Ints, time: Ints, *, after_ties: bool = False) -> Ints:
        """(Q,) the first mark of the group that starts at or after a time (after it, with after_ties)."""
        low, high = self.group_range(group)
        active = np.flatnonzero(low < high)
        low_a, high_a, time_a = low[active], high[active], time[active]
        while len(active):
            middle = (low_a + high_a) // 2
            started = self.start[middle]
            is_before = started <= time_a if after_ties else started < time_a
            low_a = np.where(is_before, middle + 1, low_a)
            high_a = np.where(is_before, high_a, middle)
            low[active] = low_a
            open_ = low_a < high_a
            active, low_a, high_a, time_a = active[open_], low_a[open_], high_a[open_], time_a[open_]
        return low

    def window(self, group: Ints, first: Ints | None, last: Ints | None) -> tuple[Ints, Ints]:
        """(Q,) the range of marks that start in [first, last]; None is no bound."""
        low, high = self.group_range(group)
        if first is not None:
            low = self.place(group, first)
        if last is not None:
            high = self.place(group, last, after_ties=True)
        return low, np.maximum(low, high)

    def evidence(self, low: Ints, high: Ints) -> pl.Series:
        """(Q,) the evidence of all marks of each range, together."""
        lists = self.marks["evidence"]
        ends = np.concatenate([[0], np.cumsum(lists.list.len().to_numpy())]).astype(np.int64)
        flat = lists.explode(empty_as_null=False).to_numpy()
        first, n = ends[low], ends[high] - ends[low]
        return as_lists(flat[spread(first, n)], n)

    def known_by(self, low: Ints, high: Ints) -> pl.Series:
        """(Q,) when all marks of each range, none of them empty, are known; null where one never is."""
        return as_instants(reduce_ranges(np.maximum, self.known, low, high))


def line_of(marks: pl.DataFrame, same: str) -> Line:
    """Marks laid out by subject, stay or contact.

    Args:
        marks: columns of MARKS, as `as_marks` gives them.
        same: subject, stay or contact.
    """
    column = GROUP_COLUMNS[same]
    if same == "subject":
        return Line(marks, instants(marks, column))
    held = marks.filter(pl.col(column).is_not_null())
    group = instants(held, column)
    order = np.argsort(group, kind="stable")
    return Line(held[order], group[order])


def spread(first: Ints, n: Ints) -> Ints:
    """All numbers of the ranges [first, first + n), one range after another."""
    ends = np.cumsum(n)
    total = int(ends[-1]) if len(ends) else 0
    numbers: Ints = np.arange(total) + np.repeat(first - (ends - n), n)
    return numbers


def blocks_of_pairs(low: Ints, high: Ints) -> Iterator[tuple[slice, Ints, Ints]]:
    """Ranges written out as pairs (query within the block, mark), some queries at a time."""
    total = np.concatenate([[0], np.cumsum(high - low)])
    begin = 0
    while begin < len(low):
        end = int(np.searchsorted(total, total[begin] + PAIRS_A_BLOCK, side="right")) - 1
        end = max(begin + 1, min(end, len(low)))
        n = (high - low)[begin:end]
        yield slice(begin, end), np.repeat(np.arange(end - begin), n), spread(low[begin:end], n)
        begin = end


def reduce_ranges(how: np.ufunc, numbers: Ints | Floats, low: Ints, high: Ints) -> npt.NDArray[Any]:
    """(Q,) a reduction over each range; every range holds one mark at least.

    Each is computed from its own marks alone, so no other subject changes a bit of it.
    """
    if not len(low):
        return np.zeros(0, dtype=numbers.dtype)
    padded = np.append(numbers, numbers[-1:])
    bounds = np.stack([low, high], axis=1).ravel()
    reduced: Ints = how.reduceat(padded, bounds)
    return reduced[::2]


def first_where_equal(numbers: Floats, wanted: Floats, low: Ints, high: Ints) -> Ints:
    """(Q,) the first mark of each range whose number is the wanted one; there is one."""
    found = np.zeros(len(low), dtype=np.int64)
    for block, query, mark in blocks_of_pairs(low, high):
        hits = np.flatnonzero(numbers[mark] == wanted[block][query])
        first = np.unique(query[hits], return_index=True)[1]
        found[block] = mark[hits[first]]
    return found
