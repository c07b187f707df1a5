"""Value sets: what belongs to them, and that the sepsis codes are codes of the Norwegian list."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError

from ontology.errors import ConfigurationError
from ontology.valuesets import ValueSet, load_valueset

SHARED = Path(__file__).parents[3] / ".." / "shared" / "kodeverk"
NORWEGIAN_LIST = SHARED / "navikt-diagnosekoder" / "ICD10_2026.json"


def inside(name: str, values: list[str | None]) -> list[bool]:
    table = pl.DataFrame({"value": values}, schema={"value": pl.String})
    return table.select(load_valueset(name).holds("value"))["value"].to_list()


def test_sepsis_is_told_by_code_and_not_by_its_neighbours() -> None:
    codes = ["A41.9", "A40.0", "R65.1", "R57.2", "P36.9", "R65.0", "R57.0", "A42.0", "A49.9", "B37.1"]
    expected = [True] * 5 + [False] * 5
    assert inside("sepsis_explicit", [f"ICD10-NO//{code}" for code in codes]) == expected
    assert inside("sepsis_explicit", ["A41.9", "ICD9CM//A41.9", None, ""]) == [False] * 4


def test_the_wide_set_holds_the_plain_one() -> None:
    plain, wide = load_valueset("sepsis_explicit"), load_valueset("sepsis_explicit_wide")
    assert set(plain.members) < set(wide.members)


@pytest.mark.parametrize("name", ["sepsis_explicit", "blood_culture_commensals"])
def test_a_value_set_names_its_version_and_source(name: str) -> None:
    values = load_valueset(name)
    assert values.name == name
    assert values.version
    assert len(values.source) > 40


def test_organisms_are_told_however_they_are_written() -> None:
    names = ["Staphylococcus epidermidis", "STAPHYLOCOCCUS HOMINIS", "CoNS", "Bacillus cereus"]
    others = ["Staphylococcus aureus", "Bacillus anthracis", "Corynebacterium diphtheriae", None]
    assert inside("blood_culture_commensals", [*names, *others]) == [True] * 4 + [False] * 4


def test_an_unknown_set_is_met_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="sepsis_explicit"):
        load_valueset("sepsis")


@pytest.mark.parametrize("members", [[], ["*"], ["A*B"]])
def test_members_that_mean_nothing_are_refused(members: list[str]) -> None:
    with pytest.raises(ValidationError):
        ValueSet(name="a", title="a", version="1", source="a", members=tuple(members))


@pytest.mark.skipif(not NORWEGIAN_LIST.exists(), reason=f"needs {NORWEGIAN_LIST.name} in shared/kodeverk")
def test_sepsis_is_what_the_norwegian_list_calls_sepsis() -> None:
    listed = json.loads(NORWEGIAN_LIST.read_text("utf-8"))
    titles = {f"ICD10-NO//{entry['code'][:3]}.{entry['code'][3:]}": entry["text"].lower() for entry in listed}
    named = {code for code, text in titles.items() if re.search(r"(^|[^r])sepsis|septisk sjokk", text)}
    named = {code for code in named if "antikonsepsjon" not in titles[code]}
    is_in_set = dict(zip(titles, inside("sepsis_explicit", list(titles)), strict=True))
    assert {code for code, is_in in is_in_set.items() if is_in} == named | {"ICD10-NO//R65.1"}
    wide = load_valueset("sepsis_explicit_wide").members
    assert all(any(code.startswith(member.rstrip("*")) for code in titles) for member in wide)
