"""The rows of a table that people fill in: a workbook's sheet, or text between separators."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ontology.errors import InputError, MissingExtraError, Problem

LARGEST_FILE_BYTES = 50_000_000
Rows = Sequence[Sequence[Any]]


def sheet_rows(file: Path, is_wanted: Callable[[Rows], bool]) -> list[list[Any]]:
    """The rows of a file as they stand, cells as text, numbers, dates or None.

    Args:
        file: .xlsx, else text in UTF-8, UTF-16 with its mark, or Windows-1252, with commas, semicolons or
            tabs between columns.
        is_wanted: whether a sheet of a workbook is the one to read; where none is, the first is read.

    Raises:
        InputError: the file cannot be read, is too large, or is neither a workbook nor text.
        MissingExtraError: a workbook, and nothing is installed that reads one.
    """
    return _workbook_rows(file, is_wanted) if file.suffix.lower() == ".xlsx" else _text_rows(file, is_wanted)


def _text_rows(file: Path, is_wanted: Callable[[Rows], bool]) -> list[list[Any]]:
    """The rows between the separator that makes wanted ones; that of the first line is tried first.

    A quotation mark that is not closed takes the rows below it for one cell: it is a fault.
    """
    text = _text(_content(file))
    first = text.split("\n", 1)[0]
    separators = sorted(";,\t", key=first.count, reverse=True)
    tried = (_parted(text, separator) for separator in separators)
    wanted = next((one for one in tried if is_wanted(one[0])), None)
    rows, is_whole = wanted or _parted(text, separators[0])
    if is_whole and "\0" not in text:
        return rows
    raise InputError(
        Problem(
            "the file is no text in columns",
            where=f"{file.name}, row {len(rows) + 1}" if wanted and not is_whole else file.name,
            allowed="text in UTF-8 with semicolons, commas or tabs between columns, quotation marks closed",
            next_step="mend the row, or save the sheet as .xlsx or as CSV (UTF-8)",
        )
    )


def _parted(text: str, separator: str) -> tuple[list[list[Any]], bool]:
    """The rows of a text up to the first that cannot be read, and whether these are all."""
    rows: list[list[Any]] = []
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error:
        return rows, False
    return rows, True


def _text(content: bytes) -> str:
    """Decoded as the marks at its beginning say, else as UTF-8 if it is that, else as Windows-1252."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _workbook_rows(file: Path, is_wanted: Callable[[Rows], bool]) -> list[list[Any]]:
    """The rows of the first sheet that is wanted, or of the first of all."""
    try:
        import openpyxl
    except ImportError:
        raise MissingExtraError(
            Problem(
                "openpyxl, which reads .xlsx, is not installed",
                where=file.name,
                next_step="pip install openpyxl, or save the sheet as CSV (UTF-8)",
            )
        ) from None
    content = io.BytesIO(_content(file))
    try:
        book = openpyxl.load_workbook(content, read_only=True, data_only=True)
        sheets = [[list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets]
    except Exception:  # noqa: BLE001  whatever a broken workbook raises
        raise InputError(
            Problem(
                "the file is no workbook",
                where=file.name,
                allowed="an .xlsx file as it was sent out, filled in",
                next_step="save the sheet as .xlsx or as CSV (UTF-8)",
            )
        ) from None
    return next((rows for rows in sheets if is_wanted(rows)), sheets[0] if sheets else [])


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size <= LARGEST_FILE_BYTES:
            return file.read_bytes()
    except OSError as error:
        raise InputError(
            Problem("the reviews cannot be read", where=str(file), found=type(error).__name__)
        ) from None
    raise InputError(
        Problem(
            "the file is too large for a review sheet",
            where=str(file),
            allowed=f"at most {LARGEST_FILE_BYTES // 10**6} MB",
        )
    )
