"""Runs are entered in MLflow whole, once, and without a patient; the store holds no pickle."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from experiments.evaluation import EvaluationConfig, FoldPredictions, TaskInfo, evaluate_task
from experiments.tracking import ARTIFACTS, RECORD_TAG, STORE, default_uri, mlflow_at, track_run
from phenotype.bundle import load_bundle, save_bundle
from phenotype.calibration import Calibrator
from phenotype.cases import ROWS, Cases
from phenotype.predictor import predict_risks
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.ward import WardConfig, fit_ward

CANARY = 7_731_904_000_000
TASK, MODEL, SCORE = "icu_death_48h", "ward", "SCORE//SAPS-I"
N_SUBJECTS = 60
START = datetime(2021, 3, 4)
STUDY = "study-one"


def write_dataset(folder: Path) -> pl.DataFrame:
    """A dataset of one score a patient; returns its prediction rows with outcomes."""
    generator = np.random.default_rng(0)
    score = generator.integers(0, 30, N_SUBJECTS)
    events = pl.DataFrame(
        {
            "subject_id": CANARY + np.arange(N_SUBJECTS),
            "time": [START] * N_SUBJECTS,
            "code": [SCORE] * N_SUBJECTS,
            "numeric_value": score.astype(np.float32),
        },
        schema_overrides={"time": EVENTS["time"]},
    )
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in events.columns
    ]
    (folder / "data").mkdir(parents=True)
    events.with_columns(missing).select(list(EVENTS)).write_parquet(folder / "data" / "0.parquet")
    return pl.DataFrame(
        {
            "subject_id": events["subject_id"],
            "prediction_time": [START + timedelta(hours=48)] * N_SUBJECTS,
            "contact_id": [None] * N_SUBJECTS,
            "boolean_value": generator.random(N_SUBJECTS) < score / 40,
        },
        schema={**ROWS, "boolean_value": pl.Boolean},
    )


def write_run(folder: Path, dataset: Path) -> None:
    """run.yaml, manifest.json, metrics.json, predictions and a bundle, as `pesta run` leaves them."""
    rows = write_dataset(dataset)
    cases = Cases(open_dataset(dataset), rows.select(list(ROWS)))
    labels = rows["boolean_value"].to_numpy()
    model = fit_ward(cases, labels, cases, labels, WardConfig(score=SCORE), seed=0)
    predictions = rows.drop("contact_id").with_columns(
        pl.Series("predicted_boolean_probability", model.predict(cases)),
    )
    folder.mkdir(parents=True)
    place = folder / "bundle" / TASK / MODEL
    save_bundle(place, model, task={"name": TASK}, calibrator=Calibrator(), thresholds={}, card={})
    judged = evaluate_task(
        {MODEL: [FoldPredictions(held_out=predictions, tuning=predictions)]},
        {MODEL: "ward"},
        rows.select("subject_id", "prediction_time"),
        TaskInfo(name=TASK),
        EvaluationConfig(n_bootstrap=20),
    )
    config = {
        "name": STUDY,
        "dataset": str(dataset),
        "models": {MODEL: {"kind": "ward", "score": SCORE}},
        "reasons": {"subjects": [CANARY, CANARY + 1], "n_highest": 3},
    }
    manifest = {
        "dataset": {"name": "scores", "digest": "d1" * 32},
        "code_digest": "c0de" * 16,
        "versions": {"pesta": "0.1.0"},
        "seed": 0,
    }
    predictions.write_parquet(folder / "held_out.parquet")
    (folder / "run.yaml").write_text(yaml.safe_dump(config), "utf-8")
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    metrics = {"format": 1, "tasks": {TASK: {"title": "Death in hospital", **judged}}}
    (folder / "metrics.json").write_text(json.dumps(metrics, allow_nan=False), "utf-8")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, its dataset, and an MLflow store that has its schema and nothing else."""
    place = tmp_path_factory.mktemp("tracking")
    write_run(place / "runs" / "one", place / "dataset")
    with mlflow_at(default_uri(place / "runs" / "one")) as mlflow:
        mlflow.search_experiments()
    return place


@pytest.fixture
def run_folder(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template / "runs", tmp_path / "runs")
    return tmp_path / "runs" / "one"


@pytest.fixture
def client(run_folder: Path) -> Iterator[Any]:
    with mlflow_at(default_uri(run_folder)) as mlflow:
        yield mlflow.MlflowClient()


def everything_below(folder: Path) -> bytes:
    return b"\n".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def everything_stored(run_folder: Path) -> bytes:
    return (run_folder.parent / STORE).read_bytes() + everything_below(run_folder.parent / ARTIFACTS)


def read_metrics(run_folder: Path) -> dict[str, Any]:
    metrics = json.loads((run_folder / "metrics.json").read_text("utf-8"))
    return dict(metrics["tasks"][TASK]["models"][MODEL])


def test_a_run_is_entered_whole(run_folder: Path, client: Any) -> None:
    run_id = track_run(run_folder, study=STUDY)
    experiment = client.get_experiment_by_name(STUDY)
    parent = client.get_run(run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["models.ward.score"] == SCORE
    assert parent.data.tags["pesta.dataset.digest"] == "d1" * 32
    assert parent.data.tags["pesta.code_digest"] == "c0de" * 16
    assert parent.inputs.dataset_inputs[0].dataset.digest == ("d1" * 32)[:36]
    (child,) = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    measured = read_metrics(run_folder)
    assert child.data.metrics["auroc"] == pytest.approx(measured["mean"]["auroc"])
    assert child.data.metrics["auroc_low"] == pytest.approx(measured["intervals"]["auroc"]["low"])
    (model,) = client.search_logged_models([experiment.experiment_id])
    assert {metric.key: metric.value for metric in model.metrics}["auroc"] == pytest.approx(
        measured["mean"]["auroc"]
    )
    assert model.name == f"{TASK}-{MODEL}"


def test_a_run_is_entered_once_and_one_that_was_interrupted_again(run_folder: Path, client: Any) -> None:
    first = track_run(run_folder, study=STUDY)
    assert track_run(run_folder, study=STUDY) == first
    experiment = client.get_experiment_by_name(STUDY)
    assert len(client.search_runs([experiment.experiment_id])) == 2
    client.delete_tag(first, RECORD_TAG)  # as if the process had died before the end
    second = track_run(run_folder, study=STUDY)
    assert second != first
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert len(client.search_logged_models([experiment.experiment_id])) == 1


def test_no_patient_reaches_the_store_and_no_pickle_does(run_folder: Path) -> None:
    track_run(run_folder, study=STUDY)
    ours, stored = everything_below(run_folder), everything_stored(run_folder)
    written_as = [str(CANARY + number).encode() for number in range(N_SUBJECTS)]
    assert any(text in ours for text in written_as), "the canaries stand in the run folder"
    assert not any(text in stored for text in written_as)
    assert not any((CANARY + number).to_bytes(8, "little") in stored for number in range(N_SUBJECTS))
    assert b"2 not shown" in stored
    names = [file.name for file in (run_folder.parent / ARTIFACTS).rglob("*")]
    assert "model.json" in names
    assert not [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".pt"))]


def test_the_model_that_mlflow_serves_gives_the_bundles_own_risks(
    run_folder: Path, template: Path, client: Any
) -> None:
    track_run(run_folder, study=STUDY)
    (model,) = client.search_logged_models([client.get_experiment_by_name(STUDY).experiment_id])
    dataset = template / "dataset"
    rows = pl.read_parquet(run_folder / "held_out.parquet").select("subject_id", "prediction_time")
    with mlflow_at(default_uri(run_folder)) as mlflow:
        served = mlflow.pyfunc.load_model(model.model_uri).predict(
            rows.to_pandas(), params={"dataset": str(dataset)}
        )
    cases = Cases(open_dataset(dataset), rows.with_columns(contact_id=pl.lit(None, pl.Int64)))
    expected = predict_risks(load_bundle(run_folder / "bundle" / TASK / MODEL), cases)
    assert served["risk"].to_numpy() == pytest.approx(expected["risk"].to_numpy(), abs=0)


def test_each_fold_has_its_model_and_small_counts_are_not_entered(run_folder: Path, client: Any) -> None:
    place = run_folder / "bundle" / TASK
    shutil.copytree(place / MODEL, place / f"{MODEL}_1")
    (place / MODEL).rename(place / f"{MODEL}_0")
    metrics = json.loads((run_folder / "metrics.json").read_text("utf-8"))
    metrics["tasks"][TASK]["models"][MODEL]["mean"]["n_positive"] = 4
    (run_folder / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    run_id = track_run(run_folder, study=STUDY)
    experiment = client.get_experiment_by_name(STUDY).experiment_id
    models = client.search_logged_models([experiment])
    assert {model.name for model in models} == {f"{TASK}-{MODEL}_{fold}" for fold in (0, 1)}
    (child,) = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert "n_positive" not in child.data.metrics
    assert child.data.metrics["n_rows"] == N_SUBJECTS


def test_the_trials_of_a_search_are_runs_of_their_own(run_folder: Path, client: Any) -> None:
    """Their settings, their score and their epochs; one that was given up has no score."""
    trials = [
        {
            "number": 0,
            "state": "complete",
            "settings": {"learning_rate": 0.01},
            "auroc": 0.8,
            "epochs": [0.5, 0.4],
            "seconds": 1.5,
            "fault": None,
        },
        {
            "number": 1,
            "state": "pruned",
            "settings": {"learning_rate": 1e-6},
            "auroc": None,
            "epochs": [0.7],
            "seconds": 0.5,
            "fault": None,
        },
    ]
    place = run_folder / "search" / TASK / f"{MODEL}_0"
    place.mkdir(parents=True)
    searched = {"model": MODEL, "metric": "auroc", "trials": trials}
    (place / "trials.json").write_text(json.dumps(searched), "utf-8")
    run_id = track_run(run_folder, study=STUDY)
    experiment = client.get_experiment_by_name(STUDY).experiment_id
    found = client.search_runs([experiment], f"tags.`pesta.search` = '{TASK} {MODEL}_0'")
    best, given_up = sorted(found, key=lambda run: run.info.run_name)
    assert best.data.tags["mlflow.parentRunId"] == run_id
    assert best.data.params["learning_rate"] == "0.01"
    assert best.data.metrics["tuning_auroc"] == 0.8
    history = client.get_metric_history(best.info.run_id, "tuning_score")
    assert [(point.step, point.value) for point in history] == [(0, 0.5), (1, 0.4)]
    assert given_up.data.tags["pesta.trial.state"] == "pruned"
    assert "tuning_auroc" not in given_up.data.metrics


def test_each_epoch_of_each_network_is_entered(run_folder: Path, client: Any) -> None:
    """Two networks of one fit: epochs begin anew with the second."""
    place = run_folder / "epochs" / TASK
    place.mkdir(parents=True)
    (place / f"{MODEL}.json").write_text(json.dumps([[0, 0.5], [1, 0.4], [0, 0.6]]), "utf-8")
    run_id = track_run(run_folder, study=STUDY)
    experiment = client.get_experiment_by_name(STUDY).experiment_id
    (child,) = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    scores = [
        [
            point.value
            for point in client.get_metric_history(child.info.run_id, f"{MODEL}.network_{n}.tuning_score")
        ]
        for n in range(2)
    ]
    assert scores == [[0.5, 0.4], [0.6]]


def test_mlflow_is_imported_late_and_tells_nobody() -> None:
    program = """
import sys
import experiments.tracking as tracking
assert "mlflow" not in sys.modules, "imported too early"
with tracking.mlflow_at("sqlite://") as mlflow:
    from mlflow.telemetry import get_telemetry_client
    assert get_telemetry_client() is None, "telemetry is on"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
