"""The official utility of the PhysioNet/CinC challenge 2019: what a sepsis alarm is worth, hour by hour.

A septic patient's onset t_s is 6 hours after the first positive label, for the public labels are moved 6
hours forward. An alarm earns most at t_s - 6 and nothing outside (t_s - 12, t_s + 3), silence costs from t_s
- 6 on, and an alarm too early or for a patient without sepsis costs a little. Patients who are positive in
their first row are scored by the same rule; `score_utility` also tells them apart, for their onset is not a
thing to predict.

**Source:** Reyna et al. 2020, doi:10.1097/CCM.0000000000004145, and the organisers'
`evaluate_sepsis_score.py` (physionetchallenges/evaluation-2019), whose defaults are the constants here.
Hours are taken from prediction_time; with one row an hour, as in the challenge, that is the organisers' row
number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.scored import BoolArray, FloatArray, IntArray, ScoredRows

EARLY_HOURS = -12.0
OPTIMAL_HOURS = -6.0
LATE_HOURS = 3.0
MAX_TRUE_POSITIVE = 1.0
MIN_FALSE_NEGATIVE = -2.0
FALSE_POSITIVE = -0.05
TRUE_NEGATIVE = 0.0
MICROSECONDS_AN_HOUR = 3_600_000_000


@dataclass(frozen=True)
class HourlyUtility:
    """What each of R rows is worth with an alarm and without, and at best.

    Attributes:
        alarm: (R,) utility of an alarm.
        silence: (R,) utility of none.
        best: (R,) utility of the organisers' best prediction: alarms from t_s - 12 to t_s + 3 and nowhere
            else.
        is_positive_from_start: (R,) the row's patient is positive in the first row.
    """

    alarm: FloatArray
    silence: FloatArray
    best: FloatArray
    is_positive_from_start: BoolArray


def hourly_utility(rows: ScoredRows) -> HourlyUtility:
    """The value of each row's alarm and silence, from labels and times alone."""
    hours, is_septic, is_from_start = _hours_from_onset(rows)
    rise = MAX_TRUE_POSITIVE / (OPTIMAL_HOURS - EARLY_HOURS)
    fall = -MAX_TRUE_POSITIVE / (LATE_HOURS - OPTIMAL_HOURS)
    loss = MIN_FALSE_NEGATIVE / (LATE_HOURS - OPTIMAL_HOURS)
    is_early, is_over = hours <= OPTIMAL_HOURS, hours > LATE_HOURS
    early_alarm = np.maximum(rise * (hours - EARLY_HOURS), FALSE_POSITIVE)
    septic_alarm = np.where(is_over, 0.0, np.where(is_early, early_alarm, fall * (hours - LATE_HOURS)))
    septic_silence = np.where(is_over | is_early, 0.0, loss * (hours - OPTIMAL_HOURS))
    alarm = np.where(is_septic, septic_alarm, FALSE_POSITIVE)
    silence = np.where(is_septic, septic_silence, TRUE_NEGATIVE)
    is_best_alarm = is_septic & (hours >= EARLY_HOURS) & (hours <= LATE_HOURS)
    return HourlyUtility(alarm, silence, np.where(is_best_alarm, alarm, silence), is_from_start)


def utility_sums(rows: ScoredRows, is_alarm: BoolArray) -> tuple[FloatArray, FloatArray]:
    """By patient (P,): what alarms gain over silence, and what the best alarms would gain."""
    worth = hourly_utility(rows)
    gained = np.where(is_alarm, worth.alarm - worth.silence, 0.0)
    return rows.sums(gained), rows.sums(worth.best - worth.silence)


def score_utility(rows: ScoredRows, is_alarm: BoolArray) -> dict[str, float | int | None]:
    """The normalised utility of alarms on (R,) rows: 0 for never an alarm, 1 for the best alarms.

    Returns:
        utility (all patients), utility_without_first_row_positive and utility_first_row_positive (patients
        whose first row is not, or is, positive; null where such patients have nothing to gain),
        n_first_row_positive_subjects.
    """
    gained, best = utility_sums(rows, is_alarm)
    is_from_start = rows.sums(hourly_utility(rows).is_positive_from_start) > 0
    return {
        "utility": _share(gained, best),
        "utility_without_first_row_positive": _share(gained[~is_from_start], best[~is_from_start]),
        "utility_first_row_positive": _share(gained[is_from_start], best[is_from_start]),
        "n_first_row_positive_subjects": int(is_from_start.sum()),
    }


def best_utility_threshold(rows: ScoredRows, prevalence: float = 1.0) -> float:
    """The risk from which alarms gain most on these rows; above every risk where no alarm gains.

    Args:
        rows: labelled predictions.
        prevalence: patients with sepsis count so many times, as if they were so much more frequent.
    """
    worth = hourly_utility(rows)
    is_septic = (rows.sums(rows.is_positive) > 0)[rows.subject]
    gained = ((worth.alarm - worth.silence) * np.where(is_septic, prevalence, 1.0))[rows.ranking.order]
    by_risk = np.add.reduceat(gained, rows.ranking.starts)
    from_risk = np.cumsum(by_risk[::-1])[::-1]
    best = int(np.argmax(from_risk))
    if from_risk[best] <= 0:
        return float(np.nextafter(rows.ranking.risk[-1], np.inf))
    return float(rows.ranking.risk[best])


def _hours_from_onset(rows: ScoredRows) -> tuple[FloatArray, BoolArray, BoolArray]:
    """(R,) hours from t_s (meaningless without sepsis), has sepsis, is positive from the first row."""
    instants: IntArray = rows.predictions["prediction_time"].dt.timestamp("us").to_numpy().astype(np.int64)
    never = np.iinfo(np.int64).max
    first_positive = np.full(rows.n_subjects, never)
    np.minimum.at(first_positive, rows.subject, np.where(rows.is_positive, instants, never))
    first_row = np.full(rows.n_subjects, never)
    np.minimum.at(first_row, rows.subject, instants)
    is_septic = first_positive < never
    onset = np.where(is_septic, first_positive, 0) - int(OPTIMAL_HOURS * MICROSECONDS_AN_HOUR)
    hours = (instants - onset[rows.subject]) / MICROSECONDS_AN_HOUR
    return hours, is_septic[rows.subject], (is_septic & (first_positive == first_row))[rows.subject]


def _share(gained: FloatArray, best: FloatArray) -> float | None:
    return float(gained.sum() / best.sum()) if best.sum() > 0 else None
