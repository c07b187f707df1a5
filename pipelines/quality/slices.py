"""Events of a dataset in slices of bounded size, with the columns that checks ask for."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from ontology.systems import parts
from phenotype.trajectory import EVENTS, INSTANT
from pipelines.quality.conditions import COLUMNS
from pipelines.quality.surroundings import HOURS, Surroundings, years_between

ROWS = 1_000_000
"""How many events are held at a time."""
_OF_CONTACT = ("start_time", "end_time", "care_level", "unit_id", "hospital_id")
_OF_PERSON = ("birth_time", "death_time", "sex", "n_windows")


def event_slices(around: Surroundings, columns: set[str], rows: int = ROWS) -> Iterator[pl.DataFrame]:
    """The events of all shards, slice by slice.

    Args:
        around: the dataset and what is around it.
        columns: the columns wanted, of `conditions.COLUMNS["events"]`; others are left out.
        rows: the largest number of rows of a slice.

    Yields:
        Frames with those columns, in the order of shards and rows.
    """
    stored = _stored(columns)
    systems: dict[str, str | None] = {}
    for shard in around.dataset.shards:
        scan = around.dataset.events(shard).select(stored)
        n_rows = int(scan.select(pl.len()).collect().item())
        for start in range(0, max(n_rows, 1), rows):
            yield _enriched(scan.slice(start, rows).collect(), around, columns, systems)


def _stored(columns: set[str]) -> list[str]:
    """The columns that must be read so that the wanted ones can be made."""
    wanted = {"subject_id", "time", "code", *columns}
    if wanted & {"contact_subject_id", *_OF_CONTACT}:
        wanted.add("contact_id")
    if "delay_hours" in wanted:
        wanted.add("known_time")
    return [name for name in EVENTS if name in wanted]


def _enriched(
    events: pl.DataFrame, around: Surroundings, columns: set[str], systems: dict[str, str | None]
) -> pl.DataFrame:
    """A slice with what it lacks of the wanted columns."""
    if "system" in columns:
        events = events.with_columns(system=_system(events["code"], systems))
    if columns & {*_OF_PERSON, "age_years"}:
        people = around.subjects.select("subject_id", *_OF_PERSON)
        events = events.join(people, on="subject_id", how="left", maintain_order="left")
    if "age_years" in columns:
        events = events.with_columns(age_years=years_between("birth_time", "time"))
    if columns & {"contact_subject_id", *_OF_CONTACT}:
        events = _with_contacts(events, around.tables["contacts"])
    if "is_observed" in columns:
        events = events.with_columns(is_observed=_is_observed(events, around.windows))
    if "delay_hours" in columns:
        delay = (pl.col("known_time") - pl.col("time")).cast(pl.Int64) / HOURS
        events = events.with_columns(delay_hours=delay)
    events = events.with_columns(
        extract_end=pl.lit(around.extract_end, dtype=INSTANT),
        created_at=pl.lit(around.created_at, dtype=INSTANT),
    )
    schema = COLUMNS["events"]
    return events.select(pl.col(name).cast(schema[name]) for name in schema if name in columns)


def _system(codes: pl.Series, known: dict[str, str | None]) -> pl.Series:
    """What stands before `//`, with MEDS extracts' own namings resolved; null where there is no `//`."""
    for code in codes.unique().drop_nulls():
        if code not in known:
            known[code] = parts(code)[0] or None
    return codes.replace_strict(known, default=None, return_dtype=pl.String)


def _with_contacts(events: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Events with the contact that they name; nulls where they name none, or none that is there."""
    places = contacts.select("contact_id", pl.col("subject_id").alias("contact_subject_id"), *_OF_CONTACT)
    once = places.unique("contact_id", keep="first", maintain_order=True)
    return events.join(once, on="contact_id", how="left", maintain_order="left")


def _is_observed(events: pl.DataFrame, windows: pl.DataFrame) -> pl.Series:
    """Whether a window of its subject holds each event; null without a time or without any windows."""
    if not windows.height:
        return pl.Series("is_observed", [None] * events.height, dtype=pl.Boolean)
    rows = events.select("subject_id", "time").with_row_index("_row")
    held = (
        rows.join(windows, on="subject_id")
        .filter((pl.col("time") >= pl.col("start_time")) & (pl.col("time") <= pl.col("end_time")))
        .select("_row")
        .unique()
        .with_columns(is_held=pl.lit(value=True))
    )
    found = rows.join(held, on="_row", how="left", maintain_order="left")
    return found.select(
        is_observed=pl.when(pl.col("time").is_not_null()).then(pl.col("is_held").fill_null(value=False))
    ).to_series()
