"""The tables of an input as a stranger meets them: files of one kind, their layout, and their first rows."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem

SUFFIXES = (".csv", ".tsv", ".psv", ".txt", ".parquet")
SAMPLE_BYTES = 2_000_000
SAMPLE_ROWS = 20_000
HEADER_BYTES = 20_000
SAMPLE_FILES, HEADER_ROWS = 40, 1_000
NULL_WORDS = (
    "NaN",
    "nan",
    "NA",
    "N/A",
    "NULL",
    "null",
    "None",
    "?",
    "-",
    ".",
    "ukjent",
    "Ukjent",
    "unknown",
    "Unknown",
)
"""Words that mean "not known" wherever they stand in an extract."""
_DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".psv": "|"}
_UNREAD = (pl.Binary, pl.Duration, pl.Object)
_DATUM = re.compile(r"[\d.,:T \-]*\d[\d.,:T \-]*")
_LONG_NUMBER = re.compile(r"\d{5,}")
_NUMBERS = re.compile(r"\d+")


@dataclass(frozen=True)
class SampledTable:
    """One table: files with one header, and the beginning of the first of them.

    Attributes:
        name: the table's name in the mapping.
        pattern: the glob pattern of its files under the input.
        n_files: how many files it has.
        rows: the first rows; all columns as texts, empty cells null.
        delimiter: where it is not the ending's own.
        encoding: "utf-8" or "cp1252".
        column_names: for files without a header.
        has_own_subject: whether every file is one patient's, named in the file's name.
        null_values: words of NULL_WORDS that stand in it; they are null in `rows`.
    """

    name: str
    pattern: str
    n_files: int
    rows: pl.DataFrame
    delimiter: str | None = None
    encoding: str = "utf-8"
    column_names: tuple[str, ...] | None = None
    has_own_subject: bool = False
    null_values: tuple[str, ...] = ()


def sample_tables(input_path: Path) -> list[SampledTable]:
    """All tables under a folder (or in one file), in the order of their names.

    Raises:
        InputError: nothing is there that is read as a table.
    """
    root = input_path if input_path.is_dir() else input_path.parent
    files = sorted(input_path.rglob("*")) if input_path.is_dir() else [input_path]
    groups: dict[tuple[str, tuple[str, ...]], list[Path]] = defaultdict(list)
    for file in files:
        if file.is_file() and _suffix(file) in SUFFIXES and not file.name.startswith("."):
            header = _header(file)
            if 1 < len(header) == len(set(header)):
                groups[_pattern(file, root, _NUMBERS), header].append(file)
    if not groups:
        raise InputError(
            Problem(
                "no table found",
                str(input_path),
                allowed=", ".join((*SUFFIXES, "each also .gz")),
                next_step="save tables of spreadsheets, and text in UTF-16, as CSV in UTF-8",
            )
        )
    names: set[str] = set()
    return [
        _sampled(paths, root, names) for _, paths in sorted(groups.items(), key=lambda group: group[1][0])
    ]


def _suffix(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix.lower()


def _pattern(file: Path, root: Path, digits: re.Pattern[str]) -> str:
    """The path under the root with runs of digits as `*`, and without .gz, which is found as well."""
    relative = file.relative_to(root).as_posix().removesuffix(".gz")
    stem, dot, ending = relative.rpartition(".")
    return digits.sub("*", stem.replace("[", "[[]")) + dot + ending


def _sampled(paths: list[Path], root: Path, names: set[str]) -> SampledTable:
    """The table of some files with one header."""
    first = paths[0]
    pattern = _pattern(first, root, _NUMBERS if len(paths) > 1 else _LONG_NUMBER)
    stem = re.sub(r"[^a-z0-9]+", "_", Path(pattern).stem.lower().replace("*", "")).strip("_") or "table"
    name = next(
        candidate
        for candidate in (stem, *(f"{stem}_{number}" for number in range(2, 1000)))
        if candidate not in names
    )
    names.add(name)
    layout = _Layout.of(first)
    frames = [_rows(path, layout) for path in paths[:SAMPLE_FILES]]
    rows = pl.concat(frames).head(SAMPLE_ROWS)
    found = {word for column in rows.iter_columns() for word in column.unique() if word in NULL_WORDS}
    return SampledTable(
        name,
        pattern,
        len(paths),
        rows.with_columns(pl.all().replace(dict.fromkeys(found, None))) if found else rows,
        layout.delimiter if layout.delimiter != _DELIMITERS.get(_suffix(first)) else None,
        layout.encoding,
        None if layout.has_header else tuple(rows.columns),
        has_own_subject=len(paths) > 20 and "*" in pattern,
        null_values=tuple(word for word in NULL_WORDS if word in found),
    )


@dataclass(frozen=True)
class _Layout:
    """How the files of a table are written; of Parquet nothing but that it has a header."""

    delimiter: str | None = None
    encoding: str = "utf-8"
    has_header: bool = True
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, file: Path) -> _Layout:
        """The layout of a file."""
        if _suffix(file) == ".parquet":
            return cls()
        text, encoding = _beginning(file)
        delimiter = _delimiter(text, _suffix(file))
        first, *rest = islice(_lines(text, delimiter), HEADER_ROWS)
        is_datum = any(_DATUM.fullmatch(cell) for cell in first)
        has_header = not is_datum and not any(_stands_below(first, line) for line in rest)
        names = (
            tuple(first) if has_header else tuple(f"column_{number}" for number in range(1, len(first) + 1))
        )
        return cls(delimiter, encoding, has_header, names)


def _stands_below(first: list[str], line: list[str]) -> bool:
    """Whether a cell of the first line stands in its own column again, as no column's name does."""
    return any(cell and cell == other for cell, other in zip(first, line, strict=False))


def _rows(file: Path, layout: _Layout) -> pl.DataFrame:
    """The first rows of a file as texts; lines that are too short or too long are left out."""
    if layout.delimiter is None:
        return _as_texts(pl.read_parquet(file, n_rows=SAMPLE_ROWS))
    text, _ = _beginning(file)
    lines = list(islice(_lines(text, layout.delimiter), SAMPLE_ROWS + 1))
    whole = [line for line in lines[layout.has_header :] if len(line) == len(layout.names)]
    cells = zip(*whole, strict=True) if whole else ([] for _ in layout.names)
    columns = [
        pl.Series(name, column, dtype=pl.String) for name, column in zip(layout.names, cells, strict=True)
    ]
    return _as_texts(pl.DataFrame(columns))


def _header(file: Path) -> tuple[str, ...]:
    """The column names of a file, or () where it is empty or no table; a table has two columns or more."""
    try:
        if _suffix(file) == ".parquet":
            return tuple(pl.read_parquet_schema(file))
        text, _ = _beginning(file, HEADER_BYTES)
        if file.suffix == ".gz":
            _beginning(file)  # as far as it will be read: it may be damaged
    except (EOFError, gzip.BadGzipFile, zlib.error, pl.exceptions.PolarsError):
        return ()
    if "\0" in text:
        return ()  # UTF-16, or no text at all
    return tuple(next(_lines(text, _delimiter(text, _suffix(file))), ()))


def _lines(text: str, delimiter: str) -> Iterator[list[str]]:
    """The rows of a text, by whatever sign its lines end; up to what no row of a table can be."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    with suppress(csv.Error):
        yield from csv.reader(io.StringIO(text), delimiter=delimiter)


def _beginning(file: Path, n_bytes: int = SAMPLE_BYTES) -> tuple[str, str]:
    """The first whole lines of a file as text, and their encoding."""
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rb") as stream:
        raw = bytes(stream.read(n_bytes + 1))
    if len(raw) > n_bytes:
        raw = raw[: raw.rfind(b"\n") + 1] or raw[:n_bytes]
    try:
        return raw.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace"), "cp1252"


def _delimiter(text: str, suffix: str) -> str:
    """The delimiter that the first line has most of; the ending's own where none stands out."""
    first = text.partition("\n")[0]
    usual = _DELIMITERS[suffix]
    counts = {sign: first.count(sign) for sign in (usual, ",", ";", "\t", "|")}
    return max(counts, key=lambda sign: (counts[sign], sign == usual))


def _as_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """All columns as texts without spaces around them, empty cells null; nested columns are left out."""
    plain = rows.select(
        name for name, dtype in rows.schema.items() if not (dtype.is_nested() or dtype in _UNREAD)
    )
    return plain.select(pl.all().cast(pl.String).str.strip_chars().replace("", None))
