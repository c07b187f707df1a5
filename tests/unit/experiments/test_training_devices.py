"""A step is a step: the same weights from one process or two, from one large batch or several small ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from experiments.training import train_network
from experiments.training_data import PiecesOfOneEpoch, RowData, choose_rows
from experiments.training_steps import pieces_of_device
from experiments.training_trainer import LAST
from ontology.errors import TaskError
from phenotype.networks.config import NetworkConfig
from phenotype.networks.network import Design, Network
from phenotype.networks.targets import RowTargets
from phenotype.ranges import end_to_end
from phenotype.sequences import Ints, Sequences
from phenotype.vocabulary import Vocabulary, fit_vocabulary

TWO = {"devices": 2, "strategy": "ddp_fork_find_unused_parameters_true"}


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")


class PlainConfig(NetworkConfig):
    """Means of embedded codes and values, one hidden layer, dropout."""

    kind: str = "plain"
    dropout: float = 0.3
    learning_rate: float = 1e-2
    batch_positions: int = 512
    max_epochs: int = 4
    min_subjects: int = 5


class PlainBatch(NamedTuple):
    row: Tensor
    place: Tensor
    token: Tensor
    value: Tensor


class PlainNetwork(Network):
    """Shapes: R rows, E events, H hidden."""

    def __init__(self, config: PlainConfig, n_tokens: int) -> None:
        super().__init__()
        self.codes = nn.Embedding(n_tokens + 1, 8)
        self.slopes = nn.Embedding(n_tokens + 1, 8)
        self.hidden = nn.Linear(8, 8)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(8, 1)

    def forward(self, batch: PlainBatch) -> Tensor:
        each = self.codes(batch.token) + self.slopes(batch.token) * batch.value[:, None]
        total = torch.zeros(len(batch.row), 8).index_add(0, batch.place, each)
        count = torch.zeros(len(batch.row)).index_add(0, batch.place, torch.ones(len(batch.place)))
        return self.head(self.drop(torch.relu(self.hidden(total / (1 + count[:, None])))))

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, float(np.log(prevalence / (1 - prevalence))))


def make_batch(
    sequences: Sequences, units: Ints, config: PlainConfig, keep: npt.NDArray[np.bool_] | None
) -> PlainBatch:
    n_events = sequences.n_events()[units]
    place = np.repeat(np.arange(len(units)), n_events)
    event = end_to_end(sequences.static_start[units], n_events)
    if keep is not None:
        place, event = place[keep], event[keep]
    return PlainBatch(
        torch.from_numpy(sequences.first_row[units]),
        torch.from_numpy(place),
        torch.from_numpy(sequences.token[event].astype(np.int64)),
        torch.from_numpy(sequences.value[event]),
    )


def make_network(config: PlainConfig, vocabulary: Vocabulary) -> PlainNetwork:
    return PlainNetwork(config, vocabulary.tokens.height)


def lengths(sequences: Sequences, config: PlainConfig) -> Ints:
    return sequences.n_events()


DESIGN = Design(make_network, make_batch, lengths)


class Trained(NamedTuple):
    """What a training ended with, and what its checkpoint tells of each epoch."""

    weights: dict[str, Tensor]
    tuning_scores: list[float]
    train_losses: list[float]


def train(patients, folder: Path, *, rows=None, on_epoch=None, design=None, **settings: Any) -> Trained:
    config = PlainConfig(**settings)
    train_cases, train_labels, tuning_cases, tuning_labels = patients.parts()
    vocabulary = fit_vocabulary(train_cases.events(), config.min_subjects, config.n_bins)
    learnt, judged = rows or (RowTargets.of_labels(train_labels), RowTargets.of_labels(tuning_labels))
    data = RowData(
        choose_rows(train_cases, learnt, vocabulary, config, 1),
        choose_rows(tuning_cases, judged, vocabulary, config, 1),
        design or DESIGN,
        config,
        1,
    )
    network = train_network(data, vocabulary, folder, on_epoch=on_epoch)
    (checkpoint,) = folder.rglob(LAST)
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    return Trained(network.state_dict(), state["tuning_scores"].tolist(), state["train_losses"].tolist())


def test_two_processes_do_bit_for_bit_what_one_does(patients, tmp_path: Path) -> None:
    """With dropout and event dropout: each micro-batch draws its own, wherever it is worked on."""
    one = train(patients, tmp_path / "one", accumulate=2)
    two = train(patients, tmp_path / "two", accumulate=2, **TWO)
    assert one.tuning_scores == two.tuning_scores
    assert all(torch.equal(one.weights[name], two.weights[name]) for name in one.weights)


def test_two_processes_that_share_each_batch_come_to_the_same_loss(patients, tmp_path: Path) -> None:
    one = train(patients, tmp_path / "one", dropout=0.0)
    two = train(patients, tmp_path / "two", dropout=0.0, **TWO)
    np.testing.assert_allclose(two.tuning_scores, one.tuning_scores, atol=1e-5)
    np.testing.assert_allclose(two.train_losses, one.train_losses, atol=1e-5)


def test_a_training_goes_on_with_other_devices(patients, tmp_path: Path) -> None:
    """Killed on one device after an epoch, ended on two."""

    def stop(epoch: int, score: float) -> None:
        if epoch == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(patients, tmp_path / "killed", accumulate=2, on_epoch=stop)
    told: list[int] = []
    went_on = train(
        patients, tmp_path / "killed", accumulate=2, on_epoch=lambda epoch, _: told.append(epoch), **TWO
    )
    assert told == [0, 1, 2, 3]
    undisturbed = train(patients, tmp_path / "undisturbed", accumulate=2)
    assert went_on.tuning_scores == undisturbed.tuning_scores
    assert all(torch.equal(went_on.weights[name], undisturbed.weights[name]) for name in went_on.weights)


def test_small_batches_gathered_into_one_step_have_the_gradient_of_a_large_one(patients) -> None:
    """Shares times mean losses add up to the weighted mean over all rows, worked out here row by row."""
    config = PlainConfig(dropout=0.0, event_dropout=0.0)
    cases, labels = patients.part(0, 60)
    weights = np.random.default_rng(0).uniform(0.5, 2, 60).astype(np.float32)
    targets = RowTargets.of_labels(labels)
    targets = RowTargets(labels, targets.event, targets.hours, weights)
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    rows = choose_rows(cases, targets, vocabulary, config, 0)
    network = make_network(config, vocabulary)
    network.start_from(0.3)
    nn.init.normal_(network.head.weight)
    batches = [np.arange(0, 10), np.arange(10, 45), np.arange(45, 60)]
    pieces = PiecesOfOneEpoch(rows, DESIGN, config, pieces_of_device(batches, rows.unit_weights(), 3), (0, 0))
    for number in range(len(pieces)):
        batch, of_batch, share, _ = pieces[number]
        (network.loss(batch, of_batch) * share).backward()
    gathered = [weight.grad.clone() for weight in network.parameters()]
    network.zero_grad()
    logits = network(make_batch(rows.sequences, np.arange(60), config, None))[:, 0].double()
    label = torch.from_numpy(labels)
    losses = -torch.where(label, nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits))
    (losses @ torch.from_numpy(weights).double() / float(weights.sum())).backward()
    for weight, expected in zip(network.parameters(), gathered, strict=True):
        torch.testing.assert_close(weight.grad, expected, atol=1e-6, rtol=1e-5)


def test_parts_of_a_batch_drop_the_events_that_the_whole_would(patients) -> None:
    config = PlainConfig(event_dropout=1.0)
    cases, labels = patients.part(0, 40)
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    rows = choose_rows(cases, RowTargets.of_labels(labels), vocabulary, config, 0)
    batches = [np.random.default_rng(0).permutation(40)]

    def read(n_devices: int) -> dict[int, list[float]]:
        """The values that are read of each row, by devices together."""
        found: dict[int, list[float]] = {}
        for device in range(n_devices):
            shared = pieces_of_device(batches, rows.unit_weights(), 1, device, n_devices)
            batch = PiecesOfOneEpoch(rows, DESIGN, config, shared, (3, 1))[0].batch
            for place, row in enumerate(batch.row.tolist()):
                found[row] = batch.value[batch.place == place].tolist()
        return found

    whole = read(1)
    assert read(3) == whole
    assert sum(map(len, whole.values())) < rows.sequences.n_events().sum()


@pytest.mark.parametrize("measure", ["auroc", "auprc"])
def test_the_epoch_kept_is_the_best_by_the_measure_asked_for(patients, tmp_path: Path, measure: str) -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    found = train(patients, tmp_path, stop_on=measure, max_epochs=6, patience=6)
    cases, labels = patients.parts()[2:]
    config = PlainConfig()
    vocabulary = fit_vocabulary(patients.parts()[0].events(), config.min_subjects, config.n_bins)
    rows = choose_rows(cases, RowTargets.of_labels(labels), vocabulary, config, 1)
    network = make_network(config, vocabulary).eval()
    network.load_state_dict(found.weights)
    logits = network(make_batch(rows.sequences, np.arange(len(labels)), config, None))[:, 0].detach().numpy()
    area = {"auroc": roc_auc_score, "auprc": average_precision_score}[measure](labels, logits)
    assert 1 - min(found.tuning_scores) == pytest.approx(area, abs=1e-9)


def test_one_sided_tuning_rows_are_judged_by_the_log_loss(patients, tmp_path: Path, caplog) -> None:
    """A task whose positives are all among the training rows is learnt all the same."""
    learnt = RowTargets.of_labels(patients.parts()[1])
    none = RowTargets.of_labels(np.zeros(len(patients.parts()[3]), dtype=bool))
    found = train(patients, tmp_path, rows=(learnt, none), stop_on="auroc", max_epochs=2)
    assert "tuning rows are one-sided, so the log loss decides" in caplog.text
    assert all(0 < score < 5 for score in found.tuning_scores)


def test_averaged_weights_move_once_a_step(patients, tmp_path: Path) -> None:
    """Without averaging (decay 0) the weights kept are the last step's, however many batches made it."""
    found = train(patients, tmp_path, ema_decay=0.0, accumulate=3, max_epochs=1)
    (checkpoint,) = tmp_path.rglob(LAST)
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    for name, weight in found.weights.items():
        torch.testing.assert_close(state[f"network.{name}"], weight, atol=0, rtol=0)


def test_sixteen_bits_learn_what_thirty_two_do(patients, tmp_path: Path) -> None:
    """bf16 keeps eight bits of a product: losses agree to two digits."""
    settings = {"dropout": 0.0, "event_dropout": 0.0}
    whole = train(patients, tmp_path / "32", precision="32", **settings)
    short = train(patients, tmp_path / "bf16", precision="bf16", **settings)
    np.testing.assert_allclose(short.tuning_scores, whole.tuning_scores, atol=0.01)
    assert short.tuning_scores != whole.tuning_scores
    assert {weight.dtype for weight in short.weights.values()} == {torch.float32}


def test_no_step_is_longer_than_the_clipped_gradient_allows(patients, tmp_path: Path) -> None:
    """A gradient clipped to nothing moves nothing but by decay, of which there is none here."""
    found = train(patients, tmp_path, gradient_clip=1e-30, weight_decay=0.0, max_epochs=1)
    torch.manual_seed(1)
    config = PlainConfig()
    vocabulary = fit_vocabulary(patients.parts()[0].events(), config.min_subjects, config.n_bins)
    drawn = make_network(config, vocabulary).state_dict()
    torch.testing.assert_close(found.weights["hidden.weight"], drawn["hidden.weight"], atol=1e-12, rtol=0)


class HalfFrozen(PlainNetwork):
    """The embeddings stay as they were drawn."""

    def __init__(self, config: PlainConfig, n_tokens: int) -> None:
        super().__init__(config, n_tokens)
        self.codes.requires_grad_(requires_grad=False)

    def forward(self, batch: PlainBatch) -> Tensor:
        assert not self.codes.training
        assert not self.drop.training
        return super().forward(batch)


def make_half_frozen(config: PlainConfig, vocabulary: Vocabulary) -> HalfFrozen:
    return HalfFrozen(config, vocabulary.tokens.height)


def test_what_is_frozen_neither_learns_nor_drops(patients, tmp_path: Path) -> None:
    found = train(patients, tmp_path, design=Design(make_half_frozen, make_batch, lengths), max_epochs=2)
    (checkpoint,) = tmp_path.rglob(LAST)
    state = torch.load(checkpoint, weights_only=True)["state_dict"]
    torch.manual_seed(1)
    cases = patients.parts()[0]
    drawn = make_half_frozen(PlainConfig(), fit_vocabulary(cases.events(), 5, 10)).state_dict()
    assert torch.equal(found.weights["codes.weight"], drawn["codes.weight"])
    assert not torch.equal(state["network.slopes.weight"], drawn["slopes.weight"])


def test_a_training_that_diverges_is_told(patients, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="training diverged"):
        train(patients, tmp_path, learning_rate=1e36, gradient_clip=1e36)
