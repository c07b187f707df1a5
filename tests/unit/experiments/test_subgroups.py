"""Subgroups are those of the facts given, measured as if alone; small cells are held back with a reason."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from experiments.scored import ScoredRows, score_rows
from experiments.subgroups import MEASURES, evaluate_subgroups

TIME = datetime(2024, 1, 1)
BANDS = (0, 18, 45, 65, 80)


def cohort(n_rows: int = 400, seed: int = 0) -> tuple[ScoredRows, pl.DataFrame]:
    generator = np.random.default_rng(seed)
    risk = generator.uniform(0, 1, n_rows)
    rows = pl.DataFrame(
        {
            "subject_id": np.arange(n_rows),
            "prediction_time": [TIME] * n_rows,
            "boolean_value": generator.random(n_rows) < risk,
            "predicted_boolean_probability": risk,
        }
    )
    subjects = rows.select(
        "subject_id",
        "prediction_time",
        sex=pl.Series(generator.choice(["female", "male"], n_rows)),
        age=pl.Series(generator.uniform(10, 99, n_rows)),
    )
    return score_rows(rows), subjects


def evaluate(rows: ScoredRows, subjects: pl.DataFrame, is_alert: np.ndarray | None = None) -> list[dict]:
    return evaluate_subgroups(rows, subjects, is_alert, age_bands=BANDS, n_resamples=20, seed=0)


def test_each_group_is_measured_as_if_it_were_alone() -> None:
    rows, subjects = cohort()
    found = {row["group"]: row for row in evaluate(rows, subjects, rows.risk >= 0.8) if row["by"] == "sex"}
    women = (subjects["sex"] == "female").to_numpy()
    y, p = rows.is_positive[women], rows.risk[women]
    assert found["female"]["n_rows"] == women.sum()
    assert found["female"]["auroc"] == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert found["female"]["sensitivity"] == pytest.approx((p[y] >= 0.8).mean())
    assert found["female"]["ppv"] == pytest.approx(y[p >= 0.8].mean())
    assert found["female"]["alert_rate"] == pytest.approx((p >= 0.8).mean())
    low, high = (found["female"]["intervals"]["auroc"][end] for end in ("low", "high"))
    assert low < found["female"]["auroc"] < high


def test_age_bands_begin_at_their_year() -> None:
    rows, subjects = cohort(500)
    ages = [17.99, 18.0, 44.9, 45.0, 64.99, 65.0, 79.5, 80.0, 101.0, None]
    found = evaluate(rows, subjects.with_columns(age=pl.Series(ages * 50)))
    counts = {row["group"]: row["n_rows"] for row in found if row["by"] == "age"}
    assert counts == {"0-17": 50, "18-44": 100, "45-64": 100, "65-79": 100, "80+": 100, "unknown": 50}
    assert list(counts) == ["0-17", "18-44", "45-64", "65-79", "80+", "unknown"]


@pytest.mark.parametrize(
    ("n_members", "n_events", "reason"),
    [
        (4, 4, "fewer than 5 patients"),
        (40, 9, "fewer than 10 events"),
        (40, 10, None),
        (5, 5, "fewer than 10 events"),
    ],
)
def test_small_cells_are_held_back_with_the_reason(n_members: int, n_events: int, reason: str | None) -> None:
    rows, subjects = cohort()
    outcome = np.arange(400) % 2 == 0
    outcome[:n_members] = np.arange(n_members) < n_events
    site = pl.Series(["small" if number < n_members else "large" for number in range(400)])
    held_out = score_rows(rows.predictions.with_columns(boolean_value=pl.Series(outcome)))
    found = evaluate(held_out, subjects.with_columns(hospital_id=site))
    small = next(row for row in found if row["group"] == "small")
    assert (small["is_suppressed"], small["reason"]) == (reason is not None, reason)
    if reason:
        assert [small[name] for name in MEASURES] == [None] * len(MEASURES)
        assert small["intervals"] == {}
    assert small["n_rows"] == (n_members if n_members >= 5 else None)
    assert small["n_positive"] == (n_events if n_events >= 5 else None)


def test_patients_and_not_rows_are_counted_for_suppression() -> None:
    generator = np.random.default_rng(1)
    risk = generator.uniform(0, 1, 300)
    rows = score_rows(
        pl.DataFrame(
            {
                "subject_id": np.repeat(np.arange(3), 100),
                "prediction_time": [datetime(2024, 1, 1 + day % 28, day // 28) for day in range(100)] * 3,
                "boolean_value": generator.random(300) < risk,
                "predicted_boolean_probability": risk,
            }
        )
    )
    subjects = pl.DataFrame({"subject_id": [0, 1, 2], "sex": ["female"] * 3})
    assert evaluate(rows, subjects)[0]["reason"] == "fewer than 5 patients"


def test_rows_that_the_facts_do_not_know_are_a_group_of_their_own() -> None:
    rows, subjects = cohort()
    found = evaluate(rows, subjects.head(300).select("subject_id", "prediction_time", "sex"))
    assert {row["group"]: row["n_rows"] for row in found}["unknown"] == 100


def test_without_facts_there_are_no_groups() -> None:
    rows, subjects = cohort()
    assert evaluate(rows, subjects.select("subject_id", "prediction_time")) == []
