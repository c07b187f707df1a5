"""Differences are paired over the same patients, and over folds corrected for their overlap."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from experiments.comparison import compare_folds, compare_models, corrected_interval
from experiments.evaluation_config import EvaluationConfig
from ontology.errors import InputError


def predictions(n_rows: int, noise: float, seed: int) -> pl.DataFrame:
    generator = np.random.default_rng(0)
    signal = generator.normal(0, 1, n_rows)
    outcome = generator.random(n_rows) < stats.norm.cdf(signal - 1)
    return pl.DataFrame(
        {
            "subject_id": np.arange(n_rows),
            "prediction_time": [datetime(2024, 1, 1)] * n_rows,
            "boolean_value": outcome,
            "predicted_boolean_probability": stats.norm.cdf(
                signal - 1 + noise * np.random.default_rng(seed).normal(0, 1, n_rows)
            ),
        }
    )


def test_a_clear_difference_is_found_and_pairing_narrows_its_interval() -> None:
    good, worse = predictions(600, 0.1, 1), predictions(600, 1.2, 2)
    rows = compare_models({"worse": worse, "good": good}, EvaluationConfig(n_bootstrap=400))
    found = next(row for row in rows if row["metric"] == "auroc")
    expected = [
        roc_auc_score(frame["boolean_value"], frame["predicted_boolean_probability"])
        for frame in (good, worse)
    ]
    assert (found["model"], found["other"]) == ("good", "worse")
    assert found["difference"] == pytest.approx(expected[0] - expected[1], abs=1e-12)
    assert 0 < found["low"] < found["difference"] < found["high"]
    assert found["p_value"] < 0.02
    # two AUROCs of 600 rows drawn apart would differ by some 0.12 from end to end
    assert found["high"] - found["low"] < 0.1
    assert (found["method"], found["n"]) == ("bootstrap over patients", 400)


def test_a_model_does_not_differ_from_itself() -> None:
    frame = predictions(200, 0.3, 1)
    for row in compare_models({"one": frame, "again": frame}, EvaluationConfig(n_bootstrap=50)):
        assert (row["difference"], row["low"], row["high"], row["p_value"]) == (0, 0, 0, 1)


def test_models_of_different_rows_are_not_compared() -> None:
    frame = predictions(100, 0.3, 1)
    with pytest.raises(InputError, match="different rows"):
        compare_models({"one": frame, "other": frame.head(99)}, EvaluationConfig(n_bootstrap=5))


def test_without_resamples_there_are_differences_and_no_intervals() -> None:
    rows = compare_models(
        {"a": predictions(100, 0.1, 1), "b": predictions(100, 0.9, 2)}, EvaluationConfig(n_bootstrap=0)
    )
    assert all(row["difference"] is not None and row["low"] is None and row["n"] == 0 for row in rows)


def test_the_corrected_interval_by_hand() -> None:
    # five folds: mean 0.03, s^2 = 0.00025; (1/5 + 1/4) s^2 = 0.0001125, root 0.0106066; t(4, 0.975) = 2.7764
    found = corrected_interval(np.array([0.01, 0.02, 0.03, 0.04, 0.05]))
    assert found["low"] == pytest.approx(0.03 - 2.776445 * 0.0106066, abs=1e-6)
    assert found["high"] == pytest.approx(0.03 + 2.776445 * 0.0106066, abs=1e-6)
    # t = 0.03 / 0.0106066 = 2.828427 with 4 degrees of freedom
    assert found["p_value"] == pytest.approx(2 * stats.t.sf(2.828427, 4), abs=1e-6)


def test_without_overlap_the_corrected_interval_is_the_plain_t_interval() -> None:
    values = np.array([0.2, 0.25, 0.19, 0.31])
    plain = stats.ttest_1samp(values, 0)
    found = corrected_interval(values, test_train_ratio=0)
    assert found["p_value"] == pytest.approx(plain.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(plain.confidence_interval(0.95)))


def test_folds_are_compared_pair_by_pair_and_what_a_fold_lacks_is_left_out() -> None:
    before = [{"auroc": 0.80, "auprc": 0.4, "brier": 0.1}, {"auroc": 0.82, "auprc": None, "brier": 0.1}]
    after = [{"auroc": 0.84, "auprc": 0.5, "brier": 0.1}, {"auroc": 0.88, "auprc": 0.5, "brier": 0.1}]
    rows = {row["metric"]: row for row in compare_folds({"before": before, "after": after})}
    assert set(rows) == {"auroc", "brier"}
    assert rows["auroc"]["difference"] == pytest.approx(0.05)
    assert rows["auroc"]["n"] == 2
    assert rows["brier"]["p_value"] is None


def test_one_fold_has_no_interval() -> None:
    assert corrected_interval(np.array([0.1])) == {"low": None, "high": None, "p_value": None}
