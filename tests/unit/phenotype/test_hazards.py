"""Competing hazards: a table worked by hand, Aalen and Johansen's estimate, and numbers that stay finite."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from phenotype.hazards import cumulative_incidence, interval_edges, negative_log_likelihood, risk_logit

EDGES = torch.tensor([0.0, 1.0, 3.0, 9.0], dtype=torch.float64)
OUTCOME, DEATH = (0.1, 0.2, 0.3), (0.05, 0.1, 0.2)
"""Of those whom nothing has befallen, shares that meet each in each interval; by hand, survival is 0.85,
0.595, 0.2975, the outcome's incidence 0.1, 0.1 + 0.85 * 0.2 = 0.27, 0.27 + 0.595 * 0.3 = 0.4485, and death's
0.05, 0.05 + 0.85 * 0.1 = 0.135, 0.135 + 0.595 * 0.2 = 0.254."""


def table(n_rows: int = 1) -> torch.Tensor:
    """Logits of the hazards above."""
    hazards = torch.tensor([OUTCOME, DEATH], dtype=torch.float64).T
    return (hazards.log() - (1 - hazards.sum(1, keepdim=True)).log()).expand(n_rows, 3, 2)


@pytest.mark.parametrize(
    ("hours", "outcome", "death"), [(1.0, 0.1, 0.05), (3.0, 0.27, 0.135), (9.0, 0.4485, 0.254)]
)
def test_incidence_is_that_of_the_hand_worked_table(hours: float, outcome: float, death: float) -> None:
    found = cumulative_incidence(table(), EDGES, hours)[0].tolist()
    assert found == pytest.approx([outcome, death], abs=1e-12)
    risk = risk_logit(table(), EDGES, hours).item()
    assert risk == pytest.approx(math.log(outcome / (1 - outcome)), abs=1e-12)


def test_within_an_interval_hazards_are_constant() -> None:
    """At 2 h, half of 1-3 h: of 0.85, sqrt(0.7) are left, and two of three that are gone had the outcome."""
    gone = 0.85 * (1 - math.sqrt(0.7))
    found = cumulative_incidence(table(), EDGES, 2.0)[0].tolist()
    assert found == pytest.approx([0.1 + gone * 2 / 3, 0.05 + gone / 3], abs=1e-12)


@pytest.mark.parametrize(
    ("event", "hours", "probability"),
    [
        (1, 0.0, 0.1),
        (1, 1.0, 0.1),
        (1, 2.0, 0.85 * 0.2),
        (2, 3.0, 0.85 * 0.1),
        (2, 100.0, 0.595 * 0.2),
        (0, 0.0, 1.0),
        (0, 1.0, 0.85),
        (0, 2.0, 0.85 * math.sqrt(0.7)),
        (0, 9.0, 0.2975),
        (0, 50.0, 0.2975),
    ],
)
def test_the_likelihood_is_that_of_what_was_seen(event: int, hours: float, probability: float) -> None:
    found = negative_log_likelihood(
        table(), EDGES, torch.tensor([event]), torch.tensor([hours], dtype=torch.float64)
    )
    assert found.item() == pytest.approx(-math.log(probability), abs=1e-12)


def aalen_johansen(event: npt.NDArray[np.int64], interval: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Cumulative incidence (K, 2) of grouped data, censored at intervals' ends, from counts alone."""
    survival, incidence, found = 1.0, np.zeros(2), []
    for k in range(3):
        n_at_risk = (interval >= k).sum()
        n_events = np.array([((interval == k) & (event == cause)).sum() for cause in (1, 2)])
        incidence = incidence + survival * n_events / n_at_risk
        survival *= 1 - n_events.sum() / n_at_risk
        found.append(incidence)
    return np.array(found)


def test_the_most_likely_hazards_are_aalen_and_johansens() -> None:
    random = np.random.default_rng(0)
    interval = random.integers(0, 3, 500)
    event = random.choice(3, 500, p=(0.3, 0.45, 0.25))
    hours = torch.where(torch.from_numpy(event) > 0, EDGES[interval] + 0.5, EDGES[interval + 1])
    logits = torch.zeros((3, 2), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [logits], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = negative_log_likelihood(
            logits.expand(500, 3, 2), EDGES, torch.from_numpy(event), hours.double()
        )
        each.mean().backward()
        return each.mean()

    optimizer.step(loss)
    found = [cumulative_incidence(logits[None].detach(), EDGES, float(end))[0].tolist() for end in EDGES[1:]]
    np.testing.assert_allclose(found, aalen_johansen(event, interval), atol=1e-6)


@pytest.mark.parametrize("hours", [0.01, 1.0, 2.0, 9.0])
@pytest.mark.parametrize("size", [1.0, 30.0, 80.0])
def test_risks_and_their_slopes_stay_finite(hours: float, size: float) -> None:
    """In float32, also where hazards underflow or are certain."""
    signs = torch.tensor([[a, b] for a in (-1.0, 0.0, 1.0) for b in (-1.0, 0.0, 1.0)])
    logits = (signs[:, None, :] * size).expand(9, 3, 2).clone().requires_grad_()
    risk = risk_logit(logits, EDGES, hours)
    risk.sum().backward()
    event, until = torch.arange(9) % 3, torch.full((9,), hours)
    likelihood = negative_log_likelihood(logits, EDGES, event, until)
    likelihood.sum().backward()
    assert logits.grad is not None
    assert all(part.isfinite().all() for part in (risk, likelihood, logits.grad))


def test_slopes_are_those_of_differences() -> None:
    logits = torch.randn((4, 3, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    hours = torch.tensor([0.5, 2.0, 3.0, 8.0], dtype=torch.float64)
    event = torch.tensor([0, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda x: risk_logit(x, EDGES, hours), logits)
    assert torch.autograd.gradcheck(lambda x: negative_log_likelihood(x, EDGES, event, hours), logits)


def test_risks_rise_with_the_hour_and_share_out_one() -> None:
    logits = torch.randn((5, 3, 2), dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
    risks = torch.stack([risk_logit(logits, EDGES, hour) for hour in np.linspace(0.1, 9.0, 50)])
    assert (risks.diff(dim=0) >= 0).all()
    survival = (1 - torch.softmax(torch.cat([logits, torch.zeros(5, 3, 1)], 2), 2)[..., :2].sum(2)).prod(1)
    np.testing.assert_allclose(cumulative_incidence(logits, EDGES, 9.0).sum(1) + survival, 1.0, atol=1e-12)


@pytest.mark.parametrize(
    ("horizon", "n_intervals", "first"), [(720.0, 12, 7.2), (48.0, 12, 1.0), (6.0, 12, 0.5), (6.0, 1, 6.0)]
)
def test_intervals_are_log_spaced_up_to_the_horizon(horizon: float, n_intervals: int, first: float) -> None:
    edges = interval_edges(horizon, n_intervals)
    assert len(edges) == n_intervals + 1
    assert edges[[0, 1, -1]].tolist() == pytest.approx([0, first, horizon])
    ratios = edges[2:] / edges[1:-1]
    np.testing.assert_allclose(ratios, ratios[:1].repeat(len(ratios)), rtol=1e-9)
