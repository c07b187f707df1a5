"""Other contacts of the same patient near a contact: the meaning of `another`.

The other one is found by its place in the order of time. Only where the two must differ are pairs made, in
slices, so that memory does not grow with long series of contacts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from phenotype.coding.rules.conditions import Another
from phenotype.coding.rules.judging_record import HOUR, NONE, Bools, Ints, JudgedRecord, numbered

NOBODY = np.int64(-1)
SLICE = 4_000_000
"""So many pairs are looked at at a time."""
_FAR = np.int64(2**62)


def partners(record: JudgedRecord, wanted: Another, asked: Bools, others: Bools) -> Ints:
    """The other contact that each contact asked about has.

    Args:
        record: n contacts.
        wanted: what the other one must be.
        asked: the contacts asked about, (n,).
        others: those that may be the other one, (n,).

    Returns:
        The number of the next later one, else of an earlier one, else NOBODY, (n,).
    """
    found = np.full(record.n, NOBODY)
    keys = [record.key(name) for name in ("subject", *wanted.same)]
    known = (record.start != NONE) & np.logical_and.reduce([key != NONE for key in keys])
    of_asked = np.zeros(int(keys[0].max(initial=0)) + 1, np.bool_)
    of_asked[keys[0][asked & known]] = True
    is_theirs = others & known & of_asked[np.maximum(keys[0], 0)]
    mine, theirs = np.flatnonzero(asked & known), np.flatnonzero(is_theirs)
    if not len(mine) or not len(theirs):
        return found
    both = np.flatnonzero((asked & known) | is_theirs)
    line = np.full(record.n, NONE)
    line[both] = numbered(*(key[both] for key in keys))
    if wanted.differs:
        return _that_differ(record, wanted, line, mine, theirs)
    ordered = both[np.lexsort((both, record.start[both], line[both]))]
    rank = np.full(record.n, NONE)
    rank[ordered] = np.arange(len(ordered))
    theirs = theirs[np.argsort(rank[theirs])]
    if wanted.when != "after":
        found[mine] = _earlier(record, wanted, line, rank, mine, theirs)
    if wanted.when != "before":
        later = _later(record, wanted, line, rank, mine, theirs)
        found[mine] = np.where(later != NOBODY, later, found[mine])
    return found


def _later(  # noqa: PLR0917 - arrays of one kind
    record: JudgedRecord, wanted: Another, line: Ints, rank: Ints, mine: Ints, theirs: Ints
) -> Ints:
    """The next contact of theirs behind each of mine, NOBODY where it is too late, (mine,)."""
    place = np.searchsorted(rank[theirs], rank[mine], side="right")
    following = theirs[np.minimum(place, len(theirs) - 1)]
    is_there = (place < len(theirs)) & (line[following] == line[mine])
    return np.where(is_there & _is_near(record, wanted, following, mine), following, NOBODY)


def _earlier(  # noqa: PLR0917 - arrays of one kind
    record: JudgedRecord, wanted: Another, line: Ints, rank: Ints, mine: Ints, theirs: Ints
) -> Ints:
    """Of the contacts of theirs before each of mine the one that reached furthest, likewise, (mine,)."""
    _, reach = np.unique(record.reach[theirs], return_inverse=True)
    within = line[theirs] * np.int64(len(theirs) + 1) + reach
    furthest = np.maximum.accumulate(within)
    is_further = np.append(True, furthest[1:] > furthest[:-1])
    at = np.maximum.accumulate(np.where(is_further, np.arange(len(theirs)), 0))
    place = np.searchsorted(rank[theirs], rank[mine], side="left")
    before = theirs[at[np.maximum(place - 1, 0)]]
    is_there = (place > 0) & (line[before] == line[mine])
    return np.where(is_there & _is_near(record, wanted, mine, before), before, NOBODY)


def _is_near(record: JudgedRecord, wanted: Another, later: Ints, earlier: Ints) -> Bools:
    if wanted.hours is None:
        return np.ones(len(later), np.bool_)
    gap = record.start[later] - record.reach[earlier]
    return np.asarray(gap <= np.int64(wanted.hours * HOUR), np.bool_)


def _that_differ(record: JudgedRecord, wanted: Another, line: Ints, mine: Ints, theirs: Ints) -> Ints:
    """As `partners`, for contacts that must differ: by pairs, of which there may be many."""
    found = np.full(record.n, NOBODY)
    if wanted.when != "after":
        for later, earlier in _pairs(record, wanted, line, earlier=theirs, later=mine):
            found[later] = earlier
    if wanted.when != "before":
        nearest = np.full(record.n, NOBODY)
        for later, earlier in _pairs(record, wanted, line, earlier=mine, later=theirs):
            nearest[earlier[::-1]] = later[::-1]
            found = np.where(nearest != NOBODY, nearest, found)
    return found


def _pairs(
    record: JudgedRecord, wanted: Another, line: Ints, *, earlier: Ints, later: Ints
) -> Iterator[tuple[Ints, Ints]]:
    """Pairs (later, earlier) of contacts of one line, by the time of the earlier, then of the later one."""
    start = record.start
    later = later[np.lexsort((later, start[later], line[later]))]
    earlier = earlier[np.lexsort((earlier, start[earlier], line[earlier]))]
    scale = _Scale(line[later], start[later])
    hours = wanted.hours
    last = np.full(len(earlier), _FAR) if hours is None else record.reach[earlier] + np.int64(hours * HOUR)
    first = scale.place(line[earlier], start[earlier], side="left")
    stop = scale.place(line[earlier], np.maximum(last, start[earlier]), side="right")
    total = np.cumsum(stop - first)
    begin = 0
    while begin < len(earlier):
        done = total[begin - 1] if begin else 0
        end = max(int(np.searchsorted(total, done + SLICE, side="right")), begin + 1)
        counts = stop[begin:end] - first[begin:end]
        before = np.repeat(earlier[begin:end], counts)
        offsets = np.arange(len(before)) - np.repeat(np.cumsum(counts) - counts, counts)
        yield _differing(record, wanted, later[np.repeat(first[begin:end], counts) + offsets], before)
        begin = end


def _differing(record: JudgedRecord, wanted: Another, after: Ints, before: Ints) -> tuple[Ints, Ints]:
    """The pairs of two contacts, one after the other, that differ in what is asked for."""
    start = record.start
    holds = (start[after] > start[before]) | ((start[after] == start[before]) & (after > before))
    for name in wanted.differs:
        key = record.key(name)
        holds &= (key[after] != key[before]) & (key[after] != NONE) & (key[before] != NONE)
    return after[holds], before[holds]


class _Scale:
    """Places among instants that are sorted within lines."""

    def __init__(self, line: Ints, time: Ints) -> None:
        self.values, self.place_of_value = np.unique(time, return_inverse=True)
        self.width = len(self.values) + 1
        self.sorted = line * self.width + self.place_of_value

    def place(self, line: Ints, time: Ints, side: str) -> Ints:
        """Where an instant of a line would stand: before its equals (left) or behind them (right)."""
        on_scale = np.searchsorted(self.values, time, side="left" if side == "left" else "right")
        return np.searchsorted(self.sorted, line * self.width + on_scale, side="left")
