"""Many small weighted logistic regressions on one design, at once: what resampled recalibration needs.

B regressions, G places where rows stand, D coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.scored import FloatArray

MAX_COEFFICIENT = 50.0
"""On a standardised design a coefficient beyond this means separated classes: there is no maximum."""
MAX_STEPS = 50
MAX_HALVINGS = 12
TOLERANCE = 1e-10
RIDGE = 1e-12


@dataclass(frozen=True)
class _Likelihood:
    """B logistic likelihoods.

    Attributes:
        design: (G, D).
        offset: (G,) added to the linear predictor.
        positives: (B, G) weighted positives.
        totals: (B, G) weighted rows.
    """

    design: FloatArray
    offset: FloatArray
    positives: FloatArray
    totals: FloatArray

    def deviance(self, coefficients: FloatArray) -> FloatArray:
        """(B,) minus the log likelihood of (B, D) coefficients."""
        linear = coefficients @ self.design.T + self.offset
        lost: FloatArray = (self.totals * np.logaddexp(0, linear) - self.positives * linear).sum(axis=1)
        return lost

    def newton_step(self, coefficients: FloatArray) -> FloatArray:
        """(B, D) from coefficients towards the maximum."""
        from scipy.special import expit

        size = self.design.shape[1]
        products = (self.design[:, :, None] * self.design[:, None, :]).reshape(len(self.design), -1)
        expected = expit(coefficients @ self.design.T + self.offset)
        gradient = (self.positives - self.totals * expected) @ self.design
        curvature = ((self.totals * expected * (1 - expected)) @ products).reshape(-1, size, size)
        curvature += RIDGE * self.totals.sum(axis=1)[:, None, None] * np.eye(size)
        return np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0].astype(np.float64)


def fit_logistic(
    design: FloatArray, offset: FloatArray, positives: FloatArray, totals: FloatArray
) -> FloatArray:
    """Maximum-likelihood coefficients by Newton, a step halved until the likelihood does not fall.

    Args:
        design: (G, D), standardised.
        offset: (G,) added to the linear predictor.
        positives: (B, G) weighted positives.
        totals: (B, G) weighted rows.

    Returns:
        (B, D) coefficients; NaN where a class is absent or the classes are separated.
    """
    likelihood = _Likelihood(design, offset, positives, totals)
    n_positive, n_total = positives.sum(axis=1), totals.sum(axis=1)
    is_fitted = (n_positive > 0) & (n_positive < n_total)
    coefficients = np.zeros((len(positives), design.shape[1]))
    deviance = likelihood.deviance(coefficients)
    for _ in range(MAX_STEPS):
        step = likelihood.newton_step(coefficients) * is_fitted[:, None]
        coefficients, deviance = _walk(likelihood, coefficients, step, deviance)
        is_fitted &= np.abs(coefficients).max(axis=1) <= MAX_COEFFICIENT
        if np.abs(step[is_fitted]).max(initial=0.0) < TOLERANCE:
            break
    return np.where(is_fitted[:, None], coefficients, np.nan)


def _walk(
    likelihood: _Likelihood, coefficients: FloatArray, step: FloatArray, deviance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    share = np.ones((len(step), 1))
    for _ in range(MAX_HALVINGS):
        moved = coefficients + share * step
        reached = likelihood.deviance(moved)
        is_worse = reached > deviance * (1 + 1e-12) + 1e-12
        if not is_worse.any():
            break
        share[is_worse] /= 2
    return moved, reached
