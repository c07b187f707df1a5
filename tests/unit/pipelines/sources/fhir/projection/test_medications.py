"""Doses: an amount, else a rate, else a range or a ratio in words; and never another JSON type."""

from __future__ import annotations

from typing import Any

import pytest

MG = {"value": 5, "unit": "mg"}
RATE = {"value": 0.1, "unit": "ug/kg/min", "system": "http://unitsofmeasure.org", "code": "ug/kg/min"}
RATIO = {"numerator": {"value": 500, "unit": "mL"}, "denominator": {"value": 2, "unit": "h"}}
RANGE = {"low": {"value": 1, "unit": "g"}, "high": {"value": 2, "unit": "g"}}


@pytest.mark.parametrize(
    ("dosage", "expected"),
    [
        ({"dose": MG, "rateQuantity": RATE}, (5.0, "mg", None)),
        ({"rateQuantity": RATE}, (0.1, "ug/kg/min", None)),
        ({"rateRatio": RATIO}, (None, None, "500 mL:2 h")),
        ({"dose": {**MG, "comparator": "<"}}, (5.0, "mg", "<")),
        ({"text": "ved behov"}, (None, None, None)),
        (None, (None, None, None)),
    ],
)
def test_what_was_given(tables: Any, dosage: Any, expected: tuple[Any, ...]) -> None:
    made = tables({"resourceType": "MedicationAdministration", "dosage": dosage})
    assert made["MedicationAdministration"].select("value", "unit", "text").row(0) == expected


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ({"doseQuantity": MG}, (5.0, "mg", None)),
        ({"rateQuantity": RATE}, (0.1, "ug/kg/min", None)),
        ({"doseRange": RANGE}, (None, None, "1..2 g")),
        ({"rateRatio": RATIO}, (None, None, "500 mL:2 h")),
        ({}, (None, None, None)),
    ],
)
def test_what_was_ordered(tables: Any, rate: dict[str, Any], expected: tuple[Any, ...]) -> None:
    instruction = [{"doseAndRate": [rate]}]
    requests = tables({"resourceType": "MedicationRequest", "dosageInstruction": instruction})
    assert requests["MedicationRequest"].select("value", "unit", "text").row(0) == expected
    statements = tables({"resourceType": "MedicationStatement", "dosage": instruction})
    assert statements["MedicationStatement"].select("value", "unit", "text").row(0) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"dosage": [{"dose": MG}]},
        {"dosage": {"dose": 5}},
        {"dosage": {"dose": {"value": 5, "system": 1}}},
        {"medicationReference": "Medication/1"},
        {"medicationCodeableConcept": []},
        {"context": False},
    ],
)
def test_another_json_type_is_an_error(tables: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, AttributeError)):
        tables({"resourceType": "MedicationAdministration", **wrong})
