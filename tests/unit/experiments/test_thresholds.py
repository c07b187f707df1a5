"""Thresholds come from tuning data alone; what they mean for the ward is counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from experiments.scored import ScoredRows, score_rows
from experiments.thresholds import (
    Threshold,
    choose_thresholds,
    operating_point,
    operating_ratios,
    threshold_at_rate,
)

START = datetime(2022, 1, 1)


def scored(rows: list[tuple[int, int, bool, float, float | None]]) -> ScoredRows:
    """Rows of subject, hour, outcome, risk and hours to the event."""
    return score_rows(
        pl.DataFrame(
            [(subject, START + timedelta(hours=hour), *rest) for subject, hour, *rest in rows],
            schema={
                "subject_id": pl.Int64,
                "prediction_time": pl.Datetime("us"),
                "boolean_value": pl.Boolean,
                "predicted_boolean_probability": pl.Float64,
                "event_hours": pl.Float64,
            },
            orient="row",
        )
    )


def stays(risks: list[float]) -> ScoredRows:
    return scored([(number, 0, False, risk, None) for number, risk in enumerate(risks)])


AT_HALF = Threshold("alert_rate", 0.1, 0.5, 0.1)


def test_the_threshold_lets_the_asked_share_of_tuning_rows_alert() -> None:
    tuning = stays(np.random.default_rng(0).permutation(np.linspace(0.001, 0.999, 1000)).tolist())
    for rate in (0.01, 0.05, 0.2):
        found = threshold_at_rate(tuning, rate)
        assert found.tuning_alert_rate == pytest.approx(rate, abs=1e-9)
        assert (tuning.risk >= found.value).sum() == round(1000 * rate)


def test_a_coarse_score_gives_the_nearest_rate_and_of_two_as_near_the_quieter() -> None:
    # 10 % alert at 0.9, 30 % at 0.5: 0.25 is nearer to the second, 0.2 as near to both
    tuning = stays([0.9] * 10 + [0.5] * 20 + [0.1] * 70)
    assert threshold_at_rate(tuning, 0.25).value == 0.5
    assert threshold_at_rate(tuning, 0.2) == Threshold("alert_rate", 0.2, 0.9, pytest.approx(0.1))


def test_thresholds_are_those_of_the_tuning_rows_whatever_else_is_known() -> None:
    tuning = stays([0.1, 0.2, 0.3, 0.4])
    assert [t.value for t in choose_thresholds(tuning, [0.25, 0.5], with_utility=False)] == [0.4, 0.3]


def test_one_prediction_a_stay_by_hand() -> None:
    held_out = scored(
        [
            (1, 0, True, 0.9, 30.0),
            (2, 0, True, 0.6, 10.0),
            (3, 0, True, 0.2, 5.0),
            (4, 0, False, 0.7, None),
            (5, 0, False, 0.1, None),
            (6, 0, False, 0.0, None),
            (7, 0, False, 0.5, None),
            (8, 0, False, 0.3, None),
        ]
    )
    found = operating_point(held_out, held_out.risk >= 0.5, AT_HALF, None)
    assert found == {
        "rule": "alert_rate",
        "asked_alert_rate": 0.1,
        "threshold": 0.5,
        "tuning_alert_rate": 0.1,
        "n_alerts": 4,
        "alert_rate": 0.5,
        "workload": 50.0,
        "workload_unit": "per 100 predictions",
        "sensitivity": pytest.approx(2 / 3),
        "specificity": pytest.approx(3 / 5),
        "ppv": 0.5,
        "npv": pytest.approx(3 / 4),
        "number_needed_to_evaluate": 2.0,
        "n_events": 3,
        "n_events_alerted": 2,
        "event_sensitivity": pytest.approx(2 / 3),
        "lead_time_hours": {"n": 2, "median": 20.0, "q1": 15.0, "q3": 25.0},
    }


def test_hourly_alerts_count_by_patient_day_and_lead_from_the_first_true_alert() -> None:
    # 48 hourly rows are two patient-days. The event of subject 1 is at hour 20; rows from hour 14 count.
    # An alert at hour 2 is beyond the horizon: it is a false alert and lends no lead time.
    first = [
        (1, hour, hour >= 14, 0.9 if hour in (2, 16, 18, 23) else 0.1, 20.0 - hour) for hour in range(24)
    ]
    second = [(2, hour, False, 0.9 if hour == 5 else 0.1, None) for hour in range(24)]
    held_out = scored([*first, *second])
    found = operating_point(held_out, held_out.risk >= 0.5, AT_HALF, 1.0)
    assert (found["workload"], found["workload_unit"]) == (250.0, "per 100 patient-days")
    assert (found["n_alerts"], found["ppv"]) == (5, 3 / 5)
    assert (found["n_events"], found["n_events_alerted"]) == (1, 1)
    assert found["lead_time_hours"] == {"n": 1, "median": 4.0, "q1": 4.0, "q3": 4.0}


def test_an_alert_after_the_event_has_a_negative_lead() -> None:
    held_out = scored([(1, hour, True, 0.9 if hour == 8 else 0.1, 6.0 - hour) for hour in range(12)])
    lead = operating_point(held_out, held_out.risk >= 0.5, AT_HALF, 1.0)["lead_time_hours"]
    assert lead is not None
    assert lead["median"] == -2.0


def test_no_alerts_and_no_times_are_null_not_numbers() -> None:
    held_out = scored([(1, 0, True, 0.1, None), (2, 0, False, 0.2, None)])
    found = operating_point(held_out, held_out.risk >= 0.5, AT_HALF, None)
    assert found["sensitivity"] == 0
    nulls = ("ppv", "number_needed_to_evaluate", "n_events", "event_sensitivity", "lead_time_hours")
    assert all(found[name] is None for name in nulls)


def test_resampled_shares_add_up_to_the_operating_point() -> None:
    generator = np.random.default_rng(3)
    held_out = scored(
        [(n // 4, n, bool(generator.random() < 0.4), float(generator.random()), None) for n in range(80)]
    )
    is_alert = held_out.risk >= 0.5
    point = operating_point(held_out, is_alert, AT_HALF, None)
    for name, (above, below) in operating_ratios(held_out, is_alert).items():
        assert above.sum() / below.sum() == pytest.approx(point[name])
