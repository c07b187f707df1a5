"""Calibration numbers equal those of scikit-learn, scipy and hand counts."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from experiments.calibration_measures import (
    calibration_curve,
    calibration_measures,
    observed_expected,
    recalibration,
    smooth_observed,
    wilson,
)
from experiments.loess import smooth
from experiments.scored import ScoredRows, score_rows


def scored(risk: np.ndarray, outcome: np.ndarray) -> ScoredRows:
    return score_rows(
        pl.DataFrame(
            {
                "subject_id": np.arange(len(risk)),
                "prediction_time": [datetime(2020, 1, 1)] * len(risk),
                "boolean_value": outcome.astype(bool),
                "predicted_boolean_probability": risk.astype(np.float64),
            }
        )
    )


def simulated(n_rows: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> ScoredRows:
    generator = np.random.default_rng(seed)
    linear = generator.normal(-1.5, 1.2, n_rows)
    outcome = generator.random(n_rows) < expit(shift + slope * linear)
    return scored(expit(linear), outcome)


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.6, -0.4), (1.7, 0.8)])
def test_slope_and_intercepts_equal_other_implementations(slope: float, shift: float) -> None:
    rows = simulated(3000, 7, slope, shift)
    linear = logit(rows.risk)
    fitted = LogisticRegression(C=np.inf, tol=1e-12, max_iter=5000).fit(linear[:, None], rows.is_positive)
    in_the_large = brentq(lambda a: expit(linear + a).sum() - rows.n_positive, -5, 5, xtol=1e-13)
    found = recalibration(rows)
    assert found["calibration_slope"] == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    assert found["calibration_intercept"] == pytest.approx(fitted.intercept_[0], abs=1e-5)
    assert found["calibration_in_the_large"] == pytest.approx(in_the_large, abs=1e-9)


def test_a_calibrated_simulation_has_slope_one_and_small_distances() -> None:
    found = calibration_measures(simulated(20_000, 3))
    assert found["calibration_slope"] == pytest.approx(1, abs=0.05)
    assert found["calibration_in_the_large"] == pytest.approx(0, abs=0.05)
    assert found["observed_expected"] == pytest.approx(1, abs=0.04)
    assert found["ici"] < 0.01
    assert found["e50"] <= found["e90"]


def test_separated_classes_a_constant_risk_and_one_class_have_no_slope() -> None:
    separated = scored(np.linspace(0.1, 0.9, 40), np.arange(40) >= 20)
    assert recalibration(separated)["calibration_slope"] is None
    constant = scored(np.full(20, 0.25), np.arange(20) < 10)
    found = recalibration(constant)
    assert found["calibration_slope"] is None
    # half happened where a quarter was expected: log odds 0 against log odds of 1/4
    assert found["calibration_in_the_large"] == pytest.approx(-logit(0.25), abs=1e-9)
    assert set(recalibration(scored(np.linspace(0.1, 0.9, 9), np.zeros(9))).values()) == {None}


def test_risks_of_nought_and_one_are_kept_within_reach_of_a_logit() -> None:
    risk = np.concatenate([[0.0, 1.0], np.linspace(0.1, 0.9, 98)])
    outcome = np.random.default_rng(0).random(100) < risk
    assert all(np.isfinite(value) for value in calibration_measures(scored(risk, outcome)).values())


def test_observed_over_expected_by_hand() -> None:
    assert observed_expected(scored(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0, 1, 0, 1]))) == pytest.approx(
        2.0
    )
    assert observed_expected(scored(np.zeros(4), np.array([0, 1, 0, 1]))) is None


def test_local_regression_equals_weighted_polynomials_fitted_one_by_one() -> None:
    # the other implementation: numpy's polyfit over the nearest 75 % of single rows, tricube weights
    generator = np.random.default_rng(2)
    x = np.sort(generator.gamma(2, 0.1, 200))
    y = (generator.random(200) < x).astype(float)
    wanted = x[::17]
    n_nearest = int(np.ceil(0.75 * 200))
    expected = []
    for point in wanted:
        reach = np.sort(np.abs(x - point))[n_nearest - 1]
        weights = np.clip(1 - (np.abs(x - point) / reach) ** 3, 0, None) ** 3
        expected.append(np.polyval(np.polyfit(x - point, y, 2, w=np.sqrt(weights)), 0))
    assert smooth(x, y, np.ones(200), wanted) == pytest.approx(np.array(expected), abs=1e-8)


def test_local_regression_gives_back_a_parabola_and_counts_as_repeated_rows() -> None:
    x = np.linspace(0, 1, 30)
    parabola = 0.2 + 0.5 * x - 0.3 * x**2
    counts = np.random.default_rng(1).integers(1, 6, 30).astype(float)
    assert smooth(x, parabola, counts, x) == pytest.approx(parabola, abs=1e-9)


def test_a_score_of_few_levels_is_smoothed_without_failing() -> None:
    # 90 % of rows stand at one risk, so the nearest 75 % have no spread there
    risk = np.repeat([0.05, 0.2, 0.6], [900, 60, 40])
    outcome = np.concatenate([np.arange(900) < 45, np.arange(60) < 12, np.arange(40) < 24])
    grid, observed = smooth_observed(scored(risk, outcome))
    assert grid.tolist() == [0.05, 0.2, 0.6]
    assert observed[0] == pytest.approx(0.05)
    assert ((observed >= 0) & (observed <= 1)).all()


def test_integrated_calibration_index_of_a_known_miscalibration() -> None:
    # risks are half of the truth: the mean distance is the mean risk, the median distance the median risk
    generator = np.random.default_rng(5)
    risk = generator.uniform(0.02, 0.48, 40_000)
    found = calibration_measures(scored(risk, generator.random(40_000) < 2 * risk))
    assert found["ici"] == pytest.approx(risk.mean(), abs=0.01)
    assert found["e50"] == pytest.approx(np.median(risk), abs=0.01)
    assert found["e90"] == pytest.approx(np.quantile(risk, 0.9), abs=0.015)


def test_tenths_by_hand_keep_ties_together() -> None:
    risk = np.repeat([0.1, 0.3, 0.7], [50, 30, 20])
    outcome = np.concatenate([np.arange(50) < 5, np.arange(30) < 12, np.arange(20) < 15])
    tenths = calibration_curve(scored(risk, outcome))["deciles"]
    counted = [(t["predicted"], t["observed"], t["n_rows"], t["n_positive"]) for t in tenths]
    assert [tuple(pytest.approx(value) for value in row) for row in counted] == [
        (0.1, 0.1, 50, 5),
        (0.3, 0.4, 30, 12),
        (0.7, 0.75, 20, 15),
    ]


def test_tenths_of_fewer_than_five_patients_are_left_out() -> None:
    assert calibration_curve(simulated(30, 0))["deciles"] == []


@pytest.mark.parametrize(("n_positive", "n_rows"), [(0, 12), (3, 17), (17, 17), (250, 1000)])
def test_wilsons_interval_equals_scipys(n_positive: int, n_rows: int) -> None:
    expected = binomtest(n_positive, n_rows).proportion_ci(method="wilson")
    assert wilson(n_positive, n_rows) == pytest.approx((expected.low, expected.high), abs=1e-12)
