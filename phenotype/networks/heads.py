"""What stands on a read-out's state: one risk, or the hazards of an outcome and of what competes with it.

Shapes: R read-out, O output, H hidden, K interval, C cause, A auxiliary target.

**Source:** subdistribution hazards, Fine and Gray 1999 (10.1080/01621459.1999.10474144).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

from ontology.errors import ConfigurationError, Problem
from phenotype.hazards import interval_edges, negative_log_likelihood, risk_logit
from phenotype.networks.network import Targets, log_odds, weighted_loss, weighted_mean

if TYPE_CHECKING:
    from phenotype.networks.config import StreamConfig

_COMPETING_AT_START = 1e-3


class BinaryHead(nn.Module):
    """State -> the logit of the risk at the task's horizon, and one of each auxiliary target.

    Args:
        width: of a state.
        n_auxiliary: targets beside the task's.
    """

    n_task_outputs = 1

    def __init__(self, width: int, n_auxiliary: int = 0) -> None:
        super().__init__()
        self.out = nn.Linear(width, 1 + n_auxiliary)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(R, H) -> (R, 1 + A)."""
        outputs: Tensor = self.out(states)
        return outputs

    def risk(self, outputs: Tensor) -> Tensor:
        """(R, O) -> (R,)."""
        return outputs[:, 0]

    def loss(self, outputs: Tensor, targets: Targets) -> Tensor:
        """The labels' binary cross-entropy."""
        return weighted_loss(self.risk(outputs), targets)

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        """Answers with the prevalence."""
        with torch.no_grad():
            self.out.bias[0] = log_odds(prevalence)


class HazardsHead(nn.Module):
    """State -> the hazards of the outcome and of what competes with it, interval by interval.

    Args:
        width: of a state.
        n_intervals: K.
        n_causes: C; events of higher numbers count as the last cause. With the outcome alone, what competes
            with it is not the outcome: such rows are without it until the horizon (a subdistribution's
            hazards).
        n_auxiliary: targets beside the task's.
    """

    edges: Tensor

    def __init__(self, width: int, n_intervals: int, n_causes: int, n_auxiliary: int = 0) -> None:
        super().__init__()
        self.n_intervals, self.n_causes = n_intervals, n_causes
        self.n_task_outputs = n_intervals * n_causes
        self.out = nn.Linear(width, self.n_task_outputs + n_auxiliary)
        self.register_buffer("edges", torch.tensor(interval_edges(1.0, n_intervals)))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, states: Tensor) -> Tensor:
        """(R, H) -> (R, K * C + A)."""
        outputs: Tensor = self.out(states)
        return outputs

    def hazards(self, outputs: Tensor) -> Tensor:
        """(R, O) -> logits (R, K, C)."""
        return outputs[:, : self.n_task_outputs].reshape(len(outputs), self.n_intervals, self.n_causes)

    def risk(self, outputs: Tensor) -> Tensor:
        """The logit of the outcome's incidence at the horizon, (R,)."""
        return risk_logit(self.hazards(outputs), self.edges, self.edges[-1])

    def risk_at(self, outputs: Tensor, hours: float) -> Tensor:
        """The logit of the outcome's incidence within so many hours, (R,).

        Raises:
            ConfigurationError: hours at which nothing is told.
        """
        horizon = float(self.edges[-1])
        if not 0 < hours <= horizon:
            raise ConfigurationError(
                Problem(
                    "no risk is told so far ahead",
                    where="hours",
                    found=f"{hours:g}",
                    allowed=f"above 0 and at most {horizon:g}, the horizon of training",
                    next_step="ask for an earlier hour, or train with a later horizon",
                )
            )
        return risk_logit(self.hazards(outputs), self.edges, hours)

    def loss(self, outputs: Tensor, targets: Targets) -> Tensor:
        """What was seen of each row until its event, or until nothing more is known."""
        event, hours = targets.event.clamp(max=self.n_causes), targets.hours
        if self.n_causes == 1:
            has_ended = targets.event > 1
            event = torch.where(has_ended, torch.zeros_like(event), event)
            hours = torch.where(has_ended, self.edges[-1].to(hours.dtype), hours)
        losses = negative_log_likelihood(self.hazards(outputs), self.edges, event, hours)
        return weighted_mean(losses, targets.weight)

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        """Takes the horizon, and answers there with the prevalence: the outcome's rate is constant."""
        edges = interval_edges(horizon_hours or 1.0, self.n_intervals)
        share = np.diff(edges) / edges[-1]
        hazard = 1 - (1 - min(max(prevalence, 1e-4), 1 - 1e-4)) ** share
        rare = _COMPETING_AT_START * share
        survived = 1 - hazard - rare * (self.n_causes - 1) * (1 - hazard)
        logits = np.log(np.stack([hazard, *[rare * (1 - hazard)] * (self.n_causes - 1)], axis=1))
        logits = logits - np.log(survived)[:, None]
        with torch.no_grad():
            self.edges.copy_(torch.from_numpy(edges))
            self.out.bias[: self.n_task_outputs] = torch.from_numpy(logits.ravel())


def make_head(config: StreamConfig) -> BinaryHead | HazardsHead:
    """The head that a configuration names."""
    n_auxiliary = len(config.auxiliary)
    if config.head == "hazards":
        return HazardsHead(config.width, config.n_intervals, config.n_causes, n_auxiliary)
    return BinaryHead(config.width, n_auxiliary)


def auxiliary_loss(logits: Tensor, targets: Targets) -> Tensor:
    """The sum over auxiliary targets of their binary cross-entropy, each a weighted mean over all rows.

    Args:
        logits: (R, A).
        targets: auxiliary is NaN where unknown; such rows add nothing.
    """
    is_known = ~targets.auxiliary.isnan()
    wanted = torch.where(is_known, targets.auxiliary, torch.zeros_like(targets.auxiliary))
    losses = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none") * is_known
    return weighted_mean(losses.sum(1), targets.weight)
