"""Codes as hospitals write them: found as they are, respelled, at the nearest parent, or not at all."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import polars as pl
import pytest

from ontology.assembling import ontology_of
from ontology.codesystems.icd10_no import read_year_lists
from ontology.codesystems.who_icd10 import read_who_icd10
from ontology.concepts import EDGES, CodeSystem, concept_rows
from ontology.normalising import NORMALISED, normalise
from ontology.release import embedded_ontology
from ontology.systems import parts
from ontology.terminology import Ontology

SHARED = Path(__file__).parents[3] / ".." / "shared"
NORWEGIAN_LISTS = SHARED / "kodeverk" / "navikt-diagnosekoder"
MIMIC_CODES = SHARED / "data" / "mimic-iii-demo" / "DIAGNOSES_ICD.csv"

WITHOUT_NATIONAL_LISTS = [
    ("ICD10//A41.9", "ICD10//A41.9", "exact"),
    ("ICD10//A419", "ICD10//A41.9", "respelled"),
    ("ICD10// a41.9 ", "ICD10//A41.9", "respelled"),
    ("ICD10//A17.0\u2020", "ICD10//A17.0", "respelled"),
    ("ICD10//A41.9G", "ICD10//A41.9", "respelled"),
    ("ICD10//i", "ICD10//I", "respelled"),
    ("ICD10//a30-a49", "ICD10//A30-A49", "respelled"),
    ("ICD10//A41.90", "ICD10//A41.9", "nearest_parent"),
    ("ICD10//A41.7", "ICD10//A41", "nearest_parent"),
    ("ICD10//U12.3", "ICD10//U00-U49", "nearest_parent"),
    ("ICD10//hello", None, "not_found"),
    ("ICD10//A4\uff11", None, "not_found"),  # a wide digit, and a Cyrillic letter: look-alikes are not codes
    ("ICD10//\u0410419", None, "not_found"),
    ("ICD10//\ufeffA41.9\u200b", "ICD10//A41.9", "respelled"),
    ("ICD10//" + "A" * 1000, None, "not_found"),
    ("ICD10-NO//XYZ", None, "not_found"),  # between X85 and Y09 in text order, but no code
    ("ICD10-NO//XY1", None, "not_found"),
    ("ICD10-NO//A0x", None, "not_found"),  # summary categories end in n, s or t
    ("ICD10-NO//V0n", "ICD10//V01-V09", "nearest_parent"),
    ("ICD10-NO//W7n0a", "ICD10//W00-X59", "nearest_parent"),
    ("ICD10-NO//X5n0a", "ICD10//X50-X57", "nearest_parent"),
    ("ICD10-NO//X8n0a", "ICD10//X85-Y09", "nearest_parent"),
    ("ICD10-NO//T4n", "ICD10//T36-T50", "nearest_parent"),
    ("ICD9CM//\u0663\u0668.\u0669", None, "not_found"),  # Arabic-Indic digits
    ("NCMP//17X01", None, "not_found"),  # a special code: no list, no form
    ("//", None, "not_found"),
    ("A41.9", None, "not_found"),
    ("ICD10//", None, "not_found"),
    ("ICD10-NO//A41.9", "ICD10//A41.9", "exact"),
    ("ICD10-NO//a419", "ICD10//A41.9", "respelled"),
    ("ICD10-NO//M16.9V", "ICD10//M16.9", "nearest_parent"),
    ("ICD10-NO//D37.71", "ICD10//D37.7", "nearest_parent"),
    ("ICD10-NO//W0n0a", "ICD10//W00-W19", "nearest_parent"),
    ("ICD10-NO//X8N.0A", "ICD10//X85-Y09", "nearest_parent"),
    ("ICD10CM//A419", "ICD10//A41.9", "respelled"),
    ("ICD10CM//S72.001A", "ICD10//S72.0", "nearest_parent"),
    ("ICD9CM//99591", "ICD9CM//990-995", "nearest_parent"),
    ("ICD9CM//E8503", "ICD9CM//E850-E858", "nearest_parent"),
    ("NLK//NPU19748", None, "not_found"),
    ("MEDS_BIRTH", None, "not_found"),
    ("MIMIC//LAB//50912", None, "not_found"),
]


@pytest.mark.parametrize(("sent", "concept", "how"), WITHOUT_NATIONAL_LISTS)
def test_codes_without_national_lists(sent: str, concept: str | None, how: str) -> None:
    assert embedded_ontology().listed.find(sent) == (concept, how)


@pytest.fixture(scope="module")
def with_lists() -> Ontology:
    """A few Norwegian codes, laboratory codes and procedures beside WHO's ICD-10."""
    norwegian = ["A41", "A41.9", "D37.7", "D37.71", "V0n.0a", "V99.xa", "M16.9", "I21.0", "I21.0a"]
    placed = [(f"ICD10-NO//{code}", f"ICD10//{code}", "placed_under") for code in ("A41", "A41.9", "D37.7")]
    systems = [
        CodeSystem(
            concept_rows("ICD10-NO", pl.DataFrame({"code": norwegian})),
            pl.DataFrame(placed, schema=EDGES, orient="row"),
        ),
        CodeSystem(concept_rows("NLK", pl.DataFrame({"code": ["NPU19748"]}))),
        CodeSystem(concept_rows("NCSP", pl.DataFrame({"code": ["JKE00", "J"]}))),
    ]
    return ontology_of([read_who_icd10(), *systems])


@pytest.mark.parametrize(
    ("sent", "concept", "how"),
    [
        ("ICD10-NO//A419", "ICD10-NO//A41.9", "respelled"),
        ("ICD10-NO//D3771", "ICD10-NO//D37.71", "respelled"),
        ("ICD10-NO//D37.72", "ICD10-NO//D37.7", "nearest_parent"),
        ("ICD10-NO//V0N0A", "ICD10-NO//V0n.0a", "respelled"),
        ("ICD10-NO//M169V", "ICD10-NO//M16.9", "respelled"),
        ("ICD10-NO//I210A", "ICD10-NO//I21.0a", "respelled"),
        ("ICD10-NO//I210C", "ICD10-NO//I21.0", "respelled"),
        ("ICD10-NO//A41.0", "ICD10//A41.0", "nearest_parent"),
        ("ICD10-NO//B37.7", "ICD10//B37.7", "nearest_parent"),
        ("NLK//NPU 19748", "NLK//NPU19748", "respelled"),
        ("NLK//npu-19748", "NLK//NPU19748", "respelled"),
        ("NLK//NPU99999", None, "not_found"),
        ("NCSP//jke 00", "NCSP//JKE00", "respelled"),
        ("NCSP//JKE00B", "NCSP//JKE00", "respelled"),
        ("NCSP//JKE01", "NCSP//J", "nearest_parent"),
    ],
)
def test_codes_with_lists(with_lists: Ontology, sent: str, concept: str | None, how: str) -> None:
    assert with_lists.listed.find(sent) == (concept, how)


def test_each_code_is_told_once_and_sorted(with_lists: Ontology) -> None:
    codes = pl.Series(["NLK//npu19748", None, "ICD10//A41.9", "NLK//npu19748", "X//1"])
    found = normalise(codes, with_lists)
    assert found.schema == NORMALISED
    assert found.rows() == [
        ("ICD10//A41.9", "ICD10//A41.9", "exact"),
        ("NLK//npu19748", "NLK//NPU19748", "respelled"),
        ("X//1", None, "not_found"),
    ]


def test_concepts_that_only_data_had_are_not_found_again(with_lists: Ontology) -> None:
    extended = with_lists.with_codes(["NLK//NPU1", "ICD10-NO//D37.72"])
    assert normalise(pl.Series(["NLK//NPU1", "ICD10-NO//D37.72"]), extended)["how"].to_list() == [
        "nearest_parent",
        "not_found",
    ]


def chapters_of(codes: list[str], level: str) -> pl.Series:
    return embedded_ontology().roll_up(pl.Series(codes), level)


def as_written_somewhere(code: str, draw: random.Random) -> str:
    """The code without its dot, in other letters, with spaces, or with a mark behind it."""
    if draw.random() < 0.5:
        code = code.replace(".", "")
    if draw.random() < 0.5:
        code = draw.choice([code.lower(), code.upper()])
    if draw.random() < 0.3:
        place = draw.randrange(len(code) + 1)
        code = f"{code[:place]} {code[place:]}"
    return code + draw.choice(["", "", " ", "*", "+", "\u2020", " *"])


def lost(ontology: Ontology, system: str, seed: int) -> list[str]:
    """The listed codes of a system that are not found again when they are written otherwise."""
    draw = random.Random(seed)
    codes = sorted({parts(concept)[1] for concept in ontology.graph.names if parts(concept)[0] == system})
    sent = {code: as_written_somewhere(code, draw) for code in codes}
    found = {code: ontology.listed.find(f"{system}//{sent[code]}") for code in codes}
    return [
        f"{sent[code]} -> {concept} ({how})"
        for code, (concept, how) in found.items()
        if (concept, how) != (f"{system}//{code}", "exact" if sent[code] == code else "respelled")
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_code_of_who_is_found_however_it_is_written(seed: int) -> None:
    assert lost(embedded_ontology(), "ICD10", seed) == []


@pytest.mark.skipif(not NORWEGIAN_LISTS.is_dir(), reason=f"{NORWEGIAN_LISTS} is absent")
def test_every_norwegian_code_is_found_however_it_is_written() -> None:
    ontology = ontology_of([read_who_icd10(), read_year_lists({2026: NORWEGIAN_LISTS / "ICD10_2026.json"})])
    assert lost(ontology, "ICD10-NO", seed=3) == []


@pytest.mark.skipif(not NORWEGIAN_LISTS.is_dir(), reason=f"{NORWEGIAN_LISTS} is absent")
@pytest.mark.parametrize("year", [2023, 2024, 2025, 2026])
def test_every_norwegian_code_finds_a_chapter_without_a_norwegian_list(year: int) -> None:
    listed = json.loads((NORWEGIAN_LISTS / f"ICD10_{year}.json").read_text("utf-8"))
    codes = [f"ICD10-NO//{row['code']}" for row in listed]
    chapters = chapters_of(codes, "ICD10//chapter")
    assert [code for code, chapter in zip(codes, chapters, strict=True) if chapter is None] == []


@pytest.mark.skipif(not MIMIC_CODES.is_file(), reason=f"{MIMIC_CODES} is absent")
def test_every_diagnosis_of_mimic_iii_finds_a_chapter() -> None:
    with MIMIC_CODES.open(encoding="utf-8") as file:
        codes = [f"ICD9CM//{row['icd9_code']}" for row in csv.DictReader(file)]
    assert len(codes) == 1761
    assert chapters_of(codes, "ICD9CM//chapter").null_count() == 0
