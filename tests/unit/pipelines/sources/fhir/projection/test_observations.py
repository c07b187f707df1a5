"""Observations: every kind of value, components, panels, absent values; and what the lineage keeps."""

from __future__ import annotations

from typing import Any

import pytest

BASE = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "1-8", "display": "Noe"}]},
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2021-01-01T10:00:00Z",
}
SYSTOLIC = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
DIASTOLIC = {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}
POSITIVE = {"coding": [{"system": "http://snomed.info/sct", "code": "10828004"}]}


def rows(tables: Any, *observations: dict[str, Any], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    made = tables(*({**BASE, **observation} for observation in observations))
    found: list[tuple[Any, ...]] = made["Observation"].select(columns).rows()
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"valueQuantity": {"value": 5, "comparator": "<", "unit": "mg/L"}}, (5.0, "<", None)),
        ({"valueInteger": 3}, (3.0, None, None)),
        ({"valueCodeableConcept": POSITIVE}, (None, "SCT//10828004", None)),
        ({"valueCodeableConcept": {"text": "litt rødt"}}, (None, None, "litt rødt")),
        ({"valueString": "uklar urin"}, (None, None, "uklar urin")),
        ({"valueBoolean": False}, (None, "false", None)),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 64}}}, (None, "1:64", None)),
        ({"valueRange": {"low": {"value": 2}, "high": {"value": 4, "unit": "cm"}}}, (None, "2..4 cm", None)),
        ({"valueTime": "10:30:00"}, (None, "10:30:00", None)),
        ({"valueDateTime": "2020-05-01"}, (None, None, "2020-05-01")),
        ({"valuePeriod": {"start": "2020-05-01"}}, (None, None, "2020-05-01/")),
        ({"valueSampledData": {"data": "1 2 3"}}, (None, "sampled data", None)),
        ({"interpretation": [{"coding": [{"code": "R"}]}]}, (None, "R", None)),
        ({}, (None, None, None)),
    ],
)
def test_each_kind_of_value(tables: Any, value: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert rows(tables, value, columns=("kind", "value", "text", "note")) == [("value", *expected)]


def test_components_are_facts_of_their_own_and_name_their_panel(tables: Any) -> None:
    pressure = {
        "component": [
            {"code": SYSTOLIC, "valueQuantity": {"value": 120, "unit": "mmHg"}},
            {"code": DIASTOLIC, "dataAbsentReason": {"coding": [{"code": "not-performed"}]}},
        ]
    }
    found = rows(
        tables, pressure, {"valueInteger": 1}, columns=("_row", "kind", "code", "value", "alternates")
    )
    assert found == [
        (1, "value", "LOINC//8480-6", 120.0, "PANEL//LOINC//1-8"),
        (1, "absent", "LOINC//8462-4", None, "PANEL//LOINC//1-8"),
        (2, "value", "LOINC//1-8", 1.0, None),
    ]


def test_a_panel_is_told_by_its_members_and_an_absent_value_is_no_fact(tables: Any) -> None:
    panel = {"hasMember": [{"reference": "Observation/2"}]}
    absent = {"dataAbsentReason": {"coding": [{"code": "unknown"}]}}
    assert rows(tables, panel, absent, columns=("kind",)) == [("panel",), ("absent",)]
    without_number = {**panel, "valueQuantity": {"unit": "mg/L"}}
    assert rows(tables, without_number, columns=("kind",)) == [("panel",)]
    both = {**panel, "valueInteger": 15}
    assert rows(tables, both, columns=("kind", "value")) == [("value", 15.0)]


def test_the_lineage_keeps_category_status_interpretation_and_reference_ranges(tables: Any) -> None:
    result = {
        "status": "preliminary",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "valueQuantity": {"value": 7.5, "unit": "mmol/L"},
        "interpretation": [{"coding": [{"code": "H"}]}],
        "referenceRange": [
            {"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.0}},
            {"text": "alle"},
        ],
    }
    ((alternates,),) = rows(tables, result, columns=("alternates",))
    assert alternates == "CATEGORY//laboratory; STATUS//preliminary; INTERPRETATION//H; RANGE//3.5..5 mmol/L"


def test_a_result_is_known_when_it_is_issued(tables: Any) -> None:
    issued = {"issued": "2021-01-01T14:00:00Z", "valueInteger": 1}
    lasting = {
        "effectiveDateTime": None,
        "effectivePeriod": {"start": "2021-01-01T10:00:00Z", "end": "2021-01-01T12:00:00Z"},
        "valueInteger": 1,
    }
    only_issued = {"effectiveDateTime": None, "issued": "2021-01-01T14:00:00Z", "valueInteger": 1}
    found = rows(tables, issued, lasting, only_issued, columns=("time", "known_time"))
    assert [(time.hour, known.hour) for time, known in found] == [(10, 14), (10, 12), (14, 14)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"valueInteger": True},
        {"valueInteger": "3"},
        {"valueBoolean": "false"},
        {"valueBoolean": 0},
        {"valueString": 3},
        {"valueCodeableConcept": "positiv"},
        {"valueQuantity": {"value": "5"}},
        {"valueQuantity": [5]},
        {"valueQuantity": {"value": 5, "unit": 1}},
        {"valueQuantity": {"value": 5, "comparator": 1}},
        {"valuePeriod": {"start": 2020}},
        {"valueRatio": {"numerator": 1}},
        {"component": {"code": SYSTOLIC}},
        {"component": [{"code": "8480-6", "valueInteger": 1}]},
        {"component": ["8480-6"]},
        {"hasMember": {"reference": "Observation/2"}},
        {"interpretation": {"coding": []}},
        {"interpretation": ["H"], "valueInteger": 1},
        {"category": "laboratory"},
        {"referenceRange": {"low": {"value": 1}}, "valueInteger": 1},
        {"referenceRange": [{"low": {"value": "1"}}], "valueInteger": 1},
        {"status": 1},
        {"status": ["final"]},
        {"subject": "Patient/1"},
        {"subject": {"reference": 1}},
        {"encounter": ["Encounter/1"]},
        {"issued": 1},
        {"effectiveDateTime": {"start": "2021"}},
        {"dataAbsentReason": "unknown"},
        {"code": [SYSTOLIC]},
    ],
)
def test_another_json_type_is_an_error(tables: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, AttributeError, KeyError, ValueError)):
        tables({**BASE, **wrong})
