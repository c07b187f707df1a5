"""Review sheets: what is filled in comes back as it was meant, every fault is told, nothing kept is lost."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from ontology.errors import InputError
from phenotype.coding.cases.review_store import keep_reviews, load_reviews
from phenotype.coding.cases.reviews import HEADINGS, REVIEWS, read_reviews

HEAD = list(HEADINGS.values())
LARGE = 7_123_456_789_012_345_678
"""A pseudonym has 63 bits: a spreadsheet that takes it for a number rounds it."""


def row(finding: str = "0123456789abcdef", stay: object = str(LARGE), **more: object) -> list[object]:
    usual = {
        "finding_id": finding,
        "stay_id": stay,
        "answer": "enig",
        "reason": "",
        "reviewer_role": "koder",
        "date": "22.11.2026",
        "drawn": "rangert",
    }
    return list((usual | more).values())


def workbook(folder: Path, rows: list[list[object]], head: list[str] = HEAD) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["Les meg"])
    sheet = book.create_sheet("Svar")
    sheet.append(["Gjennomgang av koding"])
    sheet.append([])
    for cells in (head, *rows):
        sheet.append(cells)
    file = folder / "svar.xlsx"
    book.save(file)
    return file


def text(folder: Path, rows: list[list[object]], separator: str = ";", encoding: str = "utf-8-sig") -> Path:
    file = folder / "svar.csv"
    lines = [separator.join(str(cell) for cell in cells) for cells in (HEAD, *rows)]
    file.write_text("\r\n".join(lines), encoding)
    return file


def test_a_filled_in_workbook_comes_back_with_whole_pseudonyms(tmp_path):
    rows = [
        row(),
        row("1" * 16, "12", answer="Uenig", reason="Bekreftet i epikrise", date=dt.datetime(2026, 11, 20)),
        row("2" * 16, "13", answer="", reason=""),
        row("3" * 16, 14, answer="cannot_tell", reason="mangler operasjonsbeskrivelse", drawn="tilfeldig"),
    ]
    reviews = read_reviews(workbook(tmp_path, rows))
    assert reviews.schema == REVIEWS
    assert reviews["stay_id"].to_list() == [LARGE, 12, 14]
    assert reviews["answer"].to_list() == ["agree", "disagree", "cannot_tell"]
    assert reviews["date"].to_list() == [dt.date(2026, 11, 22), dt.date(2026, 11, 20), dt.date(2026, 11, 22)]
    assert reviews["drawn"].to_list() == ["ranked", "ranked", "random"]


@pytest.mark.parametrize(
    ("separator", "encoding"), [(";", "utf-8-sig"), (",", "utf-8"), ("\t", "cp1252"), ("\t", "utf-16")]
)
def test_text_is_read_as_norwegian_spreadsheets_write_it(tmp_path, separator, encoding):
    rows = [row(answer="kan ikke avgjøre", reason="uklart")]
    reviews = read_reviews(text(tmp_path, rows, separator, encoding))
    assert reviews["answer"].to_list() == ["cannot_tell"]
    assert reviews["stay_id"].to_list() == [LARGE]


def test_every_fault_is_told_with_row_and_column_and_never_with_what_stands_there(tmp_path):
    person = "Kari Nordmann 15819010053"
    rows = [
        row(answer=person),
        row("not an id", person),
        row(answer="uenig"),
        row("4" * 16, date=person),
        row("5" * 16, reviewer_role="", drawn=person),
        row("6" * 16, float(LARGE)),
    ]
    with pytest.raises(InputError) as caught:
        read_reviews(workbook(tmp_path, rows))
    told = str(caught.value)
    assert person not in told
    # The headings stand in row 3 of the second sheet: the first answer is in row 4.
    where = [problem.where.split(", ", 1)[1] for problem in caught.value.problems]
    assert where[:7] == [
        "row 4, column C (Svar / answer)",
        "row 5, column A (Funn / finding_id)",
        "row 5, column B (Opphold / stay_id)",
        "row 6, column D (Begrunnelse / reason)",
        "row 7, column F (Dato / date)",
        "row 8, column E (Rolle / reviewer_role)",
        "row 8, column G (Utvalg / drawn)",
    ]
    assert where[7] == "row 9, column B (Opphold / stay_id)"


def test_missing_columns_are_all_named(tmp_path):
    with pytest.raises(InputError) as caught:
        read_reviews(workbook(tmp_path, [row()], ["Funn", "Opphold", "Svar", "noe annet"]))
    assert [problem.allowed for problem in caught.value.problems] == [
        "Begrunnelse / reason",
        "Rolle / reviewer_role",
        "Dato / date",
    ]


def test_answers_to_what_was_not_asked_and_double_answers_are_faults(tmp_path):
    asked = pl.DataFrame({"finding_id": ["1" * 16, "2" * 16], "stay_id": [12, 13]})
    rows = [
        row("1" * 16, "13"),
        row("9" * 16, "12"),
        row("2" * 16, "13"),
        row("2" * 16, "13", answer="uenig", reason="x"),
    ]
    with pytest.raises(InputError) as caught:
        read_reviews(text(tmp_path, rows), asked)
    told = [(problem.what, problem.where.split("row ")[1]) for problem in caught.value.problems]
    assert told == [
        ("one role answers one finding twice, differently", "5, column C (Svar / answer)"),
        ("the finding is about another stay than this one", "2, column B (Opphold / stay_id)"),
        ("no finding of this audit", "3, column A (Funn / finding_id)"),
    ]


def test_a_file_that_is_no_workbook_is_told(tmp_path):
    (tmp_path / "svar.xlsx").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(InputError, match="no workbook"):
        read_reviews(tmp_path / "svar.xlsx")


@pytest.mark.parametrize(
    "content", [bytes(range(256)), b"finding_id;answer\r\r\na\0b", b'"' + b"x" * 200_000]
)
def test_what_is_no_text_in_columns_is_told(tmp_path, content):
    (tmp_path / "svar.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"no text in columns|a column is missing"):
        read_reviews(tmp_path / "svar.csv")


def test_a_quotation_mark_that_is_not_closed_hides_no_answers(tmp_path):
    """All below it would be one cell, and the answers there would be lost unsaid."""
    rows = [row("1" * 16), row("2" * 16, reason='"uklart'), row("3" * 16), row("4" * 16)]
    with pytest.raises(InputError, match=r"no text in columns[\s\S]*svar.csv, row 3"):
        read_reviews(text(tmp_path, rows))
    rows = [row("1" * 16), row("2" * 16, reason='"sa ""nei""; uklart\nog mer"'), row("3" * 16)]
    reviews = read_reviews(text(tmp_path, rows))
    assert reviews["finding_id"].to_list() == ["1" * 16, "2" * 16, "3" * 16]
    assert reviews["reason"][1] == 'sa "nei"; uklart\nog mer'


@pytest.mark.parametrize("title", ["Gjennomgang, av koding, 2024", "Gjennomgang\tav koding", ""])
def test_what_stands_above_the_headings_does_not_tell_what_stands_between_columns(tmp_path, title):
    file = text(tmp_path, [row()])
    file.write_text(f"{title}\r\n{file.read_text('utf-8-sig')}", "utf-8")
    assert read_reviews(file)["stay_id"].to_list() == [LARGE]


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_both_orders_of_bytes_are_read(tmp_path, encoding):
    file = text(tmp_path, [row(reason="på nytt")], "\t", "utf-8")
    file.write_bytes(f"\ufeff{file.read_text('utf-8')}".encode(encoding))
    assert read_reviews(file)["reason"].to_list() == ["på nytt"]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\r\n\r\n"])
def test_an_empty_file_lacks_its_columns_and_headings_alone_are_no_answers(tmp_path, content):
    (tmp_path / "svar.csv").write_bytes(content)
    with pytest.raises(InputError, match="a column is missing"):
        read_reviews(tmp_path / "svar.csv")
    nothing = read_reviews(text(tmp_path, []))
    assert (nothing.height, nothing.schema) == (0, REVIEWS)


def test_an_answer_of_nought_is_a_fault_and_not_an_empty_row(tmp_path):
    with pytest.raises(InputError, match="no such answer"):
        read_reviews(workbook(tmp_path, [row(answer=0)]))
    assert read_reviews(workbook(tmp_path, [row(answer="uenig", reason=0)]))["reason"].to_list() == ["0"]


def test_a_heading_that_stands_twice_is_told(tmp_path):
    with pytest.raises(InputError) as caught:
        read_reviews(workbook(tmp_path, [[*row(), "uenig"]], [*HEAD, "Svar"]))
    assert [(problem.what, problem.found) for problem in caught.value.problems] == [
        ("a heading stands twice", "2 columns named Svar / answer")
    ]


@pytest.mark.parametrize(
    ("more", "column"),
    [({"stay": str(2**63)}, "B"), ({"stay": "--5"}, "B"), ({"date": "01.01.2999"}, "F")],
)
def test_pseudonyms_have_63_bits_and_answers_are_of_this_century(tmp_path, more, column):
    with pytest.raises(InputError) as caught:
        read_reviews(text(tmp_path, [row(**more)]))
    assert f"row 2, column {column}" in str(caught.value)


def answers(n: int, answer: str = "agree") -> pl.DataFrame:
    cells = {
        "finding_id": f"{n:016x}",
        "stay_id": LARGE,
        "answer": answer,
        "reason": "æøå\n\u2028=1+1",
        "reviewer_role": "lege",
        "date": dt.date(2026, 11, 22),
        "drawn": "ranked",
    }
    return pl.DataFrame([cells], schema=REVIEWS)


def test_kept_reviews_are_added_to_and_come_back_as_they_were(tmp_path):
    folder = tmp_path / "reviews"
    assert load_reviews(folder).height == 0
    first = keep_reviews(folder, answers(1))
    keep_reviews(folder, answers(2))
    assert keep_reviews(folder, answers(1)) == first
    assert load_reviews(folder).equals(pl.concat([answers(1), answers(2)]))


def test_a_kept_file_that_was_changed_or_taken_away_is_noticed(tmp_path):
    folder = tmp_path / "reviews"
    first = keep_reviews(folder, answers(1))
    keep_reviews(folder, answers(2))
    content = first.read_text("utf-8")
    first.write_text(content.replace("agree", "disagree"), "utf-8")
    with pytest.raises(InputError, match="changed"):
        load_reviews(folder)
    first.unlink()
    with pytest.raises(InputError, match="missing"):
        keep_reviews(folder, answers(3))
    first.write_text(content, "utf-8")
    assert load_reviews(folder).height == 2
