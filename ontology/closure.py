"""All ancestors of every node of a hierarchy as one array, in NumPy, one level after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ontology.errors import InputError, Problem

Ints: TypeAlias = NDArray[np.int32]
Offsets: TypeAlias = NDArray[np.int64]

MAX_PAIRS = 100_000_000
"""A closure with more pairs comes of a fault: whole SNOMED CT has about a tenth of it."""

PAIRS_AT_ONCE = 2_000_000
"""How many pairs of node and ancestor are sorted at a time; it bounds the memory of the build."""


def turns(child: Ints, parent: Ints, n: int) -> tuple[Ints, NDArray[np.bool_]]:
    """For each node the longest way down to it along the edges given, and which nodes such a way reaches.

    Args:
        child: the lower end of each edge, a position below n.
        parent: the upper end.
        n: how many nodes there are.

    Returns:
        Steps from a node without parents, and whether such a way reaches the node: one on a circle, or below
        one, is never reached.
    """
    waiting = np.bincount(child, minlength=n)
    turn = np.zeros(n, dtype=np.int32)
    is_reached = waiting == 0
    below = child[np.argsort(parent, kind="stable")]
    offsets = offsets_of(parent, n)
    frontier = np.flatnonzero(is_reached)
    step = 0
    while len(frontier):
        step += 1
        reached, counts = np.unique(below[_slices(offsets, frontier)], return_counts=True)
        waiting[reached] -= counts
        frontier = reached[waiting[reached] == 0]
        turn[frontier] = step
        is_reached[frontier] = True
    return turn, is_reached


def by_turn(turn: Ints) -> Iterator[Ints]:
    """The nodes of each turn from 1 on, in order of position."""
    order = np.argsort(turn, kind="stable").astype(np.int32)
    yield from np.split(order, np.flatnonzero(np.diff(turn[order])) + 1)[1:]


def closure(known: tuple[Offsets, Ints], child: Ints, parent: Ints, turn: Ints) -> tuple[Offsets, Ints]:
    """All proper ancestors of every node.

    Args:
        known: offsets and values of the first nodes, whose ancestors are known; no edge begins at these.
        child: the lower end of each edge.
        parent: the upper end.
        turn: as `turns` gives it for these edges.

    Returns:
        Offsets (one more than nodes) and values: the ancestors of node i are
        values[offsets[i]:offsets[i + 1]], in order of position.

    Raises:
        InputError: there would be more than MAX_PAIRS.
    """
    n, n_known = len(turn), len(known[0]) - 1
    check_size(int(turn.sum()))
    starts, counts = np.zeros(n, np.int64), np.zeros(n, np.int64)
    starts[:n_known], counts[:n_known] = known[0][:-1], np.diff(known[0])
    found, n_found = known[1], len(known[1])
    order = np.lexsort((child, turn[child]))
    child, parent = child[order], parent[order]
    for first, last in _chunks(child, parent, turn, counts):
        below, above = child[first:last], parent[first:last]
        rows = np.concatenate([np.repeat(below, counts[above]), below])
        values = np.concatenate([found[_runs(starts[above], counts[above])], above])
        rows, values = np.divmod(_distinct(rows * np.int64(n) + values), n)
        found = _room(found, n_found, len(values))
        found[n_found : n_found + len(values)] = values
        first_of = np.flatnonzero(np.diff(rows, prepend=-1))
        nodes = rows[first_of]
        starts[nodes], counts[nodes] = n_found + first_of, np.diff(first_of, append=len(rows))
        n_found += len(values)
    return _in_order(found, starts, counts, n_known)


def check_size(n_pairs: int) -> None:
    """Refuse a closure that is too large to be meant.

    Args:
        n_pairs: how many pairs of node and ancestor it has at least.

    Raises:
        InputError: more than MAX_PAIRS.
    """
    if n_pairs > MAX_PAIRS:
        raise InputError(
            Problem(
                "the hierarchy has too many pairs of concept and ancestor",
                where="edges",
                found=f"at least {n_pairs:,}",
                allowed=f"{MAX_PAIRS:,}",
                next_step="look for chains and hubs among the list's parents: hierarchies of codes are flat",
            )
        )


def offsets_of(nodes: Ints, n: int) -> Offsets:
    """Where the rows of each node begin, in a table sorted by node; n + 1 offsets."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(nodes, minlength=n))])


def _chunks(child: Ints, parent: Ints, turn: Ints, counts: Offsets) -> Iterator[tuple[int, int]]:
    """Edges from first to last: all edges of some children of one turn, so that few pairs come of them.

    The counts of a turn are read when its chunks are asked for: by then those of its parents are filled in.
    """
    is_first = np.diff(child, prepend=-1) != 0
    known_pairs = int(counts.sum())
    bounds = [0, *(np.flatnonzero(np.diff(turn[child])) + 1), len(child)]
    for first, last in pairwise(bounds):
        n_pairs = np.cumsum(counts[parent[first:last]] + 1)
        begins = np.flatnonzero(is_first[first:last])
        chunk = (n_pairs[begins] // PAIRS_AT_ONCE).tolist()
        known_pairs += int(np.maximum.reduceat(counts[parent[first:last]] + 1, begins).sum()) if last else 0
        check_size(known_pairs)
        cuts = [begins[k] for k in range(1, len(begins)) if chunk[k] != chunk[k - 1]]
        edges = [first, *(first + int(cut) for cut in cuts), last]
        yield from pairwise(edges)


def _distinct(keys: Offsets) -> Offsets:
    """Each key once, sorted; np.unique hashes first, which takes six times as long here."""
    keys.sort()
    return keys[np.flatnonzero(np.diff(keys, prepend=-1))]


def _room(found: Ints, n_found: int, n_more: int) -> Ints:
    """The array, or one that is half as large again, with room for more behind what was found."""
    if n_found + n_more <= len(found):
        return found
    larger = np.empty(max(n_found + n_more, n_found * 3 // 2), np.int32)
    larger[:n_found] = found[:n_found]
    return larger


def _in_order(found: Ints, starts: Offsets, counts: Offsets, n_known: int) -> tuple[Offsets, Ints]:
    """The rows of all nodes one after the other in order of position; those of known nodes already are."""
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    values = np.empty(offsets[-1], np.int32)
    begin = int(offsets[n_known])
    values[:begin] = found[:begin]
    cuts = np.searchsorted(offsets, np.arange(begin + PAIRS_AT_ONCE, offsets[-1], PAIRS_AT_ONCE)).tolist()
    for first, last in pairwise([n_known, *cuts, len(starts)]):
        values[offsets[first] : offsets[last]] = found[_runs(starts[first:last], counts[first:last])]
    return offsets, values


def _slices(offsets: Offsets, rows: NDArray[np.intp]) -> Offsets:
    """The positions from offsets[r] up to offsets[r + 1] of every row, one after the other."""
    return _runs(offsets[rows], offsets[rows + 1] - offsets[rows])


def _runs(starts: Offsets, lengths: Offsets) -> Offsets:
    """start, start + 1, ... of every start, as many as its length says."""
    ends = np.cumsum(lengths)
    n = int(ends[-1]) if len(ends) else 0
    runs: Offsets = np.repeat(starts - (ends - lengths), lengths)
    runs += np.arange(n, dtype=np.int64)
    return runs
