"""The hierarchy of all concepts: parents, ancestors, descendants, depth, and one primary parent for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from ontology.closure import Ints, Offsets, by_turn, closure, offsets_of, turns
from ontology.errors import InputError, Problem


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """Which concept stands above which; immutable.

    Attributes:
        names: the concepts, as `build_graph` was given them, then those that `extended` added.
        index: the position of each.
        parent_offsets, parent_values: the direct parents of concept i are values[offsets[i]:offsets[i + 1]].
        above_offsets, above_values: all proper ancestors likewise, in order of position.
        primary_parent: the one parent for whatever needs a tree, -1 for a root. An is_a parent comes before
            one that is placed_under; then a parent of the same system; then the one with the longest way to a
            root; then the first in text order.
        depth: steps to a root along primary parents.
        longest_way: the longest way to a root along any parents, in steps.
    """

    names: tuple[str, ...]
    index: Mapping[str, int]
    parent_offsets: Offsets
    parent_values: Ints
    above_offsets: Offsets
    above_values: Ints
    primary_parent: Ints
    depth: Ints
    longest_way: Ints

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Graph({len(self):,} concepts, {len(self.above_values):,} pairs)"

    def parents(self, i: int) -> Ints:
        """The direct parents of a concept in order of position, a view."""
        return self.parent_values[self.parent_offsets[i] : self.parent_offsets[i + 1]]

    def ancestors(self, i: int) -> Ints:
        """All proper ancestors of a concept in order of position, a view."""
        return self.above_values[self.above_offsets[i] : self.above_offsets[i + 1]]

    def descendants(self, i: int) -> Ints:
        """All proper descendants of a concept in order of position, a view."""
        offsets, values = self._below
        return values[offsets[i] : offsets[i + 1]]

    def subsumes(self, above: int, below: int) -> bool:
        """Whether one concept is the other, or one of its ancestors."""
        row = self.ancestors(below)
        at = int(np.searchsorted(row, above))
        return above == below or (at < len(row) and int(row[at]) == above)

    @cached_property
    def _below(self) -> tuple[Offsets, Ints]:
        """The closure the other way round; made when it is first asked for."""
        from scipy.sparse import csr_array

        ones = np.ones(len(self.above_values), dtype=np.int8)
        rows = csr_array((ones, self.above_values, self.above_offsets), shape=(len(self), len(self)))
        columns = rows.tocsc()
        return columns.indptr.astype(np.int64), columns.indices.astype(np.int32, copy=False)

    def extended(self, names: Sequence[str], edges: pl.DataFrame) -> Graph:
        """A graph with more concepts, all of them below or beside those that are there.

        Args:
            names: the new concepts, unique, sorted.
            edges: columns of EDGES; every child is a new concept.

        Raises:
            InputError: the edges go round in a circle.
        """
        return _extended(self, tuple(names), edges)


def build_graph(concepts: Sequence[str], edges: pl.DataFrame) -> Graph:
    """The graph of a hierarchy, with all ancestors of every concept.

    Args:
        concepts: unique, sorted.
        edges: columns of EDGES; an edge with an end that is no concept is left out (`find_faults` tells it).

    Raises:
        InputError: the edges go round in a circle: every circle is named; or the closure would have more than
            closure.MAX_PAIRS.
    """
    values, offsets = np.empty(0, np.int32), np.zeros(1, np.int64)
    empty = Graph((), {}, offsets, values, offsets, values, values, values, values)
    return _extended(empty, tuple(concepts), edges)


def _extended(base: Graph, new: tuple[str, ...], edges: pl.DataFrame) -> Graph:
    names = base.names + new
    pairs = _pairs(names, edges)
    child, parent = pairs["child"].to_numpy(), pairs["parent"].to_numpy()
    turn, is_reached = turns(child, parent, len(names))
    if not is_reached.all():
        raise _circles(names, child, parent)
    above = closure((base.above_offsets, base.above_values), child, parent, turn)
    longest_way = _longest_way(base, child, parent, turn)
    primary_parent = np.concatenate([base.primary_parent, np.full(len(new), -1, np.int32)])
    chosen = _primary(pairs, longest_way)
    primary_parent[chosen["child"].to_numpy()] = chosen["parent"].to_numpy()
    depth = np.concatenate([base.depth, np.zeros(len(new), np.int32)])
    for nodes in by_turn(turn):
        depth[nodes] = depth[primary_parent[nodes]] + 1
    first_new = base.parent_offsets[-1]
    return Graph(
        names,
        {**base.index, **{name: i for i, name in enumerate(new, len(base))}},
        np.concatenate([base.parent_offsets[:-1], first_new + offsets_of(child, len(names))[len(base) :]]),
        np.concatenate([base.parent_values, parent]),
        *above,
        primary_parent,
        depth,
        longest_way,
    )


def _pairs(names: Sequence[str], edges: pl.DataFrame) -> pl.DataFrame:
    """Edges between concepts as positions, each pair once, sorted, with what ranks the parent."""
    places = pl.LazyFrame(
        {"name": names, "at": np.arange(len(names))}, schema={"name": pl.String(), "at": pl.Int32()}
    )
    system = "^(.*?)//"
    return (
        edges.lazy()
        .select(
            pl.col("child", "parent"),
            is_placed=pl.col("relation").ne_missing("is_a"),
            is_foreign=pl.col("child").str.extract(system).ne_missing(pl.col("parent").str.extract(system)),
        )
        .join(places.select(child="name", below="at"), on="child")
        .join(places.select(parent="name", above="at"), on="parent")
        .group_by("below", "above")
        .agg(pl.col("is_placed", "is_foreign").min(), pl.col("parent").first())
        .select(
            pl.col("below").alias("child"),
            pl.col("above").alias("parent"),
            "is_placed",
            "is_foreign",
            name="parent",
        )
        .sort("child", "parent")
        .collect(engine="in-memory")
    )


def _primary(pairs: pl.DataFrame, longest_way: Ints) -> pl.DataFrame:
    """The pair of each child with its primary parent."""
    way = pl.Series(longest_way[pairs["parent"].to_numpy()])
    ranked = pairs.with_columns(way=-way).sort("child", "is_placed", "is_foreign", "way", "name")
    return ranked.unique("child", keep="first", maintain_order=True)


def _longest_way(base: Graph, child: Ints, parent: Ints, turn: Ints) -> Ints:
    longest_way = np.concatenate([base.longest_way, np.zeros(len(turn) - len(base), np.int32)])
    order = np.argsort(turn[child], kind="stable")
    for edges in np.split(order, np.flatnonzero(np.diff(turn[child[order]])) + 1):
        np.maximum.at(longest_way, child[edges], longest_way[parent[edges]] + 1)
    return longest_way


def _circles(names: Sequence[str], child: Ints, parent: Ints) -> InputError:
    from ontology.faults import circles

    return InputError(
        [
            Problem(
                "a hierarchy goes round in a circle",
                where="edges",
                found=", ".join(names[i] for i in circle[:12]) + (", ..." if len(circle) > 12 else ""),
                allowed="no concept above itself",
                next_step="take one of the edges between these concepts out of the list",
            )
            for circle in circles(len(names), child, parent)
        ]
    )
