"""Heads: where they start, what they are trained on, and the risk at any hour."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ontology.errors import ConfigurationError
from phenotype.link import sigmoid
from phenotype.networks.batches import make_batch
from phenotype.networks.config import AuxiliaryTarget, TransformerConfig
from phenotype.networks.heads import BinaryHead, HazardsHead, auxiliary_loss
from phenotype.networks.network import Targets


def targets(label: list[float], event: list[int], hours: list[float], weight: list[float]) -> Targets:
    rows = len(label)
    return Targets(
        torch.tensor(label),
        torch.tensor(event),
        torch.tensor(hours),
        torch.tensor(weight),
        torch.zeros(rows, 0),
    )


@pytest.mark.parametrize("prevalence", [0.002, 0.14, 0.6])
@pytest.mark.parametrize("n_intervals", [1, 12])
def test_an_untrained_head_answers_with_the_prevalence(prevalence: float, n_intervals: int) -> None:
    states = torch.randn(4, 8)
    heads = [BinaryHead(8), HazardsHead(8, n_intervals, 2), HazardsHead(8, n_intervals, 1)]
    for head in heads:
        head.start_from(prevalence, 48.0)
        risk = torch.sigmoid(head.risk(head(states))).detach().numpy()
        np.testing.assert_allclose(risk, prevalence, rtol=2e-3)


def test_the_outcomes_rate_is_constant_at_the_start() -> None:
    """Of 0.36 within 48 h, 1 - sqrt(0.64) = 0.2 come within 24 h."""
    head = HazardsHead(8, 12, 1)
    head.start_from(0.36, 48.0)
    assert torch.sigmoid(head.risk_at(head(torch.randn(1, 8)), 24.0)).item() == pytest.approx(0.2, abs=1e-5)


def test_hazards_learn_when_as_well_as_whether() -> None:
    """Half have the outcome at 10 h, a quarter die at 3 h, a quarter is last seen at 5 h (nothing yet).

    By hand: 3/4 outlive the death (1/3 of them are lost at 5 h), then the rest, all, have the outcome.
    """
    torch.manual_seed(0)
    head = HazardsHead(4, 12, 2)
    head.start_from(0.5, 48.0)
    states = torch.randn(1, 4).expand(8, 4)
    seen = targets(
        [1.0] * 4 + [0.0] * 4, [1] * 4 + [2] * 2 + [0] * 2, [10.0] * 4 + [3.0] * 2 + [5.0] * 2, [1.0] * 8
    )
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = head.loss(head(states), seen)
        total.backward()
        return total

    optimizer.step(loss)
    with torch.no_grad():
        outputs = head(states[:1])
        risks = [torch.sigmoid(head.risk_at(outputs, hours)).item() for hours in (2.0, 5.0, 12.0, 48.0)]
    assert risks == pytest.approx([0.0, 0.0, 0.75, 0.75], abs=0.01)


def test_weights_count_and_events_past_the_last_cause_are_the_last() -> None:
    head = HazardsHead(4, 3, 2)
    torch.nn.init.normal_(head.out.weight)
    outputs = head(torch.randn(2, 4))
    whole = head.loss(outputs, targets([1.0, 0.0], [1, 7], [0.5, 0.5], [3.0, 1.0])).item()
    first = head.loss(outputs, targets([1.0, 0.0], [1, 2], [0.5, 0.5], [1.0, 0.0])).item()
    last = head.loss(outputs, targets([1.0, 0.0], [1, 2], [0.5, 0.5], [0.0, 1.0])).item()
    assert whole == pytest.approx(0.75 * first + 0.25 * last, rel=1e-6)


def test_unknown_auxiliary_targets_add_nothing() -> None:
    """log 2 for each known one at logit 0: 3 of 4, over two rows."""
    given = targets([0.0, 0.0], [0, 0], [1.0, 1.0], [1.0, 1.0])
    given = given._replace(auxiliary=torch.tensor([[1.0, np.nan], [0.0, 1.0]]))
    logits = torch.zeros(2, 2, requires_grad=True)
    loss = auxiliary_loss(logits, given)
    loss.backward()
    assert loss.item() == pytest.approx(3 * np.log(2) / 2)
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("head", ["binary", "hazards"])
def test_auxiliary_targets_are_learnt_by_units_of_their_own(small: Any, tmp_path: Path, head: str) -> None:
    cases = small.cases(tmp_path, small.history())
    others = (AuxiliaryTarget(code="LAB//1", within_days=1), AuxiliaryTarget(code="LAB//2", within_days=1))
    model = small.untrained(cases, head=head, auxiliary=others)
    network = model.networks[0]
    batch = make_batch(model.sequences(cases), np.arange(90), model.config)
    label = (torch.arange(90) % 4 == 0).float()
    given = Targets(
        label, label.long(), torch.full((90,), 5.0), torch.ones(90), torch.full((90, 2), torch.nan)
    )
    plain = network.loss(batch, given).item()
    known = network.loss(batch, given._replace(auxiliary=torch.ones(90, 2)))
    outputs = network(batch)
    expected = -torch.nn.functional.logsigmoid(outputs[:, -2:]).sum(1).mean()
    assert known.item() == pytest.approx(plain + 0.3 * expected.item(), rel=1e-5)


def test_risks_at_any_hour_end_at_the_tasks_risk(small: Any, tmp_path: Path) -> None:
    cases = small.cases(tmp_path, small.history())
    model = small.untrained(cases, head="hazards")
    risks = model.risks_at(cases, [0.5, 3.0, 10.0])
    assert (np.diff(risks, axis=1) > -1e-9).all()
    np.testing.assert_allclose(risks[:, 2], model.predict(cases), rtol=1e-6)
    np.testing.assert_allclose(model.predict(cases), sigmoid(model.logits(model.sequences(cases))))


@pytest.mark.parametrize("hours", [0.0, -1.0, 10.5, float("nan")])
def test_hours_past_the_horizon_are_refused(small: Any, tmp_path: Path, hours: float) -> None:
    cases = small.cases(tmp_path, small.history())
    with pytest.raises(ConfigurationError, match="no risk is told so far ahead"):
        small.untrained(cases, head="hazards").risks_at(cases, [hours])


def test_a_head_of_the_outcome_alone_does_not_take_a_death_for_it() -> None:
    """One interval, hazard h of the outcome: -log h of the outcome, -log(1 - h) of all others, deaths too."""
    head = HazardsHead(8, 1, 1)
    head.start_from(0.2, 48.0)
    for event, expected in ((1, -np.log(0.2)), (0, -np.log(0.8)), (2, -np.log(0.8)), (3, -np.log(0.8))):
        lost = head.loss(head(torch.zeros(1, 8)), targets([float(event == 1)], [event], [48.0], [1.0]))
        assert lost.item() == pytest.approx(expected, rel=1e-4)
    early = head.loss(head(torch.zeros(1, 8)), targets([0.0], [2], [3.0], [1.0]))
    assert early.item() == pytest.approx(-np.log(0.8), rel=1e-4), "the dead stay without it to the horizon"


def test_a_binary_head_tells_one_horizon_alone(small: Any, tmp_path: Path) -> None:
    cases = small.cases(tmp_path, small.history())
    with pytest.raises(ConfigurationError, match="head: hazards"):
        small.untrained(cases).risks_at(cases, [5.0])


def test_summaries_and_shared_readings_exclude_each_other() -> None:
    assert TransformerConfig().summaries
    assert not TransformerConfig(reading="shared").summaries
    with pytest.raises(ValueError, match="summaries need reading: alone"):
        TransformerConfig(reading="shared", summaries=True)


def test_a_frozen_body_must_have_been_trained() -> None:
    with pytest.raises(ValueError, match="frozen needs pretrained"):
        TransformerConfig(frozen=True)
