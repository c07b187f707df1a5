"""A task written for ACES goes the whole way: labels, splits, models, figures, reasons, report, scoring."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl

from experiments.config import RunConfig
from phenotype.trajectory import Dataset
from pipelines.progress import Progress
from pipelines.run import report_again, run_experiment
from pipelines.score import score_dataset

TASK = """
metadata: {description: "Will the patient be dead thirty days after admission?"}
predicates:
  admission: ???
  death: {code: {regex: "MEDS_DEATH.*"}}
trigger: admission
windows:
  first_day:
    start: trigger
    end: start + 24h
    start_inclusive: True
    end_inclusive: True
    has: {death: "(None, 0)"}
    index_timestamp: end
  target:
    start: first_day.end
    end: start + 29d
    start_inclusive: False
    end_inclusive: True
    label: death
"""
PREDICATES = "predicates: {admission: {code: CONTACT//inpatient}}\n"


def _expected(dataset: Path) -> pl.DataFrame:
    """The same question asked of the events by joins."""
    events = Dataset(dataset).events().collect()
    admissions = events.filter(pl.col("code") == "CONTACT//inpatient").select("subject_id", "time").unique()
    deaths = events.filter(pl.col("code") == "MEDS_DEATH").select("subject_id", death_time="time")
    day, month = pl.col("time") + timedelta(days=1), pl.col("time") + timedelta(days=30)
    died = pl.col("death_time")
    return (
        admissions.join(deaths, on="subject_id", how="left")
        .filter(died.is_null() | (died < pl.col("time")) | (died > day))
        .select(
            "subject_id",
            prediction_time=day,
            boolean_value=((died > day) & (died <= month)).fill_null(value=False),
        )
        .sort("subject_id", "prediction_time")
    )


def test_an_aces_file_is_a_task_of_a_run(small_hospital: Path, tmp_path: Path) -> None:
    (tmp_path / "first_24h.yaml").write_text(TASK)
    (tmp_path / "predicates.yaml").write_text(PREDICATES)
    config = RunConfig.model_validate(
        {
            "name": "aces",
            "dataset": small_hospital,
            "tasks": [
                {
                    "aces": tmp_path / "first_24h.yaml",
                    "predicates": tmp_path / "predicates.yaml",
                    "name": "death_30d",
                }
            ],
            "features": {"windows": ["full"], "aggregations": ["count", "last"], "min_subjects": 40},
            "models": {"logistic": {"kind": "logistic", "penalties": [100]}},
            "splits": {"kind": "random", "fractions": {"train": 0.5, "tuning": 0.25, "held_out": 0.25}},
            "evaluation": {"n_bootstrap": 5},
            "reasons": {"n_highest": 1, "n_lowest": 0, "n_population": 5},
            "tracking": {"enabled": False},
        }
    )
    run, quiet = tmp_path / "run", Progress(is_quiet=True)
    report = run_experiment(config, run, quiet)
    labels = pl.read_parquet(run / "labels" / "death_30d.parquet")
    assert labels.equals(_expected(small_hospital))
    assert labels["boolean_value"].sum() > 0
    page = report.read_text("utf-8")
    assert "Will the patient be dead thirty days after admission?" in page
    held_out = pl.read_parquet(run / "predictions" / "death_30d" / "logistic" / "held_out.parquet")
    n_scored = score_dataset(
        run / "bundle" / "death_30d" / "logistic", small_hospital, tmp_path / "risks.parquet"
    )
    assert n_scored == labels.height
    risks = pl.read_parquet(tmp_path / "risks.parquet").join(held_out, on=["subject_id", "prediction_time"])
    assert (
        risks["risk"] - risks["predicted_boolean_probability"]
    ).abs().max() < 1e-6  # one is kept in 32 bits
    subject = int(held_out["subject_id"][0])
    assert report_again(run, [subject]).exists()
    assert (run / "report" / f"patient-death_30d-{subject}.html").exists()
