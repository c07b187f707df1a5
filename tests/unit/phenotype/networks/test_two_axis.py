"""The two-axis network's own parts: scales against another implementation, members, auxiliary targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import skew
from sklearn.preprocessing import StandardScaler

from phenotype.networks.config import AuxiliaryTarget
from phenotype.networks.network import Targets
from phenotype.networks.panels import N_SUMMARIES, SUMMARIES, make_panel
from phenotype.networks.two_axis import DESIGN, TwoAxisNetwork, prepare, read_variables
from phenotype.networks.two_axis_config import TwoAxisConfig
from phenotype.networks.two_axis_layers import LIMIT, Scales
from phenotype.sequences import Sequences, make_sequences, readable_events
from phenotype.vocabulary import Vocabulary, fit_vocabulary

SETTINGS = {"min_subjects": 1, "dropout": 0.0, "input_dropout": 0.0, "width": 16, "n_members": 3}


def drawn(folder: Path, small: Any, **settings: object) -> tuple[TwoAxisConfig, Vocabulary, Sequences]:
    config = TwoAxisConfig.model_validate(SETTINGS | settings)
    cases = small.cases(folder, small.history())
    vocabulary = fit_vocabulary(readable_events(cases, config), 1, config.n_bins)
    return config, vocabulary, make_sequences(cases, vocabulary, config)


def targets(n: int, n_auxiliary: int = 0) -> Targets:
    draw = torch.Generator().manual_seed(0)
    label = (torch.rand(n, generator=draw) < 0.5).float()
    auxiliary = (torch.rand(n, n_auxiliary, generator=draw) < 0.5).float()
    return Targets(label, label.long(), torch.ones(n), torch.ones(n), auxiliary)


def test_scales_standardise_as_scikit_learn_does() -> None:
    """Skewed columns after the logarithm of what they are above their lowest, absent ones as 0."""
    draw = np.random.default_rng(0)
    level, tailed = draw.normal(5, 3, 400), draw.lognormal(0, 1.5, 400)
    assert abs(skew(level)) < 2 < skew(tailed)
    numbers = np.column_stack([level, tailed])
    scales = Scales(1, 2)
    scales.measure(torch.from_numpy(numbers).float(), torch.zeros(400, dtype=torch.int64))
    expected = StandardScaler().fit_transform(np.column_stack([level, np.log1p(tailed - tailed.min())]))
    found = scales(torch.from_numpy(numbers).float()[:, None])[:, 0].numpy()
    np.testing.assert_allclose(found, np.clip(expected, -LIMIT, LIMIT), atol=1e-3)
    assert scales(torch.full((1, 1, 2), torch.nan)).tolist() == [[[0.0, 0.0]]]


def test_scales_of_too_few_numbers_stay_as_they_are() -> None:
    scales = Scales(2, 1)
    scales.measure(torch.arange(19.0)[:, None], torch.zeros(19, dtype=torch.int64))
    assert scales.mean.tolist() == [[0.0], [0.0]]
    assert scales.scale.tolist() == [[1.0], [1.0]]


def test_preparing_reads_training_rows_alone_and_sets_buffers_alone(tmp_path: Path, small: Any) -> None:
    config, vocabulary, sequences = drawn(tmp_path, small)
    network = DESIGN.make_network(config, vocabulary)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    prepare(network, sequences, config)
    for name, weight in network.named_parameters():
        assert torch.equal(weight, before[name])
    assert (network.scales.scale != 1).any()


def test_the_commonest_variables_are_read(tmp_path: Path, small: Any) -> None:
    config, vocabulary, sequences = drawn(tmp_path, small, max_variables=2)
    read = read_variables(config, vocabulary)
    n_subjects = vocabulary.tokens["n_subjects"].to_numpy()
    assert sorted(read.tolist())[-2:] == [0, 1]
    assert (read >= 0).sum() == 2
    assert n_subjects[read >= 0].min() >= n_subjects[read < 0].max()
    network = DESIGN.make_network(config, vocabulary).eval()
    units = np.arange(sequences.n_units)
    variables = read[sequences.token] >= 0
    keep = np.concatenate([variables[sequences.static_start[u] : sequences.end[u]] for u in units])
    age = torch.zeros(len(units))
    whole = make_panel(sequences, units, config.window_hours)._replace(age=age)
    part = make_panel(sequences, units, config.window_hours, keep)._replace(age=age)
    assert torch.allclose(network(whole), network(part), atol=1e-6)


def test_each_member_is_trained_alone(tmp_path: Path, small: Any) -> None:
    """The loss is the mean of the members' own losses, not the loss of their mean."""
    config, vocabulary, sequences = drawn(tmp_path, small)
    network = DESIGN.make_network(config, vocabulary)
    with torch.no_grad():
        network.out_bias.copy_(torch.tensor([[-2.0], [0.0], [1.0]]))
    batch = make_panel(sequences, np.arange(sequences.n_units), config.window_hours)
    wanted = targets(sequences.n_units)
    logits = network(batch).double()
    label = wanted.label.double()[:, None]
    by_hand = -(label * logits.sigmoid().log() + (1 - label) * (1 - logits.sigmoid()).log()).mean()
    assert network.loss(batch, wanted).item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert torch.allclose(network.risk(network(batch)), logits.mean(1).float(), atol=1e-6)


def test_unknown_auxiliary_targets_weigh_nothing(tmp_path: Path, small: Any) -> None:
    asked = (AuxiliaryTarget(code="LAB//1", within_days=1), AuxiliaryTarget(code="stay_end", within_days=1))
    config, vocabulary, sequences = drawn(tmp_path, small, auxiliary=asked)
    network = DESIGN.make_network(config, vocabulary)
    batch = make_panel(sequences, np.arange(sequences.n_units), config.window_hours)
    n = sequences.n_units
    whole = targets(n, 2)
    unknown = whole._replace(auxiliary=torch.full((n, 2), torch.nan))
    alone = TwoAxisNetwork.loss(network, batch, unknown)
    assert alone.isfinite()
    assert network.loss(batch, whole) > alone
    alone.backward()
    assert network.out.grad is not None
    assert network.out.grad[:, :, 1:].abs().max() == 0
    assert network.out.grad[:, :, 0].abs().max() > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"n_queries": 0},
        {"variable_layers": 1},
        {"n_layers": 1},
        {"summary_hours": (2, 5)},
        {"gate_penalty": 0.001},
    ],
)
def test_parts_can_be_left_out_or_added(settings: dict[str, Any], tmp_path: Path, small: Any) -> None:
    config, vocabulary, sequences = drawn(tmp_path, small, **settings)
    network = DESIGN.make_network(config, vocabulary)
    prepare(network, sequences, config)
    batch = DESIGN.make_batch(sequences, np.arange(sequences.n_units), config, None)
    loss = network.loss(batch, targets(sequences.n_units))
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is not None for weight in network.parameters())


def test_open_gates_change_nothing_but_the_loss(tmp_path: Path, small: Any) -> None:
    """Gates begin at 1: the same weights and answers as without, and the loss dearer by penalty x inputs."""
    made = {}
    for penalty in (0.0, 0.001):
        config, vocabulary, sequences = drawn(tmp_path, small, gate_penalty=penalty)
        torch.manual_seed(0)
        network = DESIGN.make_network(config, vocabulary)
        prepare(network, sequences, config)
        batch = DESIGN.make_batch(sequences, np.arange(sequences.n_units), config, None)
        made[penalty] = network, network(batch), network.loss(batch, targets(sequences.n_units))
    (plain, answers, loss), (gated, gated_answers, gated_loss) = made.values()
    assert set(gated.state_dict()) == {*plain.state_dict(), "gate"}
    assert torch.equal(answers, gated_answers)
    assert (gated_loss - loss).item() == pytest.approx(0.001 * gated.layers[0].weight.shape[1], rel=1e-4)


def test_gates_of_what_tells_nothing_shut(tmp_path: Path, small: Any) -> None:
    """The answer is whether the last LAB//1 is above 0: its gate stays open, most others shut."""
    asked = {"n_queries": 0, "n_members": 2, "gate_penalty": 0.01}
    config, vocabulary, sequences = drawn(tmp_path, small, **asked)
    torch.manual_seed(0)
    network = DESIGN.make_network(config, vocabulary)
    prepare(network, sequences, config)
    batch = DESIGN.make_batch(sequences, np.arange(sequences.n_units), config, None)
    token = vocabulary.tokens["token"].to_list().index("LAB//1")
    variable, last = int(read_variables(config, vocabulary)[token]), SUMMARIES.index("last")
    told = network.summaries(batch, network.places(batch))[:, variable, last]
    label = (told + network.offset[token] > 0).float()
    wanted = targets(sequences.n_units)._replace(label=label)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(300):
        optimizer.zero_grad()
        network.loss(batch, wanted).backward()
        optimizer.step()
    gate = network.gate.detach().abs()
    place = 2 + variable * (N_SUMMARIES + 2) + last
    assert gate[place] > 0.1
    assert gate[place] >= gate.sort(descending=True).values[4]
    assert (gate < 0.02).float().mean() > 0.8
