"""The population-wide network: a body that reads whole trajectories, and the hazards of what comes next.

Shapes: R read-out, H hidden, C concept, K interval, M valued concept, Q value bin.
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from phenotype.networks.marked_hazards import MarkedHazards, NextEvents
from phenotype.networks.network import Network
from phenotype.networks.population_config import HazardsConfig
from phenotype.next_events import Next, Tracked


class Body(Protocol):
    """What the hazards stand on: a network that tells the state of each row's read-out."""

    def states(self, batch: Any) -> Tensor:
        """(R, H)."""
        ...


class PopulationNetwork(Network):
    """Batch -> the state of each read-out; its loss is about when each concept comes next.

    Args:
        body: tells states of `width` numbers.
        width: H.
        hazards: intervals and rank.
        tracked: the concepts that are foretold.
    """

    def __init__(self, body: nn.Module, width: int, hazards: HazardsConfig, tracked: Tracked) -> None:
        super().__init__()
        self.body = body
        self.hazards = MarkedHazards(
            width, hazards.edges, len(tracked.concepts), tracked.n_bins, hazards.rank
        )

    def states(self, batch: Any) -> Tensor:
        """(R, H): what is kept of each row's history."""
        return cast("Body", self.body).states(batch)

    def forward(self, batch: Any) -> Tensor:
        """The states."""
        return self.states(batch)

    def loss(self, batch: Any, targets: Any) -> Tensor:
        """The mean negative log likelihood of what came next (NextEvents)."""
        return self.hazards.loss(self(batch), targets)


def as_tensors(found: Next) -> NextEvents:
    """What came next, as the loss takes it."""
    return NextEvents(
        torch.from_numpy(np.ascontiguousarray(found.hours)),
        torch.from_numpy(np.ascontiguousarray(found.is_seen)),
        torch.from_numpy(np.ascontiguousarray(found.mark_hours)),
        torch.from_numpy(np.ascontiguousarray(found.mark)),
    )
