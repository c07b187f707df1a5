"""The logistic link: logits and probabilities, and the logistic regression on one variable."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LOGIT_LIMIT = 30.0


def fit_logistic_link(predictor: Floats, targets: Floats) -> tuple[float, float]:
    """Slope and intercept of the maximum-likelihood logistic regression on one variable, by Newton's method.

    Args:
        predictor: (n,) finite values; a constant gives slope 0.
        targets: (n,) probabilities or 0/1; both sides must occur.
    """
    scale = float(predictor.std())
    if scale == 0:
        return 0.0, fit_intercept(np.zeros_like(predictor), targets)
    centre = float(predictor.mean())
    design = np.column_stack([(predictor - centre) / scale, np.ones_like(predictor)])
    weights = np.array([0.0, float(logit(np.array([targets.mean()]))[0])])
    loss = log_loss(design @ weights, targets)
    for _ in range(200):
        fitted = sigmoid(design @ weights)
        information = (design * (fitted * (1 - fitted))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(information, design.T @ (targets - fitted)).astype(np.float64)
        weights, proposed = _damped(design, targets, weights, step, loss)
        if abs(loss - proposed) < 1e-14:
            break
        loss = proposed
    slope = float(weights[0]) / scale
    return slope, float(weights[1]) - slope * centre


def fit_intercept(offsets: Floats, targets: Floats) -> float:
    """The intercept with which sigmoid(offsets + intercept) has the mean of the targets, by bisection."""
    low, high = -LOGIT_LIMIT - float(np.abs(offsets).max()), LOGIT_LIMIT + float(np.abs(offsets).max())
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if sigmoid(offsets + middle).mean() < targets.mean() else (low, middle)
    return (low + high) / 2


def logit(risks: Floats) -> Floats:
    """log(p / (1 - p)), held within +-LOGIT_LIMIT."""
    clipped = np.clip(np.asarray(risks, dtype=np.float64), 1e-13, 1 - 1e-13)
    return np.asarray(np.clip(np.log(clipped) - np.log1p(-clipped), -LOGIT_LIMIT, LOGIT_LIMIT))


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)), float64, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64))))


def log_loss(logits: Floats, targets: Floats) -> float:
    """The mean negative log likelihood of 0/1 or fractional targets at these logits."""
    return float(np.mean(np.logaddexp(0.0, logits) - targets * logits))


def _damped(
    design: Floats, targets: Floats, weights: Floats, step: Floats, loss: float
) -> tuple[Floats, float]:
    """The weights after the longest halved step that does not raise the loss, and their loss."""
    for halvings in range(30):
        moved = weights + step / 2**halvings
        proposed = log_loss(design @ moved, targets)
        if proposed <= loss:
            return moved, proposed
    return weights, loss
