"""A finished run in MLflow: configuration, digests, metrics and bundles; of patients, aggregates only.

Beside `tracked_model.py`, which MLflow itself loads, this is the only file that knows MLflow. It reads what
the run folder holds and nothing else, so one process can enter the runs of many: sqlite wants a single
writer.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from experiments.run_record import read_run_record
from experiments.search_config import TRIALS
from ontology.errors import Problem, StorageError

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput
    from mlflow.models import ModelSignature

STORE = "mlflow.db"
ARTIFACTS = "mlflow-artifacts"
RECORD_TAG = "pesta.record"
MAX_PARAM_LENGTH = 500
MAX_PARAMS_A_BATCH = 100
MAX_DIGEST_LENGTH = 36
"""MLflow's own limit for the digest of a data set; the whole digest stands in a tag."""
MIN_COUNT = 5
"""Smaller counts of rows or patients are not entered."""
NOT_TRACKED = (("reasons", "subjects"),)
"""Keys of the configuration that may hold patients' numbers."""
_ALWAYS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_UNLESS_SET = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


def default_uri(run_folder: Path) -> str:
    """The sqlite store beside a run folder, shared by its siblings."""
    return f"sqlite:///{(run_folder.resolve().parent / STORE).as_posix()}"


def track_run(run_folder: Path, *, study: str, uri: str | None = None) -> str:
    """Enter a finished run in MLflow: a parent run, and a child run for each model of each task.

    A run that is there already is left as it is; one that was half entered is taken out and entered again.

    Args:
        run_folder: with run.yaml, manifest.json, metrics.json and bundle/.
        study: the name of the MLflow experiment.
        uri: a tracking URI; sqlite beside the run folder if None.

    Returns:
        The parent run's id.
    """
    run_folder = Path(run_folder)
    record = read_run_record(run_folder)
    digest = hashlib.sha256(f"{run_folder.resolve()} {record.digest}".encode()).hexdigest()
    config = _without_patients(record.config)
    with mlflow_at(uri or default_uri(run_folder)) as mlflow:
        experiment_id = _experiment(mlflow, study, run_folder)
        standing = _standing_run(mlflow, experiment_id, digest)
        if standing:
            return standing
        with mlflow.start_run(experiment_id=experiment_id, run_name=run_folder.name) as parent:
            mlflow.set_tags({**_tags(record.manifest), f"{RECORD_TAG}.begun": digest})
            _log_params(mlflow, _params(config))
            mlflow.log_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), "run.yaml")
            mlflow.log_dict(record.manifest, "manifest.json")
            described = _dataset_input(str(config.get("dataset", "")), record.manifest.get("dataset", {}))
            mlflow.MlflowClient().log_inputs(parent.info.run_id, datasets=[described])
            for task, found in record.metrics["tasks"].items():
                for model, measured in found["models"].items():
                    name = f"{task} {model}"
                    with mlflow.start_run(experiment_id=experiment_id, run_name=name, nested=True):
                        settings = config.get("models", {}).get(model, {})
                        named = {"task": task, "model": model, "n_folds": len(measured["folds"])}
                        _log_params(mlflow, _params({**settings, **named}))
                        _log_measured(mlflow, measured, named, _bundles(run_folder, task, model))
                        _log_epochs(mlflow, run_folder / "epochs" / task, model)
            for file in sorted((run_folder / "search").glob(f"*/*/{TRIALS}")):
                _log_trials(mlflow, experiment_id, file)
            # entered last: a run without this tag was interrupted
            mlflow.set_tag(RECORD_TAG, digest)
    return str(parent.info.run_id)


def _without_patients(config: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(json.dumps(config, default=str))
    for *parents, last in NOT_TRACKED:
        place: Any = kept
        for parent in parents:
            place = place.get(parent, {})
        if last in place:
            place[last] = f"{len(place[last])} not shown"
    return kept


@contextmanager
def mlflow_at(uri: str) -> Iterator[Any]:
    """MLflow with this store, quiet and without telemetry; the store that was set before comes back."""
    # MLflow reads these when it is imported
    os.environ.update({**_UNLESS_SET, **os.environ, **_ALWAYS})
    with warnings.catch_warnings():
        # MLflow's own imports and file stores warn about themselves; nothing here can act on it
        warnings.filterwarnings("ignore", module=r"(mlflow|pydantic|alembic|sqlalchemy)\b")
        import mlflow
        import mlflow.pyfunc

        logging.getLogger("alembic").setLevel(logging.WARNING)
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(uri)
        try:
            yield mlflow
        except mlflow.exceptions.MlflowException as error:
            raise _refused(uri, error) from error
        finally:
            mlflow.set_tracking_uri(before)


def _refused(uri: str, error: Exception) -> StorageError:
    """What MLflow said, by its kind only: its words may repeat an address with a password."""
    parts = urlsplit(uri)
    return StorageError(
        Problem(
            "MLflow did not take the run",
            where=f"tracking.uri: {parts.scheme}://{parts.hostname or parts.path}",
            found=str(getattr(error, "error_code", "") or type(error).__name__),
            allowed="a store that can be reached and written",
            next_step="mend the store and give the same command again, or `--set tracking.enabled=false`"
            " in a new folder; models and report of this run are whole",
        )
    )


def _experiment(mlflow: Any, study: str, run_folder: Path) -> str:
    found = mlflow.get_experiment_by_name(study)
    if found:
        return str(found.experiment_id)
    is_remote = mlflow.get_tracking_uri().startswith(("http://", "https://", "databricks"))
    place = None if is_remote else (run_folder.resolve().parent / ARTIFACTS / study).as_uri()
    return str(mlflow.create_experiment(study, artifact_location=place))


def _standing_run(mlflow: Any, experiment_id: str, digest: str) -> str | None:
    """The run of this record, if it was entered whole; one that was not is deleted with its children."""
    client = mlflow.MlflowClient()
    for run in client.search_runs([experiment_id], f"tags.`{RECORD_TAG}.begun` = '{digest}'"):
        if run.data.tags.get(RECORD_TAG) == digest:
            return str(run.info.run_id)
        children = client.search_runs([experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
        for broken in (*children, run):
            _delete_run(client, experiment_id, broken.info.run_id)
    return None


def _delete_run(client: Any, experiment_id: str, run_id: str) -> None:
    for model in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
        client.delete_logged_model(model.model_id)
    client.delete_run(run_id)


def _tags(manifest: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"pesta.{name}": str(value)
        for name, value in _flatten(manifest)
        if "digest" in name or "version" in name
    }


def _log_params(mlflow: Any, params: Mapping[str, str]) -> None:
    items = sorted(params.items())
    for start in range(0, len(items), MAX_PARAMS_A_BATCH):
        mlflow.log_params(dict(items[start : start + MAX_PARAMS_A_BATCH]))


def _params(config: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value)[:MAX_PARAM_LENGTH] for name, value in _flatten(config)}


def _flatten(content: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and plain values of nested mappings, sequences as one value."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _dataset_input(place: str, described: Mapping[str, Any]) -> DatasetInput:
    """What the data were: a name, a place and a digest; no rows and no profile of them."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    entity = Dataset(
        name=str(described.get("name") or Path(place).name),
        digest=str(described.get("digest", ""))[:MAX_DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": place}),
    )
    return DatasetInput(entity, [InputTag("mlflow.data.context", "training and evaluation")])


def _log_measured(
    mlflow: Any, measured: Mapping[str, Any], named: Mapping[str, Any], bundles: Sequence[Path]
) -> None:
    """Metrics of one model on one task, and its bundles as models that carry the same metrics."""
    labels = {"task": named["task"], "model": named["model"], "kind": measured["kind"]}
    mlflow.set_tags({f"pesta.{name}": value for name, value in labels.items()})
    metrics = dict(_metrics(measured))
    mlflow.log_metrics(metrics)
    for bundle in bundles:
        logged = mlflow.pyfunc.log_model(
            name=f"{named['task']}-{bundle.name}",
            python_model=str(Path(__file__).with_name("tracked_model.py")),
            artifacts={"bundle": str(bundle)},
            signature=_signature(),
            pip_requirements=["pesta"],
            metadata=labels,
        )
        mlflow.log_metrics(metrics, model_id=logged.model_id)


def _log_epochs(mlflow: Any, place: Path, model: str) -> None:
    """The tuning score of every epoch (lower is better) of each fold and each of its networks."""
    for file in _of_model(place, model, ".json"):
        network = -1
        for epoch, score in json.loads(file.read_text("utf-8")):
            network += epoch == 0
            mlflow.log_metric(f"{file.stem}.network_{network}.tuning_score", score, step=epoch)


def _log_trials(mlflow: Any, experiment_id: str, file: Path) -> None:
    """Each trial of a search as a run of its own: its settings, its score, its epochs."""
    searched = json.loads(file.read_text("utf-8"))
    task, name = file.parent.parent.name, file.parent.name
    for trial in searched["trials"]:
        with mlflow.start_run(
            experiment_id=experiment_id, run_name=f"{task} {name} trial {trial['number']}", nested=True
        ):
            mlflow.set_tags({"pesta.search": f"{task} {name}", "pesta.trial.state": trial["state"]})
            _log_params(mlflow, _params({"task": task, "model": searched["model"], **trial["settings"]}))
            if trial[searched["metric"]] is not None:
                mlflow.log_metric(f"tuning_{searched['metric']}", trial[searched["metric"]])
            for epoch, score in enumerate(trial["epochs"]):
                mlflow.log_metric("tuning_score", score, step=epoch)


def _metrics(measured: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Means over folds, their spread, intervals and operating points; counts below MIN_COUNT left out."""
    for name, value in measured["mean"].items():
        if value is not None and not (name.startswith("n_") and value < MIN_COUNT):
            yield name, float(value)
    for name, value in measured["sd"].items():
        if value is not None and not name.startswith("n_"):
            yield f"{name}_sd", float(value)
    for name, interval in measured["intervals"].items():
        if interval:
            yield f"{name}_low", float(interval["low"])
            yield f"{name}_high", float(interval["high"])
    for point in measured["operating_points"]:
        rate = point["asked_alert_rate"]
        rule = point["rule"] if rate is None else f"alert_rate_{rate:g}"
        for name in ("threshold", "workload", "sensitivity", "specificity", "ppv"):
            if point[name] is not None:
                yield f"{rule}.{name}", float(point[name])


def _bundles(run_folder: Path, task: str, model: str) -> list[Path]:
    """The model's bundle, or those of its folds, by name."""
    found = _of_model(run_folder / "bundle" / task, model)
    return [folder for folder in found if (folder / "model.json").exists()]


def _of_model(place: Path, model: str, suffix: str = "") -> list[Path]:
    """What a folder has of a model: one entry, or one for each fold."""
    numbered = [
        entry
        for entry in place.glob(f"{model}_*{suffix}")
        if entry.name.removesuffix(suffix)[len(model) + 1 :].isdigit()
    ]
    return [entry for entry in [place / f"{model}{suffix}", *sorted(numbered)] if entry.exists()]


def _signature() -> ModelSignature:
    """Prediction rows in, calibrated risks out; the dataset that they are about is a parameter."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

    rows = [ColSpec(DataType.long, "subject_id"), ColSpec(DataType.datetime, "prediction_time")]
    return ModelSignature(
        inputs=Schema([*rows, ColSpec(DataType.long, "contact_id", required=False)]),
        outputs=Schema([*rows, ColSpec(DataType.double, "risk")]),
        params=ParamSchema([ParamSpec("dataset", DataType.string, "")]),
    )
