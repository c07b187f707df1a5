"""The tables of an input as a stranger meets them: files of one kind, their layout, and their first rows."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem

SUFFIXES = (".csv", ".tsv", ".psv", ".txt", ".parquet")
SAMPLE_BYTES = 2_000_000
SAMPLE_ROWS = 20_000
HEADER_BYTES = 20_000
_DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".psv": "|"}
_UNREAD = (pl.Binary, pl.Duration, pl.Object)
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
    """

    name: str
    pattern: str
    n_files: int
    rows: pl.DataFrame
    delimiter: str | None = None
    encoding: str = "utf-8"
    column_names: tuple[str, ...] | None = None
    has_own_subject: bool = False


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
            Problem("no table found", str(input_path), allowed=", ".join((*SUFFIXES, "each also .gz")))
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
    return digits.sub("*", stem) + dot + ending


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
    has_own_subject = len(paths) > 20 and "*" in pattern
    if _suffix(first) == ".parquet":
        rows = pl.read_parquet(first, n_rows=SAMPLE_ROWS)
        return SampledTable(name, pattern, len(paths), _as_texts(rows), has_own_subject=has_own_subject)
    text, encoding = _beginning(first)
    delimiter = _delimiter(text, _suffix(first))
    rows, has_header = _parsed(text, delimiter)
    return SampledTable(
        name,
        pattern,
        len(paths),
        rows,
        delimiter if delimiter != _DELIMITERS[_suffix(first)] else None,
        encoding,
        None if has_header else tuple(rows.columns),
        has_own_subject,
    )


def _header(file: Path) -> tuple[str, ...]:
    """The column names of a file, or () where it is empty or no table; a table has two columns or more."""
    if _suffix(file) == ".parquet":
        return tuple(pl.read_parquet_schema(file))
    text, _ = _beginning(file, HEADER_BYTES)
    first = text.partition("\n")[0].strip("\r\ufeff")
    return tuple(next(csv.reader([first], delimiter=_delimiter(text, _suffix(file))), ()))


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


def _parsed(text: str, delimiter: str) -> tuple[pl.DataFrame, bool]:
    """The rows, and whether the first line was a header; lines that are too short or long are left out."""
    lines = list(islice(csv.reader(io.StringIO(text), delimiter=delimiter), SAMPLE_ROWS + 1))
    first = lines[0]
    has_header = not any(re.fullmatch(r"[\d.,:T \-]*\d[\d.,:T \-]*", cell) for cell in first)
    names = first if has_header else [f"column_{number}" for number in range(1, len(first) + 1)]
    whole = [line for line in lines[has_header:] if len(line) == len(first)]
    cells = zip(*whole, strict=True) if whole else ([] for _ in names)
    columns = [pl.Series(name, column, dtype=pl.String) for name, column in zip(names, cells, strict=True)]
    return _as_texts(pl.DataFrame(columns)), has_header


def _as_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """All columns as texts without spaces around them, empty cells null; nested columns are left out."""
    plain = rows.select(
        name for name, dtype in rows.schema.items() if not (dtype.is_nested() or dtype in _UNREAD)
    )
    return plain.select(pl.all().cast(pl.String).str.strip_chars().replace("", None))
