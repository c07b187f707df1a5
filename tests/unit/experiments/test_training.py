"""Training promises: it learns, learns nothing from noise, repeats to the bit, and survives being killed."""

from __future__ import annotations

import dataclasses
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch
from scipy.special import logit
from sklearn.metrics import roc_auc_score

from experiments.fitting import fit_model
from experiments.training_data import PiecesOfOneEpoch, choose_rows
from experiments.training_steps import pieces_of_device
from experiments.training_trainer import LAST, AtomicCheckpointIO, EpochLines, make_trainer
from ontology.errors import ConfigurationError, TaskError
from phenotype.cases import ROWS, Cases
from phenotype.networks.config import TransformerConfig
from phenotype.networks.model import NetworkModel, design_of
from phenotype.networks.positions import RECENT
from phenotype.networks.targets import RowTargets
from phenotype.token_store import tokenise
from phenotype.trajectory import open_dataset
from phenotype.vocabulary import fit_vocabulary

NOW = datetime(2020, 1, 3)
SMALL = TransformerConfig(
    width=16, n_layers=2, n_heads=2, min_subjects=5, max_epochs=4, batch_positions=512, learning_rate=5e-3
)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")


def fit(patients, folder: Path, config: TransformerConfig = SMALL, seed: int = 1, **more) -> NetworkModel:
    return fit_model(config, *patients.parts(), seed=seed, folder=folder, **more)


def relabelled(patients, labels: npt.NDArray[np.bool_]):
    return dataclasses.replace(patients, labels=labels)


@pytest.fixture(scope="module")
def trained(patients, tmp_path_factory: pytest.TempPathFactory) -> NetworkModel:
    """The training that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PESTA_THREADS", "1")
        return fit(patients, tmp_path_factory.mktemp("undisturbed"))


def weights(model: NetworkModel) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.parts().tensors.items()}


def test_it_learns_what_is_there(patients, trained: NetworkModel) -> None:
    cases, labels = patients.held_out()
    assert roc_auc_score(labels, trained.predict(cases)) > 0.85


def test_shuffled_labels_teach_nothing(patients, tmp_path: Path) -> None:
    shuffled = relabelled(patients, np.random.default_rng(0).permutation(patients.labels))
    cases, labels = patients.held_out()
    risks = fit(shuffled, tmp_path).predict(cases)
    assert abs(roc_auc_score(shuffled.labels[300:], risks) - 0.5) < 0.15
    assert abs(float(risks.mean()) - labels.mean()) < 0.15


def test_equal_seeds_give_equal_bits_and_others_do_not(
    patients, trained: NetworkModel, tmp_path: Path
) -> None:
    assert weights(fit(patients, tmp_path / "a")) == weights(trained)
    assert weights(fit(patients, tmp_path / "b", seed=2)) != weights(trained)


class CrashError(RuntimeError):
    """Stands for the power going."""


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_crash_after_any_epoch_ends_in_equal_bits(
    patients, trained: NetworkModel, tmp_path: Path, epoch: int
) -> None:
    def crash(self: object, trainer: object, pl_module: torch.nn.Module) -> None:
        if getattr(trainer, "current_epoch", None) == epoch:
            raise CrashError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLines, "on_train_epoch_end", crash)
        with pytest.raises(CrashError):
            fit(patients, tmp_path)
    assert weights(fit(patients, tmp_path)) == weights(trained)


def test_a_finished_training_is_not_trained_again(patients, trained: NetworkModel, tmp_path: Path) -> None:
    fit(patients, tmp_path)
    (checkpoint,) = tmp_path.rglob(LAST)
    before = checkpoint.stat().st_mtime_ns
    assert weights(fit(patients, tmp_path)) == weights(trained)
    assert checkpoint.stat().st_mtime_ns == before


@pytest.mark.parametrize("damage", ["cut", "emptied", "foreign"])
def test_a_damaged_checkpoint_is_trained_anew(
    patients, trained: NetworkModel, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    fit(patients, tmp_path)
    (checkpoint,) = tmp_path.rglob(LAST)
    content = checkpoint.read_bytes()
    damaged = {"cut": content[: len(content) // 2], "emptied": b"", "foreign": b"no checkpoint at all"}
    checkpoint.write_bytes(damaged[damage])
    assert weights(fit(patients, tmp_path)) == weights(trained)
    assert "checkpoint is damaged" in caplog.text


def test_other_data_start_anew(patients, tmp_path: Path) -> None:
    """A checkpoint of other labels in the same folder is not taken up."""
    other = relabelled(patients, ~patients.labels)
    short = SMALL.model_copy(update={"max_epochs": 1})
    fit(other, tmp_path, short)
    alone = fit(patients, tmp_path / "alone", short)
    assert weights(fit(patients, tmp_path, short)) == weights(alone)


def test_checkpoints_hold_tensors_and_plain_values_only(patients, tmp_path: Path) -> None:
    fit(patients, tmp_path, SMALL.model_copy(update={"max_epochs": 1}))
    (checkpoint,) = tmp_path.rglob(LAST)
    loaded = torch.load(checkpoint, weights_only=True)
    assert {"state_dict", "optimizer_states", "lr_schedulers", "callbacks"} <= set(loaded)
    assert [file.name for file in checkpoint.parent.iterdir()] == [LAST]


CHILD = """
import importlib.util, sys
from pathlib import Path
from experiments.fitting import fit_model
from phenotype.networks.config import TransformerConfig
spec = importlib.util.spec_from_file_location("here", sys.argv[1])
here = importlib.util.module_from_spec(spec)
sys.modules["here"] = here
spec.loader.exec_module(here)
config = TransformerConfig.model_validate_json(sys.argv[2])
fit_model(config, *here.write_patients(Path(sys.argv[3])).parts(), seed=1, folder=Path(sys.argv[4]))
"""


def test_killed_at_any_moment_it_ends_in_equal_bits(patients, trained: NetworkModel, tmp_path: Path) -> None:
    """SIGKILL to a training process once it has written a checkpoint; the next one goes on."""
    command = [sys.executable, "-c", CHILD, str(Path(__file__).with_name("conftest.py"))]
    command += [SMALL.model_dump_json(), str(tmp_path / "data_of_child"), str(tmp_path / "run")]
    child = subprocess.Popen(command, env=os.environ | {"PESTA_THREADS": "1"})
    deadline = time.monotonic() + 120
    while child.poll() is None and not list((tmp_path / "run").rglob(LAST)) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert list((tmp_path / "run").rglob(LAST)), "the child wrote no checkpoint in time"
    assert weights(fit(patients, tmp_path / "run")) == weights(trained)


def test_it_stops_early_where_tuning_does_not_improve(patients, tmp_path: Path) -> None:
    shuffled = relabelled(patients, np.random.default_rng(3).permutation(patients.labels))
    hasty = SMALL.model_copy(update={"max_epochs": 40, "patience": 1, "learning_rate": 0.02})
    fit(shuffled, tmp_path, hasty)
    (checkpoint,) = tmp_path.rglob(LAST)
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 39
    before = checkpoint.stat().st_mtime_ns
    fit(shuffled, tmp_path, hasty)
    assert checkpoint.stat().st_mtime_ns == before, "a training that stopped early is finished"


def test_the_callers_random_numbers_and_threads_are_left_alone(patients, tmp_path: Path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    fit(patients, tmp_path, SMALL.model_copy(update={"max_epochs": 1}))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def hourly(patients) -> tuple[Cases, npt.NDArray[np.bool_]]:
    times = [NOW - timedelta(hours=hours) for hours in range(9, -1, -1)]
    rows = pl.DataFrame([(s, t, None) for s in range(50) for t in times], schema=ROWS, orient="row")
    return Cases(open_dataset(patients.path), rows), np.repeat(patients.labels[:50], 10)


def test_hourly_rows_are_thinned_by_the_seed(patients) -> None:
    cases, labels = hourly(patients)
    config = SMALL.model_copy(update={"max_rows_per_subject": 3})
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    targets = RowTargets.of_labels(labels)
    chosen = [choose_rows(cases, targets, vocabulary, config, seed) for seed in (0, 0, 1)]
    assert [rows.sequences.n_rows for rows in chosen] == [150, 150, 150]
    np.testing.assert_array_equal(chosen[0].sequences.prediction, chosen[1].sequences.prediction)
    assert (chosen[0].sequences.prediction != chosen[2].sequences.prediction).any()
    assert set(np.unique(chosen[0].sequences.static_start, return_counts=True)[1]) == {3}
    assert chosen[0].targets.labels.mean() == labels.mean()


def test_all_hourly_rows_are_learnt_where_none_are_thinned(patients) -> None:
    """Read together, a patient's ten rows are one unit that weighs ten."""
    cases, labels = hourly(patients)
    config = TransformerConfig(max_rows_per_subject=None, reading="shared", position="event")
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    rows = choose_rows(cases, RowTargets.of_labels(labels), vocabulary, config, 0)
    assert rows.sequences.n_rows == 500
    np.testing.assert_array_equal(rows.unit_weights(), np.full(50, 10.0))


def test_rows_go_to_another_process_without_the_events_that_lie_on_disk(patients, tmp_path: Path) -> None:
    cases, labels = patients.part(0, 100)
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    store = tokenise(cases.dataset, vocabulary, SMALL, tmp_path, subjects=np.arange(100))
    rows = choose_rows(cases, RowTargets.of_labels(labels), vocabulary, SMALL, 0, store)
    sent = pickle.dumps(rows)
    assert len(sent) < rows.sequences.known.nbytes + 100 * 200
    received = pickle.loads(sent)  # noqa: S301 our own
    assert received.digest() == rows.digest()
    in_memory = choose_rows(cases, RowTargets.of_labels(labels), vocabulary, SMALL, 0)
    for name in ("known", "value", "token", "row_end"):
        np.testing.assert_array_equal(getattr(received.sequences, name), getattr(in_memory.sequences, name))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (1.0, 0.5)])
def test_event_dropout_keeps_half_of_the_events_it_touches(patients, share: float, expected: float) -> None:
    """A share drawn from U(0, 1) keeps half on average; 500 rows make the mean good to 0.05."""
    cases, labels = hourly(patients)
    config = SMALL.model_copy(
        update={"event_dropout": share, "max_rows_per_subject": None, "position": "event"}
    )
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    rows = choose_rows(cases, RowTargets.of_labels(labels), vocabulary, config, 0)
    batches = [np.arange(n, n + 5) for n in range(0, 500, 5)]
    pieces = pieces_of_device(batches, rows.unit_weights(), 1)
    dataset = PiecesOfOneEpoch(rows, design_of(config.kind), config, pieces, (0, 0))
    kept = sum(int((dataset[n].batch.kind == RECENT).sum()) for n in range(100))
    all_events = int((rows.sequences.end - rows.sequences.recent_start).sum())
    assert kept / all_events == pytest.approx(expected, abs=0.05)


def test_several_seeds_are_several_trainings_that_answer_together(patients, trained, tmp_path: Path) -> None:
    """The mean of their logits; the first is the training that stands alone with that seed."""
    both = fit(patients, tmp_path, SMALL.model_copy(update={"n_seeds": 2}))
    second = fit(patients, tmp_path / "second", seed=2)
    cases, _ = patients.held_out()
    mean = (logit(trained.predict(cases)) + logit(second.predict(cases))) / 2
    np.testing.assert_allclose(logit(both.predict(cases)), mean, atol=1e-9)
    assert len(list(tmp_path.glob(f"*/{LAST}"))) == 2


def test_epochs_are_told_as_they_end_and_told_again_when_resumed(patients, tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []
    fit(patients, tmp_path, on_epoch=lambda epoch, score: told.append((epoch, score)))
    again: list[tuple[int, float]] = []
    fit(patients, tmp_path, on_epoch=lambda epoch, score: again.append((epoch, score)))
    assert [epoch for epoch, _ in told] == [0, 1, 2, 3]
    assert told == again


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"min_subjects": 10_000}, "no code is frequent enough"),
        ({"learning_rate": 1e36, "gradient_clip": 1e36}, "training diverged"),
    ],
)
def test_what_cannot_be_trained_is_told(
    patients, tmp_path: Path, change: dict[str, float], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        fit(patients, tmp_path, SMALL.model_copy(update=change))


def test_one_sided_labels_are_told(patients, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nothing to learn"):
        fit(relabelled(patients, np.zeros(400, dtype=bool)), tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_used_where_there_is_one(patients, tmp_path: Path) -> None:
    torch.cuda.reset_peak_memory_stats()
    model = fit(patients, tmp_path)
    assert torch.cuda.max_memory_allocated() > 0
    cases, labels = patients.held_out()
    assert roc_auc_score(labels, model.predict(cases)) > 0.9


def test_a_checkpoint_for_which_there_is_no_room_is_told_as_such_and_leaves_the_one_before(
    tmp_path: Path,
) -> None:
    """torch says "unexpected pos" of a full disk, which would look like a defect."""
    keeper, file = AtomicCheckpointIO(), tmp_path / LAST
    keeper.save_checkpoint({"epoch": 1}, file)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            keeper.save_checkpoint({"epoch": 2, "weights": torch.zeros(100_000)}, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.load(file, weights_only=True) == {"epoch": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [LAST]


def test_a_strategy_that_lightning_does_not_know_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot train so"):
        make_trainer(TransformerConfig(strategy="nonsense"), tmp_path)
