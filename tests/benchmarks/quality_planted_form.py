"""Faults of form, completeness, sources and identity, with the checks that must find them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
from quality_planting import (
    CODE,
    DAY,
    HOUR,
    IN_ATC,
    IN_ICD,
    IN_NLK,
    IN_VITAL,
    INPATIENT,
    MAIN,
    NEW_ID,
    OF_2020,
    OTHER,
    OUTPATIENT,
    TIME,
    accounted,
    busiest,
    changed,
    each,
    events_of_one,
    first,
    more_people,
    numbers_as_ids,
    of_contacts,
    of_first_file,
    of_subjects,
    quietest,
    repeated,
    some,
    valid_number,
    without,
)

FORM: tuple[Any, ...] = (
    # conformance
    (
        "a column of another type",
        lambda h: replace(h, lineage=h.lineage.with_columns(pl.col("row").cast(pl.Int32))),
        "columns-present",
    ),
    (
        "events out of order",
        lambda h: replace(
            h, events=h.events.sort("subject_id", "time", descending=[False, True]), is_sorted=False
        ),
        "events-sorted",
    ),
    (
        "a subject in two files",
        lambda h: replace(h, torn_subject=int(busiest(h.people)[0])),
        "subject-in-one-file",
    ),
    ("a contact twice", repeated("contacts", first(OUTPATIENT, 1)), "contact-id-unique"),
    ("a code listed twice", lambda h: replace(h, codes=(*h.codes, h.codes[0])), "code-listed-once"),
    # Its events name a contact of nobody, which is as good as none.
    (
        "a contact of nobody",
        changed("contacts", first(OUTPATIENT, 1), subject_id=None),
        "contact-has-owner",
        "event-contact-known",
    ),
    ("a stay that is no contact", changed("contacts", first(OUTPATIENT, 1), stay_id=1), "stay-is-known"),
    ("a coding of no contact", changed("codings", first(OTHER, 1), contact_id=1), "coding-has-contact"),
    ("an event of no contact", changed("events", first(IN_VITAL, 1), contact_id=1), "event-contact-known"),
    (
        "an event of another's contact",
        lambda h: changed("events", first(IN_VITAL, 1), contact_id=h.contacts["contact_id"][-1])(h),
        "event-contact-own",
    ),
    ("a code without its system", changed("events", first(IN_NLK, 1), code="CRP"), "code-written-whole"),
    (
        "a value that is no number",
        changed("events", first(IN_NLK, 1), numeric_value=float("nan")),
        "values-are-numbers",
    ),
    (
        "an infinite value",
        changed("events", first(IN_VITAL, 1), numeric_value=float("inf")),
        "values-are-numbers",
    ),
    (
        "a care level in Norwegian",
        changed("contacts", first(OUTPATIENT, 1), care_level="poliklinisk"),
        "care-level-words",
    ),
    (
        "an urgency in Norwegian",
        changed("contacts", first(OUTPATIENT, 1), urgency="planlagt"),
        "urgency-words",
    ),
    ("a role in Norwegian", changed("codings", first(OTHER, 1), role="bidiagnose"), "coding-role-words"),
    (
        "procedures under the name of ICD-10",
        changed("events", some(IN_ICD, 0.004), code="ICD10-NO//JEA01"),
        "code-form",
    ),
    (
        "a window that ends before it starts",
        of_subjects("observation", quietest, pl.lit(value=True), end_time=pl.col("start_time") - DAY),
        "windows-forward",
    ),
    # completeness
    ("lineage cut", without("lineage", pl.int_range(pl.len()) >= pl.len() - 5), "lineage-complete"),
    ("an event without lineage", changed("events", first(IN_NLK, 1), lineage_id=None), "lineage-named"),
    ("births missing", of_subjects("events", each(20), CODE == "MEDS_BIRTH"), "birth-known"),
    ("sexes missing", of_subjects("events", each(20), CODE.str.starts_with("SEX//")), "sex-known"),
    ("people of whom nothing is known", more_people, "subject-has-facts"),
    ("a subject without a window", of_subjects("observation", quietest, pl.lit(value=True)), "window-known"),
    ("starts missing", changed("contacts", some(OUTPATIENT, 0.004), start_time=None), "contact-start-known"),
    ("ends missing", changed("contacts", some(OUTPATIENT, 0.05), end_time=None), "contact-end-known"),
    ("care levels missing", changed("contacts", some(OUTPATIENT, 0.05), care_level=None), "care-level-known"),
    (
        "urgencies missing",
        changed("contacts", some(pl.col("contact_id").is_not_null(), 0.2), urgency=None),
        "urgency-known",
    ),
    ("units missing", changed("contacts", some(OUTPATIENT, 0.05), unit_id=None), "unit-known"),
    ("hospitals missing", changed("contacts", some(OUTPATIENT, 0.05), hospital_id=None), "hospital-known"),
    (
        "discharges missing",
        changed("contacts", some(INPATIENT & (pl.col("discharged_to") == "home"), 0.2), discharged_to=None),
        "discharge-place-known",
    ),
    ("stays without codes", of_contacts("codings", some(INPATIENT, 0.1), pl.lit(value=True)), "stay-coded"),
    ("main conditions missing", changed("codings", some(MAIN, 0.02), role="other"), "main-condition-missing"),
    (
        "two main conditions",
        changed("codings", some(OTHER & (pl.col("group_no") == 2), 0.02), role="main"),
        "main-condition-single",
    ),
    ("versions missing", changed("codings", some(MAIN | OTHER, 0.2), version=None), "coding-version-known"),
    ("times of coding missing", changed("codings", some(OTHER, 0.1), coded_time=None), "coded-time-known"),
    (
        "vital signs without contact",
        changed("events", some(IN_VITAL, 0.4), contact_id=None),
        "measurement-in-contact",
    ),
    (
        "diagnoses without contact",
        changed("events", some(IN_ICD, 0.05), contact_id=None),
        "diagnosis-in-contact",
    ),
    ("drugs without dose", changed("events", some(IN_ATC, 0.8), numeric_value=None), "drug-has-dose"),
    # sources
    ("rows of no fate", accounted(of_first_file(rows_used=0.001)), "account-closed"),
    ("rows rejected", accounted(of_first_file(rows_used=0.05, rows_rejected=0.05)), "rows-rejected"),
    ("fields rejected", accounted(of_first_file(fields_rejected=0.05)), "fields-rejected"),
    ("rows ignored", accounted(of_first_file(rows_used=0.6, rows_ignored=0.6)), "rows-ignored"),
    (
        "files that nobody reads",
        accounted(lambda account: account.update(files_not_read={"*.csv": 40})),
        "files-not-read",
    ),
    (
        "links lost",
        accounted(
            lambda account: account["totals"].update(
                events_without_their_contact=account["totals"]["events"] // 20
            )
        ),
        "links-lost",
    ),
    (
        "a silent laboratory",
        without("events", IN_NLK & (TIME.dt.year() == 2019) & TIME.dt.month().is_between(5, 6)),
        "silent-system",
    ),
    (
        "a silent hospital",
        changed(
            "contacts",
            OF_2020
            & (pl.col("start_time").dt.month() == 4)
            & (pl.col("hospital_id") == "Nidelv universitetssykehus"),
            hospital_id="Innherred sykehus",
        ),
        "silent-hospital",
    ),
    (
        "a unit of another name",
        changed(
            "contacts",
            (pl.col("unit_id") == "POL") & (pl.col("start_time").dt.year() >= 2021),
            unit_id="POL2",
        ),
        "silent-unit",
    ),
    # identity
    (
        "a national number in a text",
        changed("events", first(IN_NLK, 1), text_value=f"ring {valid_number()}"),
        "identity-numbers",
    ),
    (
        "a national number in the lineage",
        changed("lineage", pl.int_range(pl.len()) == 5, sent_value=valid_number()),
        "identity-numbers-in-lineage",
    ),
    ("national numbers as pseudonyms", numbers_as_ids, "identity-numbers-as-ids"),
    (
        "letters as texts",
        changed(
            "events",
            some(IN_VITAL & pl.col("text_value").is_not_null(), 0.01),
            text_value="Kjære kollega. " * 20,
        ),
        "free-text",
    ),
    (
        "two sexes",
        repeated("events", first(CODE == "SEX//male", 3), code="SEX//female"),
        "one-sex",
    ),
    (
        "stays twice",
        repeated(
            "contacts",
            some(INPATIENT & (pl.col("end_time") - pl.col("start_time") > 30 * HOUR), 0.1),
            contact_id=NEW_ID,
            start_time=pl.col("start_time") + HOUR,
        ),
        "overlapping-inpatient",
    ),
    (
        "a stay at another hospital too",
        repeated(
            "contacts",
            some(INPATIENT & (pl.col("end_time") - pl.col("start_time") > 30 * HOUR), 0.05),
            contact_id=NEW_ID,
            start_time=pl.col("end_time") - 10 * HOUR,
            end_time=pl.col("end_time") + HOUR,
            hospital_id="St. Elsewhere",
        ),
        "two-hospitals-at-once",
    ),
    ("a monitor under one number", events_of_one, "too-much-for-one"),
)
"""Each fault: its name, how it is planted, and the checks that must find it."""
