"""How far risks can be taken at their word: recalibration slope and intercept, ICI, E50, E90 and curves.

**Source:** slope and intercept: Cox 1958, doi:10.1093/biomet/45.3-4.562; names as in Van Calster et al. 2019,
doi:10.1186/s12916-019-1466-7. ICI, E50, E90: Austin and Steyerberg 2019, doi:10.1002/sim.8281.
R rows, G distinct risks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.discrimination import rounded
from experiments.loess import smooth
from experiments.logistic_fit import fit_logistic
from experiments.scored import FloatArray, ScoredRows

RISK_FLOOR = 1e-6
"""Risks of exactly 0 and 1 have no logit; they count as this far from the end."""
N_DECILES = 10
N_SMOOTH_POINTS = 100
MIN_SUBJECTS_IN_BIN = 5
Z = 1.959963984540054


def calibration_measures(rows: ScoredRows) -> dict[str, float | None]:
    """Calibration of R predictions in single numbers.

    Returns:
        observed_expected (observed over expected events), calibration_slope and calibration_intercept
        (logistic recalibration; 1 and 0 are right), calibration_in_the_large (the intercept with the slope
        fixed at 1), ici, e50, e90 (mean, median and 90th percentile of |smoothed observed - predicted|).
        Null where it cannot be had.
    """
    positives, negatives = rows.ranking.tie_totals()
    grid, observed = smooth_observed(rows)
    distance = np.abs(np.interp(rows.ranking.risk, grid, observed) - rows.ranking.risk)
    repeated = np.repeat(distance, (positives + negatives).astype(np.int64))
    return {
        "observed_expected": observed_expected(rows),
        **recalibration(rows),
        "ici": float(repeated.mean()),
        "e50": float(np.median(repeated)),
        "e90": float(np.quantile(repeated, 0.9)),
    }


def observed_expected(rows: ScoredRows) -> float | None:
    """Observed over expected events; null where none is expected."""
    expected = float(rows.risk.sum())
    return rows.n_positive / expected if expected > 0 else None


def recalibration(rows: ScoredRows) -> dict[str, float | None]:
    """calibration_slope, calibration_intercept and calibration_in_the_large; null where there is no fit."""
    positives, negatives = rows.ranking.tie_totals()
    fitted = fit_recalibration(logit(rows.ranking.risk), positives[None], (positives + negatives)[None])
    return {name: float(values[0]) if np.isfinite(values[0]) else None for name, values in fitted.items()}


def calibration_curve(rows: ScoredRows) -> dict[str, Any]:
    """Observed against predicted risk: by tenths of the rows (equal risks kept together) and smoothed.

    Returns:
        `deciles`: rows of predicted, observed, low, high (Wilson's 95 % interval, rows taken as
        independent), n_rows, n_positive; tenths of fewer than 5 subjects are left out. `smooth`: predicted
        and observed, rising.
    """
    grid, observed = smooth_observed(rows)
    return {"deciles": _deciles(rows), "smooth": {"predicted": rounded(grid), "observed": rounded(observed)}}


def smooth_observed(rows: ScoredRows) -> tuple[FloatArray, FloatArray]:
    """The observed rate as a smooth function of risk, at up to 100 risks that stand at even quantiles."""
    risk = rows.ranking.risk
    positives, negatives = rows.ranking.tie_totals()
    counts = positives + negatives
    at = np.linspace(0, rows.n_rows - 1, N_SMOOTH_POINTS).round().astype(np.int64)
    grid = np.unique(np.repeat(risk, counts.astype(np.int64))[at]) if len(risk) > N_SMOOTH_POINTS else risk
    return grid, smooth(risk, positives / counts, counts, grid).clip(0, 1)


def _deciles(rows: ScoredRows) -> list[dict[str, Any]]:
    counts = np.diff(np.append(rows.ranking.starts, rows.n_rows))
    middle = rows.ranking.starts + (counts - 1) / 2
    tenth = np.repeat(np.floor(N_DECILES * middle / rows.n_rows).astype(np.int64), counts)
    subject, risk = rows.subject[rows.ranking.order], rows.risk[rows.ranking.order]
    found = []
    for number in np.unique(tenth):
        chosen = tenth == number
        if len(np.unique(subject[chosen])) < MIN_SUBJECTS_IN_BIN:
            continue
        n_rows, n_positive = int(chosen.sum()), int(rows.ranking.is_positive[chosen].sum())
        low, high = wilson(n_positive, n_rows)
        found.append(
            {
                "predicted": float(risk[chosen].mean()),
                "observed": n_positive / n_rows,
                "low": low,
                "high": high,
                "n_rows": n_rows,
                "n_positive": n_positive,
            }
        )
    return found


def wilson(n_positive: int, n_rows: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share. **Source:** Wilson 1927, doi:10.1080/01621459.1927.10502953."""
    share, spread = n_positive / n_rows, Z * Z / n_rows
    middle = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * float(np.sqrt(share * (1 - share) / n_rows + spread / (4 * n_rows)))
    return max(0.0, middle - half), min(1.0, middle + half)


def logit(risk: FloatArray) -> FloatArray:
    """The log odds of a risk, risks of 0 and 1 taken as RISK_FLOOR away from them."""
    from scipy.special import logit as log_odds

    logits: FloatArray = log_odds(risk.clip(RISK_FLOOR, 1 - RISK_FLOOR))
    return logits


def fit_recalibration(logits: FloatArray, positives: FloatArray, totals: FloatArray) -> dict[str, FloatArray]:
    """Both logistic fits of B resamples at G logits.

    Args:
        logits: (G,) of the predicted risks.
        positives: (B, G) weighted positives at each.
        totals: (B, G) weighted rows at each.

    Returns:
        calibration_slope, calibration_intercept, calibration_in_the_large: (B,); NaN where there is no fit.
    """
    centre, scale = float(logits.mean()), float(logits.std())
    ones = np.ones((len(logits), 1))
    large = fit_logistic(ones, logits, positives, totals)[:, 0]
    slope = intercept = np.full(len(positives), np.nan)
    if scale > 0:
        design = np.column_stack([ones, (logits - centre) / scale])
        coefficients = fit_logistic(design, np.zeros_like(logits), positives, totals)
        slope = coefficients[:, 1] / scale
        intercept = coefficients[:, 0] - slope * centre
    return {"calibration_slope": slope, "calibration_intercept": intercept, "calibration_in_the_large": large}
