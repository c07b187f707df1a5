"""Owen values of a cooperative game over a tree of players: exact at the top, sampled with error bars below.

A player is a leaf; its value is what it adds, averaged over all orders in which the players under every node
stay together. The value of an inner node is the sum of its leaves.

**Source:** Owen 1977 (10.1007/978-3-642-45494-3_7) and Winter 1989 (10.1007/BF01268074) for the values;
Castro et al. 2009 (10.1016/j.cor.2008.04.004) for sampling orders; Mitchell et al. 2022 for antithetic pairs
(10.48550/arXiv.2104.12199); control variates, Owen, Monte Carlo theory (2013), chapter 8.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]
Value = Callable[[Masks], Floats]
"""The game: coalitions, (N, M) bool, to their values, (N,)."""


@dataclass(frozen=True)
class PlayerTree:
    """Players under a root, through any number of levels.

    Attributes:
        parents: parent of each node, (n_nodes,); the root is node 0, its own parent; a child comes after its
            parent.
        leaves: the node of each player, (M,).
    """

    parents: tuple[int, ...]
    leaves: tuple[int, ...]

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Children of each node, in number order."""
        below: list[list[int]] = [[] for _ in self.parents]
        for node, parent in enumerate(self.parents):
            if node:
                below[parent].append(node)
        return tuple(tuple(nodes) for nodes in below)

    @cached_property
    def members(self) -> Masks:
        """Which players stand under each node, (n_nodes, M)."""
        held = np.zeros((len(self.parents), len(self.leaves)), dtype=bool)
        held[list(self.leaves), np.arange(len(self.leaves))] = True
        for node in range(len(self.parents) - 1, 0, -1):
            held[self.parents[node]] |= held[node]
        return held

    def order(self, generator: np.random.Generator) -> npt.NDArray[np.int64]:
        """Players in a random order that keeps every node's players together, (M,)."""
        player = {leaf: number for number, leaf in enumerate(self.leaves)}
        waiting, found = [0], []
        while waiting:
            node = waiting.pop()
            if node in player:
                found.append(player[node])
            waiting.extend(int(child) for child in generator.permutation(self.children[node]))
        return np.array(found, dtype=np.int64)


@dataclass(frozen=True)
class OwenValues:
    """Values of all nodes of a tree.

    Attributes:
        empty, full: the game without players and with all.
        phi: (n_nodes,); the root's is full - empty, and every inner node's the sum of its children's.
        low, high: (n_nodes,) ends of the interval; equal to phi where it is exact.
        is_exact: (n_nodes,).
        n_evaluations: coalitions whose value was asked for.
    """

    empty: float
    full: float
    phi: Floats
    low: Floats
    high: Floats
    is_exact: npt.NDArray[np.bool_]
    n_evaluations: int


def owen_values(
    value: Value,
    tree: PlayerTree,
    *,
    n_pairs: int,
    generator: np.random.Generator,
    exact_children: int = 10,
    confidence: float = 0.95,
) -> OwenValues:
    """Owen values: all coalitions of the root's children where those are few, antithetic orders below.

    A pair is an order and its reverse; for games whose interactions join at most two players every pair is
    exact. Where the root's children are exact, the samples below them are shifted to add up to them, each
    leaf by its share of the sampled variance, so that a player who never matters stays at 0.

    Args:
        value: the game; all coalitions of a round are asked for in one call.
        tree: the players.
        n_pairs: pairs of orders, at least 3.
        generator: draws the orders.
        exact_children: the most children of the root for which all their coalitions are evaluated.
        confidence: of the intervals, from the pairs' means by Student's t.

    Raises:
        ValueError: fewer than 3 pairs.
    """
    if n_pairs < 3:
        message = f"error bars need at least 3 pairs, found {n_pairs}"
        raise ValueError(message)
    n_players = len(tree.leaves)
    ends = value(np.array([np.zeros(n_players, bool), np.ones(n_players, bool)]))
    empty, full = float(ends[0]), float(ends[1])
    is_exact = np.zeros(len(tree.parents), dtype=bool)
    is_exact[0] = True
    tops = tree.children[0]
    exact = _exact_top(value, tree, empty, full) if 0 < len(tops) <= exact_children else None
    n_evaluations = 2 + (2 ** len(tops) - 2 if exact is not None else 0)
    if exact is not None:
        is_exact[list(tops)] = True
    is_exact |= _below_exact_chains(tree, is_exact)
    if is_exact.all():
        return _finish(tree, empty, full, exact, None, is_exact, n_evaluations, confidence)
    samples = _sample(value, tree, empty, full, n_pairs, generator)
    n_evaluations += 2 * n_pairs * (n_players - 1)
    return _finish(tree, empty, full, exact, samples, is_exact, n_evaluations, confidence)


def _exact_top(value: Value, tree: PlayerTree, empty: float, full: float) -> dict[int, float]:
    """Shapley values of the game among the root's children, from all their coalitions."""
    tops = tree.children[0]
    n = len(tops)
    coalitions = np.asarray((np.arange(2**n)[:, None] >> np.arange(n)) & 1, dtype=bool)
    inner = np.arange(1, 2**n - 1)
    values = np.empty(2**n)
    values[0], values[-1] = empty, full
    if len(inner):
        values[inner] = value(coalitions[inner] @ tree.members[list(tops)])
    size = coalitions.sum(axis=1)
    weight = np.array([math.factorial(s) * math.factorial(n - s - 1) / math.factorial(n) for s in range(n)])
    phi = {}
    for place, node in enumerate(tops):
        without = np.flatnonzero(~coalitions[:, place])
        gains = values[without | (1 << place)] - values[without]
        phi[node] = float(weight[size[without]] @ gains)
    return phi


def _below_exact_chains(tree: PlayerTree, is_exact: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Nodes that are exact because they are an exact parent's only child."""
    found = is_exact.copy()
    for node in range(1, len(tree.parents)):
        parent = tree.parents[node]
        found[node] |= found[parent] and len(tree.children[parent]) == 1
    return found


def _sample(  # noqa: PLR0917 the game and how to draw from it
    value: Value,
    tree: PlayerTree,
    empty: float,
    full: float,
    n_pairs: int,
    generator: np.random.Generator,
) -> Floats:
    """Each player's gain, the mean of an order and its reverse, (n_pairs, M)."""
    n_players = len(tree.leaves)
    orders = []
    for _ in range(n_pairs):
        order = tree.order(generator)
        orders += [order, order[::-1]]
    steps = np.arange(n_players - 1)[:, None]
    ranks = np.array([np.argsort(order) for order in orders])
    inner = value((ranks[:, None, :] <= steps).reshape(-1, n_players)).reshape(len(orders), n_players - 1)
    paths = np.column_stack([np.full(len(orders), empty), inner, np.full(len(orders), full)])
    gains = np.take_along_axis(np.diff(paths, axis=1), ranks, axis=1)
    return np.asarray((gains[0::2] + gains[1::2]) / 2)


def _shift_to(exact: dict[int, float], samples: Floats, tree: PlayerTree) -> Floats:
    """Samples whose leaves under each exact node add up to it, pair by pair."""
    shifted = samples.copy()
    for node, target in exact.items():
        players = np.flatnonzero(tree.members[node])
        gap = samples[:, players].sum(axis=1) - target
        for size in (
            samples[:, players].var(axis=0),
            np.abs(samples[:, players]).mean(axis=0),
            np.ones(len(players)),
        ):
            if size.sum() > 0:
                shifted[:, players] -= gap[:, None] * (size / size.sum())
                break
    return shifted


def _finish(  # noqa: PLR0917 what has been found out so far
    tree: PlayerTree,
    empty: float,
    full: float,
    exact: dict[int, float] | None,
    samples: Floats | None,
    is_exact: npt.NDArray[np.bool_],
    n_evaluations: int,
    confidence: float,
) -> OwenValues:
    """Nodes' values and intervals from players' samples, or from the exact top where every node is exact."""
    n_nodes = len(tree.parents)
    if samples is None:
        of_tops = exact or dict.fromkeys(tree.children[0], full - empty)
        samples = np.zeros((2, len(tree.leaves)))
        for node, target in of_tops.items():
            samples[:, tree.members[node]] = target
    elif exact is not None:
        samples = _shift_to(exact, samples, tree)
    of_nodes = samples @ tree.members.T.astype(np.float64)
    phi = of_nodes.mean(axis=0)
    phi[0] = full - empty
    half = np.zeros(n_nodes)
    if not is_exact.all():
        from scipy.stats import t

        freedom = len(samples) - (1 if exact is None else 2)  # one more is spent on the shift
        error = of_nodes.std(axis=0, ddof=len(samples) - freedom) / math.sqrt(len(samples))
        half = np.where(is_exact, 0.0, t.ppf((1 + confidence) / 2, freedom) * error)
    return OwenValues(empty, full, phi, phi - half, phi + half, is_exact, n_evaluations)
