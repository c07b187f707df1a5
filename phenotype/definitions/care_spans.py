"""Stays and contacts as spans: when each began and ended, and which one an event belongs to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ontology.errors import InputError, Problem
from phenotype.contacts import join_stays, stays
from phenotype.definitions.mark_windows import Line
from phenotype.definitions.marks import Ints, instants

NONE = np.iinfo(np.int64).min
"""Stands for a null id."""


@dataclass(frozen=True)
class CareSpans:
    """A dataset's stays and contacts.

    Attributes:
        stays: columns of STAYS, sorted by subject, start and id.
        contacts: columns of CONTACTS with stay_id, those without a start left out, sorted likewise.
    """

    stays: pl.DataFrame
    contacts: pl.DataFrame

    def ends(self, unit: str) -> pl.DataFrame:
        """`stay_id` or `contact_id` with `unit_end`, null where it has not ended."""
        spans = self.stays if unit == "stay" else self.contacts
        return spans.select(f"{unit}_id", pl.col("end_time").alias("unit_end"))

    def belonging(self, events: pl.DataFrame) -> pl.DataFrame:
        """The stay and contact of each event.

        An event belongs to the contact it names, where that is a contact of its subject, and to that
        contact's stay; else to those that began last at or before it, if they are not over by then.

        Args:
            events: subject_id, time, contact_id.

        Returns:
            stay_id, contact_id; nulls where there is none; as many rows, in the same order.
        """
        named = events.select("subject_id", "contact_id").join(
            self.contacts.select("subject_id", "contact_id", "stay_id", is_there=pl.lit(value=True)),
            on=["subject_id", "contact_id"],
            how="left",
            maintain_order="left",
        )
        subject, time = instants(events, "subject_id"), instants(events, "time")
        columns = []
        for spans, name in ((self.stays, "stay_id"), (self.contacts, "contact_id")):
            by_time = pl.Series("by_time", _last_begun(spans, name, subject, time)).replace(NONE, None)
            own = pl.when(pl.col("is_there")).then(name).otherwise(pl.lit(by_time)).alias(name)
            columns.append(own)
        return named.select(columns)


def care_spans(contacts: pl.DataFrame) -> CareSpans:
    """The stays and contacts of a dataset.

    Args:
        contacts: columns of CONTACTS, in any order; stays are joined where any stay_id is null.

    Raises:
        InputError: contacts without contact_id, or a contact_id or stay_id that several subjects share: one
            patient's marks would stand for another's.
    """
    begun = contacts.filter(pl.col("start_time").is_not_null() & pl.col("subject_id").is_not_null())
    with_stays = join_stays(begun) if begun["stay_id"].has_nulls() else begun
    _check_ids(with_stays)
    ordered = with_stays.sort("subject_id", "start_time", "contact_id", "end_time").unique(
        ["subject_id", "contact_id"], keep="first", maintain_order=True
    )
    return CareSpans(stays(with_stays).rechunk(), ordered.rechunk())


def _check_ids(contacts: pl.DataFrame) -> None:
    problems = []
    for name in ("contact_id", "stay_id"):
        n_subjects = contacts.drop_nulls(name).group_by(name).agg(pl.col("subject_id").n_unique())
        n_shared = n_subjects.filter(pl.col("subject_id") > 1).height
        for n, what in (
            (n_shared, f"{name} that several subjects share"),
            (contacts[name].null_count(), f"no {name}"),
        ):
            if n:
                problems.append(
                    Problem(
                        what,
                        where="contacts.parquet",
                        found=f"{n} of {contacts.height} contacts"
                        if what.startswith("no")
                        else f"{n} of them",
                        allowed=f"a {name} of its own for each, over all subjects",
                        next_step="number contacts over the whole dataset, not within each subject",
                    )
                )
    if problems:
        raise InputError(problems)


def _last_begun(spans: pl.DataFrame, name: str, subject: Ints, time: Ints) -> Ints:
    """The id of the span that began last at or before each instant and is not over; NONE where none is."""
    line = Line(spans, instants(spans, "subject_id"))
    first, _ = line.group_range(subject)
    place = line.place(subject, time, after_ties=True) - 1
    has_begun = place >= first
    place = np.where(has_begun, place, 0)
    if not spans.height:
        return np.full(len(subject), NONE)
    end = instants(spans, "end_time", null=np.iinfo(np.int64).max)
    is_inside = has_begun & (time <= end[place])
    return np.where(is_inside, instants(spans, name)[place], NONE)
