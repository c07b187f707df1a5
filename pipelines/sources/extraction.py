"""Reads the tables of one source, one after the other, and keeps the account of their rows."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.trajectory import REJECTED
from phenotype.writing import DatasetWriter
from pipelines.sources.accounting import FileTally, IngestAccount, Ledger, add_fates, merge
from pipelines.sources.cells import text_of
from pipelines.sources.collection import Collection
from pipelines.sources.context import Context
from pipelines.sources.discovery import columns_taken, has_births, with_labels
from pipelines.sources.inputs import RecordTables, TableInput
from pipelines.sources.mapping import Table
from pipelines.sources.offsets import row_offsets
from pipelines.sources.outputs import build_events, is_birth
from pipelines.sources.preparation import SeenRows, prepare
from pipelines.sources.quarantine import Quarantine
from pipelines.sources.tables import SourceFile

logger = logging.getLogger(__name__)
OFFSETS_AT_MOST = 10_000
"""Files with more rejected rows than this are wrong as a whole; their rows are told by number alone."""


class Extraction:
    """The state of one ingest: what has been built so far, and the account of it.

    Args:
        context: shared by all tables.
        given: the rows of the tables.
        writer: takes events and lineage as they come.
        quarantine: takes rejected rows as they were sent, if anybody wants them.
    """

    def __init__(
        self, context: Context, given: TableInput, writer: DatasetWriter, quarantine: Quarantine | None
    ) -> None:
        self._context = context
        self._input = given
        self._writer = writer
        self._quarantine = quarantine
        self.collection = Collection(context, writer)
        self.account = IngestAccount(context.mapping.name)

    def read_table(self, name: str, table: Table) -> None:
        """Read one table to its end.

        Raises:
            InputError: a file cannot be read, or its account does not close.
        """
        sources = with_labels(table, self._input.sources(name), self._context.pseudonyms)
        if has_births(table):
            self._learn_births(name, table)
        tallies = [FileTally() for _ in sources]
        taken = sorted(columns_taken(self._context.mapping).get(name, ()))
        lookups: list[pl.DataFrame] = []
        rejected: list[pl.DataFrame] = []
        seen = SeenRows()
        for raw in self._frames(name, table):
            ledger = Ledger(raw["_file_no"], raw["_row"], of_records=self._input.of_records)
            rows = prepare(table, raw, self._context, ledger, seen)
            if taken:
                ledger.use(rows["_index"])
                lookups.append(rows.select(taken))
            self.collection.add(table, rows, ledger, sources)
            merge(tallies, ledger.tally(len(sources)))
            rejected.append(ledger.rejected())
            if self._quarantine:
                self._quarantine.add(name, raw, ledger.faults())
        if taken:
            self._keep_lookup(name, taken, lookups)
        self._close(name, sources, tallies, self._told(table, sources, rejected))

    def _told(self, table: Table, sources: list[SourceFile], rejected: list[pl.DataFrame]) -> pl.DataFrame:
        return with_offsets(table, sources, rejected, of_records=self._input.of_records)

    def _frames(self, name: str, table: Table) -> Iterator[pl.DataFrame]:
        """The table's rows; all at once where rows are compared with each other."""
        if not self._input.sources(name):
            return
        optional = [column for column, about in table.columns.items() if about.optional]
        given = self._input.frames(name, table, self._writer.work)
        frames = (_with_columns(frame, optional) for frame in given)
        if table.unique:
            whole = list(frames)
            yield from [pl.concat(whole, how="diagonal_relaxed")] if whole else []
        else:
            yield from frames

    def _learn_births(self, name: str, table: Table) -> None:
        """Births come first, so that no event of any table slips in before its subject's birth."""
        seen = SeenRows()
        found = [self._context.births]
        for raw in self._frames(name, table):
            unheard = Ledger(raw["_file_no"], raw["_row"])
            rows = prepare(table, raw, self._context, unheard, seen)
            for event in table.events:
                if is_birth(event):
                    births = build_events(event, rows, self._context, unheard)
                    found.append(births.select("subject_id", birth_time="time"))
        self._context.births = pl.concat(found).group_by("subject_id").agg(pl.col("birth_time").min())

    def _keep_lookup(self, name: str, taken: list[str], lookups: list[pl.DataFrame]) -> None:
        nothing = pl.DataFrame(schema=dict.fromkeys(taken, pl.String))
        lookup = pl.concat(lookups, how="vertical_relaxed") if lookups else nothing
        self._context.lookups[name] = lookup
        subjects = self._context.mapping.subjects
        if subjects and subjects.table == name:
            self._context.subjects = lookup.select(text_of(lookup, subjects.column)).to_series().unique()

    def _close(
        self, name: str, sources: list[SourceFile], tallies: list[FileTally], rejected: pl.DataFrame
    ) -> None:
        """Enter a table into the account, which must close for every file."""
        open_files = [
            source.place for source, tally in zip(sources, tallies, strict=True) if not tally.is_closed
        ]
        _check_closed(open_files)
        self.account.files |= {
            (name, source.label): tally
            for source, tally in zip(sources, tallies, strict=True)
            # Any file may hold records of any table; most hold none.
            if tally.n_read or not self._input.of_records
        }
        self.account.rejected = pl.concat([self.account.rejected, rejected])
        n_rows = sum(tally.n_read for tally in tallies)
        logger.info("%s: %s rows in %s files", name, f"{n_rows:,}", f"{len(sources):,}")

    def add_fates(self, given: RecordTables) -> None:
        """Enter the records that never came to the mapping, and see that every record is accounted for.

        Raises:
            InputError: the account of a file does not close.
        """
        labels = [source.label for source in given.sources("")]
        for name in given.reader.lookups:
            for label in labels:
                self.account.files.pop((name, label), None)
        fates = given.fates(set(self._context.mapping.tables))
        add_fates(self.account, fates, labels)
        wrong = fates.filter(pl.col("fate") != "ignored")
        told = pl.Series(labels, dtype=pl.String).gather(wrong["_file_no"])
        rejected = wrong.select(
            told.alias("file"), pl.col("_row").alias("row"), "byte_offset", "field", "reason"
        )
        self.account.rejected = pl.concat([self.account.rejected, rejected.cast(REJECTED)])
        for (topic, text), count in sorted(given.projected.notes.items()):
            self.account.notes.setdefault(topic, {})[text] = count
        if self._quarantine:
            self._quarantine.add_records(given.projected.raw, labels)
        met = Counter({labels[number]: n for number, n in given.projected.n_records.items() if n})
        told_of = Counter[str]()
        for (_, label), tally in self.account.files.items():
            told_of[label] += tally.n_read
        open_files = sorted(label for label in met.keys() | told_of.keys() if met[label] != told_of[label])
        _check_closed(open_files)


def _check_closed(open_files: list[str]) -> None:
    if open_files:
        advice = "this is a fault of the program: report it"
        raise InputError(
            [Problem("the account of a file does not close", file, next_step=advice) for file in open_files]
        )


def _with_columns(frame: pl.DataFrame, optional: list[str]) -> pl.DataFrame:
    missing = [name for name in optional if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing) if missing else frame


def with_offsets(
    table: Table, sources: list[SourceFile], rejected: list[pl.DataFrame], *, of_records: bool = False
) -> pl.DataFrame:
    """Rejected fields with their file's label and, in text files, the byte at which the row begins.

    Args:
        table: what the mapping says.
        sources: the table's files.
        rejected: _file_no, row, field, reason.
        of_records: whether a row is a record: a line of NDJSON, or none that has an offset.

    Returns:
        Columns of REJECTED, by file and row.
    """
    parts = [pl.DataFrame(schema=REJECTED)]
    faults = pl.concat(rejected).sort("_file_no", maintain_order=True) if rejected else pl.DataFrame()
    for part in faults.partition_by("_file_no") if faults.height else []:
        source = sources[part["_file_no"][0]]
        is_told = not source.is_parquet and (not of_records or source.kind == ".ndjson")
        is_told = is_told and part.height <= OFFSETS_AT_MOST
        rows = part["row"].to_list() if is_told else []
        has_header = not (of_records or table.column_names)
        offsets = row_offsets(source.path, rows, has_header=has_header, is_quoted=not of_records)
        told = pl.Series("byte_offset", offsets if is_told else [None] * part.height, dtype=pl.Int64)
        parts.append(part.select(pl.lit(source.label).alias("file"), "row", told, "field", "reason"))
    return pl.concat(parts)
