"""What the tables of one ingest have become so far: events go to the writer, small tables are kept."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from phenotype.trajectory import BIRTH_CODE, CODINGS, EVENTS, LINEAGE, OBSERVATION
from phenotype.writing import DatasetWriter
from pipelines.sources.accounting import Ledger
from pipelines.sources.context import Context
from pipelines.sources.mapping import Event, Table
from pipelines.sources.outputs import build_events
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
from pipelines.sources.tables import SourceFile

_FACTS = [name for name in EVENTS if name != "lineage_id"]


class Collection:
    """Takes prepared rows and holds what they become.

    Args:
        context: shared by all tables.
        writer: takes events and lineage as they come.
    """

    def __init__(self, context: Context, writer: DatasetWriter) -> None:
        self._context = context
        self._writer = writer
        self._guard = context.guard
        self._contacts: list[pl.DataFrame] = []
        self._codings: list[pl.DataFrame] = []
        self._windows: list[pl.DataFrame] = []
        self._joint_windows: list[pl.DataFrame] = []
        self._extents: list[pl.DataFrame] = []
        self._descriptions: list[pl.DataFrame] = []
        self._once: dict[int, pl.DataFrame] = {}

    def add(self, table: Table, rows: pl.DataFrame, ledger: Ledger, sources: Sequence[SourceFile]) -> None:
        """Everything that one frame of prepared rows becomes.

        Args:
            table: what the mapping says.
            rows: prepared rows of the table.
            ledger: of the frame that they came from.
            sources: the table's files, for the lineage.
        """
        for contact in table.contacts:
            made = self._guard.contacts(build_contacts(contact, rows, self._context, ledger))
            self._contacts.append(self._with_lineage(made, ledger, sources))
        for event in table.events:
            made = build_events(event, rows, self._context, ledger)
            made = self._guard.events(made, is_free_text=event.free_text)
            made = self._first_of_each(event, made) if event.once else made
            self._note(event, made)
            events = self._with_lineage(made, ledger, sources).select(EVENTS.names())
            self._writer.add_events(self._guard.without_births(events))
        for coding in table.codings:
            made = self._guard.codings(build_codings(coding, rows, self._context, ledger))
            self._codings.append(self._with_lineage(made, ledger, sources).select(CODINGS.names()))
        for window in table.observation:
            made = self._guard.windows(build_windows(window, rows, self._context, ledger))
            (self._joint_windows if window.combine else self._windows).append(made)

    def _note(self, event: Event, made: pl.DataFrame) -> None:
        """Keep what codes mean, and from when to when each subject has events."""
        if event.description:
            self._descriptions.append(made.select("code", "description").unique())
        if self._context.mapping.observe != "none" and not event.time.static:
            dated = made.lazy().filter(pl.col("code") != BIRTH_CODE).group_by("subject_id")
            extent = dated.agg(start_time=pl.col("time").min(), end_time=pl.col("time").max())
            self._extents.append(extent.collect())

    def _first_of_each(self, event: Event, made: pl.DataFrame) -> pl.DataFrame:
        """Equal events of a subject once: the one that was read first."""
        fresh = made.unique(_FACTS, keep="first", maintain_order=True)
        seen = self._once.get(id(event))
        if seen is not None:
            fresh = fresh.join(seen, on=_FACTS, how="anti", nulls_equal=True, maintain_order="left")
        new = fresh.select(_FACTS)
        self._once[id(event)] = new if seen is None else pl.concat([seen, new])
        return fresh

    def _with_lineage(
        self, made: pl.DataFrame, ledger: Ledger, sources: Sequence[SourceFile]
    ) -> pl.DataFrame:
        """The rows with lineage ids, once the lineage is written: file, row and what was sent."""
        with_ids = made.with_columns(lineage_id=self._context.lineage_ids(made.height))
        labels = pl.Series("file", [source.label for source in sources], dtype=pl.String)
        labels = self._guard.gate.column(labels)
        file_no = pl.Series(ledger.file_no[made["_index"].to_numpy()])
        lineage = with_ids.with_columns(
            source=pl.lit(self._context.mapping.name),
            file=labels.gather(file_no) if len(sources) > 1 else pl.lit(labels[0]),
            row="_row",
        )
        missing = [
            pl.lit(None, dtype).alias(name) for name, dtype in LINEAGE.items() if name not in lineage.columns
        ]
        self._writer.add_lineage(lineage.with_columns(missing).select(LINEAGE.names()))
        return with_ids

    def contacts(self) -> pl.DataFrame:
        """The contacts with their stays, columns of CONTACTS; their events go to the writer.

        So do the births that waited for the last record of all, which this is.
        """
        self._writer.add_events(self._guard.births())
        nothing = pl.DataFrame(schema={"contact_id": pl.Int64, "subject_id": pl.Int64})
        if not self._contacts:
            return finished_contacts(nothing)
        combined = combine(pl.concat(self._contacts))
        is_shared = combined["contact_id"].is_duplicated()
        n_shared = combined.filter(is_shared)["contact_id"].n_unique()
        if n_shared:
            self._context.counts["contacts_of_several_subjects_left_out"] = n_shared
        combined = combined.filter(~is_shared)
        self._writer.add_events(contact_events(combined))
        return finished_contacts(combined)

    def codings(self) -> pl.DataFrame:
        """The codings, columns of CODINGS."""
        return pl.concat([pl.DataFrame(schema=CODINGS), *self._codings])

    def windows(self, contacts: pl.DataFrame) -> pl.DataFrame:
        """The windows that the source gives, and for the other subjects those that the mapping derives."""
        given = pl.concat([pl.DataFrame(schema=OBSERVATION), *self._windows]).unique()
        joint = pl.concat([pl.DataFrame(schema=OBSERVATION), *self._joint_windows])
        windows = pl.concat([given, combined_windows(joint)])
        mapping = self._context.mapping
        extents = (
            [contacts.select("subject_id", "start_time", "end_time")] if mapping.observe == "contacts" else []
        )
        extents += [pl.concat(self._extents)] if self._extents else []
        for extent in extents:
            fresh = extent.join(windows, on="subject_id", how="anti")
            windows = pl.concat([windows, derived_windows(fresh, mapping.name)])
        return windows

    def descriptions(self) -> pl.DataFrame:
        """What the source says that codes mean: code, description."""
        return pl.concat(
            [pl.DataFrame(schema={"code": pl.String, "description": pl.String}), *self._descriptions]
        )
