"""The whole record of a task: its shape is that of the example, its figures those of scikit-learn."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from experiments.evaluation import (
    FORMAT,
    EvaluationConfig,
    FoldPredictions,
    TaskInfo,
    evaluate_model,
    evaluate_task,
    summarise_folds,
)

EXAMPLE = Path(__file__).parents[2] / "examples" / "metrics" / "metrics.json"
START = datetime(2023, 6, 1)
CONFIG = EvaluationConfig(n_bootstrap=20, net_benefit_thresholds=(0.05, 0.1))
STAYS = TaskInfo(name="stays", alert_rates=(0.05, 0.1))
HOURLY = TaskInfo(name="hourly", alert_rates=(0.05,), cadence_hours=1.0, has_utility=True)


def predictions(n_subjects: int, seed: int, rows_each: int = 1, first_subject: int = 0) -> pl.DataFrame:
    generator = np.random.default_rng(seed)
    hour = np.tile(np.arange(rows_each), n_subjects)
    if rows_each == 1:
        risk = generator.beta(1.2, 5, n_subjects)
        outcome = generator.random(n_subjects) < risk
    else:
        onset = np.where(
            generator.random(n_subjects) < 0.3, generator.integers(0, rows_each, n_subjects), 999
        )
        outcome = hour >= np.repeat(onset, rows_each)
        risk = np.clip(0.1 + 0.2 * outcome + generator.normal(0, 0.06, len(hour)), 0.001, 0.999)
    return pl.DataFrame(
        {
            "subject_id": np.repeat(np.arange(n_subjects) + first_subject, rows_each),
            "prediction_time": [START + timedelta(hours=int(h)) for h in hour],
            "boolean_value": outcome,
            "predicted_boolean_probability": risk.astype(np.float32),
            "event_hours": np.where(outcome, 12.0, np.nan),
        }
    ).with_columns(pl.col("event_hours").fill_nan(None))


def facts(*frames: pl.DataFrame) -> pl.DataFrame:
    rows = (
        pl.concat(frames)
        .select("subject_id", "prediction_time")
        .unique()
        .sort("subject_id", "prediction_time")
    )
    generator = np.random.default_rng(0)
    return rows.with_columns(
        sex=pl.Series(generator.choice(["female", "male"], rows.height)),
        age=pl.Series(generator.uniform(20, 95, rows.height)),
        hospital_id=pl.Series(generator.choice(["A", "B"], rows.height)),
    )


def one_fold() -> dict[str, Any]:
    held_out, tuning = predictions(400, 1), predictions(200, 2)
    return evaluate_model(held_out, tuning, facts(held_out), STAYS, CONFIG)


def test_figures_are_those_of_scikit_learn() -> None:
    found, held_out = one_fold(), predictions(400, 1)
    y, p = (
        held_out["boolean_value"].to_numpy(),
        held_out["predicted_boolean_probability"].to_numpy().astype(float),
    )
    assert found["auroc"] == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert found["auprc"] == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert found["brier"] == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert found["scaled_brier"] == pytest.approx(1 - brier_score_loss(y, p) / (y.mean() * (1 - y.mean())))
    for name in ("auroc", "auprc", "brier"):
        assert found["intervals"][name]["low"] < found[name] < found["intervals"][name]["high"]


def test_thresholds_are_from_tuning_rows_and_nothing_else_is() -> None:
    held_out, tuning = predictions(400, 1), predictions(200, 2)
    other = tuning.with_columns(boolean_value=~pl.col("boolean_value"))
    found, again = (
        evaluate_model(held_out, frame, facts(held_out), STAYS, CONFIG) for frame in (tuning, other)
    )
    assert found == again  # labels of tuning rows do not choose thresholds at a rate
    quiet = tuning.with_columns(pl.col("predicted_boolean_probability") * 0.5)
    moved = evaluate_model(held_out, quiet, facts(held_out), STAYS, CONFIG)
    assert moved["operating_points"] != found["operating_points"]
    assert {k: v for k, v in moved.items() if k not in {"operating_points", "subgroups"}} == {
        k: v for k, v in found.items() if k not in {"operating_points", "subgroups"}
    }


def test_the_order_of_rows_changes_nothing() -> None:
    held_out, tuning = predictions(150, 1), predictions(80, 2)
    shuffled = [
        frame.sample(fraction=1, shuffle=True, seed=3) for frame in (held_out, tuning, facts(held_out))
    ]
    assert evaluate_model(*shuffled, STAYS, CONFIG) == evaluate_model(
        held_out, tuning, facts(held_out), STAYS, CONFIG
    )


def test_several_folds_have_mean_spread_and_corrected_intervals_and_pooled_curves() -> None:
    folds = [
        (predictions(120, seed, first_subject=1000 * seed), predictions(80, 50 + seed)) for seed in range(3)
    ]
    subjects = facts(*[held_out for held_out, _ in folds])
    found = evaluate_task(
        {name: [FoldPredictions(*fold) for fold in folds] for name in ("logistic", "lightgbm")},
        {"logistic": "logistic", "lightgbm": "lightgbm"},
        subjects,
        STAYS,
        CONFIG,
    )
    model = found["models"]["lightgbm"]
    aurocs = [
        roc_auc_score(held_out["boolean_value"], held_out["predicted_boolean_probability"])
        for held_out, _ in folds
    ]
    assert model["mean"]["auroc"] == pytest.approx(np.mean(aurocs))
    assert model["sd"]["auroc"] == pytest.approx(np.std(aurocs, ddof=1))
    assert model["intervals"]["auroc"]["low"] < model["mean"]["auroc"] < model["intervals"]["auroc"]["high"]
    assert model["interval_method"].startswith("corrected resampled t")
    assert sum(tenth["n_rows"] for tenth in model["curves"]["calibration"]["deciles"]) == 360
    # each row alerts at its own fold's threshold
    own = sum(point["n_alerts"] for fold in model["folds"] for point in fold["operating_points"][:1])
    assert model["operating_points"][0]["n_alerts"] == own
    assert {row["metric"] for row in found["differences"]} == {"auroc", "auprc", "brier"}
    assert all(row["n"] == 3 for row in found["differences"])


def test_rows_held_out_in_several_folds_count_once_in_what_all_rows_together_say() -> None:
    """As in published splits that draw a tenth five times: each fold has its figures, nobody two votes."""
    one, other = predictions(300, seed=1), predictions(300, seed=2)
    other = other.with_columns(one["boolean_value"]).filter(pl.col("subject_id") >= 100)
    folds = [FoldPredictions(held_out=rows, tuning=predictions(400, seed=9)) for rows in (one, other)]
    found = evaluate_task(
        {"a": folds, "b": folds[::-1]},
        {"a": "trees", "b": "trees"},
        facts(one),
        STAYS,
        CONFIG,
        test_train_ratio=0.25,
    )
    record = found["models"]["a"]
    assert [fold["n_rows"] for fold in record["folds"]] == [300, 200]
    fall = record["curves"]["calibration"]["deciles"]
    assert sum(group["n_rows"] for group in fall) == 300
    risk = one["predicted_boolean_probability"].to_numpy()
    assert fall[0]["predicted"] == pytest.approx(np.sort(risk)[:30].mean(), abs=1e-6)
    aurocs = np.array([fold["auroc"] for fold in record["folds"]])
    # Nadeau and Bengio: sqrt((1 / k + n_test / n_train) s^2) times t of k - 1 degrees of freedom, by hand.
    half = 12.706204736 * np.sqrt((1 / 2 + 0.25) * aurocs.var(ddof=1))
    assert record["intervals"]["auroc"]["high"] == pytest.approx(aurocs.mean() + half)
    difference = next(one for one in found["differences"] if one["metric"] == "auroc")
    apart = np.array([-1, 1]) * (aurocs[0] - aurocs[1])
    half = 12.706204736 * np.sqrt((1 / 2 + 0.25) * apart.var(ddof=1))
    assert difference["high"] == pytest.approx(half)


def test_hourly_tasks_have_a_utility_with_an_interval_and_its_own_operating_point() -> None:
    held_out, tuning = predictions(60, 1, rows_each=20), predictions(60, 2, rows_each=20)
    found = evaluate_task(
        {"lightgbm": [FoldPredictions(held_out, tuning)], "ward": [FoldPredictions(held_out, tuning)]},
        {"lightgbm": "lightgbm", "ward": "ward"},
        facts(held_out),
        HOURLY,
        CONFIG,
    )
    model = found["models"]["lightgbm"]
    interval = model["intervals"]["utility"]
    assert interval["low"] < model["mean"]["utility"] < interval["high"]
    assert model["operating_points"][-1]["rule"] == "best_utility"
    assert model["operating_points"][-1]["workload_unit"] == "per 100 patient-days"
    assert [row["difference"] for row in found["differences"] if row["metric"] == "utility"] == [0]


def test_a_fold_without_positives_has_nulls_and_a_warning_and_no_failure() -> None:
    held_out = predictions(60, 1).with_columns(boolean_value=pl.lit(value=False))
    found = evaluate_model(held_out, predictions(60, 2), facts(held_out), STAYS, CONFIG)
    assert found["auroc"] is None
    assert found["intervals"]["auroc"] is None
    assert any("events" in text for text in found["warnings"])
    json.dumps(found, allow_nan=False)


def test_means_over_folds_are_null_where_a_fold_lacks_the_measure() -> None:
    found = summarise_folds([{"auroc": 0.8, "brier": 0.1}, {"auroc": None, "brier": 0.2}])
    assert found["mean"]["auroc"] is None
    assert found["mean"]["brier"] == pytest.approx(0.15)
    assert summarise_folds([{"brier": 0.1}])["sd"]["brier"] is None


def shape(content: Any) -> Any:
    """What keys stand where, lists by their first element; numbers, texts and nulls are leaves."""
    if isinstance(content, dict):
        return {key: shape(value) for key, value in content.items()}
    return [shape(content[0])] if isinstance(content, list) and content else "leaf"


def test_the_example_of_metrics_json_has_the_shape_that_is_written() -> None:
    example = json.loads(EXAMPLE.read_text("utf-8"))
    assert example["format"] == FORMAT
    held_out, tuning = predictions(300, 1, rows_each=6), predictions(200, 2, rows_each=6)
    found = evaluate_task(
        {name: [FoldPredictions(held_out, tuning)] for name in ("ward", "lightgbm")},
        {"ward": "ward", "lightgbm": "lightgbm"},
        facts(held_out),
        HOURLY,
        CONFIG,
    )
    written = json.loads(json.dumps(found, allow_nan=False))
    task = example["tasks"]["icu_sepsis_hourly"]
    measured = next(row for row in written["models"]["ward"]["subgroups"] if not row["is_suppressed"])
    shown = next(row for row in task["models"]["ward"]["subgroups"] if not row["is_suppressed"])
    assert set(measured) == set(shown)
    for record in (written["models"]["ward"], task["models"]["ward"]):
        del record["subgroups"]
    assert shape(written["models"]["ward"]) == shape(task["models"]["ward"])
    assert shape(written["differences"][:1]) == shape(task["differences"][:1])
