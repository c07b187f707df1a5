"""Ensembles: the mean of calibrated logits, weights as scikit-learn finds them, bundles that stand alone."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit
from scipy.special import logit as scipy_logit
from sklearn.linear_model import LogisticRegression

from ontology.errors import TaskError
from phenotype.bundle import load_bundle, save_bundle
from phenotype.calibration import Calibrator
from phenotype.ensemble import EnsembleConfig, fit_ensemble, tuned_weights
from phenotype.feature_spec import FeatureSpec
from phenotype.logistic import LogisticConfig, fit_logistic
from phenotype.trees import LightGBMConfig, fit_lightgbm

SPEC = FeatureSpec(windows=("full",), aggregations=("count", "mean", "last"), min_subjects=5)


@pytest.fixture(scope="module")
def fitted(planted):
    rows = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    trees = LightGBMConfig(features=SPEC, n_seeds=2, learning_rate=0.1, max_trees=20)
    return {
        "trees": fit_lightgbm(*rows, trees, seed=0),
        "linear": fit_logistic(*rows, LogisticConfig(features=SPEC), seed=0),
    }


def ensemble(planted, fitted, **settings):
    config = EnsembleConfig(members=("trees", "linear"), **settings)
    return fit_ensemble(config, fitted, planted.tuning, planted.tuning_labels)


def test_the_risk_is_the_mean_of_the_members_calibrated_logits(planted, fitted) -> None:
    """Each member's logit is put through Platt's line, fitted here by scikit-learn, and the two averaged."""
    labels = planted.tuning_labels
    targets = np.where(labels, (labels.sum() + 1) / (labels.sum() + 2), 1 / ((~labels).sum() + 2))
    total = np.zeros(len(labels))
    for model in fitted.values():
        own = scipy_logit(model.predict(planted.tuning))[:, None]
        doubled = np.concatenate([own, own]), np.repeat([1, 0], len(own))
        line = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        line.fit(*doubled, sample_weight=np.concatenate([targets, 1 - targets]))
        total += line.decision_function(own) / 2
    risks = ensemble(planted, fitted).predict(planted.tuning)
    np.testing.assert_allclose(risks, expit(total), atol=1e-6)


def test_its_logit_is_the_scaled_sum_of_the_members_own_logits(planted, fitted) -> None:
    model = ensemble(planted, fitted, weights="tuned")
    own = np.stack([scipy_logit(fitted[name].predict(planted.tuning)) for name in ("trees", "linear")])
    expected = np.asarray(model.scales) @ own + model.intercept
    np.testing.assert_allclose(scipy_logit(model.predict(planted.tuning)), expected, atol=1e-9)


def test_tuned_weights_are_those_of_logistic_regression_where_none_is_negative() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2, 4000))
    labels = draw.random(4000) < expit(1.5 * logits[0] + 0.5 * logits[1] - 1)
    (coefficients,) = LogisticRegression(C=np.inf, tol=1e-10).fit(logits.T, labels).coef_
    np.testing.assert_allclose(tuned_weights(logits, labels), coefficients / coefficients.sum(), atol=1e-4)


def test_a_member_that_misleads_gets_no_weight() -> None:
    draw = np.random.default_rng(1)
    good = draw.normal(size=2000)
    labels = draw.random(2000) < expit(good)
    bad = 0.5 * draw.normal(size=2000) - good
    np.testing.assert_allclose(tuned_weights(np.stack([good, bad]), labels), [1, 0], atol=1e-6)
    np.testing.assert_array_equal(tuned_weights(np.stack([bad, bad]), labels), [0.5, 0.5])


def test_its_bundle_stands_alone_and_predicts_the_same(planted, fitted, tmp_path) -> None:
    """An ensemble in an ensemble too: every member's trees, tables and tensors lie in the one folder."""
    inner = ensemble(planted, fitted)
    config = EnsembleConfig(members=("linear", "inner"))
    outer = fit_ensemble(config, fitted | {"inner": inner}, planted.tuning, planted.tuning_labels)
    place = save_bundle(
        tmp_path / "bundle", outer, task={}, calibrator=Calibrator(), thresholds={}, card={"title": "x"}
    )
    loaded = load_bundle(place).model
    np.testing.assert_array_equal(loaded.predict(planted.tuning), outer.predict(planted.tuning))
    assert [member.name for member in loaded.members] == ["linear", "inner"]


def test_one_sided_tuning_rows_leave_risks_and_weights_alone(planted, fitted) -> None:
    config = EnsembleConfig(members=("trees", "linear"), weights="tuned")
    model = fit_ensemble(config, fitted, planted.tuning, np.zeros(len(planted.tuning_labels), dtype=bool))
    assert model.weights == (0.5, 0.5)
    mean = (
        scipy_logit(fitted["trees"].predict(planted.tuning))
        + scipy_logit(fitted["linear"].predict(planted.tuning))
    ) / 2
    np.testing.assert_allclose(model.predict(planted.tuning), expit(mean), atol=1e-12)


def test_a_member_that_is_not_fitted_is_told_with_those_that_are(planted, fitted) -> None:
    with pytest.raises(TaskError, match="network") as told:
        fit_ensemble(
            EnsembleConfig(members=("trees", "network")), fitted, planted.tuning, planted.tuning_labels
        )
    assert "trees, linear" in str(told.value)


def test_a_member_named_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="named twice: a"):
        EnsembleConfig(members=("a", "b", "a"))
