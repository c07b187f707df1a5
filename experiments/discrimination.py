"""How well risks rank patients: AUROC and average precision, resampled or not, and their curves for drawing.

Point values come from scikit-learn; the resampled forms exist because a bootstrap needs a thousand of them
from one sorting. B resamples, R rows, G groups of rows by rising risk.
"""

from __future__ import annotations

import numpy as np

from experiments.scored import FloatArray, ScoredRows

N_CURVE_POINTS = 200


def auroc(rows: ScoredRows) -> float | None:
    """The area under the ROC curve; null where one of the classes is absent."""
    from sklearn.metrics import roc_auc_score

    if not 0 < rows.n_positive < rows.n_rows:
        return None
    return float(roc_auc_score(rows.is_positive, rows.risk))


def auprc(rows: ScoredRows) -> float | None:
    """The area under the precision-recall curve as average precision; null without positives."""
    from sklearn.metrics import average_precision_score

    if not rows.n_positive:
        return None
    return float(average_precision_score(rows.is_positive, rows.risk))


def resampled_auroc(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    """AUROC of B resamples: the share of pairs ranked rightly, ties counting half.

    Args:
        positives: (G, B) weighted positives in groups of rows by rising risk; a group with positives holds
            one risk.
        negatives: (G, B) weighted negatives.

    Returns:
        (B,) areas; NaN where a class is absent.

    **Source:** Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    below = np.cumsum(negatives, axis=0)
    below -= negatives / 2
    pairs = positives.sum(axis=0) * negatives.sum(axis=0)
    with np.errstate(invalid="ignore"):
        areas: FloatArray = np.einsum("gb,gb->b", positives, below) / pairs
    return areas


def resampled_auprc(positives: FloatArray, negatives: FloatArray) -> FloatArray:
    """Average precision of B resamples: precision at each risk, weighted by the rise in sensitivity.

    Args:
        positives: (G, B) as for `resampled_auroc`.
        negatives: (G, B) as for `resampled_auroc`.

    Returns:
        (B,) areas; NaN without positives.
    """
    true_alerts = np.cumsum(positives[::-1], axis=0)
    alerts = np.cumsum(negatives[::-1], axis=0)
    alerts += true_alerts
    precision = np.divide(true_alerts, alerts, out=np.zeros_like(alerts), where=alerts > 0)
    with np.errstate(invalid="ignore"):
        areas: FloatArray = np.einsum("gb,gb->b", positives[::-1], precision) / positives.sum(axis=0)
    return areas


def roc_curve(rows: ScoredRows) -> dict[str, list[float]]:
    """The ROC curve thinned for drawing: false_positive_rate, sensitivity; empty without both classes."""
    if not 0 < rows.n_positive < rows.n_rows:
        return {"false_positive_rate": [], "sensitivity": []}
    from sklearn.metrics import roc_curve as full_curve

    false_positive_rate, sensitivity, _ = full_curve(rows.is_positive, rows.risk)
    kept = _spread(false_positive_rate, sensitivity)
    return {
        "false_positive_rate": rounded(false_positive_rate[kept]),
        "sensitivity": rounded(sensitivity[kept]),
    }


def precision_recall_curve(rows: ScoredRows) -> dict[str, list[float]]:
    """The precision-recall curve thinned for drawing: sensitivity, ppv; empty without positives."""
    if not rows.n_positive:
        return {"sensitivity": [], "ppv": []}
    from sklearn.metrics import precision_recall_curve as full_curve

    precision, recall, _ = full_curve(rows.is_positive, rows.risk)
    precision, recall = precision[::-1][1:], recall[::-1][1:]
    kept = _spread(recall, precision)
    return {"sensitivity": rounded(recall[kept]), "ppv": rounded(precision[kept])}


def rounded(values: FloatArray) -> list[float]:
    """Values for drawing, to six decimals: finer than any page can show."""
    return [round(float(value), 6) for value in values]


def _spread(across: FloatArray, up: FloatArray) -> np.ndarray:
    """Numbers of at most N_CURVE_POINTS points, evenly far apart along the curve, both ends kept."""
    if len(across) <= N_CURVE_POINTS:
        return np.arange(len(across))
    length = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(across)) + np.abs(np.diff(up)))])
    wanted = np.searchsorted(length, np.linspace(0, length[-1], N_CURVE_POINTS))
    return np.unique(np.concatenate([[0], wanted.clip(0, len(across) - 1), [len(across) - 1]]))
