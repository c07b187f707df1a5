"""Conditions: rows asked and wrong are those of a hand count; nulls are not wrong; groups stand apart."""

from __future__ import annotations

import pytest

from ontology.errors import ConfigurationError

ALL = (None, None, None)
RESULTS = [
    {
        "subject_id": 1,
        "time": "2020-01-01T10:00",
        "code": "NLK//NPU19748",
        "numeric_value": 5.0,
        "unit": "mg/L",
    },
    {"subject_id": 1, "time": "2020-02-01T10:00", "code": "NLK//NPU19748", "numeric_value": None},
    {"subject_id": 2, "time": "2020-02-03T00:00", "code": "VITAL//heart_rate", "numeric_value": -1.0},
    {"subject_id": 2, "time": None, "code": "SEX//male"},
]


def test_a_condition_counts_the_rows_that_it_asks_and_those_that_are_wrong(write, ask):
    # Three events have a time; of them one value is null (the second), one is below zero (the third).
    events = write(RESULTS)
    rule = {"type": "condition", "table": "events", "among": "time IS NOT NULL"}
    assert ask(events, **rule, wrong="numeric_value IS NULL") == {ALL: (3, 1)}
    assert ask(events, **rule, wrong="numeric_value < 0") == {ALL: (3, 1)}
    assert ask(events, **rule, wrong="numeric_value > 1000") == {ALL: (3, 0)}


def test_a_null_is_not_wrong_unless_it_is_asked_for(write, ask):
    # The second value is null: neither below nor above anything.
    found = ask(write(RESULTS), type="condition", table="events", wrong="numeric_value <> 5")
    assert found == {ALL: (4, 1)}


def test_rows_are_counted_by_system_code_month_and_year(write, ask):
    rule = {"type": "condition", "table": "events", "among": "time IS NOT NULL", "wrong": "unit IS NULL"}
    events = write(RESULTS)
    assert ask(events, **rule, by=["system"]) == {("NLK", None, None): (2, 1), ("VITAL", None, None): (1, 1)}
    assert ask(events, **rule, by=["code"])[("NLK//NPU19748", None, None)] == (2, 1)
    assert ask(events, **rule, by=["month"]) == {
        (None, None, "2020-01"): (1, 0),
        (None, None, "2020-02"): (2, 2),
    }
    assert ask(events, **rule, by=["year"]) == {(None, None, "2020"): (3, 2)}


def test_nothing_to_ask_is_not_applicable_with_the_condition_as_its_reason(write, state):
    rule = {"type": "condition", "table": "events", "among": "system = 'ATC'", "wrong": "unit IS NULL"}
    assert state(write(RESULTS), **rule) == ("not applicable", "no rows of events where system = 'ATC'")


def test_a_threshold_is_passed_at_its_very_share_and_failed_above_it(write, state):
    # Three of ten have no unit: the share is 0.3, of which floating point knows only neighbours.
    rows = [
        {
            "subject_id": 1,
            "time": f"2020-01-{day:02}T10:00",
            "code": "NLK//X",
            "unit": "g" if day > 3 else None,
        }
        for day in range(1, 11)
    ]
    rule = {"type": "condition", "table": "events", "wrong": "unit IS NULL"}
    events = write(rows)
    assert state(events, 0.3, **rule)[0] == "passed"
    assert state(events, 0.2999, **rule)[0] == "failed"
    assert state(events, 0.0, **rule)[0] == "failed"
    assert state(events, None, **rule)[0] == "shown"


def test_events_know_their_subject_contact_and_window(write, ask):
    # Born in 2000: 20.0 years old; the contact at unit A is from 10 to 12; the windows end before the third.
    events = write(
        [
            {"subject_id": 1, "time": "2000-01-01T00:00", "code": "MEDS_BIRTH"},
            {"subject_id": 1, "time": "2020-01-01T11:00", "code": "VITAL//x", "contact_id": 7},
            {"subject_id": 1, "time": "2020-06-01T11:00", "code": "VITAL//x", "contact_id": 8},
            {"subject_id": 1, "time": None, "code": "SEX//female"},
        ],
        contacts=[
            {
                "contact_id": 7,
                "subject_id": 1,
                "stay_id": 7,
                "start_time": "2020-01-01T10:00",
                "end_time": "2020-01-01T12:00",
                "unit_id": "A",
            }
        ],
        observation=[
            {
                "subject_id": 1,
                "source": "s",
                "start_time": "2019-01-01T00:00",
                "end_time": "2020-03-01T00:00",
            },
            {
                "subject_id": 1,
                "source": "t",
                "start_time": "2020-02-01T00:00",
                "end_time": "2020-05-01T00:00",
            },
        ],
    )
    vital = {"type": "condition", "table": "events", "among": "system = 'VITAL'"}
    assert ask(events, **vital, wrong="age_years > 19.9 AND age_years < 20.1") == {ALL: (2, 1)}
    assert ask(events, **vital, wrong="sex = 'female'") == {ALL: (2, 2)}
    assert ask(events, **vital, wrong="unit_id = 'A' AND time >= start_time AND time <= end_time") == {
        ALL: (2, 1)
    }
    assert ask(events, **vital, wrong="contact_id IS NOT NULL AND contact_subject_id IS NULL") == {
        ALL: (2, 1)
    }
    assert ask(events, **vital, wrong="is_observed") == {ALL: (2, 1)}
    assert ask(events, **vital, wrong="extract_end = TIMESTAMP '2020-05-01 00:00:00'") == {ALL: (2, 2)}


def test_contacts_know_their_conditions_and_a_pair_of_codes_is_one_main_condition(write, ask):
    # Contact 1: a dagger and asterisk pair as the main condition. Contact 2: two main conditions. 3: none.
    codings = [
        {"contact_id": 1, "group_no": 1, "code_no": 1, "role": "main", "system": "ICD10-NO", "code": "E10.3"},
        {"contact_id": 1, "group_no": 1, "code_no": 2, "role": "main", "system": "ICD10-NO", "code": "H36.0"},
        {"contact_id": 2, "group_no": 1, "code_no": 1, "role": "main", "system": "ICD10-NO", "code": "A41.9"},
        {"contact_id": 2, "group_no": 2, "code_no": 1, "role": "main", "system": "ICD10-NO", "code": "J18.9"},
        {"contact_id": 3, "role": "procedure", "system": "NCSP", "code": "JEA01"},
    ]
    contacts = [
        {"contact_id": number, "subject_id": 1, "stay_id": number, "start_time": "2020-01-01T10:00"}
        for number in (1, 2, 3)
    ]
    dataset = write(
        [{"subject_id": 1, "time": "2020-01-01T00:00", "code": "X//y"}], contacts=contacts, codings=codings
    )
    rule = {"type": "condition", "table": "contacts"}
    assert ask(dataset, **rule, wrong="n_mains > 1") == {ALL: (3, 1)}
    assert ask(dataset, **rule, wrong="n_diagnoses = 0") == {ALL: (3, 1)}
    assert ask(dataset, **rule, wrong="n_diagnoses = 2") == {ALL: (3, 2)}


def test_subjects_are_counted_over_all_files(write, ask):
    # Subject 1 is born in both files; subject 2 has both sexes, so it has none; subject 3 has one fact.
    birth = {"subject_id": 1, "time": "2000-01-01T00:00", "code": "MEDS_BIRTH"}
    dataset = write(
        files=[
            [birth, {"subject_id": 2, "code": "SEX//male"}, {"subject_id": 2, "code": "GENDER//F"}],
            [birth, {"subject_id": 3, "time": "2020-01-01T00:00", "code": "NLK//X"}],
        ]
    )
    rule = {"type": "condition", "table": "subjects"}
    assert ask(dataset, **rule, wrong="n_births > 1") == {ALL: (3, 1)}
    assert ask(dataset, **rule, wrong="n_sexes > 1 AND sex IS NULL") == {ALL: (3, 1)}
    assert ask(dataset, **rule, wrong="n_events = 0") == {ALL: (3, 2)}
    assert ask(dataset, **rule, wrong="n_windows IS NULL") == {ALL: (3, 3)}


def test_a_value_that_a_condition_cannot_take_is_never_told(write, ask):
    events = write(
        [{"subject_id": 1, "time": "2020-01-01T10:00", "code": "X", "text_value": "Kari Nordmann"}]
    )
    with pytest.raises(ConfigurationError) as raised:
        ask(events, type="condition", table="events", wrong="CAST(text_value AS INTEGER) > 3")
    assert "a condition that the values do not bear" in str(raised.value)
    assert "Nordmann" not in str(raised.value)
    assert raised.value.__suppress_context__
