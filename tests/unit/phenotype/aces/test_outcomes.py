"""Triggers of an ACES task as rows with outcomes and reasons, counted by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import TaskError
from phenotype.labels import find_outcomes, to_labels
from phenotype.report.words import task_words
from phenotype.task_text import describe_task
from phenotype.tasks import Task, load_task
from phenotype.trajectory import CONTACTS, Dataset

DAY = datetime(2024, 3, 1)
TASK = """
predicates:
  lactate: {code: LACTATE}
  discharge: {code: DISCHARGE}
  admission: {code: ADMISSION}
  readmitted: {code: ADMISSION}
trigger: lactate
windows:
  stay: {start: end <- admission, end: trigger, start_inclusive: true, end_inclusive: true}
  rest: {start: trigger, end: start -> discharge, start_inclusive: true, end_inclusive: true,
         index_timestamp: end}
  after: {start: rest.end, end: start + 48h, start_inclusive: false, end_inclusive: true, label: readmitted}
  seen: {start: after.end, end: null, start_inclusive: true, end_inclusive: true,
         has: {_ANY_EVENT: "(1, None)"}}
"""


def _task(folder: Path) -> Task:
    (folder / "back_in_two_days.yaml").write_text(TASK)
    return load_task(folder / "back_in_two_days.yaml")


def _dataset(folder: Path) -> Dataset:
    rows = [
        (1, 0, "ADMISSION"),
        (1, 1, "LACTATE"),
        (1, 2, "LACTATE"),  # predicts at the same discharge as the one before
        (1, 10, "DISCHARGE"),
        (1, 40, "ADMISSION"),
        (1, 41, "LACTATE"),  # no discharge after it: no time of prediction
        (1, 99, "OTHER"),
        (2, 0, "LACTATE"),  # no admission before it: known at the prediction
        (2, 1, "DISCHARGE"),
        (2, 100, "OTHER"),
        (3, 0, "ADMISSION"),
        (3, 1, "LACTATE"),
        (3, 2, "DISCHARGE"),  # nothing is recorded two days later
    ]
    (folder / "data").mkdir(parents=True)
    times = [DAY + timedelta(hours=hour) for _, hour, _ in rows]
    events = {"subject_id": [row[0] for row in rows], "time": times, "code": [row[2] for row in rows]}
    pl.DataFrame(events, schema_overrides={"time": pl.Datetime("us")}).write_parquet(
        folder / "data" / "0.parquet"
    )
    contacts = pl.DataFrame(
        {"contact_id": [7, 8], "subject_id": [1, 1], "start_time": [DAY, DAY + timedelta(hours=40)]}
    ).with_columns(end_time=pl.Series([DAY + timedelta(hours=10), None], dtype=pl.Datetime("us")))
    absent = [
        pl.lit(None, dtype).alias(name) for name, dtype in CONTACTS.items() if name not in contacts.columns
    ]
    contacts.with_columns(absent).select(list(CONTACTS)).write_parquet(folder / "contacts.parquet")
    return Dataset(folder)


def test_every_trigger_has_its_answer_or_its_reason(tmp_path: Path) -> None:
    task = _task(tmp_path)
    outcomes, steps = find_outcomes(_dataset(tmp_path), task)
    told = outcomes.select("subject_id", "contact_id", "event", "event_hours", "exclusion_reason").rows()
    assert told == [
        (1, 7, "readmitted", 30.0, None),
        (1, 7, None, None, "same_time"),
        (2, None, None, None, "not_as_asked_before"),
        (3, None, None, None, "not_as_asked_after"),
    ]
    assert steps.select("step", "n_rows", "n_excluded").rows() == [
        ("candidates", 5, 0),
        ("not_as_asked_before", 4, 1),
        ("no_time_of_prediction", 3, 1),
        ("same_time", 2, 1),
        ("not_as_asked_after", 1, 1),
        ("labelled", 1, 0),
    ]
    assert to_labels(outcomes, task).rows() == [(1, DAY + timedelta(hours=10), True)]


def test_a_dataset_without_a_trigger_cannot_answer(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path)
    task = _task(tmp_path)
    empty = pl.read_parquet(tmp_path / "data" / "0.parquet").filter(pl.col("code") != "LACTATE")
    empty.write_parquet(tmp_path / "data" / "0.parquet")
    with pytest.raises(TaskError, match="predicates name codes"):
        find_outcomes(dataset, task)


def test_a_task_is_told_in_words(tmp_path: Path) -> None:
    task = _task(tmp_path)
    text = describe_task(task)
    assert text.who == "each lactate (codes LACTATE)"
    assert text.when == "at the end of window rest"
    assert text.what == "readmitted (codes ADMISSION) in window after"
    both = "its start included, its end included"
    assert text.definition.split("; ") == [
        f"stay: from admission, the last one before its end to the trigger, {both}",
        f"rest: from the trigger to discharge, the next one from its start, {both}",
        "after: from the end of rest to 48 hours after its start, its end included",
        f"seen: from the end of after to the end of the record, {both}, holding at least 1 any event",
    ]
    assert task_words(task).outcome == "readmitted within 2 days"
