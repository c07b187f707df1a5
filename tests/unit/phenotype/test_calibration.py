"""Calibrators: equal to scikit-learn's, monotone, chosen by the stated rule, and JSON there and back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _SigmoidCalibration
from sklearn.isotonic import IsotonicRegression

from phenotype.calibration import Calibrator, fit_calibrator
from phenotype.cohort import LEVELS, RiskCohort
from phenotype.link import fit_logistic_link, logit, sigmoid


def _sample(n: int, seed: int = 0, slope: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Risks that are too extreme (slope < 1), what happened, and two rows a subject."""
    random = np.random.default_rng(seed)
    score = random.normal(-1, 2, size=n)
    labels = random.random(n) < 1 / (1 + np.exp(-slope * score))
    return 1 / (1 + np.exp(-score)), labels, np.arange(n) // 2


def test_logistic_recalibration_is_platts() -> None:
    risks, labels, subjects = _sample(2000)
    ours = fit_calibrator(risks, labels, subjects, "logistic")
    theirs = _SigmoidCalibration().fit(np.log(risks / (1 - risks)), labels)
    assert ours.slope == pytest.approx(-theirs.a_, rel=1e-4)
    assert ours.intercept == pytest.approx(-theirs.b_, rel=1e-4)


def test_isotonic_levels_are_scikit_learns_at_the_centres_of_its_blocks() -> None:
    risks, labels, subjects = _sample(2000)
    ours = fit_calibrator(risks, labels, subjects, "isotonic")
    theirs = IsotonicRegression(out_of_bounds="clip").fit_transform(risks, labels)
    for level in np.unique(theirs):
        expected = np.clip(level, 0.5 / 2000, 1 - 0.5 / 2000)
        assert ours.apply(risks[theirs == level].mean(keepdims=True))[0] == pytest.approx(expected)


def test_isotonic_regression_of_five_rows_is_the_hand_count() -> None:
    # Sorted labels 0 1 0 1 1: (1, 0) pools to 0.5 with centre 0.25, the last two to 1 with 0.45.
    # The margin is 0.5 / 5, and half the way to certainty is 0.05 at risk 0 and 0.95 at risk 1.
    risks = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    fitted = fit_calibrator(risks, np.array([0, 1, 0, 1, 1], dtype=bool), np.arange(5), "isotonic")
    asked = np.array([0.0, 0.1, 0.175, 0.25, 0.45, 1.0])
    np.testing.assert_allclose(fitted.apply(asked), [0.05, 0.1, 0.3, 0.5, 0.9, 0.95])


def test_isotonic_regression_never_ties_risks_that_differ() -> None:
    risks, labels, subjects = _sample(5000)
    calibrated = fit_calibrator(risks, labels, subjects, "isotonic").apply(np.sort(risks))
    assert (np.diff(calibrated) > 0).all()
    assert calibrated.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_calibrated_risks_have_the_outcomes_rate() -> None:
    risks, labels, subjects = _sample(5000)
    fitted = fit_calibrator(risks, labels, subjects)
    assert fitted.apply(risks).mean() == pytest.approx(labels.mean(), abs=2e-3)
    assert fitted.n_rows == 5000
    assert fitted.n_positive == labels.sum()


@pytest.mark.parametrize(("n", "method"), [(20, "none"), (500, "logistic")])
def test_few_outcomes_get_a_simple_calibrator(n: int, method: str) -> None:
    assert fit_calibrator(*_sample(n)).method == method


def test_many_outcomes_get_the_one_with_the_lower_cross_validated_loss() -> None:
    random = np.random.default_rng(0)
    risks = random.random(20_000)
    steps = random.random(20_000) < np.where(risks < 0.6, 0.1, 0.8)  # a step: no logistic curve fits it
    assert fit_calibrator(risks, steps, np.arange(20_000)).method == "isotonic"
    score = random.normal(size=20_000)
    smooth = random.random(20_000) < 1 / (1 + np.exp(-0.5 * score))
    assert fit_calibrator(1 / (1 + np.exp(-score)), smooth, np.arange(20_000)).method == "logistic"


def test_a_misleading_model_is_not_turned_round() -> None:
    risks, labels, subjects = _sample(2000, slope=-1.0)
    calibrated = fit_calibrator(risks, labels, subjects).apply(np.sort(risks))
    assert (np.diff(calibrated) > 0).all()
    assert calibrated.mean() == pytest.approx(labels.mean(), abs=0.01)


def test_one_sided_labels_calibrate_nothing() -> None:
    risks, _, subjects = _sample(100)
    nobody = np.zeros(100, dtype=bool)
    np.testing.assert_array_equal(fit_calibrator(risks, nobody, subjects, "logistic").apply(risks), risks)


@pytest.mark.parametrize("method", ["none", "logistic", "isotonic"])
def test_json_there_and_back_gives_equal_risks(method: str) -> None:
    risks, labels, subjects = _sample(2000)
    fitted = fit_calibrator(risks, labels, subjects, method)
    again = Calibrator.model_validate_json(fitted.model_dump_json())
    assert again.apply(risks).tobytes() == fitted.apply(risks).tobytes()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), method=st.sampled_from(["auto", "logistic", "isotonic"]))
def test_every_calibrator_is_monotone_and_a_probability(seed: int, method: str) -> None:
    fitted = fit_calibrator(*_sample(200, seed), method)
    calibrated = fitted.apply(np.linspace(0, 1, 501))
    assert (np.diff(calibrated) >= 0).all()
    assert calibrated.min() >= 0
    assert calibrated.max() <= 1


def test_separable_data_have_a_finite_link() -> None:
    slope, intercept = fit_logistic_link(np.array([0.0, 1, 2, 3]), np.array([0.0, 0, 1, 1]))
    assert np.isfinite([slope, intercept]).all()
    assert slope > 0


def test_a_constant_predictor_gives_the_base_rate() -> None:
    slope, intercept = fit_logistic_link(np.full(4, 3.0), np.array([0.0, 0, 0, 1]))
    assert slope == 0
    assert intercept == pytest.approx(np.log(1 / 3))


def test_logit_and_sigmoid_undo_each_other() -> None:
    risks = np.array([1e-12, 1e-3, 0.5, 0.999])
    np.testing.assert_allclose(sigmoid(logit(risks)), risks, rtol=1e-10)


def test_a_large_unit_has_its_own_range_and_a_small_one_everybodys() -> None:
    risks = pl.DataFrame(
        {
            "subject_id": list(range(100)),
            "risk": np.linspace(0, 0.99, 100),
            "unit_id": ["A"] * 50 + ["B"] * 10 + [None] * 40,
        }
    )
    cohort = RiskCohort.of_risks(risks)
    assert set(cohort.units) == {"A"}
    assert cohort.of_unit("B") == cohort.of_unit(None) == cohort.everybody
    assert cohort.of_unit("A").n_subjects == 50
    # numpy's default quantile of 0, 0.01 ... 0.49 at one half lies between 0.24 and 0.25.
    assert cohort.of_unit("A").quantile(0.5) == pytest.approx(0.245)
    assert cohort.everybody.share_below(0.495) == pytest.approx(0.5)
    assert cohort.everybody.share_below(1.0) == max(LEVELS)
    assert RiskCohort.model_validate_json(cohort.model_dump_json()) == cohort
