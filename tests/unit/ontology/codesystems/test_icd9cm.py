"""ICD-9-CM codes get their hierarchy from their form and the published ranges."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.icd9cm import icd9_of, read_icd9cm, read_icd9pcs
from ontology.codesystems.icd9cm_ranges import DIAGNOSES, PROCEDURES
from ontology.concepts import CodeSystem
from ontology.errors import ConfigurationError, InputError


def chain(system: CodeSystem, concept: str) -> list[str]:
    parents: Mapping[str, str] = dict(system.edges.select("child", "parent").rows())
    found = []
    while concept in parents:
        concept = parents[concept]
        found.append(concept.split("//")[1])
    return found


@pytest.mark.parametrize(
    ("sent", "code", "above"),
    [
        ("99591", "995.91", ["995.9", "995", "990-995", "800-999"]),
        ("V5867", "V58.67", ["V58.6", "V58", "V50-V59", "V01-V91"]),
        ("E9504", "E950.4", ["E950", "E950-E959", "E000-E999"]),
        ("042", "042", ["042-042", "001-139"]),
        ("28521", "285.21", ["285.2", "285", "280-289"]),  # this chapter has no blocks
        ("745.4", "745.4", ["745", "740-759"]),
    ],
)
def test_the_form_of_a_code_tells_what_stands_above(sent: str, code: str, above: list[str]) -> None:
    system = icd9_of("ICD9CM", [sent])
    assert f"ICD9CM//{code}" in set(system.concepts["concept"])
    assert chain(system, f"ICD9CM//{code}") == above


def test_procedures_have_chapters_by_their_first_two_digits() -> None:
    assert chain(icd9_of("ICD9PCS", ["3605"]), "ICD9PCS//36.05") == ["36.0", "36", "35-39"]


def test_every_possible_category_has_one_chapter_and_chapters_do_not_overlap() -> None:
    """The tabular list leaves no gap between its chapters; E031-E799 were never given out."""
    numbers = [f"{n:03}" for n in range(1, 1000)]
    given = [*numbers, *(f"V{n:02}" for n in range(1, 92)), *(f"E{n:03}" for n in range(1000))]
    system = icd9_of("ICD9CM", given)
    chapters = set(system.concepts.filter(pl.col("level") == "chapter")["code"])
    assert len(chapters) == 19
    assert all(chain(system, f"ICD9CM//{code}")[-1] in chapters for code in given)
    assert len(DIAGNOSES) == 173
    assert len(PROCEDURES) == 18


def test_a_list_names_its_codes_and_what_it_leaves_out_is_there_without_a_label(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("row_id,icd9_code,short_title,long_title\n1,99591,Sepsis,Sepsis proper\n", "utf-8")
    system = read_icd9cm(path, covered=(date(2000, 1, 1), date(2015, 9, 30)))
    named = dict(system.concepts.select("code", "label").rows())
    assert named["995.91"] == "Sepsis proper"
    assert named["995.9"] is None
    assert named["800-999"] == "Injury and poisoning"
    assert system.coverage.rows() == [("ICD9CM", date(2000, 1, 1), date(2015, 9, 30))]


def test_the_published_text_of_codes_and_titles_reads_too(tmp_path: Path) -> None:
    path = tmp_path / "CMS32_DESC_LONG_DX.txt"
    path.write_text("0010  Cholera due to vibrio cholerae\nV5867 Long-term use of insulin\n", "cp1252")
    named = dict(read_icd9cm(path).concepts.select("code", "label").rows())
    assert named["001.0"] == "Cholera due to vibrio cholerae"
    assert named["V58.67"] == "Long-term use of insulin"
    procedures = tmp_path / "CMS32_DESC_LONG_SG.txt"
    procedures.write_text("0001 Therapeutic ultrasound of vessels\n", "cp1252")
    assert "ICD9PCS//00.01" in set(read_icd9pcs(procedures).concepts["concept"])


def test_every_fault_is_told_with_its_row(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("icd9_code,long_title\n99591,x\nA419,y\n995.91,x\n0030,\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read_icd9cm(path)
    told = str(caught.value)
    assert all(f"row {row}" in told for row in (2, 3, 4))
    text = tmp_path / "d.txt"
    text.write_text("0010  Cholera\n\nonly words\n", "utf-8")
    with pytest.raises(InputError, match="2, 3"):
        read_icd9cm(text)


def test_a_code_in_two_cases_stands_twice_and_other_digits_are_none(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("icd9_code,long_title\nV586,x\nv58.6,y\n\u0663\u0668\u0669,z\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read_icd9cm(path)
    assert [problem.where.split(", ")[1] for problem in caught.value.problems] == ["row 3", "row 2"]


def test_coverage_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("icd9_code,long_title\nV586,x\n", "utf-8")
    with pytest.raises(ConfigurationError, match="covered"):
        read_icd9cm(path, covered=(date(2015, 9, 30), date(2000, 1, 1)))
