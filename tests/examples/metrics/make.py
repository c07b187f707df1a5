"""Writes metrics.json beside this file from made-up predictions: `python tests/examples/metrics/make.py`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from experiments.evaluation import FORMAT, EvaluationConfig, FoldPredictions, TaskInfo, evaluate_task

MODELS = {"ward": 1.4, "logistic": 0.6, "lightgbm": 0.2}
"""How much noise each made-up model adds to the logit of the true risk."""
START = datetime(2023, 1, 2)


def predictions(model: str, seed: int, n_subjects: int, rows_each: int) -> pl.DataFrame:
    """Risks of patients numbered from 10,000 times the seed; outcomes are the same for every model."""
    generator = np.random.default_rng(seed)
    hour = np.tile(np.arange(rows_each), n_subjects)
    between = np.repeat(generator.normal(-2.2, 1.1, n_subjects), rows_each)
    onset = np.where(
        generator.random(n_subjects) < 0.1, generator.integers(0, rows_each + 6, n_subjects), 999
    )
    since_onset = hour - np.repeat(onset, rows_each)
    is_once = rows_each == 1
    outcome = generator.random(n_subjects) < 1 / (1 + np.exp(-between)) if is_once else since_onset >= -6
    linear = between if is_once else between / 2 - 2.5 + 0.15 * np.clip(since_onset + 12, 0, 12)
    noise = np.random.default_rng([seed, len(model)]).normal(0, MODELS[model], len(hour))
    spread = 1 if is_once else 0.8
    return pl.DataFrame(
        {
            "subject_id": 10_000 * seed + np.repeat(np.arange(n_subjects), rows_each),
            "prediction_time": [START + timedelta(hours=int(h)) for h in hour],
            "boolean_value": outcome,
            "predicted_boolean_probability": 1 / (1 + np.exp(-spread * (linear + noise))),
            "event_hours": np.where(outcome, 40.0 if is_once else -since_onset, np.nan),
        }
    ).with_columns(pl.col("event_hours").fill_nan(None))


def task(title: str, info: TaskInfo, n_folds: int, n_subjects: int, rows_each: int) -> dict[str, Any]:
    """The record of one made-up task."""
    folds = {
        model: [
            FoldPredictions(
                predictions(model, 2 * fold + 1, n_subjects, rows_each),
                predictions(model, 2 * fold + 2, n_subjects, rows_each),
            )
            for fold in range(n_folds)
        ]
        for model in MODELS
    }
    rows = pl.concat([fold.held_out for fold in folds["ward"]])
    subjects = rows.select("subject_id").unique().sort("subject_id")
    generator = np.random.default_rng(0)
    facts = subjects.with_columns(
        sex=pl.Series(generator.choice(["female", "male"], subjects.height)),
        age=pl.Series(generator.normal(66, 16, subjects.height).clip(18, 99)),
        hospital_id=pl.Series(generator.choice(["A", "B", "C"], subjects.height, p=[0.6, 0.37, 0.03])),
    )
    judged = evaluate_task(
        folds, {model: model for model in MODELS}, facts, info, EvaluationConfig(n_bootstrap=200)
    )
    counted = {"n_rows": rows.height, "n_subjects": subjects.height}
    steps = [("stays in intensive care", 50), ("48 hours of data", 20), ("outcome known", 0)]
    return {
        "title": title,
        "question": f"{title}?",
        **counted,
        "n_positive": int(rows["boolean_value"].sum()),
        "n_censored": 0,
        "lead_model": "lightgbm",
        "attrition": [
            {
                "step": step,
                "n_rows": rows.height + more,
                "n_subjects": subjects.height + more,
                "n_excluded": more,
            }
            for step, more in steps
        ],
        **judged,
    }


def main() -> None:
    """Write the file, numbers to five decimals."""
    hourly = TaskInfo(name="icu_sepsis_hourly", alert_rates=(0.02, 0.05), cadence_hours=1.0, has_utility=True)
    tasks = {
        "icu_death_48h": task("Death in hospital", TaskInfo(name="icu_death_48h"), 5, 300, 1),
        "icu_sepsis_hourly": task("Sepsis within 6 hours", hourly, 1, 400, 30),
    }
    text = json.dumps({"format": FORMAT, "tasks": tasks}, allow_nan=False)
    short = json.loads(text, parse_float=lambda number: round(float(number), 5))
    Path(__file__).with_name("metrics.json").write_text(json.dumps(short, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
