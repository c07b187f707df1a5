"""The files of a table: found, their headers checked, and read as frames with file and row numbers."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

import polars as pl

from ontology.errors import InputError, Problem
from pipelines.identity.scrubbing import scrub_text
from pipelines.sources.mapping import Table

DELIMITERS = {".csv": ",", ".txt": ",", ".tsv": "\t", ".psv": "|"}
DELIMITERS_TOLD = (",", ";", "\t", "|")
CELLS_A_FRAME = 8_000_000
MOST_ROWS_A_FRAME = 1_000_000
BYTES_A_GROUP = 256_000_000
_TOO_MANY = "_more"
_READ_ERRORS = (pl.exceptions.PolarsError, OSError, UnicodeDecodeError, EOFError, zlib.error)


@dataclass(frozen=True)
class SourceFile:
    """One file of a table.

    Attributes:
        path: where it is.
        label: what accounting and lineage call it: the path under the input, ids in its name replaced.
        place: how errors call it: the path, its digits hidden where the name holds an id.
        columns: its header, or the columns of the parquet file.
        named: columns taken from the file's name.
    """

    path: Path
    label: str
    place: str
    columns: tuple[str, ...] = ()
    named: dict[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The ending without .gz: .csv, .parquet..."""
        return Path(self.path.name.lower().removesuffix(".gz")).suffix

    @property
    def is_parquet(self) -> bool:
        """Whether the file has types of its own."""
        return self.kind == ".parquet"


def find_files(table: Table, input_path: Path) -> list[Path]:
    """The table's files in name order: those of the first pattern that finds any, gzipped or not."""
    if input_path.is_file():
        return [input_path] if any(_fits(input_path.name, pattern) for pattern in _patterns(table)) else []
    for pattern in _patterns(table):
        for candidate in (pattern, f"{pattern}.gz"):
            found = sorted(path for path in input_path.glob(candidate) if path.is_file())
            if found:
                return found
    return []


def _patterns(table: Table) -> list[str]:
    """The glob patterns of a table; letters stand for both cases where the mapping says so."""
    if not table.any_case:
        return list(table.files)
    return [
        "".join(f"[{letter.lower()}{letter.upper()}]" if letter.isalpha() else letter for letter in pattern)
        for pattern in table.files
    ]


def _fits(name: str, pattern: str) -> bool:
    return any(Path(name).match(Path(candidate).name) for candidate in (pattern, f"{pattern}.gz"))


def describe_file(
    table: Table, path: Path, number: int, input_path: Path
) -> tuple[SourceFile, list[Problem]]:
    """A file with its header, and what is wrong with it before a row is read.

    Args:
        table: what the mapping says about it.
        path: the file.
        number: its place among the table's files, from 1.
        input_path: the folder (or file) that paths are given under.
    """
    relative = path.relative_to(input_path).as_posix() if input_path.is_dir() else path.name
    match = re.search(table.file_columns, relative) if table.file_columns else None
    named = {name: text for name, text in match.groupdict().items() if text is not None} if match else {}
    place = f"{re.sub('[0-9]', '#', relative)} (file {number} by name)" if named else relative
    relative, place = scrub_text(relative), scrub_text(place)
    source = SourceFile(path, relative, place, (), named)
    if table.file_columns and match is None and not source.is_parquet:
        wanted = Problem(
            "a file whose name does not say what file_columns expects", place, allowed=table.file_columns
        )
        return source, [wanted]
    try:
        written = _columns(table, source)
    except _READ_ERRORS:
        return source, [diagnose(table, source) or Problem("the file cannot be read", place)]
    if written is None:
        return source, [
            Problem("the file is empty: it has not even a header", place, "0 bytes", next_step=_RESTORE)
        ]
    columns = tuple(_column_name(table, name) for name in written)
    problems = _repeated_columns(written, columns, place)
    return SourceFile(path, relative, place, columns, named), problems


def _column_name(table: Table, written: str) -> str:
    """What the mapping calls a column of a file."""
    return written.lower() if table.header == "lower" and not table.column_names else written


def _repeated_columns(written: Sequence[str], columns: Sequence[str], place: str) -> list[Problem]:
    repeated = [name for name, column in zip(written, columns, strict=True) if columns.count(column) > 1]
    if not repeated:
        return []
    if len(set(repeated)) == len(repeated):
        advice = (
            "rename one of them in the file, or leave out `header: lower` and write them as the file does"
        )
        what = "columns that are the same in lower case"
        return [Problem(what, place, ", ".join(repeated), next_step=advice)]
    return [Problem("a column name stands twice in the header", place, ", ".join(sorted(set(repeated))))]


_RESTORE = "fetch the file again from where it came"


def _columns(table: Table, source: SourceFile) -> tuple[str, ...] | None:
    """The header; None for a file without a byte."""
    if source.is_parquet:
        return tuple(pl.read_parquet_schema(source.path)) if source.path.stat().st_size else None
    with _opened(source.path) as file:
        first = file.readline()
    if not first:
        return None
    text = first.decode(table.encoding).removeprefix("\ufeff").rstrip("\r\n")
    if table.column_names:
        return table.column_names
    return tuple(name.strip() for name in next(csv.reader([text], delimiter=delimiter_of(table, source))))


def delimiter_of(table: Table, source: SourceFile) -> str:
    """The table's delimiter, the one that its header tells, or the one that the ending stands for."""
    by_ending = DELIMITERS.get(source.kind, ",")
    if table.delimiter != "auto":
        return table.delimiter or by_ending
    with _opened(source.path) as file:
        header = file.readline().decode(table.encoding)
    return max((by_ending, *DELIMITERS_TOLD), key=header.count)


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.name.endswith(".gz") else path.open("rb")


def read_frames(table: Table, sources: Sequence[SourceFile], work: Path) -> Iterator[pl.DataFrame]:
    """The rows of a table's files, in file and row order, some millions at most a frame.

    Args:
        table: what the mapping says.
        sources: its files, headers known.
        work: a private folder for files that must be transcoded.

    Yields:
        The columns of the file (text, or the types of parquet), those that file names give, `_file_no`
        (UInt32, index in `sources`), `_row` (Int64, from 1) and `_more` (whether it has too many fields).

    Raises:
        InputError: files that cannot be read to their end, each named with the cause.
    """
    try:
        for first, group in _groups(sources):
            yield from _read_group(table, group, first, work)
    except _READ_ERRORS as error:
        problems = [problem for source in sources if (problem := diagnose(table, source, is_sure=False))]
        fallback = Problem(
            "the file cannot be read", sources[0].place, type(error).__name__, next_step=_RESTORE
        )
        raise InputError(problems or fallback) from None


def _groups(sources: Sequence[SourceFile]) -> Iterator[tuple[int, list[SourceFile]]]:
    """Neighbouring files with one header, until they weigh enough: small files are read together."""
    start, weight = 0, 0
    for index, source in enumerate(sources):
        weight += source.path.stat().st_size
        following = sources[index + 1] if index + 1 < len(sources) else None
        joins = following is not None and not source.is_parquet and _alike(source, following)
        if not joins or weight > BYTES_A_GROUP:
            yield start, list(sources[start : index + 1])
            start, weight = index + 1, 0


def _alike(one: SourceFile, other: SourceFile) -> bool:
    return one.columns == other.columns and one.kind == other.kind and one.named.keys() == other.named.keys()


def _read_group(table: Table, group: list[SourceFile], first: int, work: Path) -> Iterator[pl.DataFrame]:
    if len(group) > 1:
        paths = [_as_utf8(table, member.path, work) for member in group]
        frame = _scan_text(table, group[0], paths).collect()
        yield _numbered(_by_file(frame, paths, first), group, first)
        return
    if group[0].is_parquet:
        lazy = _scan_parquet(table, group[0].path)
    else:
        lazy = _scan_text(table, group[0], [_as_utf8(table, group[0].path, work)])
    n_rows = min(MOST_ROWS_A_FRAME, CELLS_A_FRAME // max(1, len(group[0].columns)))
    for frame in lazy.collect_batches(chunk_size=n_rows, maintain_order=True):
        yield _numbered(frame.with_columns(_file_no=pl.lit(first, pl.UInt32)), group, first)


def _scan_parquet(table: Table, path: Path) -> pl.LazyFrame:
    """The columns with their types, the texts that mean "not known" null as they are in text files."""
    markers = ["", *table.null_values]
    schema = pl.read_parquet_schema(path)
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    lazy = pl.scan_parquet(path, row_index_name="_row", row_index_offset=1)
    lazy = lazy.with_columns(pl.when(~pl.col(name).is_in(markers)).then(name).alias(name) for name in texts)
    return lazy.rename({name: _column_name(table, name) for name in schema})


def _scan_text(table: Table, like: SourceFile, paths: list[Path]) -> pl.LazyFrame:
    """Every column as text, with one column more that tells rows with too many fields."""
    return pl.scan_csv(
        paths,
        has_header=False,
        skip_rows=0 if table.column_names else 1,
        separator=delimiter_of(table, like),
        schema=dict.fromkeys([*like.columns, _TOO_MANY], pl.String),
        null_values=["", *table.null_values],
        truncate_ragged_lines=True,
        missing_columns="insert",
        row_index_name="_row",
        row_index_offset=1,
        include_file_paths="_path" if len(paths) > 1 else None,
    )


def _as_utf8(table: Table, path: Path, work: Path) -> Path:
    """The file itself, or a private UTF-8 copy where its encoding is another."""
    if table.encoding.lower().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig", "ascii"}:
        return path
    copy = work / f"{len(list(work.iterdir()))}-{path.name.removesuffix('.gz')}"
    opener = gzip.open if path.name.endswith(".gz") else open
    with (
        opener(path, "rt", encoding=table.encoding, newline="") as given,
        copy.open("w", encoding="utf-8", newline="") as made,
    ):
        while block := given.read(1 << 22):
            made.write(block)
    return copy


def _by_file(frame: pl.DataFrame, paths: list[Path], first: int) -> pl.DataFrame:
    """Row numbers that begin anew in each file, and the file's number in place of its path."""
    numbers = pl.DataFrame(
        {"_path": [str(path) for path in paths], "_file_no": range(first, first + len(paths))},
        schema={"_path": pl.String, "_file_no": pl.UInt32},
    )
    joined = frame.join(numbers, on="_path", how="left", maintain_order="left").drop("_path")
    return joined.with_columns(_row=pl.col("_row") - pl.col("_row").min().over("_file_no") + 1)


def _numbered(frame: pl.DataFrame, group: list[SourceFile], first: int) -> pl.DataFrame:
    """The frame with the columns that file names give, plain types, and the mark of too many fields."""
    is_more = pl.col(_TOO_MANY).is_not_null() if _TOO_MANY in frame.columns else pl.lit(value=False)
    frame = frame.with_columns(pl.col("_row").cast(pl.Int64), is_more.alias(_TOO_MANY))
    missing = [name for name in group[0].named if name not in frame.columns]
    if missing and len(group) == 1:
        frame = frame.with_columns(pl.lit(group[0].named[name]).alias(name) for name in missing)
    elif missing:
        named = pl.DataFrame([{name: member.named[name] for name in missing} for member in group])
        frame = frame.with_columns(named[frame["_file_no"] - first])
    return frame.with_columns(
        _plain(name, dtype) for name, dtype in frame.schema.items() if not name.startswith("_")
    )


def _plain(name: str, dtype: pl.DataType) -> pl.Expr:
    """One of the few types that cells may have: text, whole number, number or instant."""
    column = pl.col(name)
    if dtype.is_integer():
        return column.cast(pl.Int64)
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if isinstance(dtype, pl.Datetime):
        naive = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if dtype.time_zone else column
        return naive.cast(pl.Datetime("us"))
    if dtype.is_nested():
        return pl.struct(name).struct.json_encode().alias(name)
    return column.cast(pl.Datetime("us")) if dtype == pl.Date else _as_text(column, dtype)


def _as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Cells of a type that has no place of its own: bytes as base64, durations as ISO 8601."""
    if dtype == pl.Binary:
        return column.bin.encode("base64")
    return column.dt.to_string("iso") if dtype == pl.Duration else column.cast(pl.String)


def diagnose(table: Table, source: SourceFile, *, is_sure: bool = True) -> Problem | None:
    """Why a file cannot be read: cut off, in another encoding, or malformed.

    Args:
        table: what the mapping says.
        source: the file.
        is_sure: whether this file is known to be the broken one; else None for a sound file.
    """
    if source.is_parquet:
        try:
            pl.scan_parquet(source.path).select(pl.len()).collect()
        except _READ_ERRORS:
            return Problem("not a whole parquet file", source.place, next_step=_RESTORE)
    else:
        try:
            with _opened(source.path) as file:
                for line in file:
                    line.decode(table.encoding)
        except (EOFError, OSError, zlib.error):
            return Problem("the gzip file is cut off or damaged", source.place, next_step=_RESTORE)
        except UnicodeDecodeError:
            return Problem(
                f"the text is not {table.encoding}",
                source.place,
                found="bytes that latin-1 or cp1252 would read as letters",
                allowed=f"{table.encoding}, as the mapping says",
                next_step="give the table its encoding in the mapping, as in `encoding: latin-1`",
            )
        if _has_open_quote(table, source):
            return Problem(
                "a quotation mark that is never closed", source.place, next_step="close it, or fetch anew"
            )
    return Problem("the file cannot be read", source.place, next_step=_RESTORE) if is_sure else None


def _has_open_quote(table: Table, source: SourceFile) -> bool:
    with _opened(source.path) as file:
        return bool(sum(line.count(b'"') for line in file) % 2)
