"""Training promises: it learns, learns nothing from noise, repeats to the bit, and survives being killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import torch
from sklearn.metrics import roc_auc_score

from experiments.training import LAST, EpochLines, fit_transformer
from experiments.training_data import BatchesOfOneEpoch, choose_rows
from ontology.errors import TaskError
from phenotype.cases import ROWS, Cases
from phenotype.networks.causal_transformer import TransformerModel
from phenotype.networks.config import TransformerConfig
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import fit_vocabulary

NOW = datetime(2020, 1, 3)
SMALL = TransformerConfig(
    width=16, n_layers=2, n_heads=2, min_subjects=5, max_epochs=4, batch_positions=512, learning_rate=5e-3
)
N = 400


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")


@dataclass(frozen=True)
class Patients:
    """Half to train, a quarter to tune, a quarter held out; LAB//SIGNAL tells who is positive."""

    path: Path
    labels: npt.NDArray[np.bool_]

    def part(self, first: int, last: int) -> tuple[Cases, npt.NDArray[np.bool_]]:
        rows = pl.DataFrame([(s, NOW, None) for s in range(first, last)], schema=ROWS, orient="row")
        return Cases(open_dataset(self.path), rows), self.labels[first:last]

    def fit(self, folder: Path, config: TransformerConfig = SMALL, seed: int = 1) -> TransformerModel:
        return fit_transformer(*self.part(0, N // 2), *self.part(N // 2, 3 * N // 4), config, seed, folder)


def write_patients(path: Path) -> npt.NDArray[np.bool_]:
    """The dataset of `Patients`; the same for the same path in every process."""
    draw = np.random.default_rng(7)
    signal_of = draw.normal(size=N)
    events = []
    for subject in range(N):
        events.append((subject, None, "SEX//male" if draw.random() < 0.5 else "SEX//female", None))
        for hours in sorted(draw.integers(1, 40, 6)):
            value = signal_of[subject] + 0.3 * draw.normal()
            events.append((subject, NOW - timedelta(hours=int(hours)), "LAB//SIGNAL", value))
            events.append((subject, NOW - timedelta(hours=int(hours)), "LAB//NOISE", draw.normal()))
    names = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    frame = pl.DataFrame(events, schema=names, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    (path / "data").mkdir(parents=True, exist_ok=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(path / "data" / "0.parquet")
    return signal_of + 0.3 * draw.normal(size=N) > 0.5


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Patients:
    path = tmp_path_factory.mktemp("patients")
    return Patients(path, write_patients(path))


@pytest.fixture(scope="module")
def trained(patients: Patients, tmp_path_factory: pytest.TempPathFactory) -> TransformerModel:
    """The training that nothing disturbed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PESTA_THREADS", "1")
        return patients.fit(tmp_path_factory.mktemp("undisturbed"))


def weights(model: TransformerModel) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in model.parts().tensors.items()}


def test_it_learns_what_is_there(patients: Patients, trained: TransformerModel) -> None:
    cases, labels = patients.part(3 * N // 4, N)
    assert roc_auc_score(labels, trained.predict(cases)) > 0.85


def test_shuffled_labels_teach_nothing(patients: Patients, tmp_path: Path) -> None:
    shuffled = Patients(patients.path, np.random.default_rng(0).permutation(patients.labels))
    cases, labels = patients.part(3 * N // 4, N)
    risks = shuffled.fit(tmp_path).predict(cases)
    assert abs(roc_auc_score(shuffled.labels[3 * N // 4 :], risks) - 0.5) < 0.15
    assert abs(float(risks.mean()) - labels.mean()) < 0.15


def test_equal_seeds_give_equal_bits_and_others_do_not(
    patients: Patients, trained: TransformerModel, tmp_path: Path
) -> None:
    assert weights(patients.fit(tmp_path / "a")) == weights(trained)
    assert weights(patients.fit(tmp_path / "b", seed=2)) != weights(trained)


class CrashError(RuntimeError):
    """Stands for the power going."""


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_crash_after_any_epoch_ends_in_equal_bits(
    patients: Patients, trained: TransformerModel, tmp_path: Path, epoch: int
) -> None:
    def crash(self: object, trainer: object, pl_module: torch.nn.Module) -> None:
        if getattr(trainer, "current_epoch", None) == epoch:
            raise CrashError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochLines, "on_train_epoch_end", crash)
        with pytest.raises(CrashError):
            patients.fit(tmp_path)
    assert weights(patients.fit(tmp_path)) == weights(trained)


def test_a_finished_training_is_not_trained_again(
    patients: Patients, trained: TransformerModel, tmp_path: Path
) -> None:
    patients.fit(tmp_path)
    (checkpoint,) = tmp_path.rglob(LAST)
    before = checkpoint.stat().st_mtime_ns
    assert weights(patients.fit(tmp_path)) == weights(trained)
    assert checkpoint.stat().st_mtime_ns == before


def test_other_data_start_anew(patients: Patients, tmp_path: Path) -> None:
    """A checkpoint of other labels in the same folder is not taken up."""
    other = Patients(patients.path, ~patients.labels)
    short = SMALL.model_copy(update={"max_epochs": 1})
    other.fit(tmp_path, short)
    alone = patients.fit(tmp_path / "alone", short)
    assert weights(patients.fit(tmp_path, short)) == weights(alone)


def test_checkpoints_hold_tensors_and_plain_values_only(patients: Patients, tmp_path: Path) -> None:
    patients.fit(tmp_path, SMALL.model_copy(update={"max_epochs": 1}))
    (checkpoint,) = tmp_path.rglob(LAST)
    loaded = torch.load(checkpoint, weights_only=True)
    assert {"state_dict", "optimizer_states", "lr_schedulers", "callbacks"} <= set(loaded)
    assert [file.name for file in checkpoint.parent.iterdir()] == [LAST]


def test_killed_at_any_moment_it_ends_in_equal_bits(
    patients: Patients, trained: TransformerModel, tmp_path: Path
) -> None:
    """SIGKILL to a training process once it has written a checkpoint; the next one goes on."""
    script = (
        "import importlib.util, sys\n"
        "from pathlib import Path\n"
        f"spec = importlib.util.spec_from_file_location('here', {__file__!r})\n"
        "here = importlib.util.module_from_spec(spec)\n"
        "sys.modules['here'] = here\n"
        "spec.loader.exec_module(here)\n"
        f"path = Path({str(tmp_path / 'data_of_child')!r})\n"
        f"here.Patients(path, here.write_patients(path)).fit(Path({str(tmp_path / 'run')!r}))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PESTA_THREADS": "1"})
    deadline = time.monotonic() + 120
    while child.poll() is None and not list((tmp_path / "run").rglob(LAST)) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert list((tmp_path / "run").rglob(LAST)), "the child wrote no checkpoint in time"
    assert weights(patients.fit(tmp_path / "run")) == weights(trained)


def test_it_stops_early_where_tuning_does_not_improve(patients: Patients, tmp_path: Path) -> None:
    shuffled = Patients(patients.path, np.random.default_rng(3).permutation(patients.labels))
    hasty = SMALL.model_copy(update={"max_epochs": 40, "patience": 1, "learning_rate": 0.02})
    shuffled.fit(tmp_path, hasty)
    (checkpoint,) = tmp_path.rglob(LAST)
    assert torch.load(checkpoint, weights_only=True)["epoch"] < 39
    before = checkpoint.stat().st_mtime_ns
    shuffled.fit(tmp_path, hasty)
    assert checkpoint.stat().st_mtime_ns == before, "a training that stopped early is finished"


def test_the_callers_random_numbers_and_threads_are_left_alone(patients: Patients, tmp_path: Path) -> None:
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    patients.fit(tmp_path, SMALL.model_copy(update={"max_epochs": 1}))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def hourly(patients: Patients) -> tuple[Cases, npt.NDArray[np.bool_]]:
    times = [NOW - timedelta(hours=hours) for hours in range(9, -1, -1)]
    rows = pl.DataFrame([(s, t, None) for s in range(50) for t in times], schema=ROWS, orient="row")
    return Cases(open_dataset(patients.path), rows), np.repeat(patients.labels[:50], 10)


def test_hourly_rows_are_thinned_by_the_seed(patients: Patients) -> None:
    cases, labels = hourly(patients)
    config = SMALL.model_copy(update={"max_rows_per_subject": 3})
    vocabulary = fit_vocabulary(cases.events(), 5, 10)
    chosen = [choose_rows(cases, labels, vocabulary, config, seed) for seed in (0, 0, 1)]
    assert [rows.sequences.n_rows for rows in chosen] == [150, 150, 150]
    np.testing.assert_array_equal(chosen[0].sequences.prediction, chosen[1].sequences.prediction)
    assert (chosen[0].sequences.prediction != chosen[2].sequences.prediction).any()
    assert set(np.unique(chosen[0].sequences.static_start, return_counts=True)[1]) == {3}
    assert chosen[0].labels.mean() == labels.mean()


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (1.0, 0.5)])
def test_event_dropout_keeps_half_of_the_events_it_touches(
    patients: Patients, share: float, expected: float
) -> None:
    """A share drawn from U(0, 1) keeps half on average; 500 rows make the mean good to 0.05."""
    cases, labels = hourly(patients)
    config = SMALL.model_copy(
        update={"event_dropout": share, "max_rows_per_subject": 10, "position": "event"}
    )
    rows = choose_rows(cases, labels, fit_vocabulary(cases.events(), 5, 10), config, 0)
    batches = [np.arange(n, n + 5) for n in range(0, 500, 5)]
    dataset = BatchesOfOneEpoch(rows, config, batches, (0, 0))
    kept = sum(int((dataset[n][0].kind == 3).sum()) for n in range(100))
    all_events = int((rows.sequences.end - rows.sequences.recent_start).sum())
    assert kept / all_events == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"min_subjects": 10_000}, "no code is frequent enough"),
        ({"learning_rate": 1e36, "gradient_clip": 1e36}, "training diverged"),
    ],
)
def test_what_cannot_be_trained_is_told(
    patients: Patients, tmp_path: Path, change: dict[str, float], said: str
) -> None:
    with pytest.raises(TaskError, match=said):
        patients.fit(tmp_path, SMALL.model_copy(update=change))


def test_one_sided_labels_are_told(patients: Patients, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="nothing to learn"):
        Patients(patients.path, np.zeros(N, dtype=bool)).fit(tmp_path)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_is_used_where_there_is_one(patients: Patients, tmp_path: Path) -> None:
    torch.cuda.reset_peak_memory_stats()
    model = patients.fit(tmp_path)
    assert torch.cuda.max_memory_allocated() > 0
    cases, labels = patients.part(3 * N // 4, N)
    assert roc_auc_score(labels, model.predict(cases)) > 0.9
