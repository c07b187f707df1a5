"""Owen values against full enumeration, laws of the values, and what the error bars promise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from phenotype.explain.owen import PlayerTree, owen_values

Floats = npt.NDArray[np.float64]
Masks = npt.NDArray[np.bool_]

NESTED = PlayerTree((0, 0, 0, 0, 1, 1, 4, 4, 5, 2, 2, 3), (6, 7, 8, 9, 10, 11))
"""Root 0; 1 -> (4 -> leaves 6, 7; 5 -> leaf 8); 2 -> leaves 9, 10; 3 -> leaf 11."""


def two_level(groups: list[int]) -> PlayerTree:
    """Groups of players under the root."""
    n_groups = len(groups)
    parents = [0] + [0] * n_groups + [1 + group for group, size in enumerate(groups) for _ in range(size)]
    return PlayerTree(tuple(parents), tuple(range(1 + n_groups, len(parents))))


def random_game(seed: int, n_players: int) -> Callable[[Masks], Floats]:
    """A value for each coalition drawn on its own: interactions of every order."""
    table = np.random.default_rng(seed).normal(size=2**n_players)
    return lambda masks: table[masks @ (1 << np.arange(n_players))]


def smooth_game(seed: int, n_players: int) -> Callable[[Masks], Floats]:
    """Products of up to four players and a squashing, as a network's logit might be."""
    draw = np.random.default_rng(seed)
    weights = draw.normal(size=n_players)
    quads = [draw.choice(n_players, 4, replace=False) for _ in range(2 * n_players)]
    sizes = draw.normal(size=len(quads))

    def value(masks: Masks) -> Floats:
        products = np.column_stack([masks[:, quad].all(axis=1) for quad in quads])
        return np.tanh(masks @ weights) + products @ sizes

    return value


def consistent_orders(tree: PlayerTree, node: int = 0) -> list[tuple[int, ...]]:
    """Every order of a node's players that keeps every node's players together."""
    player = {leaf: number for number, leaf in enumerate(tree.leaves)}
    if node in player:
        return [(player[node],)]
    below = [consistent_orders(tree, child) for child in tree.children[node]]
    return [
        tuple(itertools.chain(*parts))
        for places in itertools.permutations(below)
        for parts in itertools.product(*places)
    ]


def enumerated(value: Callable[[Masks], Floats], tree: PlayerTree) -> Floats:
    """Players' Owen values by walking every consistent order, one marginal gain after another."""
    n_players = len(tree.leaves)
    table = value((np.arange(2**n_players)[:, None] >> np.arange(n_players)) & 1 > 0)
    total = np.zeros(n_players)
    orders = consistent_orders(tree)
    for order in orders:
        present = 0
        for player in order:
            total[player] += table[present | 1 << player] - table[present]
            present |= 1 << player
    return total / len(orders)


@pytest.mark.parametrize("seed", range(5))
def test_the_top_equals_full_enumeration(seed: int) -> None:
    tree = two_level([2, 1, 3, 1])
    value = random_game(seed, 7)
    found = owen_values(value, tree, n_pairs=4, generator=np.random.default_rng(seed))
    expected = enumerated(value, tree)
    groups = [expected[:2].sum(), expected[2], expected[3:6].sum(), expected[6]]
    np.testing.assert_allclose(found.phi[1:5], groups, atol=1e-12)
    assert found.is_exact[1:5].all()
    assert found.is_exact[[7, 11]].all(), "a group's only player is as exact as the group"


@pytest.mark.parametrize(
    ("tree", "n_players"), [(NESTED, 6), (two_level([3, 2, 2]), 7), (two_level([4, 4]), 8)]
)
@pytest.mark.parametrize("exact_children", [10, 0])
def test_sampled_values_come_to_full_enumeration(
    tree: PlayerTree, n_players: int, exact_children: int
) -> None:
    value = random_game(3, n_players)
    found = owen_values(
        value, tree, n_pairs=8_000, generator=np.random.default_rng(0), exact_children=exact_children
    )
    expected = enumerated(value, tree)
    np.testing.assert_allclose(found.phi[list(tree.leaves)], expected, atol=0.04)


def test_flat_players_all_exact_up_to_ten() -> None:
    tree = two_level([1] * 10)
    value = random_game(8, 10)
    found = owen_values(value, tree, n_pairs=3, generator=np.random.default_rng(0))
    shapley = np.zeros(10)
    for player in range(10):
        others = [other for other in range(10) if other != player]
        for size in range(10):
            for coalition in itertools.combinations(others, size):
                mask = np.zeros((2, 10), dtype=bool)
                mask[:, list(coalition)] = True
                mask[1, player] = True
                weight = math.factorial(size) * math.factorial(9 - size) / math.factorial(10)
                without, with_player = value(mask)
                shapley[player] += weight * (with_player - without)
    np.testing.assert_allclose(found.phi[11:], shapley, atol=1e-12)
    assert found.is_exact.all()
    assert found.n_evaluations == 2**10


@pytest.mark.parametrize("exact_children", [10, 0])
def test_every_level_adds_up(exact_children: int) -> None:
    found = owen_values(
        smooth_game(1, 6),
        NESTED,
        n_pairs=3,
        generator=np.random.default_rng(1),
        exact_children=exact_children,
    )
    assert found.phi[0] == pytest.approx(found.full - found.empty, abs=1e-12)
    for node, children in enumerate(NESTED.children):
        if children:
            assert found.phi[list(children)].sum() == pytest.approx(found.phi[node], abs=1e-9)


def test_a_linear_game_gives_its_weights_exactly() -> None:
    weights = np.random.default_rng(5).normal(size=6)
    found = owen_values(
        lambda masks: 2 + masks @ weights, NESTED, n_pairs=3, generator=np.random.default_rng(0)
    )
    np.testing.assert_allclose(found.phi[list(NESTED.leaves)], weights, atol=1e-12)
    np.testing.assert_allclose(found.high - found.low, 0, atol=1e-9)
    assert (found.empty, found.full) == (2.0, pytest.approx(2 + weights.sum()))


def test_pairs_are_exact_where_two_players_interact() -> None:
    draw = np.random.default_rng(6)
    pairwise = np.triu(draw.normal(size=(6, 6)), 1)

    def value(masks: Masks) -> Floats:
        return np.einsum("ni,ij,nj->n", masks, pairwise, masks)

    found = owen_values(value, NESTED, n_pairs=3, generator=np.random.default_rng(0))
    np.testing.assert_allclose(found.phi[list(NESTED.leaves)], enumerated(value, NESTED), atol=1e-9)


@pytest.mark.parametrize("exact_children", [10, 0])
def test_who_never_matters_gets_nothing(exact_children: int) -> None:
    inner = random_game(2, 5)
    found = owen_values(
        lambda masks: inner(np.delete(masks, 3, axis=1)),
        NESTED,
        n_pairs=4,
        generator=np.random.default_rng(0),
        exact_children=exact_children,
    )
    assert found.phi[NESTED.leaves[3]] == pytest.approx(0, abs=1e-12)
    assert found.high[NESTED.leaves[3]] == pytest.approx(0, abs=1e-12)


def test_players_who_do_the_same_get_the_same() -> None:
    """Two siblings of a symmetrical game, whose values are equal, agree within their error bars."""
    inner = random_game(4, 6)

    def value(masks: Masks) -> Floats:
        swapped = masks[:, [1, 0, 2, 3, 4, 5]]
        return (inner(masks) + inner(swapped)) / 2

    found = owen_values(value, NESTED, n_pairs=4000, generator=np.random.default_rng(0))
    expected = enumerated(value, NESTED)
    assert expected[0] == pytest.approx(expected[1], abs=1e-12)
    assert found.phi[6] == pytest.approx(found.phi[7], abs=0.05)


@pytest.mark.parametrize("exact_children", [10, 0])
def test_intervals_cover_the_truth(exact_children: int) -> None:
    """At least 93 % of 95 % intervals hold the enumerated value, over 100 games of seven players."""
    tree = two_level([3, 3, 1])
    covered, n_intervals = 0, 0
    for seed in range(100):
        value = smooth_game(seed, 7)
        expected = enumerated(value, tree)
        found = owen_values(
            value,
            tree,
            n_pairs=8,
            generator=np.random.default_rng(seed),
            exact_children=exact_children,
        )
        leaves = [leaf for leaf in tree.leaves if not found.is_exact[leaf]]
        players = [tree.leaves.index(leaf) for leaf in leaves]
        inside = (found.low[leaves] - 1e-9 <= expected[players]) & (
            expected[players] <= found.high[leaves] + 1e-9
        )
        covered += int(inside.sum())
        n_intervals += len(leaves)
    assert covered / n_intervals >= 0.93


def test_same_generator_same_values() -> None:
    first, second = (
        owen_values(smooth_game(0, 6), NESTED, n_pairs=3, generator=np.random.default_rng(9))
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.phi, second.phi)
    np.testing.assert_array_equal(first.low, second.low)


def test_no_players_leave_an_exact_nothing() -> None:
    found = owen_values(
        lambda masks: np.full(len(masks), 1.5),
        PlayerTree((0,), ()),
        n_pairs=3,
        generator=np.random.default_rng(0),
    )
    assert (found.phi[0], found.empty, bool(found.is_exact[0])) == (0.0, 1.5, True)


def test_two_pairs_have_no_error_bars() -> None:
    with pytest.raises(ValueError, match="at least 3 pairs, found 2"):
        owen_values(random_game(0, 6), NESTED, n_pairs=2, generator=np.random.default_rng(0))
