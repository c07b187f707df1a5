"""Every kind of network in training: the same seed gives the same bits, and odd records do no harm."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from experiments.fitting import fit_model
from phenotype.cases import Cases
from phenotype.networks.model import DESIGNS, NetworkModel, config_class
from phenotype.trajectory import open_dataset

KINDS = sorted(DESIGNS)
ODD = (1e30, -1e30, float("inf"), float("-inf"), float("nan"))
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")


def fit(kind: str, patients: Any, folder: Path, seed: int = 1, **settings: Any) -> NetworkModel:
    wanted = {"kind": kind, "min_subjects": 5, "max_epochs": 2, "learning_rate": 0.01} | settings
    config = config_class(kind).model_validate(wanted)
    model = fit_model(config, *patients.parts(), seed=seed, folder=folder)  # type: ignore[arg-type]
    assert isinstance(model, NetworkModel)
    return model


def weights(model: NetworkModel) -> dict[str, bytes]:
    return {name: tensor.tobytes() for name, tensor in model.parts().tensors.items()}


def rewritten(patients: Any, change: Any, folder: Path, n_shards: int = 1) -> Any:
    """The patients with other events, in so many shards."""
    events = change(pl.read_parquet(patients.path / "data" / "*.parquet"))
    (folder / "data").mkdir(parents=True)
    for number in range(n_shards):
        part = events.filter(pl.col("subject_id") % n_shards == number)
        part.write_parquet(folder / "data" / f"{number}.parquet")
    return type(patients)(folder, patients.labels)


@each_kind
def test_a_seed_gives_its_weights_however_the_events_lie(kind: str, patients: Any, tmp_path: Path) -> None:
    other_order = rewritten(
        patients, lambda events: events.sample(fraction=1, shuffle=True, seed=5), tmp_path / "data", 3
    )
    one = fit(kind, patients, tmp_path / "one")
    assert weights(fit(kind, other_order, tmp_path / "two")) == weights(one)
    assert weights(fit(kind, patients, tmp_path / "three", seed=2)) != weights(one)


@each_kind
def test_odd_values_in_training_do_no_harm(kind: str, patients: Any, tmp_path: Path) -> None:
    """One value in fifty is odd; the others still tell who is positive."""

    def spoilt(events: pl.DataFrame) -> pl.DataFrame:
        """The events, some with values that no instrument gives."""
        draw = np.random.default_rng(4)
        values = events["numeric_value"].to_numpy().copy()
        hit = draw.random(len(values)) < 0.02
        values[hit] = draw.choice(ODD, hit.sum())
        return events.with_columns(pl.Series("numeric_value", values, pl.Float32))

    odd = rewritten(patients, spoilt, tmp_path / "data")
    model = fit(kind, odd, tmp_path / "fit", max_epochs=4)
    cases, labels = odd.held_out()
    risks = model.predict(cases)
    assert np.isfinite(risks).all()
    assert roc_auc_score(labels, risks) > 0.85


@each_kind
def test_patients_with_one_event_or_none_train_beside_others(
    kind: str, patients: Any, tmp_path: Path
) -> None:
    def thinned(events: pl.DataFrame) -> pl.DataFrame:
        """A third of the patients keep one event, a ninth none."""
        alone = events.unique("subject_id", keep="first", maintain_order=True)
        third, ninth = pl.col("subject_id") % 3 == 0, pl.col("subject_id") % 9 == 0
        return pl.concat([events.filter(~third), alone.filter(third & ~ninth)]).sort("subject_id", "time")

    few = rewritten(patients, thinned, tmp_path / "data")
    risks = fit(kind, few, tmp_path / "fit").predict(few.held_out()[0])
    assert np.isfinite(risks).all()


@each_kind
def test_a_model_is_asked_at_other_times_of_other_data(kind: str, patients: Any, tmp_path: Path) -> None:
    """Years after the last event, before the first, and of a dataset with no code that it knows."""
    model = fit(kind, patients, tmp_path / "fit")
    cases, _ = patients.held_out()
    for days in (-400, 4000):
        moved = cases.rows.with_columns(pl.col("prediction_time") + timedelta(days=days))
        assert np.isfinite(model.predict(Cases(cases.dataset, moved))).all()
    foreign = rewritten(
        patients, lambda events: events.with_columns(code="X//" + pl.col("code")), tmp_path / "data"
    )
    found = model.predict(Cases(open_dataset(foreign.path), cases.rows))
    assert np.allclose(found, found[0])
