"""Calibrators that turn a model's risks into honest probabilities, fitted and chosen on tuning rows."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from phenotype.link import fit_intercept, fit_logistic_link, log_loss, logit, sigmoid

Floats = npt.NDArray[np.float64]

MIN_OUTCOMES = 20
"""Below this many rows of the rarer outcome nothing is fitted: two parameters need about ten outcomes each.

**Source:** Peduzzi et al. 1996, doi:10.1016/S0895-4356(96)00236-3 (ten events a parameter).
"""
MIN_OUTCOMES_ISOTONIC = 1000
"""Isotonic regression is tried from this many rows of the rarer outcome on; with fewer it overfits.

**Source:** Niculescu-Mizil & Caruana 2005, doi:10.1145/1102351.1102430 (about 1,000 cases).
"""
MIN_SLOPE = 0.01
"""A calibrator never turns a model's ranking round, however bad the model is."""
N_FOLDS = 5


class Calibrator(BaseModel):
    """A non-decreasing map from a model's risk to a calibrated risk.

    Attributes:
        method: "none" leaves risks alone; "logistic" is sigmoid(slope * logit(risk) + intercept); "isotonic"
            interpolates between knots.
        slope: of the logistic map, > 0.
        intercept: of the logistic map.
        knots: risks at which the isotonic map is given, increasing.
        levels: calibrated risk at each knot, non-decreasing.
        n_rows: tuning rows that it was fitted on.
        n_positive: positive rows among them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Literal["none", "logistic", "isotonic"] = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    n_rows: int = 0
    n_positive: int = 0

    def apply(self, risks: Floats) -> Floats:
        """Calibrated risks, in the order of the risks given."""
        if self.method == "logistic":
            return sigmoid(self.slope * logit(risks) + self.intercept)
        if self.method == "isotonic":
            return np.interp(risks, self.knots, self.levels)
        return np.asarray(risks, dtype=np.float64)


def fit_calibrator(
    risks: Floats,
    labels: npt.NDArray[np.bool_],
    subjects: npt.NDArray[np.int64],
    method: Literal["auto", "none", "logistic", "isotonic"] = "auto",
) -> Calibrator:
    """The calibrator of tuning rows, chosen by a rule that looks at them only.

    The rule of "auto": none below MIN_OUTCOMES rows of the rarer outcome; logistic from there on; isotonic
    instead where there are MIN_OUTCOMES_ISOTONIC of them and its log loss, cross-validated over patients, is
    lower.

    Args:
        risks: (n,) uncalibrated risks of tuning rows.
        labels: (n,) what happened.
        subjects: (n,) subject_id; a patient's rows stay together in cross-validation.
        method: "auto" applies the rule, any other name overrides it; one-sided labels fit nothing.
    """
    rarer = int(min(labels.sum(), (~labels).sum()))
    if method == "none" or rarer == 0 or (method == "auto" and rarer < MIN_OUTCOMES):
        return Calibrator(n_rows=len(labels), n_positive=int(labels.sum()))
    if method == "logistic" or (method == "auto" and rarer < MIN_OUTCOMES_ISOTONIC):
        return fit_logistic_calibrator(risks, labels)
    if method == "isotonic":
        return fit_isotonic_calibrator(risks, labels)
    losses = {
        name: _cross_validated_log_loss(risks, labels, subjects, name) for name in ("logistic", "isotonic")
    }
    better = fit_isotonic_calibrator if losses["isotonic"] < losses["logistic"] else fit_logistic_calibrator
    return better(risks, labels)


def fit_logistic_calibrator(risks: Floats, labels: npt.NDArray[np.bool_]) -> Calibrator:
    """Logistic recalibration on the logit scale with Platt's smoothed targets, slope at least MIN_SLOPE.

    **Source:** Platt 1999, "Probabilistic outputs for support vector machines", targets (n+ + 1)/(n+ + 2) and
    1/(n- + 2); Cox 1958, doi:10.1093/biomet/45.3-4.562, for slope and intercept on the logit.
    """
    n_positive = int(labels.sum())
    targets = np.where(labels, (n_positive + 1) / (n_positive + 2), 1 / (len(labels) - n_positive + 2))
    predictor = logit(risks)
    slope, intercept = fit_logistic_link(predictor, targets)
    if slope < MIN_SLOPE:
        slope = MIN_SLOPE
        intercept = fit_intercept(slope * predictor, targets)
    return Calibrator(
        method="logistic", slope=slope, intercept=intercept, n_rows=len(labels), n_positive=n_positive
    )


def fit_isotonic_calibrator(risks: Floats, labels: npt.NDArray[np.bool_]) -> Calibrator:
    """Centred isotonic regression: lines between the centres of pooled blocks, so no two risks are tied.

    Levels are kept off 0 and 1 by half an outcome in all rows; beyond the outermost centres the map goes half
    the way to certainty at risk 0 and 1.

    **Source:** Oron & Flournoy 2017, doi:10.1080/19466315.2017.1286256.
    """
    from sklearn.isotonic import isotonic_regression

    distinct, place, n_rows = np.unique(risks, return_inverse=True, return_counts=True)
    rates = np.bincount(place, weights=labels.astype(np.float64)) / n_rows
    pooled = isotonic_regression(rates, sample_weight=n_rows.astype(np.float64))
    block = np.concatenate([[0], np.cumsum(np.diff(pooled) > 0)])
    centres = np.bincount(block, weights=distinct * n_rows) / np.bincount(block, weights=n_rows)
    margin = 0.5 / len(labels)
    levels = np.clip(pooled[np.searchsorted(block, np.arange(len(centres)))], margin, 1 - margin)
    return Calibrator(
        method="isotonic",
        knots=(min(0.0, centres[0] - margin), *centres.tolist(), max(1.0, centres[-1] + margin)),
        levels=(levels[0] / 2, *levels.tolist(), (1 + levels[-1]) / 2),
        n_rows=len(labels),
        n_positive=int(labels.sum()),
    )


def _cross_validated_log_loss(
    risks: Floats,
    labels: npt.NDArray[np.bool_],
    subjects: npt.NDArray[np.int64],
    method: Literal["logistic", "isotonic"],
) -> float:
    """Mean log loss over folds of patients; a patient's fold is the rank of its subject_id modulo N_FOLDS."""
    folds = np.unique(subjects, return_inverse=True)[1] % N_FOLDS
    total = 0.0
    for fold in range(N_FOLDS):
        train = folds != fold
        fitted = fit_calibrator(risks[train], labels[train], subjects[train], method)
        total += len(risks[~train]) * log_loss(
            logit(fitted.apply(risks[~train])), labels[~train].astype(np.float64)
        )
    return total / len(risks)
