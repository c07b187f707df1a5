"""Networks that read a stream of positions: embedding, a body of one's own, heads, and the losses.

Shapes: U unit, T column, R read-out, H hidden, O output, P position that foresees, N event that is foreseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from phenotype.networks.embedding import PositionEmbedding
from phenotype.networks.heads import BinaryHead, HazardsHead, auxiliary_loss, make_head
from phenotype.networks.network import Network, Targets
from phenotype.networks.next_event import Following, NextEvent

if TYPE_CHECKING:
    from phenotype.networks.batches import SequenceBatch
    from phenotype.networks.config import StreamConfig
    from phenotype.vocabulary import Vocabulary


class StreamNetwork(Network):
    """A network whose body turns embedded columns into states; `head` and `next_event` are the task's.

    Args:
        config: sizes and heads.
        vocabulary: what is read.
    """

    def __init__(self, config: StreamConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.embedding = PositionEmbedding(config, vocabulary)
        self.drop = nn.Dropout(config.dropout)
        self.norm = nn.RMSNorm(config.width)
        self.head: BinaryHead | HazardsHead = make_head(config)
        self.next_event_weight, self.auxiliary_weight = config.next_event_weight, config.auxiliary_weight
        if config.next_event_weight:
            self.next_event = NextEvent(config.width, vocabulary)

    def read(self, x: Tensor, batch: SequenceBatch) -> Tensor:
        """States of the read-outs alone, (U, T, H) -> (R, H), before the last norm."""
        raise NotImplementedError

    def read_all(self, x: Tensor, batch: SequenceBatch) -> Tensor:
        """States of all columns, (U, T, H) -> (U * T, H), before the last norm; equal at the read-outs."""
        raise NotImplementedError

    def states(self, batch: SequenceBatch) -> Tensor:
        """What is kept of each row's history, (R, H): nothing of a task is in it."""
        x = self.drop(self.embedding(batch, self.embedding.events.codes()))
        states: Tensor = self.norm(self.read(x, batch))
        return states

    def forward(self, batch: SequenceBatch, foreseen: Tensor | None = None) -> Any:
        """Outputs (R, O); and, where it is said how much each next event counts, (N,), their loss."""
        if foreseen is None:
            return self.head(self.drop(self.states(batch)))
        codes = self.embedding.events.codes()
        columns = self.read_all(self.drop(self.embedding(batch, codes)), batch)
        positions, place = torch.unique(batch.next_position, return_inverse=True)
        chosen = self.norm(columns[torch.cat([batch.read_out, positions])])
        states, foreseeing = self.drop(chosen).split((len(batch.read_out), len(positions)))
        following = Following(place, batch.next_code, batch.next_value_bin, foreseen)
        bins = self.embedding.events.value_bin.weight
        return self.head(states), self.next_event(foreseeing, following, codes, bins)

    def risk(self, outputs: Tensor) -> Tensor:
        """The logit of the risk at the task's horizon, (R, O) -> (R,)."""
        return self.head.risk(outputs)

    def risk_at(self, outputs: Tensor, hours: float) -> Tensor:
        """The logit of the risk within so many hours, (R, O) -> (R,); for the head "hazards" alone."""
        if isinstance(self.head, HazardsHead):
            return self.head.risk_at(outputs, hours)
        return super().risk_at(outputs, hours)

    def loss(self, batch: SequenceBatch, targets: Targets) -> Tensor:
        """The task's loss, and where they are wanted those of auxiliary targets and of the next events."""
        if self.next_event_weight and batch.next_code.numel():
            outputs, following = self(batch, share_of_next_events(batch, targets.weight))
        else:
            outputs, following = self(batch), None
        loss = self.head.loss(outputs, targets)
        if targets.auxiliary.shape[1]:
            others = outputs[:, self.head.n_task_outputs :]
            loss = loss + self.auxiliary_weight * auxiliary_loss(others, targets)
        if following is not None:
            loss = loss + self.next_event_weight * following
        return loss

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        """Makes an untrained network answer with the prevalence."""
        self.head.start_from(prevalence, horizon_hours)


def share_of_next_events(batch: SequenceBatch, weight: Tensor) -> Tensor:
    """How much each next event counts, (N,): in all as much as the rows that are answered.

    A unit counts as much as its rows do; within it each foreseen time point alike, within that each event.

    Args:
        batch: with next events.
        weight: (R,) of the rows; the shares of parts of a batch add up by the parts' weights.
    """
    U, T = batch.kind.shape
    unit = batch.next_position // T
    n_points = batch.next_weight.new_zeros(U).index_add(0, unit, batch.next_weight)
    weights = weight.new_zeros(U).index_add(0, batch.read_out // T, weight)
    of_unit = weights / n_points.clamp(min=1e-12) / weight.sum().clamp(min=1e-12)
    return of_unit[unit] * batch.next_weight
