"""The codes that value sets name are codes of the published lists, and mean what the sets say they mean."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from ontology.units.conversion import unit_faults
from ontology.valuesets.code_ranges import CodeRanges, range_ends
from ontology.valuesets.sets import Resolver, ValueSet, load_family, load_valueset, valueset_names

SHARED = Path(__file__).parents[2] / ".." / "shared"
NORWEGIAN = SHARED / "kodeverk/navikt-diagnosekoder/ICD10_2026.json"
NLK = SHARED / "kodeverk/nlk/norsk_laboratoriekodeverk_7280.77.csv"
PROCEDURES = SHARED / "kodeverk/skde-sas-codes/flat"
MIMIC = SHARED / "data/mimic-iii-demo"
NOT_IN_MIMIC_III = {"51652", "51755", "51756", "52075", "52442", "52546"}
"""Item numbers that only MIMIC-IV has, as the value set says."""


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not path.exists(), reason=f"needs {path.name} in the shared folder")


def shipped() -> Iterator[ValueSet]:
    """Every set and group; families only by their groups."""
    for name in valueset_names():
        values = load_valueset(name)
        if not values.references:
            yield values


def named(criterion: str, system: str) -> Iterator[tuple[ValueSet, str]]:
    """Sets with the codes or concepts of a system that their include rules name."""
    for values in shipped():
        for rule in values.rules.include:
            for code in getattr(rule, criterion):
                if code.startswith(f"{system}//"):
                    yield values, code.removeprefix(f"{system}//")


def norwegian_titles() -> dict[str, str]:
    listed = json.loads(NORWEGIAN.read_text("utf-8"))
    return {
        f"ICD10-NO//{entry['code'][:3]}{'.' * (len(entry['code']) > 3)}{entry['code'][3:]}": entry["text"]
        for entry in listed
    }


@needs(MIMIC)
@pytest.mark.parametrize(
    ("system", "file"), [("ICD9CM", "D_ICD_DIAGNOSES.csv"), ("ICD9PCS", "D_ICD_PROCEDURES.csv")]
)
def test_american_codes_are_codes_of_the_list(system: str, file: str) -> None:
    listed = pl.read_csv(MIMIC / file, infer_schema=False).rename(str.lower)["icd9_code"].to_list()
    ranges = CodeRanges([f"{system}//{code}" for code in listed])
    unknown = [
        (values.name, code)
        for values, code in named("under", system)
        if not ranges.between(*(range_ends(f"{system}//{code}") or [f"{system}//{code}"] * 2))
    ]
    assert unknown == []


@needs(NLK)
def test_laboratory_codes_are_listed_and_their_units_convert_to_the_set_s_unit() -> None:
    rows = pl.read_csv(NLK, infer_schema=False, null_values="").iter_rows(named=True)
    units = {row["kode"]: row["enhet"] for row in rows}
    found = list(named("codes", "NLK"))
    assert len(found) > 60
    assert [(values.name, code) for values, code in found if code not in units] == []
    faults = [
        (values.name, code, units[code])
        for values, code in found
        if values.unit and unit_faults(units[code] or "1", values.unit, values.analyte)
    ]
    assert faults == []


@needs(NLK)
def test_a_blood_culture_is_what_the_laboratory_list_calls_so() -> None:
    rows = pl.read_csv(NLK, infer_schema=False, null_values="").filter(
        pl.col("norsk_bruksnavn").str.contains("(?i)blodkultur")
        & ~pl.col("norsk_bruksnavn").str.contains("mykobakterier")
    )
    expected = {f"NLK//{code}" for code in rows["kode"]}
    taken = load_valueset("blood_culture/collected").resolve(sorted(expected | {"NLK//NPU19748"}))
    assert set(taken["code"]) == expected


@needs(PROCEDURES)
@pytest.mark.parametrize(("system", "file"), [("NCMP", "ncmp_no.tsv"), ("NCSP", "ncsp_no.tsv")])
def test_norwegian_procedure_codes_are_codes_of_the_lists(system: str, file: str) -> None:
    listed = set(pl.read_csv(PROCEDURES / file, separator="\t", infer_schema=False)["code"])
    found = list(named("codes", system))
    assert found
    assert [(values.name, code) for values, code in found if code not in listed] == []


@needs(MIMIC)
def test_mimic_s_laboratory_items_are_those_of_the_analyte_s_loinc_code_in_blood() -> None:
    items = pl.read_csv(MIMIC / "D_LABITEMS.csv", infer_schema=False).rename(str.lower)
    by_item = {row["itemid"]: row for row in items.iter_rows(named=True)}
    wrong = []
    for values, code in named("codes", "MIMIC4"):
        item = code.removeprefix("LAB//")
        if not code.startswith("LAB//") or item in NOT_IN_MIMIC_III:
            continue
        row = by_item[item]
        loinc = {rule_code for rule in values.rules.include for rule_code in rule.codes}
        if row["fluid"] != "Blood" or f"LOINC//{row['loinc_code']}" not in loinc:
            wrong.append((values.name, item, row["label"], row["loinc_code"]))
    assert wrong == []


@needs(NORWEGIAN)
def test_foci_of_infection_are_apart_and_hold_no_code_that_names_sepsis() -> None:
    titles = norwegian_titles()
    resolver = Resolver(titles)
    groups = {
        name: set(resolver.resolve(load_valueset(f"infection/{name}"))["code"])
        for name in load_family("infection").groups
    }
    twice = [
        code for code, n in Counter(code for codes in groups.values() for code in codes).items() if n > 1
    ]
    assert twice == []
    sepsis = set(resolver.resolve(load_valueset("sepsis_explicit"))["code"])
    assert set.union(*groups.values()) & sepsis == set()
    unknown, markers = (
        set(resolver.resolve(load_valueset(name))["code"])
        for name in ("sepsis_unknown_focus", "sepsis_known_focus_markers")
    )
    assert unknown & markers == set()
    assert sepsis - unknown - markers == {code for code in sepsis if code.startswith("ICD10-NO//P36")}


@needs(NORWEGIAN)
@pytest.mark.parametrize(
    ("name", "pattern", "left_out"),
    [
        ("cancer", r"^Ondartet svulst", set()),
        # Without pneumonia, with HIV, and by substances: these are no acute infection of the lung.
        ("infection/lung", r"(?i)pneumoni\b", {"A48.2", "B20.6", "J69.1", "J69.8"}),
        ("infection/bone_joint", r"(?i)osteomyelitt", set()),
        ("infection/heart", r"(?i)\bendokarditt", {"I01.1"}),  # rheumatic
    ],
)
def test_titles_that_name_a_thing_are_in_its_set_but_for_kinds_left_out(
    name: str, pattern: str, left_out: set[str]
) -> None:
    titles = norwegian_titles()
    inside = set(load_valueset(name).resolve(list(titles))["code"])
    alike = {code for code, title in titles.items() if re.search(pattern, title)}
    assert {code.removeprefix("ICD10-NO//") for code in alike - inside} == left_out
    assert len(alike) > 4
