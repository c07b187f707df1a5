"""For each node of a hierarchy the nearest wanted one at or above it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ontology.closure import Ints
from ontology.graph import Graph


def nearest_targets(graph: Graph, nodes: Ints, is_target: NDArray[np.bool_]) -> Ints:
    """The wanted node at or above each node, -1 where there is none.

    Args:
        graph: the hierarchy.
        nodes: positions.
        is_target: which positions are wanted.

    Returns:
        The first wanted one along primary parents; where these lead past all, of the wanted ancestors the one
        with the longest way to a root, then the first in text order.
    """
    found = nodes.copy()
    going = np.arange(len(nodes))
    while len(going := going[(found[going] >= 0) & ~is_target[found[going]]]):
        found[going] = graph.primary_parent[found[going]]
    for i in np.flatnonzero(found < 0):
        above = graph.ancestors(int(nodes[i]))
        wanted = above[is_target[above]].tolist()
        if wanted:
            found[i] = min(wanted, key=lambda n: (-graph.longest_way[n], graph.names[n]))
    return found
