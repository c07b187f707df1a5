"""The seam between files that are no tables (FHIR, NPR-melding) and the tables of the mapping language."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from ontology.configuration import validate

FATES = pl.Schema(
    {
        "_row": pl.Int64(),
        "table": pl.String(),
        "fate": pl.String(),
        "field": pl.String(),
        "reason": pl.String(),
        "byte_offset": pl.Int64(),
    }
)
"""Records that became no row (fate "ignored" or "rejected"), and wrong fields of those that did ("field")."""

VERSION_COLUMNS = pl.Schema(
    {"_key": pl.UInt64(), "_unit": pl.Int64(), "_rank": pl.String(), "_digest": pl.UInt64()}
)
"""What a table may say of versions: what a record is called, its rows, which is newer, and its content."""

DELETED = "_deleted"
"""The table of records that a source took back: _row, _key, _rank."""


@dataclass(frozen=True)
class InputFile:
    """One file of an input.

    Attributes:
        path: where it is.
        label: what accounting and lineage call it: the path under the input, national numbers hidden.
        number: its place over the whole input, from 0.
    """

    path: Path
    label: str
    number: int


@dataclass(frozen=True)
class Part:
    """What became of some records of one file.

    Attributes:
        tables: rows by table: the reader's columns and `_row`, the record's number in the file (or, where a
            reader counts each table alone, among the table's records of the file), from 1; VERSION_COLUMNS
            beside them where records have versions. All rows of a record are in one part.
        fates: columns of FATES.
        n_records: how many records were met: those in tables (but lookups) and those with a fate that is not
            "field".
        notes: (topic, text) and how often: what ingest.json says beside the account; no values.
        raw: rejected records as sent, by `_row`; for the quarantine alone.
    """

    tables: Mapping[str, pl.DataFrame]
    fates: pl.DataFrame
    n_records: int
    notes: Counter[tuple[str, str]] = field(default_factory=Counter)
    raw: Mapping[int, bytes] = field(default_factory=dict)


class RecordReader(Protocol):
    """Turns files into rows of tables; is sent to worker processes, so it can be pickled.

    Attributes:
        schemas: the columns of every table that it can make, without `_row` and VERSION_COLUMNS.
        lookups: tables that only help others (who is meant by a reference); the account leaves them out.
    """

    schemas: Mapping[str, pl.Schema]
    lookups: frozenset[str]

    def find(self, input_path: Path) -> list[InputFile]:
        """The files to read, in a stated order.

        Raises:
            InputError: nothing is there that this reader reads.
        """

    def read(self, file: InputFile) -> Iterator[Part]:
        """The file's records in bounded memory; what is wrong with them is a fate, not an error.

        Raises:
            InputError: the file cannot be read at all.
        """


def files_under(folder: Path) -> Iterator[Path]:
    """All files under a folder, those of linked folders too; a folder that is met again is passed over."""
    seen: set[Path] = set()
    for name, folders, files in os.walk(folder, followlinks=True):
        here = Path(name)
        real = here.resolve()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (here / each for each in sorted(files))


def no_fates() -> pl.DataFrame:
    """FATES without a row."""
    return pl.DataFrame(schema=FATES)


def record_reader(reader: str, options: Mapping[str, Any], *, where: str) -> RecordReader:
    """The reader of a mapping, with its options.

    Args:
        reader: "fhir" or "npr".
        options: as the mapping gives them.
        where: the mapping, for messages.

    Raises:
        ConfigurationError: options that the reader does not know or that have wrong values.
    """
    if reader == "fhir":
        from pipelines.sources.fhir.options import FhirOptions
        from pipelines.sources.fhir.reader import FhirReader

        return FhirReader(validate(FhirOptions, options, where=f"{where}: options"))
    from pipelines.sources.npr.options import NprOptions
    from pipelines.sources.npr.reader import NprReader

    return NprReader(validate(NprOptions, options, where=f"{where}: options"))
