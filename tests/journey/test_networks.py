"""One small run with every kind of network and an ensemble, through the command line: run, score, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from meds_evaluation.schema import PredictionSchema
from pyarrow import parquet
from scipy.special import expit, logit

from phenotype.bundle import load_bundle
from phenotype.cases import Cases
from phenotype.ensemble import EnsembleModel
from phenotype.networks.model import DESIGNS
from phenotype.trajectory import open_dataset

TASK = "stay_death_30d_24h"
KEYS = ["subject_id", "prediction_time"]
MODELS: dict[str, dict[str, Any]] = {
    "lightgbm": {"kind": "lightgbm", "n_seeds": 1, "max_trees": 40, "patience": 20},
    "transformer": {
        "kind": "transformer",
        "width": 16,
        "n_layers": 1,
        "max_epochs": 1,
        "max_positions": 16,
        "n_seeds": 2,
    },
    "gru": {"kind": "gru", "width": 16, "max_epochs": 1, "max_positions": 32},
    "gru_d": {"kind": "gru_d", "width": 8, "side_width": 8, "max_epochs": 1, "max_positions": 16},
    "two_axis": {"kind": "two_axis", "max_epochs": 1, "max_positions": 16},
    "together": {"kind": "ensemble", "members": ["lightgbm", *sorted(DESIGNS)]},
}
RUN = {
    "name": "networks",
    "tasks": [TASK],
    "features": {"windows": ["24h", "full"], "aggregations": ["count", "last"], "min_subjects": 20},
    "models": MODELS,
    "splits": {"kind": "random", "fractions": {"train": 0.6, "tuning": 0.2, "held_out": 0.2}},
    "evaluation": {"n_bootstrap": 20},
    "reasons": {"n_highest": 1, "n_lowest": 0, "n_population": 0},
}


@pytest.fixture(scope="module")
def finished(run_through: Callable[[dict[str, Any]], Path]) -> Path:
    return run_through(RUN)


def test_every_kind_of_network_is_in_the_run() -> None:
    assert {settings["kind"] for settings in MODELS.values()} == {*DESIGNS, "lightgbm", "ensemble"}


def test_every_model_has_predictions_figures_costs_and_a_bundle(finished: Path) -> None:
    record = json.loads((finished / "metrics.json").read_text())["tasks"][TASK]["models"]
    assert list(record) == list(MODELS)
    for name in MODELS:
        file = finished / "predictions" / TASK / name / "held_out.parquet"
        PredictionSchema.validate(parquet.read_table(file))
        assert 0 < record[name]["mean"]["auroc"] < 1
        assert record[name]["cost"]["fit_core_seconds"] > 0
        assert load_bundle(finished / "bundle" / TASK / name).model.kind == MODELS[name]["kind"]


@pytest.mark.parametrize("name", list(MODELS))
def test_scoring_gives_the_run_s_own_risks(
    finished: Path, small_hospital: Path, name: str, pesta: Callable[..., int], tmp_path: Path
) -> None:
    out = tmp_path / "risks.parquet"
    bundle = finished / "bundle" / TASK / name
    assert pesta("score", "--bundle", bundle, "--data", small_hospital, "--out", out, "--quiet") == 0
    predicted = pl.read_parquet(finished / "predictions" / TASK / name / "held_out.parquet")
    both = predicted.join(pl.read_parquet(out), on=KEYS, how="left", maintain_order="left")
    found, expected = both["risk"].to_numpy(), both["predicted_boolean_probability"].to_numpy()
    # Rows stand in other batches here, so float32 sums of hundreds of inputs round otherwise.
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_ensemble_is_the_mean_of_the_members_calibrated_logits(
    finished: Path, small_hospital: Path
) -> None:
    """From the bundles of the members themselves, each on the scale that the ensemble calibrated it to."""
    rows = pl.read_parquet(finished / "predictions" / TASK / "together" / "held_out.parquet").select(KEYS)
    asked = rows.with_columns(contact_id=pl.lit(None, pl.Int64)).sort(KEYS)
    cases = Cases(open_dataset(small_hospital), asked)
    ensemble = load_bundle(finished / "bundle" / TASK / "together").model
    assert isinstance(ensemble, EnsembleModel)
    assert [member.name for member in ensemble.members] == MODELS["together"]["members"]
    logits = []
    for member in ensemble.members:
        alone = load_bundle(finished / "bundle" / TASK / member.name).model.predict(cases)
        logits.append(logit(member.calibrator.apply(alone)))
    np.testing.assert_allclose(ensemble.predict(cases), expit(np.mean(logits, 0)), atol=1e-7)


def test_the_report_names_every_model_and_explains_the_networks(finished: Path) -> None:
    page = (finished / "report" / "index.html").read_text("utf-8")
    told = pl.read_parquet(finished / "explanations.parquet")["model"].unique()
    assert {name for name in MODELS if name not in page} == set()
    assert set(told) == {f"{TASK}/{name}" for name in MODELS}


def test_a_finished_run_is_not_done_again(
    finished: Path, pesta: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    before = {file: file.stat().st_mtime_ns for file in (finished / "bundle").rglob("*.safetensors")}
    assert pesta("run", finished.parent / "run.yaml", "--out", finished, "--quiet") == 0
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert "problem" not in capsys.readouterr().err
