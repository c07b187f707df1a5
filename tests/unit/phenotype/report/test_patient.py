"""A patient's page knows nothing later than the prediction, and finds the right record to compare with."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from scipy import stats

from phenotype.cohort import RiskCohort
from phenotype.explain.concepts import EXPLANATIONS
from phenotype.report.patient import ModelWords, PatientCase, TaskContext, patient_page
from phenotype.report.record import wilson_interval
from phenotype.report.words import TaskWords, age_band, task_words
from phenotype.tasks import load_task, task_names
from phenotype.trajectory import CONTACTS, EVENTS

NOW = dt.datetime(2024, 3, 12, 14)
HR = "VITAL//heart_rate"
WORDS = TaskWords(name="t", title="T", question="Q?", outcome="death in hospital", they_do="die")
METRICS: dict[str, Any] = {
    "subgroups": [
        {
            "by": "age",
            "group": "65-79",
            "n_subjects": 90,
            "is_suppressed": False,
            "auroc": 0.8,
            "intervals": {},
        },
        {
            "by": "age",
            "group": "80+",
            "n_subjects": 90,
            "is_suppressed": False,
            "auroc": 0.7,
            "intervals": {},
        },
        {
            "by": "sex",
            "group": "male",
            "n_subjects": None,
            "is_suppressed": True,
            "reason": "fewer than 10 events",
        },
        {"by": "hospital_id", "group": "H2", "n_subjects": 90, "is_suppressed": False, "auroc": 0.6},
    ],
}


def event(
    code: str, hours: float, value: float | None = None, known_hours: float | None = None
) -> dict[str, Any]:
    known = None if known_hours is None else NOW + dt.timedelta(hours=known_hours)
    return dict.fromkeys(EVENTS.names()) | {
        "subject_id": 1,
        "code": code,
        "time": NOW + dt.timedelta(hours=hours),
        "numeric_value": value,
        "known_time": known,
    }


NOBODY = pl.DataFrame(
    schema={
        "subject_id": pl.Int64,
        "prediction_time": pl.Datetime("us"),
        "risk": pl.Float64,
        "boolean_value": pl.Boolean,
    }
)


def page(events: list[dict[str, Any]], **more: Any) -> Any:
    contact = dict.fromkeys(CONTACTS.names()) | {
        "contact_id": 1,
        "subject_id": 1,
        "start_time": NOW - dt.timedelta(hours=30),
        "end_time": NOW + dt.timedelta(hours=200),
        "care_level": "icu",
    }
    case = PatientCase(
        subject_id=1,
        prediction_time=NOW,
        events=pl.DataFrame(events, schema=EVENTS),
        contacts=pl.DataFrame([contact], schema=CONTACTS),
        outcome=more.pop("outcome", {}),
        risks=pl.DataFrame(
            {
                "prediction_time": [NOW - dt.timedelta(hours=1), NOW, NOW + dt.timedelta(hours=1)],
                "risk": [0.2, 0.31, 0.9],
            }
        ),
        other_models={},
        facts={"sex": "male", "age": 79.9, "hospital_id": "H1", "unit_id": "MICU"},
        explanation=pl.DataFrame(schema=EXPLANATIONS),
    )
    model = ModelWords(name="m", title="M", version="1", date="today")
    predictions = more.pop("predictions", NOBODY)
    return patient_page(
        case,
        TaskContext(predictions=predictions, task=WORDS, event="death", model=model, metrics=METRICS, **more),
    )


PAST = [event(HR, -30, 80), event(HR, -2, 95), event("PHYSIONET2012//Lactate", -1, 3.0, known_hours=-0.5)]


def test_nothing_known_later_changes_the_page() -> None:
    """Later events, and one sampled before but answered after, move only what happened then."""
    later = [
        event(HR, 0.5, 180),
        event("PHYSIONET2012//Lactate", -0.2, 9.0, known_hours=1),
        event("MEDS_DEATH", 20),
    ]
    without, with_later = page(PAST), page(PAST + later)
    assert with_later.model_copy(update={"afterwards": without.afterwards}) == without
    assert dict(with_later.afterwards.rows) == {"Vital signs": 1, "Laboratory": 1, "Outcomes": 1}


def test_an_answer_at_the_very_prediction_time_counts() -> None:
    at_the_time = page([*PAST, event("PHYSIONET2012//Lactate", -0.1, 5.0, known_hours=0)])
    assert {series.label: series.values for series in at_the_time.trajectory.series}["Lactate"] == (3.0, 5.0)


def test_values_are_drawn_over_a_stretch_that_shows_a_course() -> None:
    """Two lactates in the last day and three in the weeks before it: a month; heart rates: the last days."""
    days = [-20, -14, -9]
    lactates = [event("PHYSIONET2012//Lactate", 24.0 * day, 1.0) for day in days]
    recent = [event("PHYSIONET2012//Lactate", hour, 3.0) for hour in (-8, -2)]
    rates = [event(HR, -hour, 80 + hour) for hour in range(1, 7)]
    series = {one.label: one for one in page([*lactates, *recent, *rates]).trajectory.series}
    assert len(series["Lactate"].values) == 5
    assert series["Lactate"].start <= NOW - dt.timedelta(days=20)
    assert len(series["Heart rate"].values) == 6
    assert series["Heart rate"].start >= NOW - dt.timedelta(days=7)


def test_what_was_never_measured_often_is_drawn_with_what_there_is() -> None:
    days = [-800, -700]
    old = [event("PHYSIONET2012//Lactate", 24.0 * day, 1.0) for day in days]
    (drawn,) = page([*old, event(HR, -2, 80)]).trajectory.series
    assert drawn.values == (1.0, 1.0)
    assert drawn.start == NOW - dt.timedelta(days=800)


def test_a_contact_that_goes_on_is_open_and_its_end_unknown() -> None:
    band = page(PAST).trajectory.recent.bands[0]
    assert band.end is None
    assert "intensive care" in band.label


def test_the_risk_is_this_predictions_and_later_ones_are_not_shown() -> None:
    shown = page(PAST)
    assert shown.risk == 0.31
    assert [risk for _, risk in shown.risks] == [0.2, 0.31]


def test_the_record_is_of_the_other_patients_with_the_nearest_risk() -> None:
    """Risks 0.01 to 0.60; within 0.1 of 0.31 lie 0.21 to 0.41: 21, of whom the 11 from 0.31 on positive."""
    others = [
        {"subject_id": 100 + n, "prediction_time": NOW, "risk": n / 100, "boolean_value": n >= 31}
        for n in range(1, 61)
    ]
    himself = {"subject_id": 1, "prediction_time": NOW, "risk": 0.31, "boolean_value": True}
    band = page(PAST, predictions=pl.DataFrame([*others, himself])).band
    assert band.n_subjects == 21
    assert band.observed == pytest.approx(11 / 21)
    assert (band.lowest, band.highest) == pytest.approx((0.21, 0.41))


def test_a_small_count_of_outcomes_is_not_told() -> None:
    others = [
        {"subject_id": 100 + n, "prediction_time": NOW, "risk": 0.3, "boolean_value": n < 3}
        for n in range(50)
    ]
    band = page(PAST, predictions=pl.DataFrame(others)).band
    assert band.words == "fewer than 5 had the outcome"


def test_too_few_with_a_similar_risk_give_no_record() -> None:
    others = [
        {"subject_id": 100 + n, "prediction_time": NOW, "risk": 0.3, "boolean_value": True} for n in range(19)
    ]
    assert page(PAST, predictions=pl.DataFrame(others)).band is None


@pytest.mark.parametrize(("n_positive", "n"), [(0, 30), (3, 40), (50, 100), (30, 30)])
def test_the_interval_is_wilsons(n_positive: int, n: int) -> None:
    """Against scipy."""
    expected = stats.binomtest(n_positive, n).proportion_ci(method="wilson")
    assert wilson_interval(n_positive, n) == pytest.approx((expected.low, expected.high))


def test_the_patients_own_groups_are_found() -> None:
    """79.9 years is in 65-79, at hospital H1, for which there is no record."""
    groups = page(PAST).groups
    assert [(group.group, group.auroc, group.note) for group in groups] == [
        ("65-79 years", 0.8, ""),
        ("male", None, "fewer than 10 events"),
    ]


def test_important_codes_without_a_known_value_are_named() -> None:
    shown = page(PAST, importance=(HR, "PHYSIONET2012//Albumin", "ATC//J01CF05", "PHYSIONET2012//pH"))
    assert shown.not_known == ("Albumin", "Arterial pH")


def test_the_units_own_range_is_used_where_there_is_one() -> None:
    risks = pl.DataFrame(
        {"subject_id": range(60), "risk": [0.1] * 30 + [0.5] * 30, "unit_id": ["MICU"] * 30 + ["SICU"] * 30}
    )
    cohort = RiskCohort.of_risks(risks)
    shown = page(PAST, usual={"": cohort.everybody, **cohort.units})
    assert shown.usual.whose == "patients of unit MICU"
    assert shown.usual.p50 == pytest.approx(0.1)
    assert shown.usual.share_below == pytest.approx(0.99)


UNKNOWN = "Whether death in hospital followed cannot be told from the record."
FOLLOWED = "Death in hospital followed"
NOT = "Death in hospital did not follow"


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (
            {"boolean_value": True, "event": "death", "event_hours": 31.0},
            f"{FOLLOWED}, 31 hours after the prediction.",
        ),
        ({"boolean_value": True, "event": "discharge", "event_hours": 9.0}, f"{FOLLOWED}."),
        ({"boolean_value": False, "event": None, "event_hours": None}, f"{NOT}."),
        ({"boolean_value": None, "event": "censored", "event_hours": None}, UNKNOWN),
        ({}, UNKNOWN),
        (
            {"boolean_value": False, "event": "discharge", "event_hours": 96.0},
            f"{NOT}: discharge came first, 4 days after the prediction.",
        ),
    ],
)
def test_what_happened_then(outcome: dict[str, Any], sentence: str) -> None:
    assert page(PAST, outcome=outcome).afterwards.outcome == sentence


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (None, "age unknown"),
        (17.9, "under 18 years"),
        (18, "18–29 years"),
        (79.99, "70–79 years"),
        (90, "90 years or older"),
    ],
)
def test_ages_are_told_in_bands(age: float | None, band: str) -> None:
    assert age_band(age) == band


def test_every_task_has_words_for_its_outcome() -> None:
    for name in task_names():
        words = task_words(load_task(name))
        assert words.outcome
        assert words.they_do.split()[0] in {"die", "have", "stay", "develop", "are"}
