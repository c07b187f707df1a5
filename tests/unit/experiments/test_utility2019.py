"""The challenge's utility: hand counts of the published rule, and a slow second implementation of it."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.scored import ScoredRows, score_rows
from experiments.utility2019 import best_utility_threshold, hourly_utility, score_utility

START = datetime(2019, 5, 1)
Patient = tuple[int, int | None, list[float]]
"""Hours of record, the hour of the first positive label (none without sepsis), and the risk of each hour."""


def scored(patients: list[Patient]) -> ScoredRows:
    frames = [
        pl.DataFrame(
            {
                "subject_id": [number] * n_hours,
                "prediction_time": [START + timedelta(hours=number * 7 + hour) for hour in range(n_hours)],
                "boolean_value": [first is not None and hour >= first for hour in range(n_hours)],
                "predicted_boolean_probability": [float(risk) for risk in risks],
            }
        )
        for number, (n_hours, first, risks) in enumerate(patients)
    ]
    return score_rows(pl.concat(frames))


def patient(n_hours: int, first: int | None, alarms: tuple[int, ...] = ()) -> Patient:
    return n_hours, first, [1.0 if hour in alarms else 0.0 for hour in range(n_hours)]


def utility(*patients: Patient) -> dict[str, float | int | None]:
    rows = scored(list(patients))
    return score_utility(rows, rows.risk >= 0.5)


# first label at hour 20, so onset t_s at hour 26; silence costs 2/9 at t_s - 5, 4/9 at t_s - 4, 2 at t_s + 3:
# 10 in all; the best alarms earn 1/6 + ... + 6/6 = 3.5 up to t_s - 6 and 8/9 + ... + 0 = 4 after it: 7.5
SILENCE, BEST = -10.0, 7.5


@pytest.mark.parametrize(
    ("alarms", "earned"),
    [
        ((), 0),
        ((20,), 1),  # t_s - 6: the peak, where silence costs nothing yet
        ((14,), 0),  # t_s - 12: nothing yet
        ((15,), 1 / 6),  # the rise
        ((17,), 3 / 6),
        ((13,), -0.05),  # t_s - 13: too early
        ((0, 1, 2), -0.15),
        ((21,), 8 / 9 + 2 / 9),  # t_s - 5: the alarm's worth and the silence that it spares
        ((26,), 3 / 9 + 12 / 9),  # onset itself
        ((29,), 0 + 2),  # t_s + 3: worth nothing, but silence costs 2
        ((30, 35), 0),  # later: nothing either way
        (tuple(range(14, 30)), BEST - SILENCE),
    ],
)
def test_alarms_of_one_septic_patient_by_hand(alarms: tuple[int, ...], earned: float) -> None:
    found = utility(patient(40, 20, alarms))["utility"]
    assert found == pytest.approx(earned / (BEST - SILENCE), abs=1e-12)


def test_an_alarm_for_a_patient_without_sepsis_costs_a_twentieth_an_hour() -> None:
    found = utility(patient(40, 20), patient(30, None, (3, 4, 29)))["utility"]
    assert found == pytest.approx(-0.15 / 17.5, abs=1e-12)


def test_normalisation_pools_patients() -> None:
    # the second is cut off at t_s - 4: silence cost 2/9 + 4/9, best 3.5 + 8/9 + 7/9
    found = utility(patient(40, 20, tuple(range(14, 30))), patient(23, 20))["utility"]
    assert found == pytest.approx(17.5 / (17.5 + 3.5 + 15 / 9 + 6 / 9), abs=1e-12)


def test_patients_positive_in_their_first_row_are_scored_by_the_rule_and_told_apart() -> None:
    # onset 6 hours after the first row: best 1 + 4, silence -10; an alarm at the first row alone earns 1
    found = utility(patient(40, 20, (20,)), patient(12, 0, (0,)), patient(10, None))
    assert found["n_first_row_positive_subjects"] == 1
    assert found["utility_first_row_positive"] == pytest.approx(1 / 15)
    assert found["utility_without_first_row_positive"] == pytest.approx(1 / 17.5)
    assert found["utility"] == pytest.approx(2 / 32.5)


def test_without_sepsis_there_is_no_utility() -> None:
    assert utility(patient(10, None, (1,)))["utility"] is None


def slow_utility(n_hours: int, first: int | None, alarms: list[bool]) -> float:
    """The rule once more, hour by hour, as lines between its corners rather than slopes."""
    total = 0.0
    for hour in range(n_hours):
        if first is None:
            total += -0.05 if alarms[hour] else 0.0
            continue
        since_onset = hour - (first + 6)
        if since_onset > 3:
            continue
        if alarms[hour]:
            too_early = since_onset < -12
            total += -0.05 if too_early else float(np.interp(since_onset, [-12, -6, 3], [0, 1, 0]))
        else:
            total += float(np.interp(since_onset, [-6, 3], [0, -2]))
    return total


PATIENTS = st.lists(
    st.integers(1, 60).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.one_of(st.none(), st.integers(0, n - 1)),
            st.lists(st.integers(0, 4).map(lambda level: level / 4), min_size=n, max_size=n),
        )
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(patients=PATIENTS)
def test_the_vectorised_utility_is_the_slow_one(patients: list[Patient]) -> None:
    rows = scored(patients)
    found = score_utility(rows, rows.risk >= 0.5)["utility"]
    observed = best = silent = 0.0
    for n_hours, first, risks in patients:
        observed += slow_utility(n_hours, first, [risk >= 0.5 for risk in risks])
        onset = None if first is None else first + 6
        best += slow_utility(
            n_hours, first, [onset is not None and -12 <= h - onset <= 3 for h in range(n_hours)]
        )
        silent += slow_utility(n_hours, first, [False] * n_hours)
    if all(first is None for _, first, _ in patients):
        assert found is None
        return
    assert found == pytest.approx((observed - silent) / (best - silent), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(patients=PATIENTS)
def test_no_threshold_beats_the_best_one(patients: list[Patient]) -> None:
    rows = scored(patients)
    worth = hourly_utility(rows)

    def gained(threshold: float) -> float:
        return float((worth.alarm - worth.silence)[rows.risk >= threshold].sum())

    best = gained(best_utility_threshold(rows))
    assert all(best >= gained(threshold) - 1e-9 for threshold in (0, 0.25, 0.5, 0.75, 1, 1.1))


def test_where_no_alarm_gains_none_is_raised() -> None:
    rows = scored([(5, None, [0.1, 0.9, 0.2, 0.3, 0.4])])
    assert best_utility_threshold(rows) > 0.9


def test_a_threshold_for_a_rarer_outcome_is_that_of_a_cohort_where_it_is_rarer() -> None:
    """Prevalence 1/2: the same threshold as with every patient without sepsis there twice."""
    septic, healthy = (30, 16, [h / 30 for h in range(30)]), [(20, None, [h / 20 for h in range(20)])] * 3
    once, twice = scored([septic, *healthy]), scored([septic, *healthy, *healthy])
    assert best_utility_threshold(once, 0.5) == best_utility_threshold(twice)
    assert best_utility_threshold(once, 0.5) >= best_utility_threshold(once)


def test_hours_come_from_the_clock_so_that_a_missing_row_moves_nothing() -> None:
    whole = scored([patient(40, 20, tuple(range(14, 30)))])
    without = score_rows(whole.predictions.filter(pl.col("prediction_time") != START + timedelta(hours=17)))
    lost = hourly_utility(whole).best.sum() - hourly_utility(without).best.sum()
    assert lost == pytest.approx(3 / 6)
