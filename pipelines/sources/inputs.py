"""Where the rows of a mapping's tables come from: files that are tables, or what a record reader made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem
from pipelines.sources.discovery import columns_taken, discover, files_not_read
from pipelines.sources.mapping import Mapping, Table
from pipelines.sources.projecting import file_size, project, read_fates
from pipelines.sources.records import DELETED, VERSION_COLUMNS, RecordReader, record_reader
from pipelines.sources.requirements import missing_columns
from pipelines.sources.tables import SourceFile, read_frames

ROWS_A_FRAME = 100_000
UNPACKED = 8
"""How many times larger a parquet or gzip file is unpacked, roughly; it only sets the number of shards."""
NO_TABLE = "no table of the mapping takes it"


class TableInput(Protocol):
    """The rows of a mapping's tables.

    Attributes:
        of_records: whether rows that share a file and number are one record.
        n_bytes: how much text the input holds, roughly.
        not_read: files that nothing reads, by shape of name.
    """

    of_records: bool
    n_bytes: int
    not_read: dict[str, int]

    def sources(self, name: str) -> list[SourceFile]:
        """The files that a table's `_file_no` counts."""

    def frames(self, name: str, table: Table, work: Path) -> Iterator[pl.DataFrame]:
        """The table's rows with `_file_no`, `_row` and `_more`, in file and row order."""


class FileTables:
    """Files that are tables already.

    Args:
        mapping: what the files mean.
        input_path: the folder (or the one file) that holds them.

    Raises:
        InputError: files that are missing, unreadable or lack columns, all at once.
    """

    of_records = False

    def __init__(self, mapping: Mapping, input_path: Path) -> None:
        self._files = discover(mapping, input_path)
        read = {source.path for sources in self._files.values() for source in sources}
        self.not_read = files_not_read(read, input_path)
        self.n_bytes = _unpacked_bytes(self._files)

    def sources(self, name: str) -> list[SourceFile]:
        """The table's own files."""
        return self._files[name]

    def frames(self, name: str, table: Table, work: Path) -> Iterator[pl.DataFrame]:
        """The rows as the files have them."""
        yield from read_frames(table, self._files[name], work)


def _unpacked_bytes(files: dict[str, list[SourceFile]]) -> int:
    sources = {source.path: source for found in files.values() for source in found}
    return sum(
        path.stat().st_size * (UNPACKED if source.is_parquet or path.suffix == ".gz" else 1)
        for path, source in sources.items()
    )


class RecordTables:
    """What a record reader makes of an input; repeated, older and deleted records are taken out.

    Args:
        mapping: its reader, options and tables.
        input_path: the folder or file.
        folder: private; keeps the first stage, so that a killed ingest goes on.
        n_workers: processes of the first stage.
        keep_raw: whether rejected records are kept as they were sent.

    Raises:
        ConfigurationError: tables or columns that the reader does not make.
        InputError: nothing to read, or files that cannot be read at all.
    """

    of_records = True

    def __init__(
        self, mapping: Mapping, input_path: Path, folder: Path, *, n_workers: int | None, keep_raw: bool
    ) -> None:
        from pipelines.sources.repeats import find_repeats

        self.reader = record_reader(mapping.reader, mapping.options, where=mapping.name)
        _check_tables(mapping, self.reader)
        files = self.reader.find(input_path)
        weight = sum(
            file_size(file) * (UNPACKED if file.path.suffix.lower() == ".gz" else 1) for file in files
        )
        self.n_bytes = weight
        self.projected = project(self.reader, files, folder, n_workers=n_workers, keep_raw=keep_raw)
        self.not_read = files_not_read({file.path for file in files}, input_path, by_ending=True)
        self._repeats = find_repeats(self.projected.frames)
        self._sources = [SourceFile(file.path, file.label, file.label) for file in files]

    def sources(self, name: str) -> list[SourceFile]:
        """All files of the input: any of them may hold records of any table."""
        return self._sources

    def frames(self, name: str, table: Table, work: Path) -> Iterator[pl.DataFrame]:
        """The rows that the reader made, but those of repeated, older and deleted records."""
        held: list[pl.DataFrame] = []
        n_held = 0
        for path in self.projected.frames.get(name, ()):
            rows = pl.read_parquet(path)
            held.append(self._current(rows))
            n_held += held[-1].height
            if n_held >= ROWS_A_FRAME:
                yield _ready(held)
                held, n_held = [], 0
        if n_held:
            yield _ready(held)

    def _current(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows of records that stand."""
        if "_unit" in rows.columns and self._repeats.height:
            rows = rows.join(self._repeats, on=["_file_no", "_unit"], how="anti", maintain_order="left")
        return rows.drop(VERSION_COLUMNS.names(), strict=False)

    def fates(self, tables: set[str]) -> pl.DataFrame:
        """What never reaches the mapping: FATES with _file_no.

        Args:
            tables: those that the mapping takes.
        """
        parts = [read_fates(self.projected)]
        for name, paths in self.projected.frames.items():
            if name in self.reader.lookups or name == DELETED:
                continue
            if name in tables and not self._repeats.height:
                continue
            rows = pl.concat([pl.read_parquet(path, columns=_numbers(path)) for path in paths])
            if self._repeats.height and "_unit" in rows.columns:
                gone = rows.join(self._repeats, on=["_file_no", "_unit"], how="inner", maintain_order="left")
                parts.append(_fates_of(gone.with_columns(field=pl.lit("")), name))
                rows = rows.join(self._repeats, on=["_file_no", "_unit"], how="anti", maintain_order="left")
            if name not in tables:
                untaken = rows.with_columns(fate=pl.lit("ignored"), field=pl.lit(""), reason=pl.lit(NO_TABLE))
                parts.append(_fates_of(untaken, name))
        return pl.concat(parts).sort("_file_no", "_row", "table", "fate", maintain_order=True)


def _numbers(path: Path) -> list[str]:
    there = pl.read_parquet_schema(path)
    return [name for name in ("_file_no", "_row", "_unit") if name in there]


def _fates_of(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """FATES with _file_no, one row a record."""
    return rows.select(
        "_row",
        pl.lit(table).alias("table"),
        "fate",
        "field",
        "reason",
        pl.lit(None, pl.Int64).alias("byte_offset"),
        "_file_no",
    ).unique(maintain_order=True)


def _ready(held: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(held).with_columns(_more=pl.lit(value=False))


def _check_tables(mapping: Mapping, reader: RecordReader) -> None:
    """Raise where the mapping names a table or a column that the reader does not make."""
    problems: list[Problem] = []
    unknown = [name for name in mapping.tables if name not in reader.schemas]
    if unknown:
        problems.append(
            Problem(
                f"the {mapping.reader} reader makes no such tables",
                f"{mapping.name}: tables",
                ", ".join(unknown),
                ", ".join(reader.schemas),
                "name one of those",
            )
        )
    taken = columns_taken(mapping)
    for name, table in mapping.tables.items():
        if name in reader.schemas:
            made = SourceFile(Path(name), name, name, tuple(reader.schemas[name].names()))
            problems += missing_columns(name, table, [made], taken)
    if problems:
        raise ConfigurationError(problems)


def open_input(
    mapping: Mapping, input_path: Path, folder: Path, *, n_workers: int | None, keep_raw: bool
) -> TableInput:
    """The rows of a mapping's tables in an input.

    Args:
        mapping: the source.
        input_path: the folder or file.
        folder: private, for what is made on the way.
        n_workers: processes; by the input's size where not given.
        keep_raw: whether rejected records are kept as they were sent.

    Raises:
        InputError: no such input, or what FileTables and RecordTables say.
    """
    if not input_path.exists():
        raise InputError(Problem("no such input", str(input_path), next_step="check the path"))
    if mapping.reader == "tables":
        return FileTables(mapping, input_path)
    return RecordTables(mapping, input_path, folder, n_workers=n_workers, keep_raw=keep_raw)
