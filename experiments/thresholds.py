"""Where to set the alarm, from tuning data alone, and what the ward then gets from it on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from experiments.bootstrap import Ratios
from experiments.scored import BoolArray, FloatArray, ScoredRows
from experiments.utility2019 import best_utility_threshold

Rule = Literal["alert_rate", "best_utility"]
HOURS_A_DAY = 24.0


@dataclass(frozen=True)
class Threshold:
    """An alarm threshold: a row alerts where its risk is at least this.

    Attributes:
        rule: how it was chosen.
        asked_alert_rate: the share of rows that was to alert, null for the other rule.
        value: the risk.
        tuning_alert_rate: the share of tuning rows that alert at it.
    """

    rule: Rule
    asked_alert_rate: float | None
    value: float
    tuning_alert_rate: float


def choose_thresholds(
    tuning: ScoredRows, alert_rates: Sequence[float], *, with_utility: bool, utility_prevalence: float = 1.0
) -> list[Threshold]:
    """The thresholds of one model, from its tuning rows.

    For an alert rate: the risk at which the share of tuning rows that alert comes nearest to it (where two
    are as near, the one with fewer alerts); a coarse score may not come near. With utility: the risk at
    which the challenge 2019 utility is greatest, patients with sepsis counted `utility_prevalence` times.
    """
    found = [threshold_at_rate(tuning, rate) for rate in alert_rates]
    if with_utility:
        value = best_utility_threshold(tuning, utility_prevalence)
        found.append(Threshold("best_utility", None, value, float((tuning.risk >= value).mean())))
    return found


def threshold_at_rate(tuning: ScoredRows, alert_rate: float) -> Threshold:
    """The risk at which the share of alerting rows is nearest to an alert rate."""
    rates = 1 - tuning.ranking.starts / tuning.n_rows
    distance = np.round(np.abs(rates - alert_rate), 12)
    nearest = len(rates) - 1 - int(np.argmin(distance[::-1]))
    return Threshold("alert_rate", alert_rate, float(tuning.ranking.risk[nearest]), float(rates[nearest]))


def operating_point(
    held_out: ScoredRows, is_alert: BoolArray, threshold: Threshold, cadence_hours: float | None
) -> dict[str, Any]:
    """What a threshold means for the ward.

    Args:
        held_out: predictions; with a column event_hours (hours from prediction to the event, null where
            unknown) events and lead times are reported too.
        is_alert: (R,) the rows that alert.
        threshold: at which they do, chosen beforehand.
        cadence_hours: how often each patient is predicted; null where once a stay or a landmark.

    Returns:
        The threshold's fields and n_alerts, alert_rate, workload, workload_unit, sensitivity, specificity,
        ppv, npv, number_needed_to_evaluate (alerts for one true one), n_events, n_events_alerted,
        event_sensitivity and lead_time_hours (n, median, q1, q3), null where it cannot be had.
    """
    n_alerts, n_true = int(is_alert.sum()), int((is_alert & held_out.is_positive).sum())
    n_false = n_alerts - n_true
    n_negative = held_out.n_rows - held_out.n_positive
    workload, unit = _workload(n_alerts, held_out.n_rows, cadence_hours)
    return {
        "rule": threshold.rule,
        "asked_alert_rate": threshold.asked_alert_rate,
        "threshold": threshold.value,
        "tuning_alert_rate": threshold.tuning_alert_rate,
        "n_alerts": n_alerts,
        "alert_rate": n_alerts / held_out.n_rows,
        "workload": workload,
        "workload_unit": unit,
        "sensitivity": _quotient(n_true, held_out.n_positive),
        "specificity": _quotient(n_negative - n_false, n_negative),
        "ppv": _quotient(n_true, n_alerts),
        "npv": _quotient(n_negative - n_false, held_out.n_rows - n_alerts),
        "number_needed_to_evaluate": _quotient(n_alerts, n_true),
        **_lead_times(held_out, is_alert),
    }


def operating_ratios(held_out: ScoredRows, is_alert: BoolArray) -> Ratios:
    """The operating point's shares as sums over patients, for resampling."""
    is_positive = held_out.is_positive
    n_true = held_out.sums(is_alert & is_positive)
    return {
        "alert_rate": (held_out.sums(is_alert), held_out.sums(np.ones(held_out.n_rows))),
        "sensitivity": (n_true, held_out.sums(is_positive)),
        "specificity": (held_out.sums(~is_alert & ~is_positive), held_out.sums(~is_positive)),
        "ppv": (n_true, held_out.sums(is_alert)),
    }


def _workload(n_alerts: int, n_rows: int, cadence_hours: float | None) -> tuple[float, str]:
    if cadence_hours is None:
        return 100 * n_alerts / n_rows, "per 100 predictions"
    patient_days = n_rows * cadence_hours / HOURS_A_DAY
    return 100 * n_alerts / patient_days, "per 100 patient-days"


def _lead_times(held_out: ScoredRows, is_alert: BoolArray) -> dict[str, Any]:
    """Hours from the first alert on a positive row to the event, event by event.

    Alerts on rows whose event lies beyond the horizon are false alerts here too, and lend no lead time. A
    negative lead time is an alert after the event.
    """
    nothing = {"n_events": None, "n_events_alerted": None, "event_sensitivity": None, "lead_time_hours": None}
    if "event_hours" not in held_out.predictions.columns:
        return nothing
    event_hours = pl.col("event_hours")
    events = (
        held_out.predictions.select(
            "subject_id",
            event_hours.cast(pl.Float64),
            (pl.col("prediction_time") + pl.duration(microseconds=(event_hours * 3.6e9).round()))
            .dt.round("1s")
            .alias("event_time"),
            pl.Series("is_alert", is_alert),
        )
        .filter(pl.Series(held_out.is_positive) & event_hours.is_not_null())
        .group_by("subject_id", "event_time")
        .agg(event_hours.filter("is_alert").max().alias("lead_hours"))
    )
    if events.is_empty():
        return nothing
    leads = events["lead_hours"].drop_nulls().to_numpy()
    return {
        "n_events": events.height,
        "n_events_alerted": len(leads),
        "event_sensitivity": len(leads) / events.height,
        "lead_time_hours": _quartiles(leads),
    }


def _quartiles(hours: FloatArray) -> dict[str, float | int] | None:
    if len(hours) == 0:
        return None
    q1, median, q3 = (float(quantile) for quantile in np.quantile(hours, [0.25, 0.5, 0.75]))
    return {"n": len(hours), "median": median, "q1": q1, "q3": q3}


def _quotient(above: float, below: float) -> float | None:
    return above / below if below else None
