"""What every network promises: outputs, a risk, a loss; and how its batches are made.

Shapes: R row that is answered, O output, K auxiliary target.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from ontology.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    from phenotype.sequences import Ints, Sequences
    from phenotype.vocabulary import Vocabulary


class Batch(Protocol):
    """A NamedTuple of tensors and nothing else; each network has its own.

    Attributes:
        row: (R,) int64 number in the Sequences of each row that is answered.
    """

    @property
    def row(self) -> Tensor:
        """(R,) int64."""
        ...


class Targets(NamedTuple):
    """What came of the rows of a batch.

    Attributes:
        label: (R,) float32, the task's label.
        event: (R,) int64; 0 nothing was seen until `hours`, 1 the outcome, 2 and on what competes with it.
        hours: (R,) float32 after the prediction time.
        weight: (R,) float32.
        auxiliary: (R, K) float32, NaN where unknown; K is 0 where nothing else is learnt.
    """

    label: Tensor
    event: Tensor
    hours: Tensor
    weight: Tensor
    auxiliary: Tensor


class Network(nn.Module):
    """The base of every network: `forward` gives outputs, which `risk` and `loss` read.

    The first output is the logit of the task's risk unless a network says otherwise. `loss` is a weighted
    mean over rows, so that parts of a batch add up by their weights.
    """

    def forward(self, batch: Any) -> Tensor:
        """Outputs, (R, O)."""
        raise NotImplementedError

    def risk(self, outputs: Tensor) -> Tensor:
        """The logit of the task's risk, (R, O) -> (R,)."""
        return outputs[:, 0]

    def risk_at(self, outputs: Tensor, hours: float) -> Tensor:
        """The logit of the risk within so many hours, (R, O) -> (R,).

        Raises:
            ConfigurationError: the network tells the risk at the task's horizon alone.
        """
        raise ConfigurationError(
            Problem(
                "this network tells the risk at the task's horizon alone",
                where="head",
                allowed="a network with head: hazards",
                next_step="train one with head: hazards",
            )
        )

    def loss(self, batch: Any, targets: Targets) -> Tensor:
        """All that is trained on, one number."""
        return weighted_loss(self.risk(self(batch)), targets)

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        """Makes an untrained network answer with the prevalence.

        Args:
            prevalence: the share of training rows with the outcome.
            horizon_hours: until when the outcome counts; where a network foretells times it is its last one.
        """
        raise NotImplementedError


def weighted_loss(logits: Tensor, targets: Targets) -> Tensor:
    """The weighted mean of the labels' binary cross-entropy."""
    losses = F.binary_cross_entropy_with_logits(logits, targets.label, reduction="none")
    return weighted_mean(losses, targets.weight)


def weighted_mean(losses: Tensor, weight: Tensor) -> Tensor:
    """The mean of (R,) losses by weight; 0 where nothing weighs anything."""
    total = weight.sum()
    return (losses * weight).sum() / total.clamp(min=1e-12)


def log_odds(share: float) -> float:
    """The logit of a share, kept within 1e-4 of both ends."""
    share = min(max(share, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


Keep = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Design:
    """All that training, prediction and explanation need to know of one kind of network.

    Attributes:
        make_network: (config, vocabulary) -> a network, its weights drawn from torch's generator.
        make_batch: (sequences, units, config, keep) -> the batch of some units, repeats allowed; keep says
            which of the units' events, end to end (`sequences.n_events()[units]` each), are read: None all;
            the others are deleted, as if they had never been recorded.
        lengths: (sequences, config) -> (U,) what each unit costs, in positions.
        prepare: (network, sequences of the training rows, config), called once before training; it may set
            buffers and nothing else.
    """

    make_network: Callable[[Any, Vocabulary], Network]
    make_batch: Callable[[Sequences, Ints, Any, Keep | None], Batch]
    lengths: Callable[[Sequences, Any], Ints]
    prepare: Callable[[Any, Sequences, Any], None] | None = None
