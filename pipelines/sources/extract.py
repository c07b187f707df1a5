"""Tables by mapping: the whole way from an input folder to a dataset, with every row accounted for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.trajectory import BIRTH_CODE, CODINGS, EVENTS, LINEAGE, OBSERVATION, REJECTED
from phenotype.writing import DatasetWriter, default_n_shards
from pipelines.identity import Pseudonyms, default_key_path, fingerprint, load_or_make_key
from pipelines.sources.accounting import FileTally, IngestAccount, Ledger, merge
from pipelines.sources.cells import text_of
from pipelines.sources.context import Context
from pipelines.sources.discovery import (
    columns_taken,
    discover,
    files_not_read,
    has_births,
    reading_order,
    with_labels,
)
from pipelines.sources.mapping import Event, Mapping, Table
from pipelines.sources.offsets import row_offsets
from pipelines.sources.outputs import build_events, is_birth
from pipelines.sources.preparation import SeenRows, prepare
from pipelines.sources.quarantine import Quarantine
from pipelines.sources.stays import (
    build_codings,
    build_contacts,
    build_windows,
    combine,
    combined_windows,
    contact_events,
    derived_windows,
    finished_contacts,
)
from pipelines.sources.tables import SourceFile, read_frames

logger = logging.getLogger(__name__)
PARQUET_UNPACKED = 8
"""How many times larger a parquet or gzip file is when it is unpacked, roughly: it only sets the number of shards."""
OFFSETS_AT_MOST = 10_000
"""Files with more rejected rows than this are wrong as a whole; their rows are told by number alone."""


def ingest(
    mapping: Mapping,
    input_path: Path,
    out: Path,
    *,
    n_shards: int | None = None,
    key_path: Path | None = None,
    quarantine: Path | None = None,
    max_reject_share: float | None = None,
) -> IngestAccount:
    """Turn the tables of one source into a dataset.

    Args:
        mapping: what the tables mean.
        input_path: the folder (or the one file) that holds them.
        out: the dataset's folder; a dataset that is there is replaced once the new one is whole.
        n_shards: how many event files; made from the input's size where it is not given.
        key_path: the project's pseudonym key, made where it is absent; beside the dataset where it is not given.
        quarantine: a folder for the rejected rows as they were sent, mode 700; none where it is not given.
        max_reject_share: in place of the mapping's own.

    Returns:
        What became of every row, as ingest.json has it.

    Raises:
        InputError: files that are missing, unreadable or lack columns, all of them, before anything is written.
        RejectsError: more rows were rejected than allowed; nothing is written.
        ConfigurationError: the key or a folder cannot be used.
    """
    files = discover(mapping, input_path)
    key = load_or_make_key(key_path or default_key_path(out), out)
    context = Context(mapping, Pseudonyms(key, mapping.id_space or mapping.name))
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = DatasetWriter(out, n_shards or default_n_shards(_unpacked_bytes(files)))
    try:
        extraction = Extraction(context, writer, Quarantine(quarantine, out) if quarantine else None)
        extraction.account.not_read = files_not_read(files, input_path)
        for name in reading_order(mapping):
            extraction.read_table(name, mapping.tables[name], files[name])
        extraction.account.check_rejects(
            mapping.max_reject_share if max_reject_share is None else max_reject_share
        )
        context.pseudonyms.check()
        extraction.finish(fingerprint(key))
    finally:
        writer.discard()
    return extraction.account


def _unpacked_bytes(files: dict[str, list[SourceFile]]) -> int:
    sources = {source.path: source for found in files.values() for source in found}
    return sum(
        path.stat().st_size * (PARQUET_UNPACKED if source.is_parquet or path.suffix == ".gz" else 1)
        for path, source in sources.items()
    )


class Extraction:
    """The state of one ingest: what has been built so far, and the account of it.

    Args:
        context: shared by all tables.
        writer: takes events and lineage as they come.
        quarantine: takes rejected rows as they were sent, if anybody wants them.
    """

    def __init__(self, context: Context, writer: DatasetWriter, quarantine: Quarantine | None) -> None:
        self.context = context
        self.writer = writer
        self.quarantine = quarantine
        self.account = IngestAccount(context.mapping.name)
        self._contacts: list[pl.DataFrame] = []
        self._codings: list[pl.DataFrame] = []
        self._windows: list[pl.DataFrame] = []
        self._joint_windows: list[pl.DataFrame] = []
        self._extents: list[pl.DataFrame] = []
        self._descriptions: list[pl.DataFrame] = []
        self._once: dict[int, pl.DataFrame] = {}

    def read_table(self, name: str, table: Table, sources: list[SourceFile]) -> None:
        """Read one table to its end."""
        sources = with_labels(table, sources, self.context.pseudonyms)
        if has_births(table):
            self._learn_births(table, sources)
        tallies = [FileTally() for _ in sources]
        taken = sorted(columns_taken(self.context.mapping).get(name, ()))
        lookups: list[pl.DataFrame] = []
        rejected: list[pl.DataFrame] = []
        seen = SeenRows()
        for raw in self._frames(table, sources):
            ledger = Ledger(raw["_file_no"], raw["_row"])
            rows = prepare(table, raw, self.context, ledger, seen)
            if taken:
                ledger.use(rows["_index"])
                lookups.append(rows.select(taken))
            self._build(table, rows, ledger, sources)
            merge(tallies, ledger.tally(len(sources)))
            rejected.append(ledger.rejected())
            if self.quarantine:
                self.quarantine.add(name, raw, ledger.faults())
        if taken:
            self._keep_lookup(name, taken, lookups)
        self._close(name, sources, tallies, _with_offsets(table, sources, rejected))

    def _frames(self, table: Table, sources: list[SourceFile]) -> Iterator[pl.DataFrame]:
        """The table's rows; at once where rows are compared with each other."""
        if not sources:
            return
        optional = [name for name, column in table.columns.items() if column.optional]
        frames = (_with_columns(frame, optional) for frame in read_frames(table, sources, self.writer.work))
        if table.unique:
            whole = list(frames)
            yield from [pl.concat(whole, how="diagonal_relaxed")] if whole else []
        else:
            yield from frames

    def _learn_births(self, table: Table, sources: list[SourceFile]) -> None:
        """Births come before everything else, so that no event of any table slips in before its subject's birth."""
        seen = SeenRows()
        found = [self.context.births]
        for raw in self._frames(table, sources):
            unheard = Ledger(raw["_file_no"], raw["_row"])
            rows = prepare(table, raw, self.context, unheard, seen)
            for event in table.events:
                if is_birth(event):
                    births = build_events(event, rows, self.context, unheard)
                    found.append(births.select("subject_id", birth_time="time"))
        self.context.births = pl.concat(found).group_by("subject_id").agg(pl.col("birth_time").min())
        self.context.counts.clear()

    def _keep_lookup(self, name: str, taken: list[str], lookups: list[pl.DataFrame]) -> None:
        nothing = pl.DataFrame(schema=dict.fromkeys(taken, pl.String))
        self.context.lookups[name] = pl.concat(lookups, how="vertical_relaxed") if lookups else nothing
        subjects = self.context.mapping.subjects
        if subjects and subjects.table == name:
            lookup = self.context.lookups[name]
            self.context.subjects = lookup.select(text_of(lookup, subjects.column)).to_series().unique()

    def _build(self, table: Table, rows: pl.DataFrame, ledger: Ledger, sources: list[SourceFile]) -> None:
        """Everything that one frame of rows becomes."""
        for contact in table.contacts:
            made = build_contacts(contact, rows, self.context, ledger)
            self._contacts.append(self._with_lineage(made, ledger, sources))
        for event in table.events:
            self._add_events(event, build_events(event, rows, self.context, ledger), ledger, sources)
        for coding in table.codings:
            made = build_codings(coding, rows, self.context, ledger).with_columns(sent_code="code")
            self._codings.append(self._with_lineage(made, ledger, sources))
        for window in table.observation:
            made = build_windows(window, rows, self.context, ledger)
            (self._joint_windows if window.combine else self._windows).append(made)

    def _add_events(
        self, event: Event, made: pl.DataFrame, ledger: Ledger, sources: list[SourceFile]
    ) -> None:
        if event.once:
            made = self._first_of_each(id(event), made)
        if event.description:
            self._descriptions.append(made.select("code", "description").unique())
        with_ids = self._with_lineage(made, ledger, sources)
        self.writer.add_events(with_ids.select(EVENTS.names()))
        if self.context.mapping.observe != "none" and not event.time.static:
            dated = made.lazy().filter(pl.col("code") != BIRTH_CODE).group_by("subject_id")
            self._extents.append(
                dated.agg(
                    pl.col("time").min().alias("start_time"), pl.col("time").max().alias("end_time")
                ).collect()
            )

    def _first_of_each(self, event_no: int, made: pl.DataFrame) -> pl.DataFrame:
        """Equal events of a subject once, the one that was read first."""
        facts = [
            "subject_id",
            "time",
            "code",
            "numeric_value",
            "text_value",
            "known_time",
            "unit",
            "contact_id",
        ]
        fresh = made.unique(facts, keep="first", maintain_order=True)
        seen = self._once.get(event_no)
        if seen is not None:
            fresh = fresh.join(seen, on=facts, how="anti", nulls_equal=True, maintain_order="left")
        new = fresh.select(facts)
        self._once[event_no] = new if seen is None else pl.concat([seen, new])
        return fresh

    def _with_lineage(self, made: pl.DataFrame, ledger: Ledger, sources: list[SourceFile]) -> pl.DataFrame:
        """The rows with lineage ids, and the lineage written: file, row and what was sent."""
        ids = self.context.lineage_ids(made.height)
        labels = pl.Series([source.label for source in sources], dtype=pl.String)
        file_no = pl.Series(ledger.file_no[made["_index"].to_numpy()])
        lineage = made.with_columns(
            lineage_id=ids,
            source=pl.lit(self.context.mapping.name),
            file=labels.gather(file_no) if len(sources) > 1 else pl.lit(sources[0].label),
            row="_row",
        )
        self.writer.add_lineage(
            lineage.select(
                pl.col(name) if name in lineage.columns else pl.lit(None, dtype).alias(name)
                for name, dtype in LINEAGE.items()
            )
        )
        return made.with_columns(lineage_id=ids)

    def _close(
        self, name: str, sources: list[SourceFile], tallies: list[FileTally], rejected: pl.DataFrame
    ) -> None:
        for source, tally in zip(sources, tallies, strict=True):
            if not tally.is_closed:
                problem = Problem(
                    "the account of a file does not close", source.label, next_step="report this as a fault"
                )
                raise InputError(problem)
            self.account.files[name, source.label] = tally
        self.account.rejected = pl.concat([self.account.rejected, rejected])
        logger.info("%s: %s rows in %s files", name, f"{sum(t.n_read for t in tallies):,}", len(sources))

    def finish(self, key_fingerprint: str) -> None:
        """Combine contacts and windows, write the dataset, and close the account."""
        mapping = self.context.mapping
        contacts = self._finished_contacts()
        codings = (
            pl.concat(self._codings, how="diagonal").select(CODINGS.names())
            if self._codings
            else pl.DataFrame(schema=CODINGS)
        )
        windows = self._finished_windows(contacts)
        n_unlinked = self.writer.write_events(contacts["contact_id"])
        self.account.totals = {
            "subjects": self.context.pseudonyms.count("subject"),
            "events": self.writer.n_events,
            "contacts": contacts.height,
            "codings": codings.height,
            "observation_windows": windows.height,
            "lineage_rows": self.writer.n_lineage,
            "events_without_their_contact": n_unlinked,
            **self.context.counts,
        }
        descriptions = pl.DataFrame(schema={"code": pl.String, "description": pl.String})
        self.writer.finish(
            contacts=contacts,
            codings=codings,
            observation=windows,
            rejected=self.account.rejected.select(REJECTED.names()),
            descriptions=pl.concat([descriptions, *self._descriptions]),
            metadata=_metadata(mapping, key_fingerprint),
            account_json=self.account.as_json(),
        )

    def _finished_contacts(self) -> pl.DataFrame:
        if not self._contacts:
            return finished_contacts(pl.DataFrame(schema={"contact_id": pl.Int64, "subject_id": pl.Int64}))
        combined = combine(pl.concat(self._contacts))
        is_shared = combined["contact_id"].is_duplicated()
        self.context.counts["contacts_of_several_subjects"] += combined.filter(is_shared)[
            "contact_id"
        ].n_unique()
        combined = combined.filter(~is_shared)
        self.writer.add_events(contact_events(combined))
        return finished_contacts(combined)

    def _finished_windows(self, contacts: pl.DataFrame) -> pl.DataFrame:
        """The windows that the source gives, and for the other subjects those that the mapping derives."""
        given = pl.concat([pl.DataFrame(schema=OBSERVATION), *self._windows]).unique()
        joint = pl.concat([pl.DataFrame(schema=OBSERVATION), *self._joint_windows])
        windows = pl.concat([given, combined_windows(joint)])
        observe = self.context.mapping.observe
        extents = [contacts.select("subject_id", "start_time", "end_time")] if observe == "contacts" else []
        extents += [pl.concat(self._extents)] if self._extents else []
        for extent in extents:
            fresh = extent.join(windows, on="subject_id", how="anti")
            windows = pl.concat([windows, derived_windows(fresh, self.context.mapping.name)])
        return windows


def _with_columns(frame: pl.DataFrame, optional: list[str]) -> pl.DataFrame:
    missing = [name for name in optional if name not in frame.columns]
    return frame.with_columns(pl.lit(None, pl.String).alias(name) for name in missing) if missing else frame


def _with_offsets(table: Table, sources: list[SourceFile], rejected: list[pl.DataFrame]) -> pl.DataFrame:
    """Rejected fields with their file's label and, in text files, the byte at which the row begins."""
    parts = [pl.DataFrame(schema=REJECTED)]
    whole = pl.concat(rejected) if rejected else pl.DataFrame(schema={"_file_no": pl.UInt32})
    for (file_no,), part in (
        whole.sort("_file_no", maintain_order=True).partition_by("_file_no", as_dict=True).items()
    ):
        source = sources[int(str(file_no))]
        rows = part["row"].to_list()
        is_told = not source.is_parquet and len(rows) <= OFFSETS_AT_MOST
        offsets = (
            row_offsets(source.path, rows, has_header=not table.column_names)
            if is_told
            else [None] * len(rows)
        )
        parts.append(
            part.select(
                pl.lit(source.label).alias("file"),
                "row",
                pl.Series("byte_offset", offsets, dtype=pl.Int64),
                "field",
                "reason",
            )
        )
    return pl.concat(parts)


def _metadata(mapping: Mapping, key_fingerprint: str) -> dict[str, object]:
    anchor = mapping.nominal_anchor
    return {
        "dataset_name": mapping.name,
        "dataset_version": mapping.version,
        "license": mapping.licence,
        "description_uri": mapping.source,
        "title": mapping.title,
        "nominal_anchor": anchor.replace(tzinfo=None).isoformat() if anchor else None,
        "key_fingerprint": key_fingerprint,
    }
