"""A patient's page knows nothing later than the prediction, and finds the right record to compare with."""

from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest

from phenotype.cohort import RiskCohort
from phenotype.explain.concepts import EXPLANATIONS
from phenotype.report.patient import ModelWords, PatientCase, TaskContext, band_record, patient_page
from phenotype.report.words import TaskWords, age_band, task_words
from phenotype.tasks import load_task, task_names
from phenotype.trajectory import CONTACTS, EVENTS

NOW = dt.datetime(2024, 3, 12, 14)
HR = "VITAL//heart_rate"
WORDS = TaskWords(name="t", title="T", question="Q?", outcome="death in hospital", they_do="die")
DECILES = [
    {"predicted": 0.02, "observed": 0.03, "low": 0.0, "high": 0.06, "n_rows": 80, "n_positive": 2},
    {"predicted": 0.30, "observed": 0.28, "low": 0.2, "high": 0.4, "n_rows": 80, "n_positive": 22},
    {"predicted": 0.90, "observed": 1.0, "low": 0.4, "high": 1.0, "n_rows": 3, "n_positive": 3},
]
METRICS: dict[str, Any] = {
    "curves": {"calibration": {"deciles": DECILES}},
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
            "n_subjects": 4,
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
    return patient_page(case, TaskContext(task=WORDS, event="death", model=model, metrics=METRICS, **more))


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


def test_a_contact_that_goes_on_is_open_and_its_end_unknown() -> None:
    band = page(PAST).trajectory.recent.bands[0]
    assert band.end is None
    assert "intensive care" in band.label


def test_the_risk_is_this_predictions_and_later_ones_are_not_shown() -> None:
    shown = page(PAST)
    assert shown.risk == 0.31
    assert [risk for _, risk in shown.risks] == [0.2, 0.31]


def test_the_record_in_the_nearest_band_is_used_unless_it_is_too_small() -> None:
    assert page(PAST).band.observed == 0.28
    assert band_record(0.88, METRICS) is None
    assert band_record(0.1, {}) is None


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
