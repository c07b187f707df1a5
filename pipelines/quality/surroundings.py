"""What is around the events of a dataset: subjects, contacts, stays, codings and windows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from ontology.systems import compact
from phenotype.contacts import CARE_LEVELS, stays
from phenotype.trajectory import BIRTH_CODE, DEATH_CODE, INSTANT, Dataset
from pipelines.quality.conditions import COLUMNS

HOURS = 3_600_000_000
YEAR_HOURS = 365.2425 * 24
_SEXES = {"male": "male", "m": "male", "female": "female", "f": "female"}
_SEX_CODE = r"(?i)^(?:SEX|GENDER)//([a-z]+)$"


@dataclass(frozen=True)
class Surroundings:
    """What checks ask of a dataset besides its events.

    Attributes:
        dataset: the dataset.
        subjects: columns of SUBJECTS.
        tables: contacts, stays, codings, observation with the columns of `conditions.COLUMNS`; no rows where
            the dataset has none.
        windows: subject_id, start_time, end_time, disjoint spans of observation, sorted.
        account: ingest.json; None where there is none, or none that can be read.
        has: which needs of checks the dataset meets.
        extract_end: the end of the last observation window, or the last event; null for an empty dataset.
        created_at: when the dataset was made, where its metadata say so.
    """

    dataset: Dataset
    subjects: pl.DataFrame
    tables: Mapping[str, pl.DataFrame]
    windows: pl.DataFrame
    account: Mapping[str, Any] | None
    has: frozenset[str]
    extract_end: datetime | None
    created_at: datetime | None


def look_around(dataset: Dataset) -> Surroundings:
    """Read everything beside the events, and of the events who was born and died when, and of which sex."""
    events, last_time, columns = _people(dataset)
    contacts, codings, observation = dataset.contacts(), dataset.codings(), dataset.observation()
    last_end = observation["end_time"].max()
    extract_end = last_end if isinstance(last_end, datetime) else last_time
    created_at = _created_at(dataset)
    subjects = _with_windows(events, observation)
    ends = {
        "extract_end": pl.lit(extract_end, dtype=INSTANT),
        "created_at": pl.lit(created_at, dtype=INSTANT),
    }
    tables = {
        "contacts": _contacts(contacts, codings, subjects),
        "stays": _stays(contacts, codings, subjects),
        "codings": _codings(codings, contacts),
        "observation": observation,
    }
    account = _account(dataset.path / "ingest.json")
    has = columns | {name for name in ("contacts", "codings", "observation") if tables[name].height}
    has |= {"ingest"} if account is not None else set()
    has |= {"created_at"} if created_at is not None else set()
    has |= {"calendar"} if _is_of_the_calendar(dataset, created_at) else set()
    has |= {"lineage"} if (dataset.path / "lineage.parquet").exists() else set()
    has |= {
        need
        for need, column in (("births", "n_births"), ("deaths", "n_deaths"), ("sex", "n_sexes"))
        if subjects[column].sum()
    }
    return Surroundings(
        dataset=dataset,
        subjects=_fitted(subjects.with_columns(**ends), "subjects"),
        tables={name: _fitted(table.with_columns(**ends), name) for name, table in tables.items()},
        windows=_disjoint(observation),
        account=account,
        has=frozenset(has),
        extract_end=extract_end,
        created_at=created_at,
    )


def _fitted(table: pl.DataFrame, name: str) -> pl.DataFrame:
    """A table with exactly the columns that conditions may name."""
    schema = next(columns for table_name, columns in COLUMNS.items() if table_name == name)
    return table.select(pl.col(column).cast(dtype) for column, dtype in schema.items())


def _people(dataset: Dataset) -> tuple[pl.DataFrame, datetime | None, set[str]]:
    """Each subject's births, deaths, sexes and events; the last instant; columns that hold anything."""
    is_birth, is_death = pl.col("code") == BIRTH_CODE, pl.col("code") == DEATH_CODE
    sex = pl.col("code").str.extract(_SEX_CODE).str.to_lowercase().replace_strict(_SEXES, default=None)
    parts, lasts, filled = [], [], set()
    optional = ("known_time", "unit", "contact_id", "lineage_id")
    for shard in dataset.shards:
        events = dataset.events(shard)
        of_person = events.filter(is_birth | is_death | pl.col("code").str.contains(_SEX_CODE))
        marks = of_person.group_by("subject_id").agg(
            birth_time=pl.col("time").filter(is_birth).min(),
            n_births=is_birth.sum(),
            death_time=pl.col("time").filter(is_death).min(),
            n_deaths=is_death.sum(),
            sexes=sex.drop_nulls().unique().sort(),
        )
        is_fact = pl.col("time").is_not_null() & ~is_birth & ~is_death
        counted = events.group_by("subject_id").agg(n_events=is_fact.sum(), last=pl.col("time").max())
        part = counted.join(marks, on="subject_id", how="left").collect()
        lasts.append(part["last"].max())
        parts.append(part.drop("last"))
        there = events.select(pl.col(name).is_not_null().any() for name in optional).collect()
        filled |= {name for name in optional if there[name].item()}
    joined = (
        pl.concat(parts)
        .group_by("subject_id")
        .agg(
            pl.col("birth_time", "death_time").min(),
            pl.col("n_births", "n_deaths", "n_events").sum(),
            pl.col("sexes").explode().drop_nulls().unique().sort(),
        )
    )
    people = joined.with_columns(
        n_sexes=pl.col("sexes").list.len(),
        sex=pl.when(pl.col("sexes").list.len() == 1).then(pl.col("sexes").list.first()),
    )
    instants = [last for last in lasts if isinstance(last, datetime)]
    return people.drop("sexes").sort("subject_id"), max(instants, default=None), filled


def _with_windows(people: pl.DataFrame, observation: pl.DataFrame) -> pl.DataFrame:
    """Subjects with how many windows they have; null where the dataset has none at all."""
    if not observation.height:
        return people.with_columns(n_windows=pl.lit(None, dtype=pl.UInt32))
    counted = observation.group_by("subject_id").agg(n_windows=pl.len())
    return people.join(counted, on="subject_id", how="left").with_columns(pl.col("n_windows").fill_null(0))


def _disjoint(observation: pl.DataFrame) -> pl.DataFrame:
    """The spans in which each subject is observed by any source, joined where they touch."""
    whole = observation.filter(pl.col("start_time").is_not_null() & pl.col("end_time").is_not_null())
    ordered = whole.sort("subject_id", "start_time", "end_time")
    reached = pl.col("end_time").cum_max().shift(1).over("subject_id")
    is_new = (pl.col("start_time") > reached).fill_null(value=True)
    return (
        ordered.with_columns(_span=is_new.cum_sum())
        .group_by("subject_id", "_span", maintain_order=True)
        .agg(pl.col("start_time").min(), pl.col("end_time").max())
        .drop("_span")
    )


def _condition_counts(codings: pl.DataFrame) -> pl.DataFrame:
    """How many conditions each contact has, and how many main ones (a pair of codes is one condition)."""
    conditions = codings.filter(pl.col("role").is_in(["main", "other"])).with_columns(
        _group=pl.coalesce("group_no", "code_no")
    )
    is_main = pl.col("role") == "main"
    return conditions.group_by("contact_id").agg(
        n_diagnoses=pl.len(),
        n_mains=pl.col("_group").filter(is_main).n_unique(),
    )


def _person_columns(subjects: pl.DataFrame) -> pl.DataFrame:
    return subjects.select("subject_id", "birth_time", "death_time", "sex", "n_windows")


def years_between(start: str, end: str) -> pl.Expr:
    """Years from one instant to another, a year being 365.2425 days."""
    return (pl.col(end) - pl.col(start)).cast(pl.Int64) / HOURS / YEAR_HOURS


def _contacts(contacts: pl.DataFrame, codings: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Contacts with what is known of the subject and how many conditions were coded."""
    counts = pl.col("n_diagnoses", "n_mains")
    joined = contacts.join(_person_columns(subjects), on="subject_id", how="left").join(
        _condition_counts(codings), on="contact_id", how="left"
    )
    return joined.with_columns(
        counts.fill_null(0) if codings.height else pl.lit(None, pl.UInt32).alias("n_diagnoses"),
        *([] if codings.height else [pl.lit(None, pl.UInt32).alias("n_mains")]),
        length_hours=(pl.col("end_time") - pl.col("start_time")).cast(pl.Int64) / HOURS,
        age_years=years_between("birth_time", "start_time"),
    )


def _stays(contacts: pl.DataFrame, codings: pl.DataFrame, subjects: pl.DataFrame) -> pl.DataFrame:
    """Stays of whole contacts, with what was coded in any of their contacts."""
    whole = contacts.filter(pl.col("contact_id").is_not_null() & pl.col("subject_id").is_not_null())
    whole = whole.with_columns(care_level=pl.when(pl.col("care_level").is_in(CARE_LEVELS)).then("care_level"))
    counted = _contacts(whole, codings, subjects)
    by_stay = counted.group_by("stay_id").agg(pl.col("n_diagnoses", "n_mains").sum())
    return (
        stays(whole)
        .join(_person_columns(subjects), on="subject_id", how="left")
        .join(by_stay, on="stay_id", how="left")
    )


def _codings(codings: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Codings with their contact's place and time, and how often the contact has that code in that role."""
    codes = codings["code"].unique().drop_nulls()
    plain = {code: compact(code) for code in codes}
    places = contacts.select(
        "contact_id", "start_time", "end_time", "care_level", "unit_id", "hospital_id"
    ).unique("contact_id", keep="first", maintain_order=True)
    return codings.with_columns(
        compact_code=pl.col("code").replace_strict(plain, default=None, return_dtype=pl.String),
        n_same=pl.len().over("contact_id", "role", "system", "code"),
    ).join(places, on="contact_id", how="left")


def _account(file: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("files"), list) else None


def _is_of_the_calendar(dataset: Dataset, created_at: datetime | None) -> bool:
    """Whether dates are what they seem: neither nominal nor shifted, here or by the source.

    A source whose events mostly lie after the making of the dataset has shifted them itself, as MIMIC does.
    """
    told = dataset.metadata
    if told.get("nominal_anchor") or told.get("dates", "as recorded") != "as recorded":
        return False
    if created_at is None:
        return True
    times = dataset.events().filter(pl.col("time").is_not_null())
    share = times.select((pl.col("time") > created_at).mean()).collect().item()
    return share is None or share < 0.5


def _created_at(dataset: Dataset) -> datetime | None:
    """When the dataset was made, as a naive instant of its own clock; null where that is not told."""
    told = dataset.metadata.get("created_at")
    try:
        return datetime.fromisoformat(str(told)).replace(tzinfo=None) if told else None
    except ValueError:
        return None
