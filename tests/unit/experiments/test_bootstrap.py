"""Intervals hold what they promise: patients move as one, seeds repeat, and coverage is near 95 %."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from experiments.bootstrap import interval, resample_measures, resamples
from experiments.scored import ScoredRows, score_rows

START = datetime(2020, 1, 1)


def clustered(n_subjects: int, rows_each: int, seed: int, separation: float = 1.0) -> ScoredRows:
    """Patients with an outcome each and a risk that differs more between than within patients."""
    generator = np.random.default_rng(seed)
    outcome = np.repeat(generator.random(n_subjects) < 0.3, rows_each)
    between = np.repeat(generator.normal(0, np.sqrt(0.9), n_subjects), rows_each)
    score = separation * outcome + between + generator.normal(0, np.sqrt(0.1), n_subjects * rows_each)
    return score_rows(
        pl.DataFrame(
            {
                "subject_id": np.repeat(np.arange(n_subjects), rows_each),
                "prediction_time": [START + timedelta(hours=h) for h in range(rows_each)] * n_subjects,
                "boolean_value": outcome,
                "predicted_boolean_probability": norm.cdf(score),
            }
        )
    )


def test_resamples_draw_as_many_patients_as_there_are_whatever_the_batches() -> None:
    whole = np.concatenate(list(resamples(50, 12, 3, 12)), axis=1)
    in_parts = np.concatenate(list(resamples(50, 12, 3, 5)), axis=1)
    assert np.array_equal(whole, in_parts)
    assert (whole.sum(axis=0) == 50).all()
    assert not np.array_equal(whole, np.concatenate(list(resamples(50, 12, 4, 12)), axis=1))


def test_the_same_seed_gives_the_same_bits_whatever_the_order_of_rows() -> None:
    rows = clustered(60, 3, 0)
    shuffled = score_rows(rows.predictions.sample(fraction=1, shuffle=True, seed=5))
    first, second = (
        resample_measures(held, {}, n_resamples=30, seed=2, with_calibration=True)
        for held in (rows, shuffled)
    )
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_ratio_of_sums_is_that_of_the_patients_drawn() -> None:
    rows = clustered(40, 2, 1)
    above, below = rows.sums(rows.is_positive), rows.sums(np.ones(rows.n_rows))
    measured = resample_measures(
        rows, {"share": (above, below)}, n_resamples=4, seed=9, with_calibration=False
    )
    drawn = next(iter(resamples(40, 4, 9, 4)))
    for number in range(4):
        members = np.repeat(np.arange(40), drawn[:, number].astype(int))
        outcomes = np.concatenate([rows.is_positive[rows.subject == member] for member in members])
        assert measured["share"][number] == pytest.approx(outcomes.mean(), abs=1e-12)


def test_binned_calibration_of_a_resample_is_that_of_its_rows() -> None:
    # 6,000 distinct risks in 256 bins: the slope of the undrawn data from scikit-learn is the measure
    from sklearn.linear_model import LogisticRegression

    rows = clustered(2000, 3, 4, separation=2.0)
    measured = resample_measures(rows, {}, n_resamples=3, seed=0, with_calibration=True)
    logits = np.log(rows.risk / (1 - rows.risk)).clip(-13.8, 13.8)[:, None]
    drawn = next(iter(resamples(2000, 3, 0, 3)))
    for number in range(3):
        fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(
            logits, rows.is_positive, sample_weight=drawn[rows.subject, number]
        )
        assert measured["calibration_slope"][number] == pytest.approx(fitted.coef_[0, 0], rel=2e-3)


def test_an_interval_is_null_where_too_many_resamples_lack_a_class() -> None:
    values = np.array([0.5] * 80 + [np.nan] * 20)
    assert interval(values) is None
    assert interval(values[5:90][:80]) == {"low": 0.5, "high": 0.5, "n_resamples": 75}
    assert interval(np.array([])) is None


def test_intervals_over_patients_cover_the_true_auroc_and_those_over_rows_do_not() -> None:
    # two normals one apart with unit variance: the true AUROC is the normal distribution at 1 / sqrt(2)
    truth, n_simulations = norm.cdf(1 / np.sqrt(2)), 150
    hits = {"patients": 0, "rows": 0}
    for seed in range(n_simulations):
        rows = clustered(120, 4, 1000 + seed)
        alone = score_rows(rows.predictions.with_columns(pl.int_range(pl.len()).alias("subject_id")))
        for name, held in (("patients", rows), ("rows", alone)):
            measured = resample_measures(held, {}, n_resamples=200, seed=seed, with_calibration=False)
            found = interval(measured["auroc"])
            assert found is not None
            hits[name] += found["low"] <= truth <= found["high"]
    assert 0.90 <= hits["patients"] / n_simulations <= 0.99
    assert hits["rows"] / n_simulations < 0.85
