"""Ranges of codes hold what a reader of the list would say they hold."""

from __future__ import annotations

import pytest

from ontology.valuesets.code_ranges import CodeRanges, range_ends

LIST = ["V", "VII", "VIII", "U07.1", "V01", "V01.0", "V99", "W00", "X59.9", "X60", "V01-X59", "V010"]


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("V01", "X59", ["V01", "V01.0", "V010", "V99", "W00", "X59.9"]),
        ("V01.0", "V01.0", ["V01.0", "V010"]),
        ("X59", "X60", ["X59.9", "X60"]),
        ("Y00", "Y99", []),
    ],
)
def test_a_range_holds_its_ends_what_lies_between_and_what_continues_them(
    first: str, last: str, found: list[str]
) -> None:
    ranges = CodeRanges([f"ICD10//{code}" for code in LIST] + ["ICD9CM//V02", "ICD10CM//V02"])
    assert ranges.between(f"ICD10//{first}", f"ICD10//{last}") == [f"ICD10//{code}" for code in found]
    assert ranges.systems == {"ICD10", "ICD9CM", "ICD10CM"}


@pytest.mark.parametrize(
    ("concept", "ends"),
    [
        ("ICD10//I60-I69", ("ICD10//I60", "ICD10//I69")),
        ("ICD10//K70.0-ICD10//K70.3", ("ICD10//K70.0", "ICD10//K70.3")),
        ("ICD9CM//425.4-425.9", ("ICD9CM//425.4", "ICD9CM//425.9")),
        ("LOINC//1988-5", None),
        ("ICD10//A41", None),
        ("ICD10//I", None),
    ],
)
def test_what_is_a_range(concept: str, ends: tuple[str, str] | None) -> None:
    assert range_ends(concept) == ends
