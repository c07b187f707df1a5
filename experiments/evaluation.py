"""What models are worth on held-out patients, as JSON-ready records: the door to evaluation, and its shapes.

metrics.json is `{"format": 1, "tasks": {TASK: {...}}}`; tests/examples/metrics/metrics.json is one. These
parts are made here. Numbers are finite or null, shares lie in 0..1, an interval is `{low, high, n_resamples}`
(n_resamples counts folds where they are corrected) or null, and every threshold comes from tuning patients.

FOLD, from `evaluate_model`, one model on one fold:
    n_rows, n_subjects, n_positive, n_positive_subjects, prevalence
    auroc, auprc, brier, scaled_brier (1 - brier / brier of the prevalence)
    observed_expected, calibration_slope, calibration_intercept, calibration_in_the_large, ici, e50, e90
    utility, utility_without_first_row_positive, utility_first_row_positive, n_first_row_positive_subjects
        (challenge 2019; null where the task is not scored by it)
    intervals {auroc, auprc, brier, calibration_slope, calibration_intercept, calibration_in_the_large,
        utility}
    operating_points [POINT], curves CURVES, subgroups [GROUP], warnings [text]
POINT: rule ("alert_rate" or "best_utility"), asked_alert_rate, threshold, tuning_alert_rate, n_alerts,
    alert_rate, workload, workload_unit, sensitivity, specificity, ppv, npv, number_needed_to_evaluate,
    n_events, n_events_alerted, event_sensitivity, lead_time_hours {n, median, q1, q3} or null, intervals
    {alert_rate, sensitivity, specificity, ppv}
CURVES: roc {false_positive_rate, sensitivity}, precision_recall {sensitivity, ppv},
    calibration {deciles [{predicted, observed, low, high, n_rows, n_positive}], smooth {predicted,
    observed}}, net_benefit {threshold, model, treat_all}
GROUP: by ("sex", "age", "hospital_id"), group, n_rows, n_subjects, n_positive (null below 5), is_suppressed,
    reason, and where not suppressed prevalence, auroc, auprc, brier, observed_expected, calibration_*,
    alert_rate, sensitivity, ppv, intervals {auroc}
MODEL, from `evaluate_task`: kind, folds [FOLD with `fold`, without curves and subgroups], mean {scalar}, sd
    {scalar}, intervals, interval_method, and of all folds' held-out rows together operating_points, curves,
    subgroups; a run adds cost {fit_seconds, fit_core_seconds}, means over folds or null
DIFF: metric, model, other, difference (model - other), low, high, p_value, method, n
"""

from __future__ import annotations

from experiments.comparison import compare_folds, compare_models
from experiments.evaluation_config import EvaluationConfig, TaskInfo
from experiments.model_evaluation import evaluate_model
from experiments.task_evaluation import FoldPredictions, evaluate_task, summarise_folds

__all__ = [
    "FORMAT",
    "EvaluationConfig",
    "FoldPredictions",
    "TaskInfo",
    "compare_folds",
    "compare_models",
    "evaluate_model",
    "evaluate_task",
    "summarise_folds",
]

FORMAT = 1
"""The format number of metrics.json."""
