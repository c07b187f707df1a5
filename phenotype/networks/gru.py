"""A gated recurrent network on time points: for histories too long for attention.

Each layer is a GRU over a unit's columns, added to its input. A read-out is one more step from the last
column that it sees, which leaves no trace: what comes after goes on from the column.

Shapes: U unit, T column, R read-out, H hidden.

**Source:** Cho et al. 2014 (10.48550/arXiv.1406.1078); hours are told as features of each column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from phenotype.networks.batches import SequenceBatch, lengths, make_batch
from phenotype.networks.config import GRUConfig
from phenotype.networks.network import Design
from phenotype.networks.positions import PADDING, READ_OUT
from phenotype.networks.stream import StreamNetwork

if TYPE_CHECKING:
    from phenotype.vocabulary import Vocabulary


class RecurrentLayer(nn.Module):
    """Norm and GRU, added to the input.

    Args:
        width: H.
        dropout: share of units dropped of what is added.
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(U, T, H) -> the layer's output and its hidden states, (U, T, H) each."""
        hidden = self.gru(self.norm(x))[0]
        return x + self.drop(hidden), hidden

    def step(self, x: Tensor, hidden: Tensor) -> Tensor:
        """One step from a hidden state, (R, H) and (R, H) -> (R, H)."""
        inner, outer, inner_bias, outer_bias = self.gru.all_weights[0]
        before = hidden.to(x.dtype)
        following = torch.gru_cell(self.norm(x), before, inner, outer, inner_bias, outer_bias)
        return x + cast("Tensor", self.drop(following))


class RecurrentNetwork(StreamNetwork):
    """Batch -> outputs of each row.

    Args:
        config: sizes.
        vocabulary: what is read.
    """

    def __init__(self, config: GRUConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary)
        layers = (RecurrentLayer(config.width, config.dropout) for _ in range(config.n_layers))
        self.layers = nn.ModuleList(layers)

    def read(self, x: Tensor, batch: SequenceBatch) -> Tensor:
        """(U, T, H) -> (R, H)."""
        return self._passes(x, batch)[1]

    def read_all(self, x: Tensor, batch: SequenceBatch) -> Tensor:
        """(U, T, H) -> (U * T, H)."""
        columns, own = self._passes(x, batch)
        return columns.flatten(0, 1).index_copy(0, batch.read_out, own.to(columns.dtype))

    def _passes(self, x: Tensor, batch: SequenceBatch) -> tuple[Tensor, Tensor]:
        """The columns (U, T, H) as if there were no read-outs, and the read-outs (R, H)."""
        own = x.flatten(0, 1)[batch.read_out]
        before, sees_any = last_seen(batch)
        for layer in (cast("RecurrentLayer", layer) for layer in self.layers):
            x, hidden = layer(x)
            own = layer.step(own, hidden.flatten(0, 1)[before] * sees_any[:, None])
        return x, own


def last_seen(batch: SequenceBatch) -> tuple[Tensor, Tensor]:
    """The last flat column that each read-out sees beside itself, (R,), and whether there is one, (R,)."""
    T = batch.kind.shape[1]
    unit = batch.read_out // T
    is_read = (batch.kind != PADDING) & (batch.kind != READ_OUT)
    rank = batch.rank.flatten()[batch.read_out]
    n_seen = (is_read[unit] & (batch.rank[unit] <= rank[:, None])).sum(1)
    return unit * T + (n_seen - 1).clamp(min=0), n_seen > 0


def make_network(config: GRUConfig, vocabulary: Vocabulary) -> RecurrentNetwork:
    """A network of the configured size, its weights drawn from torch's generator."""
    return RecurrentNetwork(config, vocabulary)


DESIGN = Design(make_network, make_batch, lengths)
