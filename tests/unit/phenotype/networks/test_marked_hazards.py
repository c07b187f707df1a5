"""Piecewise-constant hazards with marks: likelihood, risks and starting values equal hand-worked numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from phenotype.networks.marked_hazards import (
    MarkedHazards,
    NextEvents,
    exposures,
    interval_of,
    negative_log_likelihood,
)
from phenotype.networks.population_config import HazardsConfig

EDGES = torch.tensor([0.0, 10.0, 100.0])
"""Intervals (0, 10], (10, 100], (100, no end)."""


def test_exposure_is_the_part_of_each_interval_before_a_time() -> None:
    found = exposures(torch.tensor([0.0, 4.0, 10.0, 25.0, 1000.0]), EDGES)
    assert found.tolist() == [[0, 0, 0], [4, 0, 0], [10, 0, 0], [10, 15, 0], [10, 90, 900]]


def test_an_event_on_an_edge_ends_the_interval_before_it() -> None:
    hours = torch.tensor([0.0, 0.1, 10.0, 10.1, 100.0, 1e6])
    assert interval_of(hours, EDGES).tolist() == [0, 0, 0, 1, 1, 2]


def test_the_likelihood_is_the_hand_worked_one() -> None:
    hazards = torch.tensor([0.01, 0.002, 0.5])
    hours = torch.tensor([[5.0, 40.0, 102.0]])
    is_seen = torch.tensor([[True, False, True]])
    losses = negative_log_likelihood(hazards.log().expand(1, 3, 3), EDGES, hours, is_seen)
    expected = [
        5 * 0.01 - math.log(0.01),
        10 * 0.01 + 30 * 0.002,
        10 * 0.01 + 90 * 0.002 + 2 * 0.5 - math.log(0.5),
    ]
    assert losses[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_risks_are_one_minus_exp_of_the_cumulative_hazard_and_grow_with_the_horizon() -> None:
    head = MarkedHazards(2, EDGES.numpy(), 2, np.zeros(0, dtype=np.int64), 3)
    rates = torch.tensor([[0.01, 0.002, 0.5], [0.1, 0.1, 0.1]])
    head.start_from(rates, torch.zeros(0, 3, 1))
    concepts, hours = torch.tensor([0, 0, 1, 1]), torch.tensor([5.0, 102.0, 24.0, 0.0])
    found = head.risks(torch.randn(1, 2), concepts, hours)[0].tolist()
    expected = [1 - math.exp(-0.05), 1 - math.exp(-0.1 - 0.18 - 1.0), 1 - math.exp(-2.4), 0.0]
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_head_learns_the_rates_that_depend_on_the_state() -> None:
    """Two kinds of patient, constant hazards 0.02 and 0.2 an hour, censored at 30 hours."""
    torch.manual_seed(0)
    kind = torch.arange(4000) % 2
    states = torch.stack([1.0 - kind, kind.float()], dim=1)
    waits = torch.distributions.Exponential(torch.tensor([0.02, 0.2])[kind]).sample()
    found = NextEvents(
        waits.clamp(max=30)[:, None], (waits < 30)[:, None], torch.zeros(4000, 0), torch.zeros(4000, 0).long()
    )
    head = MarkedHazards(2, EDGES.numpy(), 1, np.zeros(0, dtype=np.int64), 4)
    head.start_from(torch.full((1, 3), 0.05), torch.zeros(0, 3, 1))
    steps = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        steps.zero_grad()
        head.loss(states, found).backward()
        steps.step()
    hazards = head.log_hazards(torch.eye(2)).exp()[:, 0, :2]
    assert hazards[0].tolist() == pytest.approx([0.02, 0.02], rel=0.15)
    assert hazards[1].tolist() == pytest.approx([0.2, 0.2], rel=0.15)


def test_marks_are_shares_of_what_came_and_absent_bins_get_nothing() -> None:
    head = MarkedHazards(2, EDGES.numpy(), 2, np.array([3, 2]), 4)
    counts = torch.zeros(2, 3, 3)
    counts[0, 1] = torch.tensor([1.0, 0.0, 5.0])
    head.start_from(torch.ones(2, 3), counts)
    shares = head.mark_logits(torch.randn(1, 2), torch.tensor([[1, 0]])).softmax(-1)[0]
    assert shares[0].tolist() == pytest.approx([1.5 / 7.5, 0.5 / 7.5, 5.5 / 7.5], rel=1e-5)
    assert shares[1].tolist() == pytest.approx([0.5, 0.5, 0.0], rel=1e-5)


def test_the_loss_adds_times_and_marks_and_is_finite_without_marks() -> None:
    head = MarkedHazards(2, EDGES.numpy(), 1, np.array([4]), 2)
    head.start_from(torch.full((1, 3), 0.01), torch.zeros(1, 3, 4))
    hours, is_seen = torch.tensor([[5.0], [20.0]]), torch.tensor([[True], [False]])
    times = (5 * 0.01 - math.log(0.01) + 20 * 0.01) / 2
    marked = NextEvents(hours, is_seen, hours, torch.tensor([[2], [-1]]))
    unmarked = marked._replace(mark=torch.full((2, 1), -1))
    assert head.loss(torch.randn(2, 2), unmarked).item() == pytest.approx(times, rel=1e-5)
    assert head.loss(torch.randn(2, 2), marked).item() == pytest.approx(times + math.log(4) / 2, rel=1e-5)


def test_intervals_are_log_spaced_and_faults_of_the_configuration_are_told() -> None:
    config = HazardsConfig(n_intervals=4, shortest_hours=1.0, longest_hours=100.0)
    assert config.edges.tolist() == pytest.approx([0, 1, 10, 100])
    assert HazardsConfig(n_intervals=1).edges.tolist() == [0]
    assert HazardsConfig(n_intervals=2, shortest_hours=3).edges.tolist() == [0, 3]
    with pytest.raises(ValueError, match="must lie above"):
        HazardsConfig(shortest_hours=10, longest_hours=5)
