"""What is wrong with the tables of a code system: circles, edges into nothing, one code with two texts."""

from __future__ import annotations

import numpy as np
import polars as pl

from ontology.closure import Ints
from ontology.concepts import CodeSystem

FAULTS = pl.Schema({"kind": pl.String(), "concept": pl.String(), "other": pl.String()})
"""kind: cycle, orphan or duplicate.

cycle: one row for each concept on a circle; other is the circle's first concept in text order.
orphan: one row for each edge with an end that is no concept; concept is the child, other the parent.
duplicate: one row for each concept and language with two texts on the same day; other is the language.
"""


def find_faults(system: CodeSystem) -> pl.DataFrame:
    """Everything that is wrong with the tables, exactly; an empty frame where nothing is.

    Args:
        system: one system, or several together: an edge into a system that is not there is an orphan.

    Returns:
        Columns of FAULTS, unique and sorted.
    """
    names = system.concepts["concept"].unique().sort()
    found = [_cycles(names, system.edges), _orphans(names, system.edges), _duplicates(system.concepts)]
    return pl.concat(found).unique().sort(pl.all())


def circles(n: int, child: Ints, parent: Ints) -> list[list[int]]:
    """The nodes of each circle: strongly connected components of more than one node, and self-loops.

    Args:
        n: how many nodes there are.
        child: the lower end of each edge.
        parent: the upper end.

    Returns:
        Circles in order of their first nodes, nodes in order.
    """
    from rustworkx import PyDiGraph, strongly_connected_components

    graph: PyDiGraph[None, None] = PyDiGraph(multigraph=False)
    graph.add_nodes_from([None] * n)
    graph.add_edges_from_no_data(list(zip(child.tolist(), parent.tolist(), strict=True)))
    loops = set(child[child == parent].tolist())
    parts = [sorted(part) for part in strongly_connected_components(graph)]
    return sorted(part for part in parts if len(part) > 1 or part[0] in loops)


def _cycles(names: pl.Series, edges: pl.DataFrame) -> pl.DataFrame:
    places = pl.DataFrame({"name": names, "at": np.arange(len(names), dtype=np.int32)})
    ends = (
        edges.select("child", "parent")
        .join(places.select(child="name", below="at"), on="child")
        .join(places.select(parent="name", above="at"), on="parent")
    )
    found = circles(len(names), ends["below"].to_numpy(), ends["above"].to_numpy())
    rows = [("cycle", names[i], names[circle[0]]) for circle in found for i in circle]
    return pl.DataFrame(rows, schema=FAULTS, orient="row")


def _orphans(names: pl.Series, edges: pl.DataFrame) -> pl.DataFrame:
    is_whole = pl.col("child").is_in(names.implode()) & pl.col("parent").is_in(names.implode())
    loose = edges.filter(~is_whole.fill_null(value=False))
    return loose.select(pl.lit("orphan").alias("kind"), concept="child", other="parent")


def _duplicates(concepts: pl.DataFrame) -> pl.DataFrame:
    """Texts of one concept and language that differ and hold on the same day; null is open at that end."""
    texts = concepts.select("concept", "language", "label", "valid_from", "valid_to").unique()
    several = texts.filter(pl.len().over("concept", "language") > 1)
    pairs = several.join(several, on=["concept", "language"], nulls_equal=True, suffix="_of_other")
    begins_in_time = (pl.col("valid_from") <= pl.col("valid_to_of_other")).fill_null(value=True)
    ends_in_time = (pl.col("valid_from_of_other") <= pl.col("valid_to")).fill_null(value=True)
    differs = pl.col("label").ne_missing(pl.col("label_of_other"))
    clashing = pairs.filter(differs & begins_in_time & ends_in_time)
    return clashing.select(pl.lit("duplicate").alias("kind"), pl.col("concept"), other="language").unique()
