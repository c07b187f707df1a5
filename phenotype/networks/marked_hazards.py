"""State -> when each concept comes next and with what value: piecewise-constant hazards with marks.

Shapes: R read-out, H hidden, C concept, K interval, L rank, M valued concept, Q value bin, N horizon.

**Source:** MOTOR, Steinberg et al. 2023 (10.48550/arXiv.2301.03150): hazards exp(state of the interval times
embedding of the task); ORA (10.48550/arXiv.2602.00541): time and value are learnt as one likelihood.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor, nn

_LOWEST_RATE = 1e-9
"""Hazards an hour below it (once in 100,000 years) are not told apart."""


class NextEvents(NamedTuple):
    """What came of each read-out.

    Attributes:
        hours: (R, C) float32 until the concept's next event, or until the record ends.
        is_seen: (R, C) bool, the event came first.
        mark_hours: (R, M) float32 until the next valued event of each valued concept.
        mark: (R, M) int64 its value bin, -1 where none is seen.
    """

    hours: Tensor
    is_seen: Tensor
    mark_hours: Tensor
    mark: Tensor


class MarkedHazards(nn.Module):
    """Log hazards an hour of every concept in every interval, and the value bins' logits.

    Args:
        width: of a state.
        edges: (K,) hours at which intervals begin, the first 0.
        n_concepts: C.
        n_bins: (M,) value bins of each valued concept.
        rank: L.
    """

    edges: Tensor
    is_bin: Tensor
    log_rate: Tensor
    bin_level: Tensor

    def __init__(
        self,
        width: int,
        edges: npt.NDArray[np.float64],
        n_concepts: int,
        n_bins: npt.NDArray[np.int64],
        rank: int,
    ) -> None:
        super().__init__()
        n_intervals, n_marks, widest = len(edges), len(n_bins), int(n_bins.max(initial=1))
        self.register_buffer("edges", torch.tensor(edges, dtype=torch.float32), persistent=False)
        bins = torch.arange(widest) < torch.from_numpy(np.asarray(n_bins, dtype=np.int64))[:, None]
        self.register_buffer("is_bin", bins, persistent=False)
        self.interval_state = nn.Linear(width, n_intervals * rank)
        self.concept = nn.Parameter(torch.randn(n_concepts, rank) / rank**0.5)
        self.register_buffer("log_rate", torch.zeros(n_concepts, n_intervals))
        self.rate_shift = nn.Parameter(torch.zeros(n_concepts, n_intervals))
        self.mark_state = nn.Linear(width, rank)
        self.bin = nn.Parameter(torch.randn(n_marks, widest, rank) / rank**0.5)
        self.register_buffer("bin_level", torch.zeros(n_marks, n_intervals, widest))
        self.bin_shift = nn.Parameter(torch.zeros(n_marks, n_intervals, widest))
        for layer in (self.interval_state, self.mark_state):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def start_from(self, rates: Tensor, mark_counts: Tensor) -> None:
        """Makes an untrained head answer with what all patients together show.

        What is learnt is how far a state's answer lies from that: weight decay pulls towards it.

        Args:
            rates: (C, K) events an hour at risk.
            mark_counts: (M, K, Q) how often each value bin came.
        """
        with torch.no_grad():
            self.log_rate.copy_(rates.clamp(min=_LOWEST_RATE).log())
            shares = (mark_counts + 0.5) / (mark_counts + 0.5).sum(-1, keepdim=True)
            self.bin_level.copy_(shares.log())

    def log_hazards(self, states: Tensor) -> Tensor:
        """(R, H) -> (R, C, K)."""
        by_interval = self.interval_state(states).view(len(states), len(self.edges), -1)
        return torch.einsum("rkl,cl->rck", by_interval, self.concept) + self.log_rate + self.rate_shift

    def mark_logits(self, states: Tensor, interval: Tensor) -> Tensor:
        """States (R, H) and the interval (R, M) in which the value comes -> (R, M, Q)."""
        levels = self.bin_level + self.bin_shift
        level = levels[torch.arange(len(levels), device=interval.device), interval]
        logits = torch.einsum("rl,mql->rmq", self.mark_state(states), self.bin) + level
        return logits.masked_fill(~self.is_bin, -torch.inf)

    def loss(self, states: Tensor, found: NextEvents) -> Tensor:
        """Mean over read-outs and concepts of the negative log likelihood of times and marks."""
        times = negative_log_likelihood(self.log_hazards(states), self.edges, found.hours, found.is_seen)
        has_mark = found.mark >= 0
        total = times.sum()
        if has_mark.any():
            logits = self.mark_logits(states, interval_of(found.mark_hours, self.edges))
            total = total + F.cross_entropy(logits[has_mark], found.mark[has_mark], reduction="sum")
        return total / max(times.numel(), 1)

    def risks(self, states: Tensor, concepts: Tensor, hours: Tensor) -> Tensor:
        """P(the concept's next event comes within so many hours), (R, N), for N (concept, horizon) pairs.

        Args:
            states: (R, H).
            concepts: (N,) numbers of concepts.
            hours: (N,) horizons.
        """
        hazards = self.log_hazards(states)[:, concepts].exp()
        return -torch.expm1(-(hazards * exposures(hours.float(), self.edges)).sum(-1))


def interval_of(hours: Tensor, edges: Tensor) -> Tensor:
    """The interval that holds each time, hours of any shape; an event on an edge ends the interval before."""
    return (torch.bucketize(hours.contiguous(), edges) - 1).clamp(min=0)


def exposures(hours: Tensor, edges: Tensor) -> Tensor:
    """Hours of each interval that lie before each time, hours (...) -> (..., K)."""
    lengths = torch.cat([edges[1:] - edges[:-1], edges.new_full((1,), torch.inf)])
    return torch.minimum((hours[..., None] - edges).clamp(min=0), lengths)


def negative_log_likelihood(log_hazards: Tensor, edges: Tensor, hours: Tensor, is_seen: Tensor) -> Tensor:
    """Of each time, cumulative hazard until it, less the log hazard at it where the event was seen, (R, C).

    Args:
        log_hazards: (R, C, K) of hazards an hour.
        edges: (K,) where intervals begin.
        hours: (R, C) until the event or the end of what is known.
        is_seen: (R, C) whether it was the event.

    **Source:** piecewise-exponential survival, Friedman 1982, doi:10.1214/aos/1176345693.
    """
    cumulative = (log_hazards.exp() * exposures(hours, edges)).sum(-1)
    at_event = log_hazards.gather(-1, interval_of(hours, edges)[..., None])[..., 0]
    return cumulative - torch.where(is_seen, at_event, torch.zeros_like(at_event))
