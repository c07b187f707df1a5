"""Discrete-time competing hazards: from logits to the likelihood of what was seen, and to risks at any hour.

Time after the prediction is cut into K intervals. In each, a row that nothing has befallen yet meets one of C
causes or none: softmax over the causes' logits and a 0 for none. Within an interval hazards are constant.

Shapes: R row, K interval, C cause (the first is the outcome).

**Source:** discrete-time cause-specific hazards, Tutz and Schmid 2016, Modeling Discrete Time-to-Event Data,
chapter 8 (10.1007/978-3-319-28158-2); cumulative incidence, Kalbfleisch and Prentice 2002, chapter 8
(10.1002/9781118032985).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from torch import Tensor

_SMALLEST = 1e-30


def interval_edges(horizon_hours: float, n_intervals: int) -> npt.NDArray[np.float64]:
    """Where intervals begin and end, (n_intervals + 1,): 0, then log-spaced up to the horizon.

    The first interval is an hour, or a hundredth of the horizon where that is more, or an equal part of a
    horizon so short that an hour is more than its share.
    """
    first = max(horizon_hours / 100, min(1.0, horizon_hours / n_intervals))
    ends = np.geomspace(first, horizon_hours, n_intervals) if n_intervals > 1 else np.array([horizon_hours])
    return np.concatenate([[0.0], ends])


def negative_log_likelihood(logits: Tensor, edges: Tensor, event: Tensor, hours: Tensor) -> Tensor:
    """Of each row, (R,): less the log probability of its first event in its interval, or of none until then.

    Args:
        logits: (R, K, C).
        edges: (K + 1,) hours.
        event: (R,) int64; 0 none until `hours`, else the number of the cause from 1 on.
        hours: (R,) of the event, or until when none was seen; an hour on an edge belongs to the interval
            that ends there, one past the last edge to the last.
    """
    log_hazards, log_survival = _log_hazards(logits)
    interval = _interval_of(hours, edges)
    place = torch.arange(log_survival.shape[1], device=logits.device)
    is_before = place < interval[:, None]
    is_seen = event > 0
    survived = torch.where(is_seen[:, None], is_before.to(log_survival.dtype), _shares(hours, edges))
    cause = (event - 1).clamp(min=0)
    row = torch.arange(len(event), device=logits.device)
    at_event = log_hazards[row, interval, cause]
    return -(survived * log_survival).sum(1) - torch.where(is_seen, at_event, torch.zeros_like(at_event))


def cumulative_incidence(logits: Tensor, edges: Tensor, hours: Tensor | float) -> Tensor:
    """The probability that each cause comes first and within so many hours, (R, C).

    Args:
        logits: (R, K, C).
        edges: (K + 1,) hours.
        hours: (R,), or one number for all rows, above 0 and at most the last edge.
    """
    return _log_incidence(logits, edges, hours)[0].exp()


def risk_logit(logits: Tensor, edges: Tensor, hours: Tensor | float) -> Tensor:
    """The logit of the outcome's cumulative incidence, (R,); exact also where the risk is near 0 or 1.

    Args:
        logits: (R, K, C).
        edges: (K + 1,) hours.
        hours: (R,), or one number for all rows, above 0 and at most the last edge.
    """
    log_incidence, log_survival = _log_incidence(logits, edges, hours)
    others = torch.cat([log_incidence[:, 1:], log_survival[:, None]], dim=1)
    return log_incidence[:, 0] - others.logsumexp(1)


def _log_hazards(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Log hazards (R, K, C) and the log of outliving each interval (R, K), in float32 at least."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    spent = F.softplus(logits.logsumexp(-1))
    return logits - spent[..., None], -spent


def _log_incidence(logits: Tensor, edges: Tensor, hours: Tensor | float) -> tuple[Tensor, Tensor]:
    """Log cumulative incidence (R, C) and log survival (R,) at some hours."""
    log_hazards, log_survival = _log_hazards(logits)
    hours = torch.as_tensor(hours, dtype=log_survival.dtype, device=logits.device).expand(len(logits))
    share = _shares(hours, edges)
    spent = share * log_survival
    log_begun = spent.cumsum(1) - spent
    log_share_of_cause = log_hazards - log_hazards.logsumexp(-1, keepdim=True)
    partly = log_share_of_cause + _log_of_one_less_exp(spent)[..., None]
    each = log_begun[..., None] + torch.where(share[..., None] < 1, partly, log_hazards)
    each = each.masked_fill(share[..., None] <= 0, -torch.inf)
    return each.logsumexp(1), spent.sum(1)


def _log_of_one_less_exp(x: Tensor) -> Tensor:
    """log(1 - exp(x)) for x <= 0, with finite gradients.

    **Source:** Mächler 2012, Accurately computing log(1 - exp(-|a|)), vignette of R's package Rmpfr.
    """
    x = x.clamp(max=-_SMALLEST)
    is_near = x > -0.6931
    near = torch.where(is_near, x, torch.full_like(x, -0.5))
    far = torch.where(is_near, torch.full_like(x, -1.0), x)
    return torch.where(is_near, (-torch.expm1(near)).log(), torch.log1p(-far.exp()))


def _interval_of(hours: Tensor, edges: Tensor) -> Tensor:
    """The interval that holds each hour, (R,)."""
    ends = edges[1:].to(hours.dtype).contiguous()
    return torch.bucketize(hours, ends).clamp(max=len(ends) - 1)


def _shares(hours: Tensor, edges: Tensor) -> Tensor:
    """Which share of each interval lies before each hour, (R, K)."""
    edges = edges.to(hours.dtype)
    return ((hours[:, None] - edges[:-1]) / (edges[1:] - edges[:-1])).clamp(0, 1)
