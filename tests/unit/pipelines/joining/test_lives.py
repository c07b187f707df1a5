"""Births and deaths that several sources tell: one of each is kept."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from phenotype.trajectory import EVENTS
from pipelines.joining.lives import Lives, settle_lives, several_of_one

BIRTH, DEATH = "MEDS_BIRTH", "MEDS_DEATH"


def told(
    *lives: tuple[str, datetime], first: datetime = datetime(2020, 1, 1), are_capped: bool = False
) -> Lives:
    """What becomes of births and deaths, each by a source of its own."""
    rows = [
        {**dict.fromkeys(EVENTS.names()), "subject_id": 1, "code": code, "time": time, "lineage_id": number}
        for number, (code, time) in enumerate(lives)
    ]
    events = pl.DataFrame(rows, schema=EVENTS).with_columns(
        _source=pl.format("s{}", "lineage_id"), _part=pl.col("lineage_id").cast(pl.Int32)
    )
    first_event = pl.DataFrame(
        {"subject_id": [1], "first_time": [first]}, schema_overrides={"first_time": pl.Datetime("us")}
    )
    return settle_lives(events, first_event, ages_are_capped=are_capped)


def test_the_day_that_most_sources_give_is_kept_and_the_others_reported() -> None:
    days = [datetime(1950, 1, 2), datetime(1950, 2, 1), datetime(1950, 2, 1)]
    lives = told(*((BIRTH, day) for day in days))
    assert lives.events["time"].to_list() == [datetime(1950, 2, 1)]
    assert (lives.n_same, lives.n_dropped) == (1, 1)
    assert lives.moved.rows() == [(2, 1)]
    assert lives.conflicts.select("kind", "time", "other_time").rows() == [("birth", days[1], days[0])]


def test_on_one_day_the_finer_time_is_kept() -> None:
    lives = told((DEATH, datetime(2024, 3, 9)), (DEATH, datetime(2024, 3, 9, 14, 5)))
    assert lives.events["time"].to_list() == [datetime(2024, 3, 9, 14, 5)]
    assert lives.moved.rows() == [(0, 1)]
    assert not lives.conflicts.height


def test_of_two_days_the_earlier_birth_and_the_later_death_are_kept() -> None:
    lives = told(
        (BIRTH, datetime(1950, 2, 1)),
        (BIRTH, datetime(1950, 1, 2)),
        (DEATH, datetime(2024, 3, 9)),
        (DEATH, datetime(2024, 3, 8)),
    )
    assert lives.events.sort("time")["time"].to_list() == [datetime(1950, 1, 2), datetime(2024, 3, 9)]
    assert lives.n_dropped == 2


def test_a_birth_that_an_event_precedes_gives_way() -> None:
    lives = told(
        (BIRTH, datetime(2020, 1, 5)), (BIRTH, datetime(2019, 12, 30)), (BIRTH, datetime(2020, 1, 5))
    )
    assert lives.events["time"].to_list() == [datetime(2019, 12, 30)]


def test_a_birth_at_a_time_of_day_lies_not_behind_an_event_of_that_day() -> None:
    lives = told((BIRTH, datetime(2020, 1, 1, 14)), first=datetime(2020, 1, 1, 9))
    assert lives.events["time"].to_list() == [datetime(2020, 1, 1, 9)]


def test_births_of_the_very_old_are_no_conflict_where_ages_are_one_group() -> None:
    lives = told((BIRTH, datetime(1930, 1, 1)), (BIRTH, datetime(1934, 1, 1)), are_capped=True)
    assert lives.events["time"].to_list() == [datetime(1934, 1, 1)]
    assert not lives.conflicts.height


def test_a_person_has_one_sex() -> None:
    codes = ["SEX//F", "SEX//M", "SEX//F", "BLOOD_TYPE//A", "BLOOD_TYPE//B"]
    rows = [
        {**dict.fromkeys(EVENTS.names()), "subject_id": subject, "code": code, "lineage_id": number}
        for number, (subject, code) in enumerate(zip([1, 1, 2, 1, 1], codes, strict=True))
    ]
    events = pl.DataFrame(rows, schema=EVENTS).with_columns(_source=pl.lit("s"))
    conflicts = several_of_one(events, ("SEX",))
    assert conflicts.select("kind", "subject_id").rows() == [("one per subject", 1)]
