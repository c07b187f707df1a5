"""Persons, deaths, visits, places and windows of a dataset as OMOP tables, with tables beside them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from phenotype.trajectory import BIRTH_CODE, DEATH_CODE, EVENTS, INSTANT
from pipelines.export.omop_codes import NAME_WIDTH, OmopForm
from pipelines.export.omop_events import NO_DATE

_WIDTH = 50
_BARE = ["numeric_value", "text_value", "unit", "contact_id"]
PESTA_VISIT = pl.Schema(
    {
        "visit_occurrence_id": pl.Int32(),
        "care_level": pl.String(),
        "urgency": pl.String(),
        "referral_period": pl.Int64(),
        "hospital": pl.String(),
        "admitted_from": pl.String(),
        "discharged_to": pl.String(),
        "has_events": pl.Int32(),
        "end_known_time": INSTANT,
    }
)
PESTA_PERIOD = pl.Schema(
    {
        "observation_period_id": pl.Int32(),
        "source": pl.String(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "end_reason": pl.String(),
    }
)
PESTA_DEATH = pl.Schema({"person_id": pl.Int32(), "known_time": INSTANT})


@dataclass(frozen=True)
class Taken:
    """Events that became something else than a row of a clinical table.

    Attributes:
        births: subject_id, time.
        sexes: subject_id, code.
        deaths: subject_id, time, known_time.
        rest: the other events.
    """

    births: pl.DataFrame
    sexes: pl.DataFrame
    deaths: pl.DataFrame
    rest: pl.DataFrame


def take_persons(events: pl.DataFrame, form: OmopForm) -> Taken:
    """Take from a shard's events each subject's first plain birth, sex and death; further ones stay events.

    Args:
        events: columns of EVENTS, all events of the subjects that it has any of.
        form: concept ids.
    """
    bare = pl.all_horizontal(pl.col(name).is_null() for name in _BARE)
    is_birth = (pl.col("code") == BIRTH_CODE) & pl.col("time").is_not_null() & pl.col("known_time").is_null()
    is_sex = (
        pl.col("code").is_in(list(form.sexes)) & pl.col("time").is_null() & pl.col("known_time").is_null()
    )
    is_death = (pl.col("code") == DEATH_CODE) & pl.col("time").is_not_null()
    rest = events.with_row_index("_at")
    parts = []
    for which in (is_birth, is_sex, is_death):
        taken = rest.filter(bare & which).unique("subject_id", keep="first", maintain_order=True)
        rest = rest.join(taken.select("_at"), on="_at", how="anti", maintain_order="left")
        parts.append(taken)
    births, sexes, deaths = parts
    return Taken(
        births.select("subject_id", "time"),
        sexes.select("subject_id", "code"),
        deaths.select("subject_id", "time", "known_time"),
        rest.drop("_at"),
    )


def take_contact_events(events: pl.DataFrame, contacts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Take away the events that say no more than that a contact began and ended.

    Args:
        events: columns of EVENTS.
        contacts: columns of CONTACTS, of the subjects of the events.

    Returns:
        The other events; and contact_id, end_known_time of the contacts whose events were taken away. A
        contact of which one of the two events is missing, repeated or told otherwise keeps all that it has.
    """
    from pipelines.sources.stays import contact_events

    told = contacts.with_columns(events=pl.lit(value=True), end_known_time=pl.lit(None, INSTANT))
    expected = contact_events(told).select(EVENTS.names())
    keys = [name for name in EVENTS.names() if name not in {"known_time", "lineage_id"}]
    is_contact = pl.col("code").str.contains(r"^CONTACT(_END)?//")
    named = events.with_row_index("_at").filter(is_contact & pl.col("contact_id").is_not_null())
    marked = expected.select(keys).with_columns(_is=pl.lit(value=True))
    found = named.join(marked, on=keys, how="left", nulls_equal=True)
    is_end = pl.col("code").str.starts_with("CONTACT_END//")
    by_contact = found.group_by("contact_id").agg(
        pl.len().alias("_n"),
        pl.col("_is").fill_null(value=False).all(),
        (pl.col("known_time").is_null() | is_end).all().alias("_plain"),
        pl.col("known_time").filter(is_end).first().alias("end_known_time"),
        pl.struct("code", "time").n_unique().alias("_distinct"),
    )
    wanted = expected.group_by("contact_id").agg(pl.len().alias("_wanted"))
    whole = by_contact.join(wanted, on="contact_id").filter(
        (pl.col("_n") == pl.col("_wanted"))
        & (pl.col("_distinct") == pl.col("_wanted"))
        & pl.col("_is")
        & pl.col("_plain")
    )
    gone = named.join(whole.select("contact_id"), on="contact_id", how="semi").select("_at")
    rest = events.with_row_index("_at").join(gone, on="_at", how="anti", maintain_order="left").drop("_at")
    return rest, whole.select("contact_id", "end_known_time")


def person_rows(subjects: pl.DataFrame, taken: Taken, form: OmopForm) -> pl.DataFrame:
    """Rows of PERSON; who has no birth has a year, but no birth_datetime.

    Args:
        subjects: person_id, subject_id.
        taken: births and sexes.
        form: concept ids.
    """
    born = pl.col("time")
    people = subjects.join(taken.births, on="subject_id", how="left", maintain_order="left")
    people = people.join(taken.sexes, on="subject_id", how="left", maintain_order="left")
    return people.select(
        "person_id",
        pl.col("code")
        .replace_strict(form.sexes, default=0, return_dtype=pl.Int32)
        .alias("gender_concept_id"),
        born.dt.year().fill_null(NO_DATE.year).alias("year_of_birth"),
        born.dt.month().alias("month_of_birth"),
        born.dt.day().alias("day_of_birth"),
        born.alias("birth_datetime"),
        pl.col("subject_id").cast(pl.String).alias("person_source_value"),
        pl.col("code").str.extract("//(.*)$").alias("gender_source_value"),
    )


def death_rows(subjects: pl.DataFrame, taken: Taken, form: OmopForm) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of DEATH, and of PESTA_DEATH where a death was known later than it happened."""
    deaths = taken.deaths.join(subjects, on="subject_id", maintain_order="left")
    rows = deaths.select(
        "person_id",
        pl.col("time").dt.date().alias("death_date"),
        pl.col("time").alias("death_datetime"),
        pl.lit(form.record_type).alias("death_type_concept_id"),
    )
    return rows, deaths.filter(pl.col("known_time").is_not_null()).select(PESTA_DEATH.names())


def place_rows(contacts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Rows of LOCATION and CARE_SITE, and care_site_id by hospital_id and unit_id."""
    places = contacts.select("hospital_id", "unit_id").unique().filter(~pl.all_horizontal(pl.all().is_null()))
    places = places.sort("hospital_id", "unit_id", nulls_last=False).with_row_index("care_site_id", 1)
    hospitals = places.select("hospital_id").drop_nulls().unique().sort("hospital_id")
    hospitals = hospitals.with_row_index("location_id", 1)
    sites = places.join(hospitals, on="hospital_id", how="left", maintain_order="left").select(
        "care_site_id",
        pl.col("unit_id").str.slice(0, NAME_WIDTH).alias("care_site_name"),
        "location_id",
    )
    locations = hospitals.select(
        "location_id", pl.col("hospital_id").str.slice(0, _WIDTH).alias("location_source_value")
    )
    return locations, sites, places


def visit_rows(
    contacts: pl.DataFrame, places: pl.DataFrame, told: pl.DataFrame, form: OmopForm
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of VISIT_OCCURRENCE, and of PESTA_VISIT for each.

    Args:
        contacts: columns of CONTACTS with person_id and visit_occurrence_id.
        places: care_site_id by hospital_id and unit_id.
        told: contact_id, end_known_time of contacts whose events are not among the clinical rows.
        form: concept ids.
    """
    sited = contacts.join(
        places, on=["hospital_id", "unit_id"], how="left", nulls_equal=True, maintain_order="left"
    ).join(
        told.with_columns(has_events=pl.lit(1, pl.Int32)), on="contact_id", how="left", maintain_order="left"
    )
    start = pl.coalesce("start_time", "end_time").dt.date().fill_null(NO_DATE)
    rows = sited.select(
        "visit_occurrence_id",
        "person_id",
        pl.col("care_level")
        .replace_strict(form.visits, default=0, return_dtype=pl.Int32)
        .fill_null(0)
        .alias("visit_concept_id"),
        start.alias("visit_start_date"),
        pl.col("start_time").alias("visit_start_datetime"),
        pl.col("end_time").dt.date().fill_null(start).alias("visit_end_date"),
        pl.col("end_time").alias("visit_end_datetime"),
        pl.lit(form.record_type).alias("visit_type_concept_id"),
        "care_site_id",
        pl.col("contact_id").cast(pl.String).alias("visit_source_value"),
        pl.col("admitted_from").str.slice(0, _WIDTH).alias("admitted_from_source_value"),
        pl.col("discharged_to").str.slice(0, _WIDTH).alias("discharged_to_source_value"),
        pl.when(pl.col("discharged_to") == "death").then(form.deceased).alias("discharged_to_concept_id"),
    )
    long = {
        "hospital": "hospital_id",
        "admitted_from": "admitted_from",
        "discharged_to": "discharged_to",
    }
    beside = sited.select(
        "visit_occurrence_id",
        "care_level",
        "urgency",
        pl.col("referral_period_id").alias("referral_period"),
        *(pl.when(pl.col(own).str.len_chars() > _WIDTH).then(own).alias(name) for name, own in long.items()),
        pl.col("has_events").fill_null(0),
        "end_known_time",
    )
    return rows, beside.select(PESTA_VISIT.names())


def period_rows(windows: pl.DataFrame, form: OmopForm) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows of OBSERVATION_PERIOD, and of PESTA_PERIOD for each.

    Args:
        windows: columns of OBSERVATION with person_id and observation_period_id.
        form: concept ids.
    """
    rows = windows.select(
        "observation_period_id",
        "person_id",
        pl.col("start_time").dt.date().alias("observation_period_start_date"),
        pl.col("end_time").dt.date().alias("observation_period_end_date"),
        pl.lit(form.record_type).alias("period_type_concept_id"),
    )
    return rows, windows.select(PESTA_PERIOD.names())
