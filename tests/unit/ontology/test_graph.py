"""The graph of concepts: equal to networkx, lawful, one primary parent by the stated rule, no circles."""

from __future__ import annotations

import networkx as nx
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ontology import closure as closure_module
from ontology.closure import closure, turns
from ontology.concepts import EDGES
from ontology.errors import InputError
from ontology.graph import Graph, build_graph


def edges_of(*rows: tuple[str, str] | tuple[str, str, str]) -> pl.DataFrame:
    whole = [row if len(row) == 3 else (*row, "is_a") for row in rows]
    return pl.DataFrame(whole, schema=EDGES, orient="row")


def random_edges(seed: int, n_most: int = 300) -> tuple[list[str], pl.DataFrame]:
    """Concepts, and edges from a concept to one drawn before it, some twice, rows in random order."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(1, n_most + 1))
    names = [f"{system}//{i:04d}" for i, system in enumerate(draw.choice(["A", "B"], n))]
    order = draw.permutation(n)
    rows = [
        (names[order[below]], names[order[draw.integers(below)]], str(draw.choice(["is_a", "placed_under"])))
        for below in range(1, n)
        for _ in range(int(draw.choice([0, 1, 1, 1, 2, 3])))
    ]
    rows += [rows[i] for i in draw.integers(0, max(len(rows), 1), len(rows) // 10)]
    return sorted(names), edges_of(*(rows[i] for i in draw.permutation(len(rows))))


def networkx_of(names: list[str], edges: pl.DataFrame) -> nx.DiGraph:
    other = nx.DiGraph()
    other.add_nodes_from(names)
    other.add_edges_from(edges.select("child", "parent").iter_rows())
    return other


def as_names(graph: Graph, nodes: np.ndarray) -> set[str]:
    return {graph.names[i] for i in nodes.tolist()}


def agrees(graph: Graph, other: nx.DiGraph) -> bool:
    longest = {}
    for name in reversed(list(nx.topological_sort(other))):
        longest[name] = max((longest[above] + 1 for above in other.successors(name)), default=0)
    return set(graph.names) == set(other) and all(
        as_names(graph, graph.ancestors(i)) == nx.descendants(other, name)
        and as_names(graph, graph.descendants(i)) == nx.ancestors(other, name)
        and as_names(graph, graph.parents(i)) == set(other.successors(name))
        and graph.longest_way[i] == longest[name]
        for name, i in graph.index.items()
    )


@pytest.mark.parametrize("batch", range(10))
def test_two_hundred_random_hierarchies_equal_networkx(batch: int) -> None:
    for seed in range(batch * 20, batch * 20 + 20):
        names, edges = random_edges(seed)
        assert agrees(build_graph(names, edges), networkx_of(names, edges)), seed


@pytest.mark.parametrize("at_once", [1, 7, 100])
def test_sorting_few_pairs_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(closure_module, "PAIRS_AT_ONCE", at_once)
    for seed in range(20):
        names, edges = random_edges(seed, 80)
        assert agrees(build_graph(names, edges), networkx_of(names, edges)), seed


def test_a_graph_extended_from_above_equals_the_graph_built_whole() -> None:
    for seed in range(60):
        names, edges = random_edges(seed, 120)
        order = list(nx.topological_sort(networkx_of(names, edges).reverse()))
        known = set(order[: len(order) // 2])
        new = sorted(set(names) - known)
        base = build_graph(sorted(known), edges.filter(pl.col("child").is_in(known)))
        extended = base.extended(new, edges.filter(pl.col("child").is_in(new)))
        whole = build_graph(names, edges)
        assert agrees(extended, networkx_of(names, edges))
        for name, i in whole.index.items():
            j, parent = extended.index[name], int(whole.primary_parent[i])
            other = int(extended.primary_parent[j])
            assert (whole.names[parent] if parent >= 0 else "") == (
                extended.names[other] if other >= 0 else ""
            )
            assert whole.depth[i] == extended.depth[j]


hierarchies = st.lists(st.integers(0, 99), max_size=25).map(
    lambda drawn: (10, {(number // 10, number % 10) for number in drawn})
)
"""Ten concepts and up to 25 edges between two of them."""


@settings(max_examples=300, deadline=None)
@given(hierarchies)
def test_subsumption_is_transitive_and_antisymmetric(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    n, pairs = drawn
    names = [f"A//{i:02d}" for i in range(n)]
    graph = build_graph(names, edges_of(*((names[max(p)], names[min(p)]) for p in pairs if p[0] != p[1])))
    below = [set(graph.descendants(i).tolist()) for i in range(n)]
    for i in range(n):
        assert graph.subsumes(i, i)
        for j in range(n):
            assert graph.subsumes(i, j) == (i == j or j in below[i])
            assert i == j or not (graph.subsumes(i, j) and graph.subsumes(j, i))
            assert not graph.subsumes(i, j) or below[j] <= below[i]


@settings(max_examples=2000, deadline=None)
@given(hierarchies)
def test_the_closure_is_transitive_and_irreflexive(
    drawn: tuple[int, set[tuple[int, int]]],
) -> None:
    n, pairs = drawn
    edges = np.array(sorted({(max(p), min(p)) for p in pairs if p[0] != p[1]}), np.int32).reshape(-1, 2)
    child, parent = edges.T
    turn, is_reached = turns(child, parent, n)
    offsets, values = closure((np.zeros(1, np.int64), np.empty(0, np.int32)), child, parent, turn)
    above = [values[offsets[i] : offsets[i + 1]].tolist() for i in range(n)]
    assert is_reached.all()
    for i in range(n):
        parents = set(parent[child == i].tolist())
        assert i not in above[i]
        assert above[i] == sorted(parents.union(*(above[j] for j in parents)))
        assert all(set(above[j]) <= set(above[i]) for j in above[i])


def primary(child: str, graph: Graph) -> str:
    return graph.names[graph.primary_parent[graph.index[child]]]


def test_the_primary_parent_is_chosen_by_the_stated_rule() -> None:
    names = ["A//1", "A//2", "A//3", "A//4", "B//1", "B//2"]
    deep = [("A//2", "A//1"), ("B//2", "B//1")]

    def chosen(*above: tuple[str, str]) -> str:
        edges = edges_of(*deep, *(("A//4", parent, relation) for parent, relation in above))
        return primary("A//4", build_graph(names, edges))

    assert chosen(("B//1", "is_a"), ("A//2", "placed_under")) == "B//1"
    assert chosen(("B//2", "is_a"), ("A//1", "is_a")) == "A//1"
    assert chosen(("A//1", "is_a"), ("A//2", "is_a")) == "A//2"
    assert chosen(("A//3", "is_a"), ("A//1", "is_a")) == "A//1"
    assert chosen(("A//2", "placed_under"), ("A//3", "placed_under"), ("A//3", "is_a")) == "A//3"


def test_depth_is_counted_along_primary_parents() -> None:
    edges = edges_of(("A//2", "A//1"), ("A//3", "A//2", "placed_under"), ("A//3", "A//1"), ("A//4", "A//3"))
    graph = build_graph(["A//1", "A//2", "A//3", "A//4"], edges)
    assert graph.depth.tolist() == [0, 1, 1, 2]
    assert graph.longest_way.tolist() == [0, 1, 2, 3]
    assert graph.primary_parent.tolist() == [-1, 0, 0, 2]


def test_the_order_of_rows_does_not_matter() -> None:
    names, edges = random_edges(5)
    first, second = (build_graph(names, rows) for rows in (edges, edges.reverse()))
    for field in ("above_values", "parent_values", "primary_parent", "depth"):
        assert np.array_equal(getattr(first, field), getattr(second, field))


def test_edges_into_nothing_are_left_out() -> None:
    graph = build_graph(["A//1", "A//2"], edges_of(("A//2", "A//1"), ("A//2", "A//9"), ("A//8", "A//1")))
    assert graph.ancestors(1).tolist() == [0]
    assert graph.descendants(0).tolist() == [1]


def test_an_empty_hierarchy_and_one_without_edges() -> None:
    assert len(build_graph([], edges_of())) == 0
    graph = build_graph(["A//1"], edges_of())
    assert (graph.ancestors(0).tolist(), graph.descendants(0).tolist()) == ([], [])
    assert graph.primary_parent.tolist() == [-1]


def test_every_circle_is_named_and_nothing_else() -> None:
    edges = edges_of(
        ("A//2", "A//1"),
        ("A//3", "A//2"),
        ("A//2", "A//3"),
        ("A//4", "A//3"),
        ("A//5", "A//5"),
        ("A//6", "A//1"),
    )
    with pytest.raises(InputError) as caught:
        build_graph([f"A//{i}" for i in range(1, 7)], edges)
    assert [problem.found for problem in caught.value.problems] == ["A//2, A//3", "A//5"]


def test_a_chain_without_end_is_refused_before_it_fills_the_memory() -> None:
    """A list whose every row is the parent of the next: 25,000 rows would be 312 million pairs."""
    names = [f"A//{i:05d}" for i in range(25_000)]
    edges = pl.DataFrame({"child": names[1:], "parent": names[:-1], "relation": "is_a"}, schema=EDGES)
    with pytest.raises(InputError, match="at least 312,487,500"):
        build_graph(names, edges)


def test_a_hub_above_and_below_thousands_is_refused_before_it_fills_the_memory() -> None:
    """12,000 roots above one concept with 12,000 below it: 144 million pairs of 24,000 edges."""
    above, below = [f"A//a{i:05d}" for i in range(12_000)], [f"A//c{i:05d}" for i in range(12_000)]
    rows = [("A//b", name, "is_a") for name in above] + [(name, "A//b", "is_a") for name in below]
    with pytest.raises(InputError, match="too many pairs"):
        build_graph([*above, "A//b", *below], pl.DataFrame(rows, schema=EDGES, orient="row"))


@pytest.mark.parametrize("n", [0, 1])
def test_a_graph_of_no_concept_or_one(n: int) -> None:
    names = ["A//a"][:n]
    graph = build_graph(names, edges_of(("A//a", "A//gone"), ("A//gone", "A//a")))
    assert (len(graph), graph.primary_parent.tolist(), graph.depth.tolist()) == (n, [-1] * n, [0] * n)
    assert [graph.descendants(i).tolist() for i in range(n)] == [[]] * n
