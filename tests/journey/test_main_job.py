"""The main job on a small simulated hospital: every file is there and passes its schema class."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from meds import DataSchema, LabelSchema
from meds_evaluation.schema import PredictionSchema

from experiments.config import RunConfig
from ontology.errors import ConfigurationError, InputError
from phenotype.checking import check_dataset
from phenotype.trajectory import frame_digest
from pipelines.progress import Progress
from pipelines.run import report_again, run_experiment
from pipelines.score import score_dataset

TASKS = ("stay_death_30d_24h", "stay_prolonged_24h")


def make_config(dataset: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": "journey",
            "dataset": dataset,
            "tasks": TASKS,
            "features": {"windows": ["24h", "full"], "aggregations": ["count", "last"], "min_subjects": 20},
            "models": {
                "NEWS2": {"kind": "ward", "score": "NEWS2"},
                "logistic": {"kind": "logistic", "penalties": [100.0]},
                "lightgbm": {"kind": "lightgbm", "n_seeds": 1, "max_trees": 60, "patience": 20},
                "transformer": {
                    "kind": "transformer",
                    "width": 16,
                    "n_heads": 2,
                    "n_layers": 1,
                    "max_positions": 16,
                    "max_epochs": 1,
                    "max_rows_per_subject": 1,
                },
            },
            "splits": {"kind": "random", "fractions": {"train": 0.6, "tuning": 0.2, "held_out": 0.2}},
            "evaluation": {"n_bootstrap": 20},
            "reasons": {"n_highest": 1, "n_lowest": 1, "n_population": 10},
        }
    )


@pytest.fixture(scope="module")
def finished(small_hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    run_experiment(make_config(small_hospital), out, Progress(is_quiet=True))
    return out


def test_events_pass_the_meds_schema_and_the_check(small_hospital: Path) -> None:
    for shard in (small_hospital / "data").glob("*.parquet"):
        DataSchema.validate(pq.read_table(shard))
    assert check_dataset(small_hospital) == []


@pytest.mark.parametrize("task", TASKS)
def test_labels_and_predictions_pass_their_schemas(finished: Path, task: str) -> None:
    LabelSchema.validate(pq.read_table(finished / "labels" / f"{task}.parquet"))
    for file in (finished / "predictions" / task).rglob("*.parquet"):
        PredictionSchema.validate(pq.read_table(file))
        risks = pl.read_parquet(file)["predicted_boolean_probability"]
        assert risks.is_between(0, 1).all()


def test_every_model_has_predictions_for_the_same_held_out_rows(finished: Path) -> None:
    frames = [
        pl.read_parquet(file) for file in (finished / "predictions" / TASKS[0]).glob("*/held_out.parquet")
    ]
    keys = ["subject_id", "prediction_time", "boolean_value"]
    assert len(frames) == 4
    assert len({frame_digest(frame.select(keys)) for frame in frames}) == 1


def test_scoring_the_same_dataset_gives_the_run_s_own_risks(
    finished: Path, small_hospital: Path, tmp_path: Path
) -> None:
    score_dataset(finished / "bundle" / TASKS[0] / "lightgbm", small_hospital, tmp_path / "risks.parquet")
    keys = ["subject_id", "prediction_time"]
    predicted = pl.read_parquet(finished / "predictions" / TASKS[0] / "lightgbm" / "held_out.parquet")
    both = predicted.join(pl.read_parquet(tmp_path / "risks.parquet"), on=keys, how="left")
    difference = both["predicted_boolean_probability"] - both["risk"].cast(pl.Float32)
    assert both.height == predicted.height
    assert (difference == 0).all()


def test_scoring_asks_only_about_those_whom_the_task_asks_about(
    finished: Path, small_hospital: Path, tmp_path: Path
) -> None:
    score_dataset(finished / "bundle" / TASKS[0] / "NEWS2", small_hospital, tmp_path / "risks.parquet")
    keys = ["subject_id", "prediction_time"]
    outcomes = pl.read_parquet(finished / "outcomes" / f"{TASKS[0]}.parquet")
    scored = pl.read_parquet(tmp_path / "risks.parquet").select(keys)
    reasons = pl.col("exclusion_reason")
    asked = outcomes.filter(reasons.is_null() | reasons.is_in(["censored", "onset_in_blanking"]))
    assert set(outcomes["exclusion_reason"]) >= {"other_care_level", "left"}
    assert set(scored.iter_rows()) == set(asked.select(keys).iter_rows())


@pytest.mark.parametrize("model", ["NEWS2", "logistic", "lightgbm", "transformer"])
def test_a_dataset_of_other_codes_is_refused_rather_than_scored(
    finished: Path, small_hospital: Path, tmp_path: Path, model: str
) -> None:
    other = Path(shutil.copytree(small_hospital, tmp_path / "other"))
    is_common = pl.any_horizontal(
        [pl.col("code").str.starts_with(name) for name in ("MEDS_", "SEX//", "CONTACT")]
    )
    foreign = pl.when(is_common).then("code").otherwise(pl.lit("LOCAL//") + pl.col("code"))
    for shard in (other / "data").glob("*.parquet"):
        pl.read_parquet(shard).with_columns(code=foreign).write_parquet(shard)
    with pytest.raises(InputError, match="none of the codes that the model reads"):
        score_dataset(finished / "bundle" / TASKS[0] / model, other, tmp_path / "risks.parquet")
    assert not (tmp_path / "risks.parquet").exists()


def test_reasons_add_up_to_the_model_s_logit(finished: Path) -> None:
    reasons = pl.read_parquet(finished / "explanations.parquet").filter(pl.col("tree") == "concepts")
    keys = ["subject_id", "prediction_time", "model"]
    top = reasons.filter(pl.col("node") == "").select(*keys, total="phi")
    parts = reasons.filter(pl.col("parent") == "").group_by(keys).agg(pl.col("phi").sum())
    both = top.join(parts, on=keys)
    assert both.height > 0
    assert ((both["total"] - both["phi"]).abs() < 1e-4).all()


def test_nothing_is_left_of_a_finished_run_to_do(finished: Path, small_hospital: Path) -> None:
    files = {file: file.stat().st_mtime_ns for file in (finished / "predictions").rglob("*.parquet")}
    run_experiment(make_config(small_hospital), finished, Progress(is_quiet=True))
    assert files == {file: file.stat().st_mtime_ns for file in (finished / "predictions").rglob("*.parquet")}
    assert json.loads((finished / "manifest.json").read_text())["outer_folds_scored"] == 1


def test_another_configuration_is_refused(finished: Path, small_hospital: Path) -> None:
    changed = make_config(small_hospital).model_copy(update={"seed": 99})
    with pytest.raises(ConfigurationError, match="another run"):
        run_experiment(changed, finished, Progress(is_quiet=True))


def test_the_report_shows_whom_one_asks_for(finished: Path) -> None:
    assert (finished / "report" / "index.html").stat().st_size > 10_000
    held_out = pl.read_parquet(finished / "predictions" / TASKS[0] / "logistic" / "held_out.parquet")
    asked = int(held_out["subject_id"].sort()[held_out.height // 2])
    pages = {page.name for page in (finished / "report").glob("patient-*.html")}
    report_again(finished, (asked,))
    added = {page.name for page in (finished / "report").glob("patient-*.html")} - pages
    assert len(added) >= 1 or any(str(asked) in name for name in pages)


def test_the_subjects_of_a_run_are_not_in_mlflow(finished: Path) -> None:
    held_out = pl.read_parquet(finished / "predictions" / TASKS[0] / "logistic" / "held_out.parquet")
    subjects = [str(subject).encode() for subject in held_out["subject_id"].unique().to_list()]
    stores = [*finished.parent.glob("mlflow*"), *finished.parent.glob("mlruns*")]
    files = [
        file
        for store in stores
        for file in ([store] if store.is_file() else store.rglob("*"))
        if file.is_file()
    ]
    assert files
    for file in files:
        content = file.read_bytes()
        assert not any(subject in content for subject in subjects), file.name
