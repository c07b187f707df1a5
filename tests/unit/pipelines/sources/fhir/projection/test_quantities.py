"""Quantities: numbers, comparators, units as sent, and units that the mapping wants."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from pipelines.sources.fhir.projection.quantities import (
    amounts,
    number,
    range_words,
    ratio_words,
    sent_words,
    shortest,
)

UCUM = "http://unitsofmeasure.org"


def test_the_unit_is_the_ucum_code_and_the_words_are_kept() -> None:
    read = amounts(
        [
            {"value": 5.2, "unit": "mmol/l", "system": UCUM, "code": "mmol/L"},
            {"value": 5, "unit": "tabletter", "system": "http://example.org", "code": "TAB"},
            {"value": 7, "code": "kg"},
            {"value": 3, "unit": "stk"},
            {"value": 1, "system": "http://example.org", "code": "TAB"},
            {"unit": "mg"},
            None,
        ]
    )
    assert read.values == [5.2, 5, 7, 3, 1, None, None]
    assert read.units == ["mmol/L", "tabletter", "kg", "stk", "TAB", None, None]
    assert read.sent_units == ["mmol/l", "tabletter", "kg", "stk", "TAB", None, None]


def test_a_comparator_is_kept_with_its_number() -> None:
    read = amounts([{"value": 5, "comparator": "<"}, {"value": 5}])
    assert read.comparators == ["<", None]
    assert sent_words(read.values, read.comparators) == ["<5", None]


@pytest.mark.parametrize(
    ("value", "words"), [(5, "5"), (5.0, "5"), (0.1, "0.1"), (-2.50, "-2.5"), (1e22, "1e+22")]
)
def test_numbers_in_texts_are_written_shortest(value: float, words: str) -> None:
    assert shortest(value) == words


def test_ranges_and_ratios_in_words() -> None:
    assert range_words({"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.0}}) == "3.5..5 mmol/L"
    assert range_words({"high": {"value": 5, "unit": "mg/L"}}) == "..5 mg/L"
    assert range_words({"text": "under 5"}) is None
    assert ratio_words({"numerator": {"value": 1}, "denominator": {"value": 128}}) == "1:128"
    assert (
        ratio_words({"numerator": {"value": 5, "unit": "mg"}, "denominator": {"value": 2, "unit": "mL"}})
        == "5 mg:2 mL"
    )


@pytest.mark.parametrize("wrong", [True, "5.2", [5], {"value": 5}])
def test_a_number_of_another_json_type_is_an_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        amounts([{"value": wrong}])
    with pytest.raises(TypeError):
        number(wrong)


@pytest.mark.parametrize("wrong", [5, "5 mg", [{"value": 5}]])
def test_a_quantity_of_another_json_type_is_an_error(wrong: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        amounts([wrong])


def creatinine(**quantity: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2160-0"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2021-01-01T10:00:00Z",
        "valueQuantity": quantity,
    }


def test_values_are_converted_to_the_unit_that_the_mapping_wants(tables: Any) -> None:
    made = tables(
        creatinine(value=1.0, unit="mg/dL", system=UCUM, code="mg/dL"),
        creatinine(value=90, unit="umol/L", system=UCUM, code="umol/L"),
        creatinine(value=2, comparator=">", unit="mg/dL", system=UCUM, code="mg/dL"),
        creatinine(value=7),
        units={"LOINC//2160-0": "umol/L of creatinine"},
    )
    facts = made["Observation"]
    # by hand: 1 mg/dL = 10 mg/L = 10 / 113.12 mmol/L (the molar mass of creatinine) = 88.4 umol/L
    assert facts["value"].to_list() == pytest.approx([88.4, 90, 176.8, 7], abs=0.05)
    assert facts["unit"].to_list() == ["umol/L", "umol/L", "umol/L", None]
    assert facts["sent_value"].to_list() == ["1", None, ">2", None]
    assert facts["sent_unit"].to_list() == ["mg/dL", "umol/L", "mg/dL", None]
    assert facts["text"].to_list() == [None, None, ">", None]


def test_a_unit_that_cannot_be_converted_is_told_and_the_value_stays(tables: Any) -> None:
    made = tables(
        creatinine(value=1.0, unit="kg", system=UCUM, code="kg"),
        units={"LOINC//2160-0": "umol/L of creatinine"},
    )
    assert made["Observation"].select("value", "unit").row(0) == (1.0, "kg")
    expected = {
        "_row": 1,
        "table": "Observation",
        "fate": "field",
        "field": "unit",
        "reason": "unit cannot be converted",
    }
    assert made["_fates"].drop("byte_offset").row(0, named=True) == expected
    assert made["_fates"].schema["_row"] == pl.Int64
