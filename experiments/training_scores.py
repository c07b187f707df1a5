"""What a training is judged by on its tuning rows: one figure, lower is better."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Measure = Literal["log_loss", "auroc", "auprc"]


def measure_for(labels: npt.NDArray[np.bool_], asked: Measure) -> Measure:
    """The measure asked for; the log loss where labels are one-sided and rank nothing."""
    is_two_sided = bool(labels.any() and not labels.all())
    return asked if is_two_sided else "log_loss"


def tuning_score(
    logits: Floats, labels: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64], measure: Measure
) -> float:
    """The log loss, or how much AUROC or AUPRC falls short of 1; NaN where a logit is not a number.

    Args:
        logits: (n,).
        labels: (n,).
        weights: (n,) of rows.
        measure: as `measure_for` gives it.
    """
    if not np.isfinite(logits).all():
        return float("nan")
    if measure == "log_loss":
        return float(np.average(np.logaddexp(0.0, logits) - labels * logits, weights=weights))
    from sklearn.metrics import average_precision_score, roc_auc_score

    area = roc_auc_score if measure == "auroc" else average_precision_score
    return 1.0 - float(area(labels, logits, sample_weight=weights))


def shown(score: float, measure: Measure) -> str:
    """The figure as it is told: a loss, or an area."""
    return f"{measure} {score if measure == 'log_loss' else 1 - score:.4f}"
