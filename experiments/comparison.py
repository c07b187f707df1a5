"""Differences between models: over the same resampled patients in one fold, or over folds with correction."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from experiments.bootstrap import LEVEL, Ratios, interval, resample_measures
from experiments.discrimination import auprc, auroc
from experiments.evaluation_config import EvaluationConfig
from experiments.scored import FloatArray, ScoredRows, score_rows
from experiments.utility2019 import utility_sums
from ontology.errors import InputError, Problem

METRICS = ("auroc", "auprc", "brier")
BOOTSTRAP = "bootstrap over patients"
CORRECTED = "corrected resampled t (Nadeau and Bengio)"


def compare_models(
    predictions: Mapping[str, pl.DataFrame],
    config: EvaluationConfig,
    utility_thresholds: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Paired differences between all pairs of models on one fold.

    Args:
        predictions: held-out predictions by model, all of the same rows.
        config: how many resamples of the patients (0 leaves intervals out), and their seed.
        utility_thresholds: alarm thresholds by model; with them the challenge 2019 utility is compared too.

    Returns:
        A row a metric and pair, a later model less an earlier one: metric, model, other, difference, low,
        high (95 % percentile interval), p_value (two-sided, from the share of resamples on the far side of
        0), method, n.

    Raises:
        InputError: the models did not predict the same rows.
    """
    scored = {model: score_rows(frame, f"predictions of {model}") for model, frame in predictions.items()}
    _check_same_rows(scored)
    points, resampled = {}, {}
    for model, rows in scored.items():
        ratios: dict[str, tuple[FloatArray, FloatArray]] = {}
        if utility_thresholds is not None:
            ratios["utility"] = utility_sums(rows, rows.risk >= utility_thresholds[model])
        points[model] = _points(rows, ratios)
        resampled[model] = resample_measures(
            rows, ratios, n_resamples=config.n_bootstrap, seed=config.seed, with_calibration=False
        )
    return [
        _difference(metric, model, other, points, resampled)
        for other, model in itertools.combinations(scored, 2)
        for metric in points[model]
    ]


def compare_folds(
    folds: Mapping[str, Sequence[Mapping[str, Any]]],
    metrics: Sequence[str] = (*METRICS, "utility"),
    test_train_ratio: float | None = None,
) -> list[dict[str, Any]]:
    """Differences between all pairs of models over the same folds, with corrected resampled intervals.

    Args:
        folds: metrics of each fold by model, in the same order of folds.
        metrics: the scalars to compare; those that a fold lacks are left out.
        test_train_ratio: held-out rows over training rows; 1 / (folds - 1), as in k-fold cross-validation,
            if None.

    Returns:
        Rows as `compare_models` returns them; n is the number of folds.
    """
    found = []
    for (other, before), (model, after) in itertools.combinations(folds.items(), 2):
        for metric in metrics:
            late = [fold.get(metric) for fold in after]
            early = [fold.get(metric) for fold in before]
            if None in late or None in early:
                continue
            differences = np.array(late, dtype=np.float64) - np.array(early, dtype=np.float64)
            found.append(
                {
                    "metric": metric,
                    "model": model,
                    "other": other,
                    "difference": float(differences.mean()),
                    **corrected_interval(differences, test_train_ratio),
                    "method": CORRECTED,
                    "n": len(differences),
                }
            )
    return found


def corrected_interval(values: FloatArray, test_train_ratio: float | None = None) -> dict[str, float | None]:
    """The 95 % interval of a mean over folds whose training sets overlap, and the p-value of a mean of 0.

    The variance of the mean is (1 / k + n_test / n_train) s^2 with k - 1 degrees of freedom.

    **Source:** Nadeau and Bengio 2003, doi:10.1023/A:1024068626366, the corrected resampled t-test.

    Returns:
        low, high and p_value; null with fewer than two folds.
    """
    from scipy import stats

    n_folds = len(values)
    if n_folds < 2:
        return {"low": None, "high": None, "p_value": None}
    ratio = 1 / (n_folds - 1) if test_train_ratio is None else test_train_ratio
    middle, error = float(values.mean()), float(np.sqrt((1 / n_folds + ratio) * values.var(ddof=1)))
    half = float(stats.t.ppf((1 + LEVEL) / 2, n_folds - 1)) * error
    p_value = float(2 * stats.t.sf(abs(middle) / error, n_folds - 1)) if error > 0 else None
    return {"low": middle - half, "high": middle + half, "p_value": p_value}


def _points(rows: ScoredRows, ratios: Ratios) -> dict[str, float | None]:
    found = {
        "auroc": auroc(rows),
        "auprc": auprc(rows),
        "brier": float(((rows.risk - rows.is_positive) ** 2).mean()),
    }
    for name, (above, below) in ratios.items():
        found[name] = float(above.sum() / below.sum()) if below.sum() > 0 else None
    return found


def _difference(
    metric: str,
    model: str,
    other: str,
    points: Mapping[str, Mapping[str, float | None]],
    resampled: Mapping[str, Mapping[str, FloatArray]],
) -> dict[str, Any]:
    late, early = points[model][metric], points[other][metric]
    row: dict[str, Any] = {
        "metric": metric,
        "model": model,
        "other": other,
        "difference": None if late is None or early is None else late - early,
        "low": None,
        "high": None,
        "p_value": None,
        "method": BOOTSTRAP,
        "n": 0,
    }
    if not resampled[model]:
        return row
    differences = resampled[model][metric] - resampled[other][metric]
    found = interval(differences)
    if found is None:
        return row
    finite = differences[np.isfinite(differences)]
    far = min((finite <= 0).sum(), (finite >= 0).sum())
    p_value = min(1.0, 2 * (1 + int(far)) / (1 + len(finite)))
    return {**row, "low": found["low"], "high": found["high"], "p_value": p_value, "n": len(finite)}


def _check_same_rows(scored: Mapping[str, ScoredRows]) -> None:
    keys = ["subject_id", "prediction_time", "boolean_value"]
    first, *others = scored
    differing = [
        model
        for model in others
        if not scored[model].predictions.select(keys).equals(scored[first].predictions.select(keys))
    ]
    if differing:
        raise InputError(
            Problem(
                "models are compared on different rows",
                where="held-out predictions",
                found=f"{', '.join(differing)} against {first}",
                allowed="the same subject_id, prediction_time and boolean_value for every model",
                next_step="predict all models on the same held-out rows",
            )
        )
