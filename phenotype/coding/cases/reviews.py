"""Reviewers' answers, read from the sheet that comes back; every fault is told with its row and column."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.coding.cases.sheet_rows import sheet_rows

ANSWERS = ("agree", "disagree", "cannot_tell")
"""Whether the reviewer finds, in the record, that the coding is wrong as the finding says."""
REVIEWS = pl.Schema(
    {
        "finding_id": pl.String(),
        "stay_id": pl.Int64(),
        "answer": pl.String(),
        "reason": pl.String(),
        "reviewer_role": pl.String(),
        "date": pl.Date(),
        "drawn": pl.String(),
    }
)
"""One answer to one finding; drawn: ranked (the stay was opened for its rank) or random."""
HEADINGS: Mapping[str, str] = {
    "finding_id": "Funn / finding_id",
    "stay_id": "Opphold / stay_id",
    "answer": "Svar / answer",
    "reason": "Begrunnelse / reason",
    "reviewer_role": "Rolle / reviewer_role",
    "date": "Dato / date",
    "drawn": "Utvalg / drawn",
}
"""What the columns are called in the sheet; either half alone is understood too."""
ANSWER_WORDS: Mapping[str, str] = {
    "agree": "agree",
    "enig": "agree",
    "disagree": "disagree",
    "uenig": "disagree",
    "cannot_tell": "cannot_tell",
    "cannot tell": "cannot_tell",
    "kan ikke avgjøre": "cannot_tell",
}
DRAWN_WORDS: Mapping[str, str] = {
    "": "ranked",
    "ranked": "ranked",
    "rangert": "ranked",
    "random": "random",
    "tilfeldig": "random",
}
MOST_ROWS_TO_HEADING = 30
_FORMS: Mapping[str, str] = {
    form.strip().lower(): name
    for name, heading in HEADINGS.items()
    for form in (heading, *heading.split("/"))
}
"""What a heading may read, in small letters -> the column."""
_OPTIONAL = frozenset({"drawn"})


def read_reviews(file: Path, items: pl.DataFrame | None = None) -> pl.DataFrame:
    """The answers in a sheet that came back.

    Args:
        file: .xlsx, or .csv with commas, semicolons or tabs between columns. The headings stand in one of the
            first 30 rows; other columns are left alone; rows without an answer are left out.
        items: finding_id and stay_id of the findings that were asked about; null = any may be answered.

    Returns:
        Columns of REVIEWS in the order of the sheet.

    Raises:
        InputError: every fault, with its row and column and never with what stands there.
        MissingExtraError: an .xlsx file, and nothing is installed that reads it.
    """
    rows = sheet_rows(file, _has_headings)
    at, columns = _headings(rows, file)
    problems: list[Problem] = []
    found = []
    for number, cells in enumerate(rows[at + 1 :], start=at + 2):
        told = {name: _cell(cells, place) for name, place in columns.items()}
        if told["answer"] == "" and told["reason"] == "":
            continue
        read, faults = _row(told)
        problems += [
            Problem(
                what,
                where=f"{file.name}, row {number}, column {_letter(columns.get(name, 0))} ({HEADINGS[name]})",
                allowed=allowed,
                next_step="mend the cell and read the sheet again",
            )
            for name, what, allowed in faults
        ]
        found.append(read | {"row": number})
    problems += _doubled(found, columns, file) + _unknown(found, columns, file, items)
    if problems:
        raise InputError(problems)
    return pl.DataFrame([{name: row[name] for name in REVIEWS} for row in found], schema=REVIEWS)


def _has_headings(rows: Sequence[Sequence[Any]]) -> bool:
    return _heading_row(rows) is not None


def _heading_row(rows: Sequence[Sequence[Any]]) -> int | None:
    """The row in which both the finding and the answer have their heading."""
    for at, cells in enumerate(rows[:MOST_ROWS_TO_HEADING]):
        if {"finding_id", "answer"} <= set(_named(cells)):
            return at
    return None


def _named(cells: Sequence[Any]) -> dict[str, int]:
    """Which known column stands at which place."""
    found: dict[str, int] = {}
    for place, cell in enumerate(cells):
        name = _FORMS.get(str(cell or "").strip().lower())
        if name is not None:
            found.setdefault(name, place)
    return found


def _headings(rows: Sequence[Sequence[Any]], file: Path) -> tuple[int, dict[str, int]]:
    at = _heading_row(rows)
    named = {} if at is None else _named(rows[at])
    missing = [name for name in HEADINGS if name not in named and name not in _OPTIONAL]
    if at is None or missing:
        raise InputError(
            [
                Problem(
                    "a column is missing",
                    where=f"{file.name}, {'the first rows' if at is None else f'row {at + 1}'}",
                    allowed=HEADINGS[name],
                    next_step="give the column back its heading",
                )
                for name in missing
            ]
        )
    _no_heading_twice(rows[at], f"{file.name}, row {at + 1}")
    return at, named


def _no_heading_twice(cells: Sequence[Any], where: str) -> None:
    """Two columns of one name: nobody knows which is meant."""
    names = Counter(name for cell in cells for name in _named([cell]))
    doubled = sorted(name for name, count in names.items() if count > 1)
    if doubled:
        raise InputError(
            [
                Problem(
                    "a heading stands twice",
                    where=where,
                    found=f"{names[name]} columns named {HEADINGS[name]}",
                    allowed="one column of each heading",
                    next_step="rename or delete the column that is not meant",
                )
                for name in doubled
            ]
        )


def _cell(cells: Sequence[Any], place: int) -> Any:
    value = cells[place] if place < len(cells) else None
    if isinstance(value, str):
        return value.strip()
    return "" if value is None else value


Fault = tuple[str, str, str]


def _row(told: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """One row's values, and its faults as column, what is wrong, what is allowed."""
    faults: list[Fault] = []

    def take(name: str, read: Callable[[Any], Any], what: str, allowed: str) -> Any:
        """The value of a cell; null with a fault where it cannot be read."""
        value = read(told.get(name, ""))
        if value is None:
            faults.append((name, what, allowed))
        return value

    words = "enig/agree, uenig/disagree, kan ikke avgjøre/cannot_tell"
    answer = take("answer", lambda cell: ANSWER_WORDS.get(_plain(cell)), "no such answer", words)
    read = {
        "finding_id": take("finding_id", _finding, "no finding's id", "16 hexadecimal digits"),
        "stay_id": take("stay_id", _whole, "no stay's pseudonym", "a whole number, as it was sent out"),
        "answer": answer,
        "reviewer_role": take("reviewer_role", lambda cell: str(cell) or None, "no role", "such as koder"),
        "date": take("date", _date, "no date of this century", "2026-11-22 or 22.11.2026"),
        "drawn": take("drawn", lambda cell: DRAWN_WORDS.get(_plain(cell)), "no such word", "ranked, random"),
        "reason": str(told["reason"]),
    }
    if answer in {"disagree", "cannot_tell"} and not read["reason"]:
        faults.append(("reason", "an answer without its reason", "a reason for uenig and kan ikke avgjøre"))
    return read, faults


def _plain(cell: Any) -> str:
    return " ".join(str(cell).lower().split())


def _finding(cell: Any) -> str | None:
    text = str(cell).lower()
    return text if len(text) == 16 and not set(text) - set("0123456789abcdef") else None


def _whole(cell: Any) -> int | None:
    """A whole number; a fraction, or one that a spreadsheet has rounded, is none."""
    if isinstance(cell, float):
        return int(cell) if cell.is_integer() and abs(cell) < 2**53 else None
    text = str(cell)
    number = int(text) if text.removeprefix("-").isdecimal() and len(text) <= 20 else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _date(cell: Any) -> dt.date | None:
    """The day of an answer, of this century: another is a slip, and no later answer would take its place."""
    day = _day(cell)
    return day if day is not None and 2000 <= day.year < 2100 else None


def _day(cell: Any) -> dt.date | None:
    if isinstance(cell, dt.datetime):
        return cell.date()
    if isinstance(cell, dt.date):
        return cell
    for form in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            return dt.datetime.strptime(str(cell), form).date()
        except ValueError:
            continue
    return None


def _doubled(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, int], file: Path) -> list[Problem]:
    """Findings that one role answers twice in one sheet, differently."""
    answers: dict[tuple[Any, Any], Any] = {}
    problems = []
    for row in rows:
        key = (row["finding_id"], row["reviewer_role"])
        if None in key or answers.setdefault(key, row["answer"]) == row["answer"]:
            continue
        problems.append(
            Problem(
                "one role answers one finding twice, differently",
                where=f"{file.name}, row {row['row']}, column {_letter(columns['answer'])}"
                f" ({HEADINGS['answer']})",
                next_step="keep the answer that holds",
            )
        )
    return problems


def _unknown(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, int],
    file: Path,
    items: pl.DataFrame | None,
) -> list[Problem]:
    """Answers to findings that were not asked about, or that are not about the stay named."""
    if items is None:
        return []
    stays: dict[str, set[int]] = {}
    for finding_id, stay_id in items.select("finding_id", "stay_id").iter_rows():
        stays.setdefault(finding_id, set()).add(stay_id)
    problems = []
    for row in rows:
        asked = stays.get(row["finding_id"] or "")
        if row["finding_id"] is None or (asked is not None and row["stay_id"] in {*asked, None}):
            continue
        name = "finding_id" if asked is None else "stay_id"
        what = (
            "no finding of this audit" if asked is None else "the finding is about another stay than this one"
        )
        problems.append(
            Problem(
                what,
                where=f"{file.name}, row {row['row']}, column {_letter(columns[name])} ({HEADINGS[name]})",
                next_step="give the sheet of this audit, with its own rows",
            )
        )
    return problems


def _letter(place: int) -> str:
    """A column as spreadsheets name it: A, B, ..., Z, AA."""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
