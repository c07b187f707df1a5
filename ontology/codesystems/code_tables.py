"""A code list that somebody else made (TSV, CSV, JSON, Excel) as columns of text, or every fault in it."""

from __future__ import annotations

import csv
import io
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import polars as pl

from ontology.errors import InputError, MissingExtraError, Problem, StorageError

ROW = "row"
"""The column that tells where a row stood: 1 is the first row after the header, or the first JSON object."""

_DAYS = "2024-01-31, 2024-01-31 23:59:00, 31.01.2024 or 20240131"
_SEPARATORS = ("\t", ";", ",", "|")
_N_TOLD = 10


@dataclass(frozen=True)
class Column:
    """One column that a reader asks for.

    Attributes:
        name: what it is called here.
        spellings: what it may be called in the file; case, spaces, `_` and `-` are ignored.
        is_required: its absence is a fault; otherwise it is filled with null.
    """

    name: str
    spellings: tuple[str, ...]
    is_required: bool = False


@dataclass
class Faults:
    """Everything wrong in one file, raised at once.

    Attributes:
        file: the file.
        problems: what was found up to now.
    """

    file: Path
    problems: list[Problem] = field(default_factory=list)

    def rows(self, what: str, rows: pl.Series | Sequence[int], *, allowed: str = "", do: str = "") -> None:
        """Note one kind of fault with the rows that have it; nothing where there are none."""
        found = sorted(int(row) for row in rows)
        if not found:
            return
        told = ", ".join(map(str, found[:_N_TOLD])) + (", ..." if len(found) > _N_TOLD else "")
        where = f"{self.file}, {'row' if len(found) == 1 else 'rows'} {told}"
        self.problems.append(Problem(what, where, f"{len(found)} such rows", allowed, do))

    def end(self) -> None:
        """Raise what was found.

        Raises:
            InputError: with every problem, where there is any.
        """
        if self.problems:
            raise InputError(self.problems)


def read_table(path: Path, columns: Sequence[Column], *, encoding: str = "utf-8-sig") -> pl.DataFrame:
    """The asked-for columns of a code list.

    Args:
        path: TSV, CSV (separator tab, semicolon, comma or bar, taken from the header), JSON (an array of
            objects, or an object with one such array) or an Excel sheet.
        columns: what is asked for; other columns are left out.
        encoding: of a text file.

    Returns:
        `row` (Int64) and the asked-for columns (String, stripped, empty is null), in the file's order; rows
        with nothing in any column are left out.

    Raises:
        InputError: the file is no such table, has no rows, lacks required columns, or has an asked-for
            heading twice; all of them are told.
        StorageError: the file cannot be read.
        MissingExtraError: an Excel sheet, and no reader for it is installed.
    """
    found = _parsed(path, encoding)
    by_spelling = {_folded(name): name for name in reversed(found.columns)}
    chosen = {
        column.name: next(
            (by_spelling[_folded(s)] for s in column.spellings if _folded(s) in by_spelling), None
        )
        for column in columns
    }
    missing = [column for column in columns if column.is_required and chosen[column.name] is None]
    problems = [
        Problem(
            f"a column for the {column.name} is missing",
            f"{path}, header",
            ", ".join(found.columns[:20]),
            " or ".join(column.spellings),
            "name the column so, or give another file",
        )
        for column in missing
    ]
    headings = [_folded(name) for name in found.columns]
    problems += [
        Problem(f"a heading stands twice: {name}", f"{path}, header", next_step="keep one of these columns")
        for name in chosen.values()
        if name is not None and headings.count(_folded(name)) > 1
    ]
    if problems:
        raise InputError(problems)
    rows = found.with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias(ROW)).filter(
        pl.any_horizontal(_text(name).is_not_null() for name in found.columns)
    )
    if rows.is_empty():
        raise InputError(Problem("the list has no rows", str(path), next_step="give the whole list"))
    return rows.select(ROW, *(_text(source).alias(name) for name, source in chosen.items()))


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """A whole text file, each line ended by a line feed; UTF-16 is known by its mark.

    Raises:
        InputError: bytes that the encoding does not have, with the line of the first; an encoding that is not
            known.
        StorageError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        told = Problem(
            "a file cannot be read", str(path), error.strerror or "", "", "check the path and rights"
        )
        raise StorageError(told) from None
    try:
        text = content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else encoding)
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except LookupError:
        told = Problem("the encoding is not known", str(path), encoding, "utf-8 or cp1252, for example")
        raise InputError(told) from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        told = Problem(
            "the text is not in the encoding that was told",
            f"{path}, line {line}",
            f"a byte that {encoding} does not have",
            "UTF-8, or the encoding that the reader is given",
            "save it as UTF-8; readers that take an encoding are given cp1252 for older Norwegian lists",
        )
        raise InputError(told) from None


def with_dates(table: pl.DataFrame, names: Sequence[str], faults: Faults) -> pl.DataFrame:
    """Text columns turned into days; what cannot be read as a day is noted and becomes null.

    Args:
        table: columns `row` and `names`, as read_table gives them.
        names: columns with 2024-01-31, 2024-01-31 23:59:00, 2024-01-31T00:00:00, 31.01.2024 or 20240131.
        faults: where unreadable days are noted.
    """
    dated = table.with_columns(_day(name).alias(f"{name}_day") for name in names)
    for name in names:
        unread = dated.filter(pl.col(name).is_not_null() & pl.col(f"{name}_day").is_null())
        allowed = "2024-01-31, 2024-01-31 23:59:00, 31.01.2024 or 20240131"
        faults.rows(
            f"a day in column {name} cannot be read", unread[ROW], allowed=allowed, do="mend these rows"
        )
    return dated.with_columns(pl.col(f"{name}_day").alias(name) for name in names).drop(
        f"{name}_day" for name in names
    )


def note_bad_codes(table: pl.DataFrame, faults: Faults, form: str, told: str) -> None:
    """Note rows whose code is empty or not of the system's form.

    Args:
        table: columns row and code.
        faults: where they are noted.
        form: a regular expression that the whole code must match.
        told: the form in words.
    """
    faults.rows("a row has no code", table.filter(pl.col("code").is_null())[ROW], do="mend these rows")
    wrong = table.filter(~pl.col("code").str.contains(f"^(?:{form})$"))
    faults.rows("a code is not of the system's form", wrong[ROW], allowed=told, do="mend these rows")


def properties_of(table: pl.DataFrame, system: str, names: Mapping[str, str]) -> pl.DataFrame:
    """Rows of PROPERTIES from the named columns; what is null gives no row.

    Args:
        table: column code and the keys of `names`.
        system: the system's name.
        names: column -> name of the property.
    """
    rows = table.select("code", *(pl.col(column).alias(told) for column, told in names.items()))
    return (
        rows.unpivot(index="code", variable_name="property", value_name="value")
        .drop_nulls("value")
        .select(pl.concat_str(pl.lit(f"{system}//"), "code").alias("concept"), "property", "value")
        .unique()
        .sort(pl.all())
    )


def _folded(name: str) -> str:
    """A heading without what spellings differ in, nor the end that polars gives to one that stands twice."""
    return "".join(letter for letter in _AGAIN.sub("", name).casefold() if letter.isalnum())


_AGAIN = re.compile(r"_duplicated_\d+$")


def _text(source: str | None) -> pl.Expr:
    if source is None:
        return pl.lit(None, dtype=pl.String)
    stripped = pl.col(source).str.strip_chars()
    return pl.when(stripped != "").then(stripped)


def _day(name: str) -> pl.Expr:
    first = pl.col(name).str.replace(r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$", "")
    forms = ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d")
    found = pl.coalesce(first.str.to_date(form, strict=False) for form in forms)
    return pl.when(found.dt.year().is_between(1, 9999)).then(found)


def _parsed(path: Path, encoding: str) -> pl.DataFrame:
    kind = path.suffix.lower()
    if kind == ".xlsx":
        return _from_excel(path)
    text = read_text(path, encoding)
    return _from_json(path, text) if kind == ".json" else _from_text(path, text)


def _from_excel(path: Path) -> pl.DataFrame:
    engines: dict[str, Literal["calamine", "openpyxl"]] = {"fastexcel": "calamine", "openpyxl": "openpyxl"}
    engine = next((engine for package, engine in engines.items() if find_spec(package)), None)
    if engine is None:
        do = "pip install fastexcel, or save the sheet as CSV (UTF-8)"
        raise MissingExtraError(Problem("no reader for Excel sheets is installed", str(path), next_step=do))
    if not path.is_file():
        raise StorageError(Problem("a file cannot be read", str(path), "no such file"))
    try:
        sheet = pl.read_excel(path, engine=engine, infer_schema_length=0)
    except (BadZipFile, KeyError, ValueError, OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(Problem("the file cannot be read as an Excel sheet", str(path), reason)) from None
    return sheet.select(pl.all().cast(pl.String))


def _from_text(path: Path, text: str) -> pl.DataFrame:
    text = re.sub(r"^\s*sep=.\n", "", text).lstrip("\n")
    header = text.split("\n", 1)[0]
    separator = max(_SEPARATORS, key=header.count)
    try:
        return pl.read_csv(
            text.encode(), separator=separator if separator in header else "\t", infer_schema=False
        )
    except pl.exceptions.PolarsError as error:
        faults = Faults(path)
        faults.rows("a row has more cells than the header", _ragged(text, separator), do="mend these rows")
        faults.end()
        reason = str(error).split("\n", 1)[0]
        allowed = "a header and rows of as many cells"
        raise InputError(Problem("the file cannot be read as a table", str(path), reason, allowed)) from None


def _ragged(text: str, separator: str) -> list[int]:
    """The rows that have more cells than the header."""
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    width = len(next(rows, []))
    return [
        number for number, cells in enumerate((cells for cells in rows if cells), 1) if len(cells) > width
    ]


def _from_json(path: Path, text: str) -> pl.DataFrame:
    try:
        found: Any = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise InputError(Problem("the file is not JSON", where, error.msg, "an array of objects")) from None
    except (RecursionError, ValueError):
        told = Problem("the JSON is no code list", str(path), "nesting or a number without end")
        raise InputError(told) from None
    if isinstance(found, dict):
        lists = [part for part in found.values() if isinstance(part, list)]
        found = lists[0] if len(lists) == 1 else found
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        told = Problem("the JSON is no code list", str(path), type(found).__name__, "an array of objects")
        raise InputError(told)
    names = list(dict.fromkeys(name for row in found for name in row))
    text_of = {name: [_cell(row.get(name)) for row in found] for name in names}
    try:
        return pl.DataFrame(text_of, schema=dict.fromkeys(names, pl.String))
    except UnicodeEncodeError:
        raise InputError(Problem("the JSON holds half a character", str(path), "a lone surrogate")) from None


def _cell(value: object) -> str | None:
    """A value of JSON as text; lists and objects are none."""
    return None if value is None or isinstance(value, list | dict) else str(value)
