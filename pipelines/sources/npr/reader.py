"""The reader of NPR-meldinger: which files are messages, and the rows of tables that they become."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.parsers import expat

import numpy as np
import polars as pl

from ontology.errors import InputError, Problem
from pipelines.identity.scrubbing import scrub_text
from pipelines.sources.npr.batch import Columns, Truths
from pipelines.sources.npr.checks import check
from pipelines.sources.npr.collecting import Astray, Batch, RefusedError
from pipelines.sources.npr.elements import FIRST_VERSION, LAST_VERSION, NAMESPACE
from pipelines.sources.npr.fates import fates_of
from pipelines.sources.npr.options import NprOptions
from pipelines.sources.npr.raw import raw_records
from pipelines.sources.npr.stream import guarded_parser, open_message, stream
from pipelines.sources.npr.tables import SCHEMAS, TABLES, derive, rows_of
from pipelines.sources.npr.unread import unread_attributes
from pipelines.sources.npr.versions import Versions
from pipelines.sources.records import DELETED, InputFile, Part, files_under

HEAD_BYTES = 256_000
"""A message's namespace stands within so many bytes, behind its envelope's head."""
_ENVELOPE = "http://www.kith.no/xmlstds/msghead/2006-05-24"


class NprReader:
    """Reads NPR-meldinger.

    Args:
        options: as the mapping gives them.
    """

    schemas: Mapping[str, pl.Schema] = SCHEMAS
    lookups: frozenset[str] = frozenset({DELETED})

    def __init__(self, options: NprOptions) -> None:
        self.options = options

    def find(self, input_path: Path) -> list[InputFile]:
        """Every message under a folder, by path; other XML files are left alone.

        Raises:
            InputError: there is none, or one is of a version that is not read.
        """
        if input_path.is_file():
            found = [(input_path, input_path.name)]
        else:
            paths = sorted(
                path for path in files_under(input_path) if path.name.lower().endswith((".xml", ".xml.gz"))
            )
            found = [(path, path.relative_to(input_path).as_posix()) for path in paths if path.is_file()]
        told = [(path, label, namespaces(path)) for path, label in found]
        messages = [(path, scrub_text(label)) for path, label, spaces in told if _is_message(spaces)]
        problems = [
            _version_problem(scrub_text(label), space)
            for _, label, spaces in told
            for space in spaces or ()
            if (match := NAMESPACE.match(space)) and not FIRST_VERSION <= int(match[1]) <= LAST_VERSION
        ]
        if not messages:
            where = str(input_path)
            advice = "give the folder of the messages (.xml or .xml.gz)"
            problems.append(Problem("no NPR-melding is there", where, next_step=advice))
        if problems:
            raise InputError(problems)
        return [InputFile(path, label, number) for number, (path, label) in enumerate(messages)]

    def read(self, file: InputFile) -> Iterator[Part]:
        """The file's records; where it is broken, those before the break.

        Raises:
            InputError: the file cannot be opened.
        """
        n_before: Counter[str] = Counter()
        try:
            with open_message(file.path) as source:
                for batch in stream(source, self.options):
                    yield self._part(file.path, batch, n_before)
        except OSError as error:
            raise InputError(Problem("a file cannot be read", file.label, error.strerror or "")) from None

    def _part(self, path: Path, batch: Batch, n_before: Counter[str]) -> Part:
        if batch.end:
            batch.astray.append(Astray(batch.end.offset, "", "rejected", batch.end.reason))
        columns = Columns(batch, n_before)
        notes = batch.notes + unread_attributes(batch.met, columns.frames)
        versions = Versions(columns)
        findings = check(columns, self.options.more_values)
        derive(columns, findings, self.options)
        tables: dict[str, pl.DataFrame] = {}
        is_made: dict[str, Truths] = {}
        for name, table in TABLES.items():
            is_made[table.record] = np.zeros(columns.height(table.record), dtype=bool)
            if not columns.height(table.rows):
                continue
            records = columns.up(table.rows, table.record)
            is_row = ~findings.is_bad[table.rows] & (records >= columns.n_told[table.record])
            at = records[is_row]
            is_made[table.record][at] = True
            if len(at):
                numbers = columns.numbers(name, columns.offsets[table.record][at])
                told = {
                    key: cells.filter(pl.Series(is_row)) for key, cells in versions.of(table.rows).items()
                }
                tables[name] = rows_of(table, columns, is_row).with_columns(_row=pl.Series(numbers), **told)
        deletions = _deletions(columns, versions, ~findings.is_bad["Slett"])
        if deletions.height:
            tables[DELETED] = deletions
        fates = fates_of(columns, findings, is_made)
        rejected = fates.filter(pl.col("fate") == "rejected")["byte_offset"].to_list()
        raw = raw_records(path, rejected) if rejected else {}
        return Part(tables, fates, columns.n_records, notes, raw)


def _deletions(columns: Columns, versions: Versions, is_good: Truths) -> pl.DataFrame:
    """The episodes that are taken back: _row, _key, _rank."""
    if not is_good.any():
        return pl.DataFrame()
    told = versions.of("Slett")
    numbers = columns.numbers("Slett", columns.offsets["Slett"])
    return pl.DataFrame({"_row": pl.Series(numbers), "_key": told["_key"], "_rank": told["_rank"]}).filter(
        pl.Series(is_good)
    )


def _is_message(spaces: list[str] | None) -> bool:
    """Whether a file is read: a message, an envelope, or something too broken to be told."""
    return spaces is None or any(NAMESPACE.match(space) or space == _ENVELOPE for space in spaces)


def namespaces(path: Path) -> list[str] | None:
    """The namespaces of the elements in the first part of a file; None where that is no XML at all."""
    found: dict[str, None] = {}
    parser = guarded_parser()

    def start(tag: str, _: dict[str, str]) -> None:
        found.setdefault(tag.rpartition(" ")[0])

    parser.StartElementHandler = start
    try:
        with open_message(path) as source:
            parser.Parse(source.read(HEAD_BYTES), False)  # noqa: FBT003
    except (expat.ExpatError, RefusedError, EOFError, OSError, LookupError, ValueError, zlib.error):
        pass  # reading it will tell what is wrong
    return list(found) or None


def _version_problem(label: str, space: str) -> Problem:
    allowed = f"versions {FIRST_VERSION} to {LAST_VERSION}"
    return Problem(
        "a message is of a version that is not read",
        label,
        space,
        allowed,
        "ask for the message in a newer version, or leave the file out",
    )
