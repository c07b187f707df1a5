"""A code list is read whatever its separator and headings, or every fault in it is told with its row."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.code_tables import Column, Faults, note_bad_codes, read_table, with_dates
from ontology.errors import InputError, StorageError

CODE = Column("code", ("kode", "code"), is_required=True)
LABEL = Column("label", ("Norsk navn", "text"), is_required=True)
DAY = Column("day", ("gyldig_fra",))


@pytest.mark.parametrize("separator", ["\t", ";", ",", "|"])
def test_separators_headings_and_spaces(tmp_path: Path, separator: str) -> None:
    file = tmp_path / "list.txt"
    lines = [["KODE", "other", "norsk_navn"], [" A1 ", "x", " Ærfugl"], ["B2", "", ""]]
    file.write_text("".join(separator.join(line) + "\r\n" for line in lines), "utf-8-sig")
    read = read_table(file, (CODE, LABEL, DAY))
    assert read.rows() == [(1, "A1", "Ærfugl", None), (2, "B2", None, None)]


@pytest.mark.parametrize("wrapped", [False, True])
def test_json(tmp_path: Path, wrapped: bool) -> None:
    rows = [{"code": "A1", "text": "a"}, {"code": 2, "text": None}]
    file = tmp_path / "list.json"
    file.write_text(json.dumps({"made": "today", "codes": rows} if wrapped else rows), "utf-8")
    assert read_table(file, (CODE, LABEL)).rows() == [(1, "A1", "a"), (2, "2", None)]


def test_the_first_spelling_that_is_there_counts(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("code,kode,text\nx,A1,a\n", "utf-8")
    assert read_table(file, (CODE,))["code"].to_list() == ["A1"]


def test_an_older_list_is_read_when_its_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes("kode;text\nA1;a\nB2;Sår\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"list.csv, line 3[\s\S]*cp1252"):
        read_table(file, (CODE, LABEL))
    assert read_table(file, (CODE, LABEL), encoding="cp1252")["label"].to_list() == ["a", "Sår"]


def test_all_missing_columns_are_told_with_what_they_may_be_called(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(InputError) as caught:
        read_table(file, (CODE, LABEL, DAY))
    assert [problem.allowed for problem in caught.value.problems] == ["kode or code", "Norsk navn or text"]


def test_rows_with_too_many_cells_are_told(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("kode,text\nA1,a\nB2,b,more\nC3,c\nD4,d,e\n", "utf-8")
    with pytest.raises(InputError, match="rows 2, 4"):
        read_table(file, (CODE, LABEL))


@pytest.mark.parametrize("text", ["{", "3", '["A1"]', '{"a": [1], "b": [2]}'])
def test_json_that_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "list.json"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError):
        read_table(file, (CODE,))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none.csv"):
        read_table(tmp_path / "none.csv", (CODE,))


def test_days_in_the_ways_in_which_lists_write_them(tmp_path: Path) -> None:
    written = [
        "2020-02-29",
        "2020-02-29 23:59:00",
        "2020-02-29T00:00:00Z",
        "29.02.2020",
        "20200229",
        None,
        "2021-02-29",
    ]
    rows = pl.DataFrame({"row": range(1, 8), "day": pl.Series(written, dtype=pl.String)})
    faults = Faults(tmp_path / "list.csv")
    assert with_dates(rows, ("day",), faults)["day"].to_list() == [date(2020, 2, 29)] * 5 + [None, None]
    assert [problem.where.split(", ")[1] for problem in faults.problems] == ["row 7"]


def test_codes_of_another_form_and_empty_ones_are_told_and_many_rows_are_counted(tmp_path: Path) -> None:
    rows = pl.DataFrame({"row": range(1, 16), "code": [None, "A1", *["x"] * 13]})
    faults = Faults(tmp_path / "list.csv")
    note_bad_codes(rows, faults, r"[A-Z]\d", "a letter and a digit")
    assert [(problem.what, problem.found) for problem in faults.problems] == [
        ("a row has no code", "1 such rows"),
        ("a code is not of the system's form", "13 such rows"),
    ]
    assert faults.problems[1].where.endswith("rows 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ...")
    with pytest.raises(InputError):
        faults.end()
