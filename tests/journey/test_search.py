"""A run that searches a model's settings, through the command line: found in each fold, used, tracked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from experiments.tracking import default_uri, mlflow_at
from phenotype.bundle import load_bundle

TASK = "stay_death_30d_24h"
N_FOLDS, N_TRIALS = 2, 3
RUN = {
    "name": "searched",
    "tasks": [TASK],
    "features": {"windows": ["full"], "aggregations": ["last"], "min_subjects": 20},
    "models": {"trees": {"kind": "lightgbm", "n_seeds": 1, "max_trees": 20, "patience": 20}},
    "search": {
        "model": "trees",
        "n_trials": N_TRIALS,
        "metric": "auroc",
        "space": {
            "learning_rate": {"type": "float", "low": 0.001, "high": 0.3, "log": True},
            "features.aggregations": {"type": "choice", "values": [["last"], ["last", "count"]]},
        },
    },
    "splits": {"kind": "folds", "n_folds": N_FOLDS},
    "evaluation": {"n_bootstrap": 20},
    "reasons": {"n_highest": 0, "n_lowest": 0, "n_population": 0},
}


@pytest.fixture(scope="module")
def finished(run_through: Callable[[dict[str, Any]], Path]) -> Path:
    return run_through(RUN)


def trials(run: Path, fold: int) -> list[dict]:
    return list(json.loads((run / "search" / TASK / f"trees_{fold}" / "trials.json").read_text())["trials"])


def test_each_fold_has_a_search_of_its_own_whose_best_settings_it_uses(finished: Path) -> None:
    for fold in range(N_FOLDS):
        best = max(trials(finished, fold), key=lambda trial: trial["auroc"])["settings"]
        fitted = load_bundle(finished / "bundle" / TASK / f"trees_{fold}").model.config
        assert len(trials(finished, fold)) == N_TRIALS
        assert fitted.learning_rate == best["learning_rate"]
        assert list(fitted.features.aggregations) == best["features.aggregations"]
        assert fitted.max_trees == 20
    assert trials(finished, 0)[0]["auroc"] != trials(finished, 1)[0]["auroc"]


def test_a_trial_s_score_is_that_of_the_tuning_rows(finished: Path) -> None:
    """The bundle of the best settings ranks the fold's tuning rows as its trial said."""
    from sklearn.metrics import roc_auc_score

    for fold in range(N_FOLDS):
        tuning = pl.read_parquet(finished / "predictions" / TASK / "trees" / f"tuning_{fold}.parquet")
        area = roc_auc_score(tuning["boolean_value"], tuning["predicted_boolean_probability"])
        assert max(trial["auroc"] for trial in trials(finished, fold)) == pytest.approx(area, abs=1e-3)


def test_every_trial_is_a_run_in_mlflow_below_the_run_that_searched(finished: Path) -> None:
    with mlflow_at(default_uri(finished)) as mlflow:
        client = mlflow.MlflowClient()
        experiment = client.get_experiment_by_name("searched").experiment_id
        found = client.search_runs([experiment], f"tags.`pesta.search` = '{TASK} trees_1'")
    assert len(found) == N_TRIALS
    assert {run.data.metrics["tuning_auroc"] for run in found} == {
        trial["auroc"] for trial in trials(finished, 1)
    }


def test_a_finished_search_is_left_as_it_is(finished: Path, pesta: Callable[..., int]) -> None:
    study = finished / "search" / TASK / "trees_0" / "study.db"
    before = study.read_bytes()
    assert pesta("run", finished / "run.yaml", "--out", finished, "--quiet") == 0
    assert study.read_bytes() == before


def test_a_space_that_does_not_fit_ends_the_run_before_it_begins(
    small_hospital: Path, pesta: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {"model": "trees", "space": {"n_trees": {"type": "int", "low": 1, "high": 2}}}
    (tmp_path / "run.yaml").write_text(
        yaml.safe_dump(RUN | {"dataset": str(small_hospital), "search": wrong}), "utf-8"
    )
    assert pesta("run", tmp_path / "run.yaml", "--out", tmp_path / "run", "--quiet") != 0
    assert "search.space.n_trees: 1 does not fit model trees" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
