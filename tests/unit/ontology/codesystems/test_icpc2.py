"""ICPC-2 codes lie in components and chapters; local codes under what they extend."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.icpc2 import CHAPTERS, read_icpc2, read_icpc2_years
from ontology.errors import InputError


def year_list(path: Path, codes: str) -> Path:
    path.write_text(json.dumps([{"code": code, "text": f"tekst {code}"} for code in codes.split()]), "utf-8")
    return path


def test_codes_lie_under_component_and_chapter(tmp_path: Path) -> None:
    system = read_icpc2_years({2024: year_list(tmp_path / "a.json", "A01 A191 D99 D991 R44 K62")})
    parents = dict(system.edges.select("child", "parent").rows())
    assert parents["ICPC2//A01"] == "ICPC2//A01-A29"
    assert parents["ICPC2//A191"] == "ICPC2//A01-A29"  # A19 is not listed
    assert parents["ICPC2//D991"] == "ICPC2//D99"
    assert parents["ICPC2//R44"] == "ICPC2//R30-R49"
    assert parents["ICPC2//K62"] == "ICPC2//K62-K62"
    assert parents["ICPC2//D70-D99"] == "ICPC2//D"
    components = {c: v for c, p, v in system.properties.rows() if p == "component"}
    assert components["ICPC2//A01"] == "1"
    assert components["ICPC2//R44"] == "2"
    assert components["ICPC2//K62"] == "5"
    assert components["ICPC2//D991"] == "7"


def test_all_seventeen_chapters_are_named_in_two_languages(tmp_path: Path) -> None:
    concepts = read_icpc2_years({2024: year_list(tmp_path / "a.json", "A01")}).concepts
    chapters = concepts.filter(pl.col("level") == "chapter")
    assert set(chapters["code"]) == set("ABDFHKLNPRSTUWXYZ") == set(CHAPTERS)
    assert chapters.group_by("code").len()["len"].unique().to_list() == [2]
    assert chapters["label"].null_count() == 0


def test_years_join_as_for_icd10(tmp_path: Path) -> None:
    lists = {
        2024: year_list(tmp_path / "a.json", "A01 U89"),
        2025: year_list(tmp_path / "b.json", "A01 U89 U891"),
    }
    system = read_icpc2_years(lists)
    rows = system.concepts.filter(pl.col("code") == "U891")
    assert rows.select("level", "valid_from", "valid_to").rows() == [
        ("local", date(2025, 1, 1), date(2025, 12, 31))
    ]
    assert system.coverage.rows() == [("ICPC2", date(2024, 1, 1), date(2025, 12, 31))]


def test_the_official_export_reads_without_the_terms_of_icpc_2b(tmp_path: Path) -> None:
    def row(code: str, edition: str) -> dict[str, str | None]:
        return {
            "Kode": code,
            "Tekst_uten_lengdebegrensning": f"tekst {code}",
            "Gyldig_fra": "2004-01-01T00:00:00",
            "Gyldig_til": None,
            "Foreldrekode": None,
            "Kodeverk": edition,
        }

    path = tmp_path / "x.json"
    path.write_text(
        json.dumps([row("A", "ICPC-2"), row("A01", "ICPC-2"), row("A01.0001", "ICPC-2B")]), "utf-8"
    )
    system = read_icpc2(path)
    rubrics = system.concepts.filter(pl.col("level").is_in(["rubric", "local"]))
    assert rubrics.select("code", "valid_from").rows() == [("A01", date(2004, 1, 1))]
    assert system.coverage.rows() == [("ICPC2", date(2004, 1, 1), None)]


def test_a_code_of_another_system_is_told_with_its_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="row 2"):
        read_icpc2_years({2024: year_list(tmp_path / "a.json", "A01 I10")})


def test_an_export_of_another_system_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "Kode;Tekst_uten_lengdebegrensning;Foreldrekode;Gyldig_fra;Gyldig_til\nA00.1;kolera;A00;2020-01-01;\n"
    )
    with pytest.raises(InputError, match="no row is a code of ICPC-2"):
        read_icpc2(path)
