"""Leaving the stay alive comes first, where the stay's end is what a question waits for; counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from phenotype.discharges import with_discharges
from phenotype.labels import apply_threshold, find_outcomes, to_labels
from phenotype.tasks import load_task
from phenotype.trajectory import CONTACTS, EVENTS, OBSERVATION, Dataset

START = datetime(2020, 3, 1, 9)
HOME, DEAD, SICK, OPEN = 1, 2, 3, 4
"""Home after 100 hours; dead after 60; home after 200 with a sepsis code; still there at the record's end."""


def frame(rows: list[dict[str, object]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


@pytest.fixture
def hospital(tmp_path: Path) -> Dataset:
    (tmp_path / "data").mkdir()
    stays: list[tuple[int, float | None, str | None]] = [
        (HOME, 100.0, "home"),
        (DEAD, 60.0, "death"),
        (SICK, 200.0, "home"),
        (OPEN, None, None),
    ]
    contacts = [
        {
            "contact_id": who,
            "subject_id": who,
            "start_time": START,
            "end_time": None if hours is None else START + timedelta(hours=hours),
            "care_level": "inpatient",
            "discharged_to": where,
        }
        for who, hours, where in stays
    ]
    windows = [
        {"subject_id": who, "start_time": datetime(2019, 1, 1), "end_time": START + timedelta(hours=300)}
        for who in (HOME, DEAD, SICK, OPEN)
    ]
    events: list[dict[str, object]] = [
        {"subject_id": who, "time": datetime(1950, 1, 1), "code": "MEDS_BIRTH"}
        for who in (HOME, DEAD, SICK, OPEN)
    ]
    end = START + timedelta(hours=200)
    events.append({"subject_id": SICK, "time": end, "code": "ICD10-NO//A41.9", "contact_id": SICK})
    frame(sorted(events, key=lambda one: (one["subject_id"], one["time"])), EVENTS).write_parquet(
        tmp_path / "data" / "0.parquet"
    )
    frame(contacts, CONTACTS).write_parquet(tmp_path / "contacts.parquet")
    frame(windows, OBSERVATION).write_parquet(tmp_path / "observation.parquet")
    return Dataset(tmp_path)


def came_first(name: str, hospital: Dataset, threshold: float | None = None) -> dict[int, tuple[object, ...]]:
    """(event, hours after the first 24) of each patient."""
    task = load_task(name)
    outcomes = apply_threshold(find_outcomes(hospital, task)[0], task, threshold)
    told = with_discharges(outcomes, task, hospital)
    assert to_labels(told, task, threshold).equals(to_labels(outcomes, task, threshold))
    return {row[0]: row[1:] for row in told.select("subject_id", "event", "event_hours").iter_rows()}


def test_discharge_competes_with_sepsis_in_the_stay(hospital: Dataset) -> None:
    assert came_first("stay_sepsis_24h", hospital) == {
        HOME: ("discharge", 76.0),
        DEAD: ("death", 36.0),
        SICK: ("sepsis_or_bsi", 176.0),
        OPEN: ("censored", None),
    }


def test_discharge_competes_with_a_long_stay(hospital: Dataset) -> None:
    assert came_first("stay_prolonged_24h", hospital, 150.0) == {
        HOME: ("discharge", 76.0),
        DEAD: ("death", 36.0),
        SICK: ("prolonged_stay", 126.0),
        OPEN: ("prolonged_stay", 126.0),
    }


def test_discharge_does_not_compete_with_a_death_after_the_stay(hospital: Dataset) -> None:
    assert came_first("stay_death_30d_24h", hospital) == {
        HOME: ("censored", None),
        DEAD: ("death", 36.0),
        SICK: ("censored", None),
        OPEN: ("censored", None),
    }


def test_a_stay_that_ended_without_a_time_is_left_at_an_unknown_hour(tmp_path: Path) -> None:
    """Three days in intensive care, home when nobody noted, and, on paper, before the prediction."""
    (tmp_path / "data").mkdir()
    ends = {1: None, 2: datetime(2020, 3, 3), 3: datetime(2020, 3, 9)}
    contacts = [
        {
            "contact_id": who,
            "subject_id": who,
            "start_time": datetime(2020, 3, 1),
            "end_time": end,
            "care_level": "icu",
            "discharged_to": "home",
        }
        for who, end in ends.items()
    ]
    births = [{"subject_id": who, "time": datetime(1950, 1, 1), "code": "MEDS_BIRTH"} for who in ends]
    births += [{"subject_id": who, "time": datetime(2020, 3, 3), "code": "LAB//X"} for who in ends]
    frame(births, EVENTS).sort("subject_id", "time").write_parquet(tmp_path / "data" / "0.parquet")
    frame(contacts, CONTACTS).write_parquet(tmp_path / "contacts.parquet")
    task = load_task("icu_death_48h")
    hospital = Dataset(tmp_path)
    told = with_discharges(find_outcomes(hospital, task)[0], task, hospital)
    assert told.select("subject_id", "event", "event_hours").rows() == [
        (1, "discharge", None),
        (2, "discharge", 0.0),
        (3, "discharge", 144.0),
    ]
