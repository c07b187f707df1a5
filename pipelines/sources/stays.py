"""Prepared rows become contacts, codings and observation windows; rows of one contact are combined."""

from __future__ import annotations

import polars as pl

from phenotype.trajectory import CONTACTS, EVENTS, INSTANT, OBSERVATION
from pipelines.sources.accounting import Ledger
from pipelines.sources.cells import texts
from pipelines.sources.context import BEFORE_BIRTH, NO_TIME, Context
from pipelines.sources.fields import Text
from pipelines.sources.mapping import Coding, Contact, Observation
from pipelines.sources.outputs import EMPTY_CODE, Gate, taken_rows
from pipelines.sources.preparation import keep_where
from pipelines.sources.times import instants

NO_CONTACT = "no contact"
END_BEFORE_START = "end before start"
CONTACT_WORDS = ("care_level", "urgency", "unit_id", "hospital_id", "admitted_from", "discharged_to")
UNKNOWN_LEVEL = "unknown"


def build_contacts(contact: Contact, rows: pl.DataFrame, context: Context, ledger: Ledger) -> pl.DataFrame:
    """The contacts of one output, one row an id.

    Returns:
        The columns of CONTACTS, end_known_time, events, and _index and _row of the first row of each.
    """
    rows = keep_where(rows, contact.when, ledger)
    if contact.subject:
        rows = context.with_subjects(rows, contact.subject, ledger, "subject")
    gate = Gate(rows, ledger)
    ids = context.pseudonyms.of("contact", texts(rows, contact.id))
    gate.reject(ids.is_null(), "contact", NO_CONTACT)
    start = _optional_time(gate, contact, "start", context)
    end = _optional_time(gate, contact, "end", context)
    before_birth = context.is_before_birth(rows["_subject"], start)
    if before_birth is not None:
        gate.reject(before_birth, "start", BEFORE_BIRTH)
    is_reversed = (end < start).fill_null(value=False)
    if is_reversed.any():
        ledger.reject(rows["_index"].filter(is_reversed), "end", END_BEFORE_START)
        end = pl.DataFrame({"e": end, "r": is_reversed}).select(pl.when(~pl.col("r")).then("e")).to_series()
    words = {name: texts(rows, getattr(contact, name.removesuffix("_id"))) for name in CONTACT_WORDS}
    made = gate.passed(
        {
            "contact_id": ids,
            "subject_id": rows["_subject"],
            "referral_period_id": context.pseudonyms.of("referral", texts(rows, contact.referral_period)),
            "start_time": start,
            "end_time": end,
            **words,
            "end_known_time": _optional_time(gate, contact, "end_known_time", context),
            "events": pl.repeat(contact.events, rows.height, eager=True),
        }
    )
    return combine(made)


def _optional_time(gate: Gate, contact: Contact, name: str, context: Context) -> pl.Series:
    """A time that may be null; a wrong one is a rejected field, a wrong start a rejected contact."""
    time = getattr(contact, name)
    if time is None:
        return pl.repeat(None, gate.rows.height, dtype=INSTANT, eager=True)
    found = instants(gate.rows, time, context.clock)
    if name == "start":
        values = gate.time(found, "start")
        gate.reject(values.is_null() & gate.is_good, "start", NO_TIME)
        return values
    if found.reasons is not None:
        for reason in found.reasons.unique().drop_nulls().sort().to_list():
            is_wrong = (found.reasons == reason).fill_null(value=False)
            gate.ledger.reject(gate.rows["_index"].filter(is_wrong), name, reason)
    return found.values


def combine(contacts: pl.DataFrame) -> pl.DataFrame:
    """One row a contact: the earliest start, the latest end, and of differing words the first by alphabet."""
    if contacts.height == contacts["contact_id"].n_unique():
        return contacts
    others = [name for name in ("_file_no", "lineage_id") if name in contacts.columns]
    return (
        contacts.group_by("contact_id", "subject_id")
        .agg(
            pl.col("_index", "_row", *others, "referral_period_id", "start_time", *CONTACT_WORDS).min(),
            pl.col("end_time", "end_known_time").max(),
            pl.col("events").any(),
        )
        .select(contacts.columns)
        .sort("_index")
    )


def contact_events(contacts: pl.DataFrame) -> pl.DataFrame:
    """CONTACT//<care_level> at admission and CONTACT_END//<care_level> at discharge, columns of EVENTS."""
    told = contacts.filter("events").with_columns(level=pl.col("care_level").fill_null(UNKNOWN_LEVEL))
    known = pl.when(pl.col("end_known_time") > pl.col("end_time")).then("end_known_time")
    begin = told.with_columns(
        time="start_time", code=pl.format("CONTACT//{}", "level"), known_time=pl.lit(None, INSTANT)
    )
    end = told.with_columns(time="end_time", code=pl.format("CONTACT_END//{}", "level"), known_time=known)
    both = pl.concat([begin, end]).filter(pl.col("time").is_not_null())
    return both.select(
        (pl.col(name) if name in both.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in EVENTS.items()
    )


def finished_contacts(contacts: pl.DataFrame) -> pl.DataFrame:
    """The contacts with their stays, columns and order of contacts.parquet."""
    from phenotype.contacts import join_stays

    columns = [
        (pl.col(name) if name in contacts.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in CONTACTS.items()
    ]
    return join_stays(contacts.select(columns)).sort("subject_id", "start_time", "end_time", "contact_id")


def build_codings(coding: Coding, rows: pl.DataFrame, context: Context, ledger: Ledger) -> pl.DataFrame:
    """The codings of one output: the columns of CODINGS but lineage_id, with subject_id, _index and _row."""
    rows = taken_rows(coding, rows, context, ledger)
    gate = Gate(rows, ledger)
    gate.reject(rows["_contact"].is_null(), "contact", NO_CONTACT)
    code = texts(rows, coding.code)
    gate.reject((code.is_null() | (code == "")).fill_null(value=True), "code", EMPTY_CODE)
    time = instants(rows, coding.coded_time, context.clock) if coding.coded_time else None
    coded_time = (
        gate.time(time, "coded_time") if time else pl.repeat(None, rows.height, dtype=INSTANT, eager=True)
    )
    numbers = {
        name: _whole(rows, getattr(coding, name)) for name in ("group_no", "code_no", "condition_group_no")
    }
    if coding.sequence:
        sequence = rows[coding.sequence].cast(pl.Float64, strict=False)
        role = (
            sequence.to_frame("s")
            .select(pl.when(pl.col("s") == 1).then(pl.lit("main")).otherwise(pl.lit("other")))
            .to_series()
        )
    else:
        role = texts(rows, coding.role)
    return gate.passed(
        {
            "contact_id": rows["_contact"],
            "subject_id": rows["_subject"],
            "role": role,
            "system": texts(rows, coding.system),
            "version": texts(rows, coding.version),
            "code": code,
            "sent_code": code,
            "coded_time": coded_time,
            **numbers,
        }
    )


def _whole(rows: pl.DataFrame, cases: Text | None) -> pl.Series:
    return texts(rows, cases).cast(pl.Float64, strict=False).cast(pl.Int32, strict=False)


def build_windows(window: Observation, rows: pl.DataFrame, context: Context, ledger: Ledger) -> pl.DataFrame:
    """Observation windows of one output, columns of OBSERVATION; rows without an end have none."""
    rows = keep_where(rows, window.when, ledger)
    if window.subject:
        rows = context.with_subjects(rows, window.subject, ledger, "subject")
    gate = Gate(rows, ledger)
    start = gate.time(instants(rows, window.start, context.clock), "observation start")
    gate.reject(start.is_null() & gate.is_good, "observation start", NO_TIME)
    end = gate.time(instants(rows, window.end, context.clock), "observation end")
    gate.ignore(end.is_null() & gate.is_good, "no end of observation")
    gate.reject((end < start).fill_null(value=False), "observation end", END_BEFORE_START)
    made = gate.passed(
        {
            "subject_id": rows["_subject"],
            "source": texts(rows, window.source).fill_null(context.mapping.name),
            "start_time": start,
            "end_time": end,
            "end_reason": texts(rows, window.end_reason),
        }
    ).select(OBSERVATION.names())
    return combined_windows(made) if window.combine else made.unique()


def combined_windows(windows: pl.DataFrame) -> pl.DataFrame:
    """One window a subject: from the earliest start to the latest end, with the reason of the latest."""
    return (
        windows.sort("subject_id", "end_time", "end_reason", nulls_last=False)
        .group_by("subject_id", "source", maintain_order=True)
        .agg(pl.col("start_time").min(), pl.col("end_time").max(), pl.col("end_reason").last())
        .select(OBSERVATION.names())
    )


def derived_windows(extent: pl.DataFrame, source: str) -> pl.DataFrame:
    """Windows from the first to the last of something that has subject_id, start_time and end_time."""
    return (
        extent.drop_nulls()
        .group_by("subject_id")
        .agg(pl.col("start_time").min(), pl.col("end_time").max())
        .with_columns(source=pl.lit(source), end_reason=pl.lit("last record"))
        .select(OBSERVATION.names())
    )
