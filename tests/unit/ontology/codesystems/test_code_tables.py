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


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffkode;text\r\nA1;Sår\r\nB2;b\r\n".encode(),
        "kode;text\rA1;Sår\rB2;b\r".encode(),
        "\r\n\r\nkode;text\r\nA1;Sår\r\nB2;b".encode(),
        "sep=;\r\nkode;text\r\nA1;Sår\r\nB2;b\r\n".encode(),
        "kode;text\nA1;Sår\n;\n\nB2;b\n\n\n".encode(),
        "kode\ttext\r\nA1\tSår\r\nB2\tb\r\n".encode("utf-16"),
    ],
    ids=["mark and CRLF", "CR", "blank lines first", "separator told", "blank lines", "Excel's Unicode text"],
)
def test_lists_as_other_programs_save_them(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "list.csv"
    file.write_bytes(content)
    assert read_table(file, (CODE, LABEL)).select("code", "label").rows() == [("A1", "Sår"), ("B2", "b")]


@pytest.mark.parametrize("content", ["kode,text\n", "kode,text\n,\n\n", '[{"kode": null, "text": ""}]'])
def test_a_list_without_rows_is_no_list(tmp_path: Path, content: str) -> None:
    file = tmp_path / ("list.json" if content.startswith("[") else "list.csv")
    file.write_text(content, "utf-8")
    with pytest.raises(InputError, match="no rows"):
        read_table(file, (CODE, LABEL))


@pytest.mark.parametrize("header", ["kode,text,text", "kode,Text,TEXT ", "kode,text,x,x,text"])
def test_a_heading_that_stands_twice_is_refused_where_it_is_asked_for(tmp_path: Path, header: str) -> None:
    file = tmp_path / "list.csv"
    file.write_text(f"{header}\n" + ",".join("abcde"[: header.count(",") + 1]) + "\n", "utf-8")
    with pytest.raises(InputError, match="heading stands twice"):
        read_table(file, (CODE, LABEL))
    assert read_table(file, (CODE,))["code"].to_list() == ["a"]


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '[{"kode": "A1", "text": ' + "1" * 5000 + "}]",
        '[{"kode": "A1", "text": "\\ud800"}]',
    ],
    ids=["deep", "a number of 5,000 digits", "half a character"],
)
def test_json_that_cannot_be_held_is_an_error_of_the_file(tmp_path: Path, content: str) -> None:
    file = tmp_path / "list.json"
    file.write_text(content, "utf-8")
    with pytest.raises(InputError, match=r"list\.json"):
        read_table(file, (CODE, LABEL))


def test_lists_within_json_are_no_texts(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text('[{"kode": "A1", "text": ["a"]}]', "utf-8")
    assert read_table(file, (CODE, LABEL))["label"].to_list() == [None]


def test_an_encoding_that_nobody_knows(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("kode\nA1\n", "utf-8")
    with pytest.raises(InputError, match="encoding is not known"):
        read_table(file, (CODE,), encoding="cp-norsk")


def test_a_day_before_the_first_year_cannot_be_read(tmp_path: Path) -> None:
    table = pl.DataFrame({"row": [1, 2], "day": ["0000-01-01", "0001-01-01"]})
    faults = Faults(tmp_path / "list.csv")
    assert with_dates(table, ["day"], faults)["day"].to_list() == [None, date(1, 1, 1)]
    assert [problem.where.split(", ")[1] for problem in faults.problems] == ["row 1"]
