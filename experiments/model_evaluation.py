"""One model on one set of held-out rows: its measures, intervals, operating points, curves and subgroups.

The shapes of what is returned stand in experiments/evaluation.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from experiments.bootstrap import intervals, resample_measures
from experiments.calibration_measures import calibration_curve, calibration_measures
from experiments.discrimination import auprc, auroc, precision_recall_curve, roc_curve
from experiments.evaluation_config import EvaluationConfig, TaskInfo
from experiments.net_benefit import net_benefit_curve
from experiments.scored import BoolArray, FloatArray, ScoredRows, score_rows
from experiments.subgroups import evaluate_subgroups
from experiments.thresholds import Threshold, choose_thresholds, operating_point, operating_ratios
from experiments.utility2019 import score_utility, utility_sums

RESAMPLED = (
    "auroc",
    "auprc",
    "brier",
    "calibration_slope",
    "calibration_intercept",
    "calibration_in_the_large",
    "utility",
)
NO_UTILITY: dict[str, float | int | None] = {
    "utility": None,
    "utility_without_first_row_positive": None,
    "utility_first_row_positive": None,
    "n_first_row_positive_subjects": None,
}
FEW_EVENTS = 100
"""**Source:** Collins et al. 2016, doi:10.1002/sim.6787: at least 100 events and 100 non-events."""

Alerts = Sequence[tuple[Threshold, BoolArray]]
"""Thresholds, each with the rows (R,) that alert at it."""


def evaluate_model(
    held_out: pl.DataFrame,
    tuning: pl.DataFrame,
    subjects: pl.DataFrame,
    task_info: TaskInfo,
    config: EvaluationConfig,
) -> dict[str, Any]:
    """One model on one fold: FOLD with curves and subgroups.

    Args:
        held_out: subject_id, prediction_time, boolean_value, predicted_boolean_probability (calibrated), any
            order; with event_hours (hours to the event, null where unknown) events and lead times are
            reported.
        tuning: the same columns; thresholds are chosen on them and nothing else is taken from them.
        subjects: subject_id, prediction_time, and any of sex, age, hospital_id.
        task_info: alert rates, cadence, utility.
        config: resampling, bands, curves.

    Raises:
        InputError: predictions that cannot be evaluated; every fault is told.
    """
    rows = score_rows(held_out, "held-out predictions")
    alerts = alerts_of(rows, score_rows(tuning, "tuning predictions"), task_info, config)
    return {**measure(rows, alerts, task_info, config), **detail(rows, alerts, subjects, config)}


def alerts_of(rows: ScoredRows, tuning: ScoredRows, task_info: TaskInfo, config: EvaluationConfig) -> Alerts:
    """The thresholds that tuning rows choose, and the held-out rows that alert at each."""
    rates = task_info.alert_rates if config.alert_rates is None else config.alert_rates
    thresholds = choose_thresholds(
        tuning,
        rates,
        with_utility=task_info.has_utility and config.utility,
        utility_prevalence=config.utility_prevalence,
    )
    return [(threshold, rows.risk >= threshold.value) for threshold in thresholds]


def measure(
    rows: ScoredRows, alerts: Alerts, task_info: TaskInfo, config: EvaluationConfig
) -> dict[str, Any]:
    """FOLD without curves and subgroups."""
    prevalence = rows.n_positive / rows.n_rows
    brier = float(((rows.risk - rows.is_positive) ** 2).mean())
    spread = prevalence * (1 - prevalence)
    by_utility = [is_alert for threshold, is_alert in alerts if threshold.rule == "best_utility"]
    return {
        "n_rows": rows.n_rows,
        "n_subjects": rows.n_subjects,
        "n_positive": rows.n_positive,
        "n_positive_subjects": rows.n_positive_subjects,
        "prevalence": prevalence,
        "auroc": auroc(rows),
        "auprc": auprc(rows),
        "brier": brier,
        "scaled_brier": 1 - brier / spread if spread > 0 else None,
        **calibration_measures(rows),
        **(score_utility(rows, by_utility[0]) if by_utility else NO_UTILITY),
        **_resampled(rows, alerts, task_info, config),
        "warnings": _warnings(rows),
    }


def detail(
    rows: ScoredRows, alerts: Alerts, subjects: pl.DataFrame, config: EvaluationConfig
) -> dict[str, Any]:
    """`curves` and `subgroups`; the subgroups' alerts are those of the first threshold."""
    curves = {
        "roc": roc_curve(rows),
        "precision_recall": precision_recall_curve(rows),
        "calibration": calibration_curve(rows),
        "net_benefit": net_benefit_curve(rows, config.net_benefit_thresholds),
    }
    subgroups = evaluate_subgroups(
        rows,
        subjects,
        alerts[0][1] if alerts else None,
        age_bands=config.age_bands,
        n_resamples=config.n_bootstrap,
        seed=config.seed,
    )
    return {"curves": curves, "subgroups": subgroups}


def _resampled(
    rows: ScoredRows, alerts: Alerts, task_info: TaskInfo, config: EvaluationConfig
) -> dict[str, Any]:
    """Intervals of the measures, and operating points with theirs, from one pass over the resamples."""
    ratios: dict[str, tuple[FloatArray, FloatArray]] = {}
    for number, (threshold, is_alert) in enumerate(alerts):
        for name, sums in operating_ratios(rows, is_alert).items():
            ratios[f"{number}.{name}"] = sums
        if threshold.rule == "best_utility":
            ratios["utility"] = utility_sums(rows, is_alert)
    found = intervals(
        resample_measures(
            rows, ratios, n_resamples=config.n_bootstrap, seed=config.seed, with_calibration=True
        )
    )
    points = []
    for number, (threshold, is_alert) in enumerate(alerts):
        own = {name.split(".")[1]: value for name, value in found.items() if name.startswith(f"{number}.")}
        points.append(
            {**operating_point(rows, is_alert, threshold, task_info.cadence_hours), "intervals": own}
        )
    return {"intervals": {name: found.get(name) for name in RESAMPLED}, "operating_points": points}


def _warnings(rows: ScoredRows) -> list[str]:
    counted = {"events": rows.n_positive, "rows without the event": rows.n_rows - rows.n_positive}
    return [
        f"fewer than {FEW_EVENTS} {what} in the held-out rows: intervals are wide"
        for what, count in counted.items()
        if count < FEW_EVENTS
    ]
