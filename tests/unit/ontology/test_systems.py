"""How the codes of each system are written, and what stands above them by form."""

from __future__ import annotations

import re

import pytest

from ontology.systems import (
    SYSTEMS,
    above_by_form,
    compact,
    level_by_form,
    levels_by_form,
    parts,
    spelled,
    without_letters,
)

FORMS = [
    # system, as sent, as written, above, level: read off the systems' own manuals
    ("ICD10", "a41.90 ", "A41.90", ("A41.9", "A41"), "subcategory"),
    ("ICD10", "A170†", "A17.0", ("A17",), "subcategory"),
    ("ICD10", "G01*", "G01", (), "category"),
    ("ICD10", "A30-A49", "A30-A49", (), None),
    ("ICD10", "xiv", "XIV", (), None),
    ("ICD10-NO", "A419", "A41.9", ("A41",), "subcategory"),
    ("ICD10-NO", "d37.71", "D37.71", ("D37.7", "D37"), "subcategory"),
    ("ICD10-NO", "V0N0A", "V0n.0a", ("V0n.0", "V0n"), "subcategory"),
    ("ICD10-NO", "I210A", "I21.0a", ("I21.0", "I21"), "subcategory"),
    ("ICD10-NO", "xiv", "XIV", (), None),
    ("ICD10CM", "s72001a", "S72.001A", ("S72.001", "S72.00", "S72.0", "S72"), "subcategory"),
    ("ICD9CM", "99591", "995.91", ("995.9", "995"), "subcategory"),
    ("ICD9CM", "0389", "038.9", ("038",), "subcategory"),
    ("ICD9CM", "V4581", "V45.81", ("V45.8", "V45"), "subcategory"),
    ("ICD9CM", "E8503", "E850.3", ("E850",), "subcategory"),
    ("ICD9CM", "E850", "E850", (), "category"),
    ("ICD9CM", "001-139", "001-139", (), None),
    ("ICD9CM", "38.9", "038.9", ("038",), "subcategory"),
    ("ICD9CM", "38", "038", (), "category"),
    ("ICD9CM", "250.", "250", (), "category"),
    ("ICD9CM", " 8.45", "008.45", ("008.4", "008"), "subcategory"),
    ("ICD9PCS", "5.11", "05.11", ("05.1", "05"), "subcategory"),
    ("ICD9PCS", "511", "51.1", ("51",), "subcategory"),
    ("ICD9PCS", "9671", "96.71", ("96.7", "96"), "subcategory"),
    ("ICPC2", "a01", "A01", ("A",), "rubric"),
    ("ICPC2", "A191", "A191", ("A19", "A"), "local"),
    ("ATC", "j01cf05", "J01CF05", ("J01CF", "J01C", "J01", "J"), "substance"),
    ("ATC", "J01", "J01", ("J",), "therapeutic_subgroup"),
    ("NCSP", "JKE 00", "JKE00", ("JKE", "JK", "J"), "procedure"),
    ("NCSP", "JK", "JK", ("J",), "group"),
    ("NCMP", "WBGM10", "WBGM10", ("WBGM", "WBG", "WB", "W"), "procedure"),
    ("NCRP", "SXA0AA", "SXA0AA", ("SXA", "SX", "S"), "procedure"),
    ("NCSP", "17X01", "17X01", (), None),
    ("NLK", "NPU 19748", "NPU19748", (), "analysis"),
    ("NLK", "npu-19748", "NPU19748", (), "analysis"),
    ("LOINC", "2160-0 ", "2160-0", (), None),
    ("ICD11", "1g40.0", "1G40.0", ("1G40",), "subcategory"),
    ("CIIO", "http://example.org/ciio#Pain", "http://example.org/ciio#Pain", (), None),
    ("MEDS_BIRTH", "a 1", "a 1", (), None),
]


@pytest.mark.parametrize(("system", "sent", "written", "above", "level"), FORMS)
def test_the_form_of_a_code(
    system: str, sent: str, written: str, above: tuple[str, ...], level: str | None
) -> None:
    assert spelled(system, sent) == written
    assert above_by_form(system, sent) == above
    assert level_by_form(system, sent) == level


@pytest.mark.parametrize(("system", "sent", "written", "above", "level"), FORMS)
def test_what_is_written_right_stays(
    system: str, sent: str, written: str, above: tuple[str, ...], level: str | None
) -> None:
    assert spelled(system, written) == written
    assert level_by_form(system, written) == level
    assert level is None or level in levels_by_form(system)
    for place, code in enumerate(above):
        assert spelled(system, code) == code
        assert above_by_form(system, code) == above[place + 1 :]


@pytest.mark.parametrize(
    ("system", "sent", "shorter"),
    [
        ("ICD10-NO", "M16.9V", "M16.9"),
        ("ICD10", "a41.9 vs ", "A41.9"),
        ("ICD10CM", "S72.001A", None),
        ("ICD10-NO", "A41.9", None),
        ("ICD10-NO", "XIV", None),
        ("NCSP", "JKE00A", "JKE00"),
        ("SCT", "12A", None),
    ],
)
def test_letters_behind_a_code(system: str, sent: str, shorter: str | None) -> None:
    assert without_letters(system, sent) == shorter


def test_compact_drops_what_hospitals_vary_in() -> None:
    assert {
        compact(code) for code in ("A41.9", "a 41 9", " A419+", "A41.9*", "A41.9\u2020", "A41.9\u00a0")
    } == {"A419"}


def test_parts_of_a_concept() -> None:
    assert parts("EICU//LAB//lactate") == ("EICU", "LAB//lactate")
    assert parts("MEDS_BIRTH") == ("", "MEDS_BIRTH")


def test_identifiers_are_well_formed_and_no_two_systems_share_one() -> None:
    oids = [system.oid for system in SYSTEMS.values() if system.oid]
    urls = [url for system in SYSTEMS.values() for url in system.urls]
    assert len(set(oids)) == len(oids)
    assert len(set(urls)) == len(urls)
    assert all(re.fullmatch(r"\d+(\.\d+)+", oid) for oid in oids)
    assert all(system.placed_under in {None, *SYSTEMS} for system in SYSTEMS.values())
