"""A run that cannot be made says why before anything is fitted, and leaves what was there alone."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from experiments.config import RunConfig
from experiments.run_folder import RunFolder, write_text
from ontology.errors import ConfigurationError, InputError, StorageError, TaskError
from phenotype.tasks import load_task
from phenotype.trajectory import open_dataset
from pipelines.progress import Progress
from pipelines.run import report_again, run_experiment

QUIET = Progress(is_quiet=True)


def make_config(dataset: Path, **changes: Any) -> RunConfig:
    content = {
        "name": "misuse",
        "dataset": dataset,
        "tasks": ["stay_death_30d_24h"],
        "models": {"NEWS2": {"kind": "ward", "score": "NEWS2"}},
        "splits": {"kind": "random", "fractions": {"train": 0.6, "tuning": 0.2, "held_out": 0.2}},
        "evaluation": {"n_bootstrap": 5},
        "reasons": {"n_highest": 1, "n_lowest": 1, "n_population": 5},
        "tracking": {"enabled": False},
    }
    return RunConfig.model_validate(content | changes)


@pytest.fixture
def copied(small_hospital: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_hospital, tmp_path / "dataset"))


def without_code(dataset: Path, code: str) -> None:
    for shard in (dataset / "data").glob("*.parquet"):
        pl.read_parquet(shard).filter(pl.col("code") != code).write_parquet(shard)


def test_a_dataset_without_observation_windows_says_what_is_missing(copied: Path, tmp_path: Path) -> None:
    (copied / "observation.parquet").unlink()
    with pytest.raises(TaskError, match="no observation window covers"):
        run_experiment(make_config(copied), tmp_path / "run", QUIET)


def test_a_dataset_without_births_says_what_is_missing(copied: Path, tmp_path: Path) -> None:
    without_code(copied, "MEDS_BIRTH")
    with pytest.raises(TaskError, match="the age at the prediction is not known"):
        run_experiment(make_config(copied), tmp_path / "run", QUIET)


def test_a_run_demands_the_quality_of_its_dataset(copied: Path, tmp_path: Path) -> None:
    asked = {"demand": ["before-birth", "fatal"]}
    run_experiment(make_config(copied, quality=asked), tmp_path / "sound", QUIET)
    for shard in (copied / "data").glob("*.parquet"):
        events = pl.read_parquet(shard)
        earlier = pl.when(pl.col("code") == "MEDS_BIRTH").then(pl.col("time").dt.offset_by("100y"))
        events.with_columns(earlier.otherwise("time").alias("time")).write_parquet(shard)
    with pytest.raises(InputError, match="a demanded quality check fails: before-birth"):
        run_experiment(make_config(copied, quality=asked), tmp_path / "run", QUIET)
    assert not (tmp_path / "run").exists()


def test_every_task_that_cannot_be_asked_is_told_at_once_and_nothing_is_fitted(
    copied: Path, tmp_path: Path
) -> None:
    (copied / "contacts.parquet").unlink()
    tasks = ("stay_death_30d_24h", "stay_prolonged_24h")
    with pytest.raises(TaskError) as caught:
        run_experiment(make_config(copied, tasks=tasks), tmp_path / "run", QUIET)
    assert [sum(task in str(problem) for problem in caught.value.problems) for task in tasks] == [1, 1]
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_task_without_a_positive_is_told_before_another_is_fitted(copied: Path, tmp_path: Path) -> None:
    without_code(copied, "MEDS_DEATH")
    contacts = pl.read_parquet(copied / "contacts.parquet")
    alive = pl.when(pl.col("discharged_to") != "death").then("discharged_to")
    contacts.with_columns(discharged_to=alive).write_parquet(copied / "contacts.parquet")
    config = make_config(copied, tasks=("stay_prolonged_24h", "stay_death_30d_24h"))
    with pytest.raises(TaskError, match="0 of them positive") as caught:
        run_experiment(config, tmp_path / "run", QUIET)
    assert all("stay_death_30d_24h" in problem.what for problem in caught.value.problems)
    assert not (tmp_path / "run" / "bundle").exists()


def test_event_files_that_are_not_meds_are_told_together(copied: Path) -> None:
    events = pl.read_parquet(next((copied / "data").glob("*.parquet")))
    events.drop("time").write_parquet(copied / "data" / "7.parquet")
    events.with_columns(pl.col("subject_id").cast(pl.String)).write_parquet(copied / "data" / "8.parquet")
    (copied / "data" / "9.parquet").write_bytes(b"PAR1 torn off")
    with pytest.raises(InputError) as caught:
        open_dataset(copied)
    assert [(problem.what, problem.where) for problem in caught.value.problems] == [
        ("no column time", "data/7.parquet"),
        ("column subject_id has another type", "data/8.parquet"),
        ("not a whole Parquet file", "data/9.parquet"),
    ]


def test_a_folder_with_something_else_is_left_alone(small_hospital: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigurationError, match="something else than a run"):
        run_experiment(make_config(small_hospital), tmp_path, QUIET)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_second_run_into_the_same_folder_is_refused_while_the_first_works(
    small_hospital: Path, tmp_path: Path
) -> None:
    with RunFolder(tmp_path).held(), pytest.raises(ConfigurationError, match="another process"):
        run_experiment(make_config(small_hospital), tmp_path, QUIET)
    with RunFolder(tmp_path).held():
        pass


def test_what_a_killed_process_was_writing_is_swept_away(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    kept = [folder.predictions("task", "a", "held_out"), folder.metrics, tmp_path / ".notes"]
    for file in kept:
        write_text("whole", file)
    (tmp_path / ".report.77").mkdir()
    (tmp_path / ".report.77" / "patient-1.html").write_text("half")
    (folder.predictions("task", "a", "held_out").parent / ".held_out.parquet.77").write_text("half")
    (tmp_path / "bundle" / "task" / ".a.0123.writing").mkdir(parents=True)
    folder.sweep()
    assert sorted(file for file in tmp_path.rglob("*") if file.is_file()) == sorted(kept)


def test_a_changed_task_file_or_dataset_is_another_run(copied: Path, tmp_path: Path) -> None:
    task = tmp_path / "task.yaml"
    content = load_task("stay_death_30d_24h").model_dump(mode="json")
    task.write_text(yaml.safe_dump(content), "utf-8")
    config, out = make_config(copied, tasks=(str(task),)), tmp_path / "run"
    run_experiment(config, out, QUIET)
    task.write_text(yaml.safe_dump(content | {"horizon_hours": 2400.0}), "utf-8")
    with pytest.raises(ConfigurationError, match="tasks digest differs"):
        run_experiment(config, out, QUIET)
    without_code(copied, "MEDS_BIRTH")
    with pytest.raises(ConfigurationError, match="changed since this run"):
        report_again(out, ())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reasons": {"models": ["nobody"]}}, "reasons.models names nobody"),
        ({"tasks": ["stay_death_30d_24h"] * 2}, "names stay_death_30d_24h twice"),
        ({"models": {"../away": {"kind": "lightgbm"}}}, "should match pattern"),
        ({"seed": -1}, "greater than or equal to 0"),
    ],
)
def test_names_that_do_not_fit_are_refused_beforehand(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make_config(Path("anywhere"), **changes)


def test_a_tracking_server_that_is_away_costs_nothing_but_the_tracking(
    small_hospital: Path, tmp_path: Path
) -> None:
    away = {"enabled": True, "uri": "http://somebody:secret@127.0.0.1:9"}
    with pytest.raises(StorageError, match="MLflow did not take the run") as caught:
        run_experiment(make_config(small_hospital, tracking=away), tmp_path / "run", QUIET)
    assert "secret" not in str(caught.value)
    assert (tmp_path / "run" / "report" / "index.html").exists()
