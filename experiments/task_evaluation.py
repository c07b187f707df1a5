"""All models of a task over all folds: each fold, their mean and spread, and the models against each other.

The shapes of what is returned stand in experiments/evaluation.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from experiments.comparison import BOOTSTRAP, CORRECTED, compare_folds, compare_models, corrected_interval
from experiments.evaluation_config import EvaluationConfig, TaskInfo
from experiments.model_evaluation import RESAMPLED, Alerts, alerts_of, detail, measure
from experiments.scored import ScoredRows, score_rows
from experiments.thresholds import operating_point

SCALARS = (
    "n_rows",
    "n_subjects",
    "n_positive",
    "n_positive_subjects",
    "prevalence",
    "auroc",
    "auprc",
    "brier",
    "scaled_brier",
    "observed_expected",
    "calibration_slope",
    "calibration_intercept",
    "calibration_in_the_large",
    "ici",
    "e50",
    "e90",
    "utility",
    "utility_without_first_row_positive",
    "utility_first_row_positive",
    "n_first_row_positive_subjects",
)


@dataclass(frozen=True)
class FoldPredictions:
    """One model's predictions on one fold.

    Attributes:
        held_out: as `evaluate_model` takes them.
        tuning: as `evaluate_model` takes them.
    """

    held_out: pl.DataFrame
    tuning: pl.DataFrame


def evaluate_task(
    predictions: Mapping[str, Sequence[FoldPredictions]],
    kinds: Mapping[str, str],
    subjects: pl.DataFrame,
    task_info: TaskInfo,
    config: EvaluationConfig,
    *,
    test_train_ratio: float | None = None,
) -> dict[str, Any]:
    """All models of a task on all folds.

    Args:
        predictions: by model, its folds in order; every model has the same rows in the same folds. A row that
            is held out in several folds counts in each, and once, by the first of them, in what is said of
            all folds' rows together.
        kinds: by model, its kind.
        subjects: as for `evaluate_model`, of all held-out rows.
        task_info: alert rates, cadence, utility.
        config: resampling, bands, curves.
        test_train_ratio: as `compare_folds` takes it.

    Returns:
        `models` {name: MODEL}, `differences` [DIFF], `warnings` [text]. With one fold, intervals and
        differences are by bootstrap over patients; with several, corrected resampled t over the folds.

    Raises:
        InputError: predictions that cannot be evaluated or compared.
    """
    models = {
        model: _evaluate(kinds[model], folds, subjects, task_info, config, test_train_ratio)
        for model, folds in predictions.items()
    }
    differences = (
        compare_models(
            {model: folds[0].held_out for model, folds in predictions.items()}, config, _alarms(models)
        )
        if all(len(folds) == 1 for folds in predictions.values())
        else compare_folds(
            {model: record["folds"] for model, record in models.items()}, test_train_ratio=test_train_ratio
        )
    )
    warnings = [text for record in models.values() for fold in record["folds"] for text in fold["warnings"]]
    return {"models": models, "differences": differences, "warnings": list(dict.fromkeys(warnings))}


def summarise_folds(folds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """`mean` and `sd` (n - 1) of each scalar over folds; null where a fold lacks it, sd null for one fold."""
    mean: dict[str, float | None] = {}
    sd: dict[str, float | None] = {}
    for name in SCALARS:
        values = [fold.get(name) for fold in folds]
        column = np.array([value for value in values if value is not None], dtype=np.float64)
        is_whole = len(column) == len(values) and len(values) > 0
        mean[name] = float(column.mean()) if is_whole else None
        sd[name] = float(column.std(ddof=1)) if is_whole and len(values) > 1 else None
    return {"mean": mean, "sd": sd}


def _evaluate(  # noqa: PLR0917 what evaluate_task is given
    kind: str,
    folds: Sequence[FoldPredictions],
    subjects: pl.DataFrame,
    task_info: TaskInfo,
    config: EvaluationConfig,
    test_train_ratio: float | None,
) -> dict[str, Any]:
    """MODEL."""
    scored = [score_rows(fold.held_out, "held-out predictions") for fold in folds]
    alerts = [
        alerts_of(rows, score_rows(fold.tuning, "tuning predictions"), task_info, config)
        for rows, fold in zip(scored, folds, strict=True)
    ]
    measured = [
        {"fold": number, **measure(rows, own, task_info, config)}
        for number, (rows, own) in enumerate(zip(scored, alerts, strict=True))
    ]
    together, together_alerts = (scored[0], alerts[0]) if len(folds) == 1 else _pool(scored, alerts)
    return {
        "kind": kind,
        "folds": measured,
        **summarise_folds(measured),
        **_intervals(measured, test_train_ratio),
        "operating_points": _points(measured, together, together_alerts, task_info),
        **detail(together, together_alerts, subjects, config),
    }


def _points(
    measured: Sequence[Mapping[str, Any]], together: ScoredRows, alerts: Alerts, task_info: TaskInfo
) -> list[dict[str, Any]]:
    """Operating points of one fold, or of all folds' rows together (mean threshold, no intervals)."""
    if len(measured) == 1:
        return list(measured[0]["operating_points"])
    return [
        {**operating_point(together, is_alert, threshold, task_info.cadence_hours), "intervals": {}}
        for threshold, is_alert in alerts
    ]


def _pool(scored: Sequence[ScoredRows], alerts: Sequence[Alerts]) -> tuple[ScoredRows, Alerts]:
    """All folds' held-out rows as one, each once, alerting at its own (first) fold's threshold."""
    columns = [f"_alert_{number}" for number in range(len(alerts[0]))]
    marked = [
        rows.predictions.with_columns(
            pl.Series(column, is_alert) for column, (_, is_alert) in zip(columns, own, strict=True)
        )
        for rows, own in zip(scored, alerts, strict=True)
    ]
    keys = ["subject_id", "prediction_time"]
    first = pl.concat(marked).unique(keys, keep="first", maintain_order=True)
    together = score_rows(first, "held-out predictions of all folds")
    pooled = []
    for number, column in enumerate(columns):
        of_folds = [own[number][0] for own in alerts]
        mean = replace(
            of_folds[0],
            value=float(np.mean([threshold.value for threshold in of_folds])),
            tuning_alert_rate=float(np.mean([threshold.tuning_alert_rate for threshold in of_folds])),
        )
        pooled.append((mean, together.predictions[column].to_numpy().astype(np.bool_)))
    return together, pooled


def _intervals(folds: Sequence[Mapping[str, Any]], test_train_ratio: float | None) -> dict[str, Any]:
    """One fold's own intervals, or corrected ones of the mean over several."""
    if len(folds) == 1:
        return {"intervals": folds[0]["intervals"], "interval_method": BOOTSTRAP}
    found: dict[str, Any] = {}
    for name in RESAMPLED:
        values = [fold[name] for fold in folds]
        column = None if None in values else np.array(values, dtype=np.float64)
        corrected = None if column is None else corrected_interval(column, test_train_ratio)
        found[name] = corrected and {
            "low": corrected["low"],
            "high": corrected["high"],
            "n_resamples": len(folds),
        }
    return {"intervals": found, "interval_method": CORRECTED}


def _alarms(models: Mapping[str, Mapping[str, Any]]) -> dict[str, float] | None:
    """The utility's thresholds by model, of one fold; null where the task is not scored by it."""
    found = {
        model: float(point["threshold"])
        for model, record in models.items()
        for point in record["folds"][0]["operating_points"]
        if point["rule"] == "best_utility"
    }
    return found or None
