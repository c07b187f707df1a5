"""Lists of codes as rows of text: JSON, CSV, TSV or Excel, each row with its number."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import InputError, MissingExtraError, Problem

MAX_TOLD = 20
"""How many faults of one kind are told row by row before the rest is only counted."""


def read_rows(
    path: Path, needed: Mapping[str, Sequence[str]], optional: Mapping[str, Sequence[str]] | None = None
) -> pl.DataFrame:
    """The rows of a list, with the columns under one name whatever the file calls them.

    Args:
        path: .json (a list of objects), .csv, .tsv or .txt with a header line, or .xlsx.
        needed: for each column the names that files give it, in any case; the first that is there is taken.
        optional: likewise for columns that may be absent; they are null then.

    Returns:
        row (Int64: the line of a text file or sheet, the number of a JSON item) and the asked-for columns as
        trimmed text, empty text as null.

    Raises:
        InputError: the file is missing, is not what its ending says, lacks columns or holds no row.
        MissingExtraError: an Excel sheet, and no reader for it is installed.
    """
    numbers, rows, header = _parsed(path)
    spelled = {name.strip().casefold(): name for name in reversed(header)}
    columns: dict[str, str | None] = {}
    for column, names in {**needed, **(optional or {})}.items():
        columns[column] = next(
            (spelled[name.casefold()] for name in names if name.casefold() in spelled), None
        )
    missing = [" or ".join(needed[column]) for column in needed if columns[column] is None]
    if missing:
        raise InputError(
            Problem(
                f"a list lacks the column {missing[0]}" if len(missing) == 1 else "a list lacks columns",
                where=str(path),
                found=", ".join(header[:20]) or "no columns",
                allowed="; ".join(missing),
                next_step="check that this is the right file, or rename its columns",
            )
        )
    table = {
        column: pl.Series([_text(row.get(name)) if name else None for row in rows], dtype=pl.String)
        for column, name in columns.items()
    }
    return pl.DataFrame({"row": pl.Series(numbers, dtype=pl.Int64), **table})


def raise_faults(path: Path, faults: Iterable[tuple[int, str, str]], next_step: str) -> None:
    """Raise everything that is wrong with a list's rows, at once.

    Args:
        path: the list.
        faults: row, what is wrong (one sentence), what was found.
        next_step: what the reader should do.

    Raises:
        InputError: there are faults.
    """
    told: dict[str, int] = {}
    problems = []
    for row, what, found in faults:
        told[what] = told.get(what, 0) + 1
        if told[what] <= MAX_TOLD:
            problems.append(Problem(what, where=f"{path}: row {row}", found=found, next_step=next_step))
    problems += [
        Problem(f"{what}: {count - MAX_TOLD} more rows", where=str(path), next_step=next_step)
        for what, count in told.items()
        if count > MAX_TOLD
    ]
    if problems:
        raise InputError(problems)


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, or Windows-1252 where the bytes are not UTF-8.

    Raises:
        InputError: there is no such file.
    """
    if not path.is_file():
        raise InputError(Problem("no such list", where=str(path), next_step="check the path"))
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _parsed(path: Path) -> tuple[list[int], list[Mapping[str, Any]], list[str]]:
    """Row numbers, rows by column, and the columns."""
    kinds = {
        ".json": _from_json,
        ".xlsx": _from_excel,
        ".csv": _from_text,
        ".tsv": _from_text,
        ".txt": _from_text,
    }
    reader = kinds.get(path.suffix.lower())
    if reader is None:
        raise InputError(
            Problem("a list of unknown kind", where=str(path), found=path.suffix, allowed=", ".join(kinds))
        )
    numbers, rows, header = reader(path)
    if not rows:
        raise InputError(Problem("a list without rows", where=str(path), next_step="check the file"))
    return numbers, rows, header


def _from_json(path: Path) -> tuple[list[int], list[Mapping[str, Any]], list[str]]:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(Problem("not JSON", where=f"{path}:{error.lineno}", found=error.msg)) from None
    if not isinstance(content, list):
        found = type(content).__name__
        raise InputError(Problem("not a list of codes", where=str(path), found=found, allowed="[{...}, ...]"))
    raise_faults(
        path,
        (
            (n, "not an object", type(row).__name__)
            for n, row in enumerate(content, 1)
            if not isinstance(row, dict)
        ),
        "mend or remove these items",
    )
    header = list(dict.fromkeys(name for row in content for name in row))
    return list(range(1, len(content) + 1)), content, header


def _from_text(path: Path) -> tuple[list[int], list[Mapping[str, Any]], list[str]]:
    text = read_text(path)
    first = text.split("\n", 1)[0]
    delimiter = max(("\t", ";", ","), key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = next(reader, [])
    numbers: list[int] = []
    rows: list[Mapping[str, Any]] = []
    faults = []
    for cells in reader:
        if not any(cells):
            continue
        if len(cells) != len(header):
            faults.append(
                (reader.line_num, "a row with another number of cells than the header", str(len(cells)))
            )
        numbers.append(reader.line_num)
        rows.append(dict(zip(header, cells, strict=False)))
    raise_faults(path, faults, f"give each row the header's {len(header)} cells")
    return numbers, rows, header


def _from_excel(path: Path) -> tuple[list[int], list[Mapping[str, Any]], list[str]]:
    if not path.is_file():
        raise InputError(Problem("no such list", where=str(path), next_step="check the path"))
    engine = next((name for name in ("fastexcel", "openpyxl") if importlib.util.find_spec(name)), None)
    if engine is None:
        raise MissingExtraError(
            Problem(
                "no reader for Excel sheets is installed",
                where=str(path),
                next_step="pip install fastexcel, or save the sheet as CSV (UTF-8)",
            )
        )
    sheet = pl.read_excel(
        path, engine="calamine" if engine == "fastexcel" else "openpyxl", infer_schema_length=0
    )
    return list(range(2, sheet.height + 2)), [*sheet.iter_rows(named=True)], sheet.columns


def _text(value: object) -> str | None:
    return (str(value).strip() or None) if value is not None else None
