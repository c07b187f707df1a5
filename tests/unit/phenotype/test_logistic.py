"""Logistic regression: scikit-learn on the same design, penalty from tuning rows, gaps as indicators."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from phenotype.cases import Cases
from phenotype.feature_spec import FeatureSpec
from phenotype.logistic import LogisticConfig, LogisticModel, fit_logistic
from phenotype.standardising import fit_standardiser

SPEC = FeatureSpec(windows=("full",), aggregations=("count", "mean", "last"), min_subjects=5)
CONFIG = LogisticConfig(features=SPEC)


@pytest.fixture(scope="module")
def model(planted) -> LogisticModel:
    return fit_logistic(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=0
    )


def test_a_planted_linear_signal_is_found(planted, model) -> None:
    best = roc_auc_score(planted.held_out_labels, planted.true_risks)
    assert roc_auc_score(planted.held_out_labels, model.predict(planted.held_out)) > best - 0.03


def test_shuffled_labels_predict_nothing(planted) -> None:
    random = np.random.default_rng(0)
    labels = random.permutation(planted.train_labels), random.permutation(planted.tuning_labels)
    shuffled = fit_logistic(planted.train, labels[0], planted.tuning, labels[1], CONFIG, seed=0)
    # 200 rows with 80 positives: an AUROC by chance has standard error 0.042 (Hanley & McNeil 1982).
    held_out_labels = random.permutation(planted.held_out_labels)
    assert abs(roc_auc_score(held_out_labels, shuffled.predict(planted.held_out)) - 0.5) < 3 * 0.042


def test_one_seed_gives_one_model_bit_for_bit(planted, model) -> None:
    again = fit_logistic(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=0
    )
    assert again.predict(planted.held_out).tobytes() == model.predict(planted.held_out).tobytes()


def test_no_other_penalty_has_a_lower_tuning_loss(planted, model) -> None:
    design = model.standardiser.apply(model.columns.dense(planted.train.features(SPEC)))
    tuning = model.standardiser.apply(model.columns.dense(planted.tuning.features(SPEC)))
    losses = {}
    for penalty in CONFIG.penalties:
        fitted = LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=5000).fit(design, planted.train_labels)
        losses[penalty] = log_loss(planted.tuning_labels, fitted.predict_proba(tuning)[:, 1])
    assert losses[model.penalty] == pytest.approx(min(losses.values()), abs=1e-4)


def test_one_patient_alone_has_the_same_risk_as_among_others(planted, model) -> None:
    alone = model.predict(Cases(planted.held_out.dataset, planted.held_out.rows[3:4]))
    assert alone[0] == pytest.approx(model.predict(planted.held_out)[3], rel=1e-12)


def test_standardising_is_as_counted_by_hand() -> None:
    nan = np.nan
    values = np.array([[1, 0, nan], [3, 0, nan], [nan, 0, 5], [5, 0, 7]], dtype=np.float32)
    columns = pl.DataFrame({"code": ["A", "B", "C"]})
    design = fit_standardiser(values, columns).apply(values)
    # A: mean 3, sd sqrt(8/3); B constant; C: mean 6, sd 1; then the indicators of A and C.
    sd = np.sqrt(8 / 3)
    expected = [[-2 / sd, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, -1, 1, 0], [2 / sd, 0, 1, 0, 0]]
    np.testing.assert_allclose(design, expected)


def test_outliers_are_held_and_skew_is_taken_out() -> None:
    values = np.zeros((1000, 2), dtype=np.float32)
    values[:, 0] = np.linspace(-1, 1, 1000)
    values[:, 1] = np.random.default_rng(0).lognormal(sigma=2, size=1000)
    standardiser = fit_standardiser(values, pl.DataFrame({"code": ["A", "B"]}))
    design = standardiser.apply(np.array([[1e9, 1e9]], dtype=np.float32))
    assert design[0, 0] == 5
    assert standardiser.is_log.tolist() == [0, 1]


def test_equal_gaps_of_one_code_need_one_indicator() -> None:
    values = np.array([[1, 1, 1], [np.nan, np.nan, np.nan], [2, 2, 2]], dtype=np.float32)
    standardiser = fit_standardiser(values, pl.DataFrame({"code": ["A", "A", "B"]}))
    assert standardiser.indicators.tolist() == [0, 2]
