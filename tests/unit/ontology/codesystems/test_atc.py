"""ATC needs no file for its levels, and takes names and doses from the user's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.codesystems.atc import atc_of, read_atc
from ontology.errors import InputError

LIST = """ATC code;ATC level name;DDD;U;Adm.R
J01;made-up name of a group;;;
J01CF05;made-up name of a drug;2;g;O
J01CF05;made-up name of a drug;4;g;P
"""


def put(folder: Path, text: str) -> Path:
    file = folder / "atc.csv"
    file.write_text(text, "utf-8")
    return file


def test_a_code_without_a_file_has_its_groups_above_it() -> None:
    read = atc_of(["j01cf05 ", "A02B"])
    # the example of the classification's own guidelines: one level for 1, 3, 4, 5 and 7 characters
    assert read.edges.rows() == [
        ("ATC//A02", "ATC//A", "is_a"),
        ("ATC//A02B", "ATC//A02", "is_a"),
        ("ATC//J01", "ATC//J", "is_a"),
        ("ATC//J01C", "ATC//J01", "is_a"),
        ("ATC//J01CF", "ATC//J01C", "is_a"),
        ("ATC//J01CF05", "ATC//J01CF", "is_a"),
    ]
    assert read.concepts.filter(code="J01CF05").select("label", "level", "flags").row(0) == (
        None,
        "substance",
        [],
    )
    assert read.concepts.filter(code="J01")["flags"].to_list() == [["abstract"]]


def test_names_and_doses_come_from_the_file(tmp_path: Path) -> None:
    read = read_atc(put(tmp_path, LIST), language="en")
    named = read.concepts.drop_nulls("label").select("code", "label", "language").rows()
    assert named == [("J01", "made-up name of a group", "en"), ("J01CF05", "made-up name of a drug", "en")]
    assert read.properties.rows() == [("ATC//J01CF05", "ddd", "2 g O"), ("ATC//J01CF05", "ddd", "4 g P")]
    assert read.concepts.filter(code="J01").height == 1


def test_codes_of_another_form_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="J01CF0, J1"):
        atc_of(["J1", "J01", "J01CF0"])
    with pytest.raises(InputError) as caught:
        read_atc(put(tmp_path, "atc;navn\nJ1;x\nJ01;\nJ01C;y\n01J;z\n"))
    assert [(problem.what, problem.where.split(", ", 1)[1]) for problem in caught.value.problems] == [
        ("a code is not of the system's form", "rows 1, 4"),
        ("a row has no name", "row 2"),
    ]
