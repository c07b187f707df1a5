"""Labels of ACES tasks on records small enough to count by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import InputError
from phenotype.aces.file import read_aces
from phenotype.aces.text import AcesTask
from phenotype.aces.triggers import aces_labels, find_triggers
from phenotype.trajectory import Dataset

DAY = datetime(2024, 3, 1)
Row = tuple[int, float | None, str] | tuple[int, float | None, str, float | None]


def _dataset(folder: Path, *shards: list[Row], **extra: list[str | None]) -> Dataset:
    """Events as (subject, hours after DAY or None, code, value)."""
    (folder / "data").mkdir(parents=True)
    for number, rows in enumerate(shards):
        frame = pl.DataFrame(
            {
                "subject_id": [row[0] for row in rows],
                "time": [None if row[1] is None else DAY + timedelta(hours=row[1]) for row in rows],
                "code": [row[2] for row in rows],
                "numeric_value": [row[3] if len(row) > 3 else None for row in rows],
                **extra,
            },
            schema_overrides={"time": pl.Datetime("us"), "numeric_value": pl.Float32, "subject_id": pl.Int64},
        )
        frame.write_parquet(folder / "data" / f"{number}.parquet")
    return Dataset(folder)


def _task(folder: Path, text: str, predicates: str | None = None) -> AcesTask:
    (folder / "task.yaml").write_text(text)
    if predicates is None:
        return read_aces(folder / "task.yaml")
    (folder / "predicates.yaml").write_text(predicates)
    return read_aces(folder / "task.yaml", folder / "predicates.yaml")


def _hours(labels: pl.DataFrame) -> list[tuple[int, float, bool]]:
    return [
        (subject, (when - DAY).total_seconds() / 3600, value) for subject, when, value in labels.iter_rows()
    ]


PREDICATES = """
predicates:
  admission: {code: {regex: "^ADMISSION//"}}
  discharge: {code: {any: [DISCHARGE//HOME, DISCHARGE//OTHER]}}
  death: {code: DEATH}
  end_of_stay: {expr: "or(discharge, death)"}
  lactate: {code: LACTATE}
  high_lactate: {code: LACTATE, value_min: 2, value_min_inclusive: false}
  lactate_at_death: {expr: "and(lactate, death)"}
"""
IN_HOSPITAL_DEATH = (
    PREDICATES
    + """
trigger: admission
windows:
  input:
    start: null
    end: trigger + 24h
    start_inclusive: true
    end_inclusive: true
    index_timestamp: end
  gap:
    start: trigger
    end: start + 48h
    start_inclusive: false
    end_inclusive: true
    has: {admission: "(None, 0)", end_of_stay: "(None, 0)"}
  target:
    start: gap.end
    end: start -> end_of_stay
    start_inclusive: false
    end_inclusive: true
    label: death
"""
)


def test_death_in_hospital_from_the_first_day(tmp_path: Path) -> None:
    """The task of ACES' own introduction: discharged or dead within two days is left out."""
    dataset = _dataset(
        tmp_path,
        [
            (1, 0, "ADMISSION//ACUTE"),
            (1, 60, "DEATH"),
            (2, 0, "ADMISSION//PLANNED"),
            (2, 72, "DISCHARGE//HOME"),
            (2, 80, "DEATH"),
            (3, 0, "ADMISSION//ACUTE"),
            (3, 48, "DISCHARGE//HOME"),  # at the closed end of the gap
            (4, 0, "ADMISSION//ACUTE"),
            (4, 90, "LACTATE", 1.0),  # the record ends with neither discharge nor death
        ],
        [
            (5, 0, "ADMISSION//ACUTE"),
            (5, 40, "ADMISSION//ACUTE"),  # a second admission in the gap; its own stay counts
            (5, 100, "DISCHARGE//OTHER"),
            (6, 0, "ADMISSION//ACUTE"),
            (6, 70, "DISCHARGE//UNKNOWN"),  # a code that the task does not list
            (6, 71, "DEATH"),
        ],
    )
    task = _task(tmp_path, IN_HOSPITAL_DEATH)
    assert _hours(aces_labels(dataset, task)) == [
        (1, 24, True),
        (2, 24, False),
        (5, 64, False),
        (6, 24, True),
    ]
    left_out = find_triggers(dataset, task).drop_nulls("exclusion_reason")
    assert left_out.select("subject_id", "window", "exclusion_reason").rows() == [
        (3, "gap", "window_differs"),
        (4, "target", "window_open"),
        (5, "gap", "window_differs"),
    ]
    kept = find_triggers(dataset, task).filter("boolean_value")
    assert [(when - DAY).total_seconds() / 3600 for when in kept["label_time"]] == [60, 71]


def _lactate_window(inclusive: tuple[bool, bool], end: str = "start + 6h", has: str = "") -> str:
    start_inclusive, end_inclusive = (str(flag).lower() for flag in inclusive)
    return f"""{PREDICATES}
trigger: admission
windows:
  target:
    start: trigger
    end: {end}
    start_inclusive: {start_inclusive}
    end_inclusive: {end_inclusive}
    label: high_lactate
    index_timestamp: start
    {has}
"""


@pytest.mark.parametrize(
    ("inclusive", "expected"),
    [
        ((True, True), [True, True, True, False]),
        ((True, False), [True, False, True, False]),
        ((False, True), [False, True, True, False]),
        ((False, False), [False, False, True, False]),
    ],
)
def test_open_and_closed_ends_of_a_span(
    tmp_path: Path, inclusive: tuple[bool, bool], expected: list[bool]
) -> None:
    """High lactate at hour 0, 6, 3 and 6 hours and a microsecond after the admission, in that order."""
    late = 6 + 1e-6 / 3600
    rows: list[Row] = []
    for subject, hour in enumerate((0, 6, 3, late)):
        rows += [(subject, 0, "ADMISSION//A"), (subject, hour, "LACTATE", 3.0)]
    dataset = _dataset(tmp_path, rows)
    labels = aces_labels(dataset, _task(tmp_path, _lactate_window(inclusive)))
    assert labels["boolean_value"].to_list() == expected


@pytest.mark.parametrize(
    ("inclusive", "expected"),
    [
        # subject 1 dies at the admission itself, subject 2 later with a high lactate at that instant
        ((True, True), [(1, 0, True), (2, 0, True)]),
        ((False, True), [(1, 0, False), (2, 0, True)]),
        ((True, False), [(2, 0, False)]),
        ((False, False), [(2, 0, False)]),
    ],
)
def test_an_event_at_the_trigger_bounds_a_window_only_where_its_end_is_closed(
    tmp_path: Path, inclusive: tuple[bool, bool], expected: list[tuple[int, float, bool]]
) -> None:
    dataset = _dataset(
        tmp_path,
        [
            (1, 0, "ADMISSION//A"),
            (1, 0, "DEATH"),
            (1, 0, "LACTATE", 3.0),
            (2, 0, "ADMISSION//A"),
            (2, 5, "LACTATE", 4.0),
            (2, 5, "DEATH"),
        ],
    )
    task = _task(tmp_path, _lactate_window(inclusive, end="start -> death"))
    assert _hours(aces_labels(dataset, task)) == expected


def test_an_event_without_a_value_meets_no_bound(tmp_path: Path) -> None:
    dataset = _dataset(
        tmp_path,
        [
            (1, 0, "ADMISSION//A"),
            (1, 1, "LACTATE"),
            (2, 0, "ADMISSION//A"),
            (2, 1, "LACTATE", 2.0),  # the bound itself is open
            (3, 0, "ADMISSION//A"),
            (3, 1, "LACTATE", 2.5),
        ],
    )
    labels = aces_labels(dataset, _task(tmp_path, _lactate_window((False, True))))
    assert labels["boolean_value"].to_list() == [False, False, True]


def test_plain_predicates_count_events_and_derived_ones_instants(tmp_path: Path) -> None:
    """Two rows of one event at one instant are two events, and one instant of a derived predicate."""
    rows: list[Row] = [(1, 0, "ADMISSION//A"), (1, 1, "DEATH"), (1, 1, "DEATH"), (1, 2, "LACTATE", 9.0)]
    dataset = _dataset(tmp_path, rows)

    def n_labels(has: str) -> int:
        task = _task(tmp_path, _lactate_window((False, True), has=f"has: {{{has}}}"))
        return aces_labels(dataset, task).height

    assert n_labels('death: "(2, 2)"') == 1
    assert n_labels('death: "(None, 1)"') == 0
    assert n_labels('end_of_stay: "(1, 1)"') == 1
    assert n_labels('_ANY_EVENT: "(2, 2)"') == 1
    assert n_labels('_RECORD_END: "(1, 1)"') == 1
    assert n_labels('_RECORD_START: "(None, 0)"') == 1


def test_derived_predicates_join_what_happens_at_one_instant(tmp_path: Path) -> None:
    rows: list[Row] = [
        (1, 0, "LACTATE", 1.0),
        (1, 4, "LACTATE", 1.0),
        (1, 4, "DEATH"),
        (2, 4, "LACTATE", 1.0),
        (2, 5, "DEATH"),
    ]
    task = _task(
        tmp_path,
        PREDICATES
        + """
trigger: lactate_at_death
windows:
  before: {start: null, end: trigger, start_inclusive: true, end_inclusive: false,
           label: lactate, index_timestamp: end}
""",
    )
    assert _hours(aces_labels(_dataset(tmp_path, rows), task)) == [(1, 4, True)]


def test_a_window_back_to_the_last_event_and_one_to_the_records_end(tmp_path: Path) -> None:
    """Readmission within 30 days of discharge, for those seen later than that."""
    task = _task(
        tmp_path,
        PREDICATES
        + """
trigger: discharge
windows:
  stay: {start: end <- admission, end: trigger,
         start_inclusive: true, end_inclusive: true, index_timestamp: end}
  target: {start: trigger, end: start + 30d, start_inclusive: false, end_inclusive: true, label: admission}
  seen: {start: target.end, end: null,
         start_inclusive: false, end_inclusive: true, has: {_ANY_EVENT: "(1, None)"}}
""",
    )
    month = 30 * 24
    dataset = _dataset(
        tmp_path,
        [
            (1, 0, "ADMISSION//A"),
            (1, 10, "DISCHARGE//HOME"),
            (1, 10 + month, "ADMISSION//A"),  # at the closed end of the thirty days
            (1, 20 + month, "DISCHARGE//HOME"),  # nothing is recorded after this one
            (2, 0, "DISCHARGE//HOME"),  # no admission before it
            (2, month + 1, "LACTATE", 1.0),
            (3, 0, "ADMISSION//A"),
            (3, 10, "DISCHARGE//HOME"),
            (3, 10 + month, "LACTATE", 1.0),  # the last event: not later than the thirty days
            (4, 0, "ADMISSION//A"),
            (4, 10, "DISCHARGE//HOME"),
            (4, 11 + month, "ADMISSION//A"),
        ],
    )
    assert _hours(aces_labels(dataset, task)) == [(1, 10, True), (4, 10, False)]


def test_static_facts_choose_subjects(tmp_path: Path) -> None:
    """A demographic stands among the events without a time; in a derived predicate it then always holds."""
    rows: list[Row] = [
        (1, None, "SEX//F"),
        (1, 0, "ADMISSION//A"),
        (2, None, "SEX//M"),
        (2, 0, "ADMISSION//A"),
        (3, 0, "ADMISSION//A"),
        (3, 0, "SEX//F"),  # with a time it is no static fact
        (4, None, "SEX//F"),
        (4, None, "DEATH"),  # nor is a death without a time an event
        (4, 1, "ADMISSION//A"),
    ]
    task = _task(
        tmp_path,
        PREDICATES.replace("predicates:\n", 'predicates:\n  woman_in: {expr: "and(woman, admission)"}\n', 1)
        + """
patient_demographics: {woman: {code: SEX//F}}
trigger: woman_in
windows:
  target: {start: trigger, end: null, start_inclusive: true, end_inclusive: true,
           label: death, index_timestamp: start}
""",
    )
    assert _hours(aces_labels(_dataset(tmp_path, rows), task)) == [(1, 0, False), (4, 1, False)]


def test_overlapping_triggers_each_have_their_row(tmp_path: Path) -> None:
    """Two lactates before one death predict at the same discharge: two equal rows, as ACES gives them."""
    rows: list[Row] = [
        (1, 0, "LACTATE", 1.0),
        (1, 1, "LACTATE", 1.0),
        (1, 2, "DISCHARGE//HOME"),
        (1, 3, "DEATH"),
    ]
    task = _task(
        tmp_path,
        PREDICATES
        + """
trigger: lactate
windows:
  target: {start: stay.end, end: start + 1 day, start_inclusive: false, end_inclusive: true, label: death}
  stay: {start: trigger, end: start -> discharge,
         start_inclusive: true, end_inclusive: true, index_timestamp: end}
""",
    )
    assert _hours(aces_labels(_dataset(tmp_path, rows), task)) == [(1, 2, True), (1, 2, True)]


def test_the_start_of_a_window_told_backwards_by_a_span_is_where_it_is_told_from(tmp_path: Path) -> None:
    """As ACES has it: index_timestamp names the step's origin `start` and its arrival `end`."""
    rows: list[Row] = [(1, 0, "LACTATE", 1.0), (1, 30, "ADMISSION//A"), (1, 31, "DEATH")]
    text = (
        PREDICATES
        + """
trigger: admission
windows:
  day: {start: end - 24h, end: trigger, start_inclusive: true, end_inclusive: true, index_timestamp: SIDE}
  target: {start: trigger, end: null, start_inclusive: true, end_inclusive: true, label: death}
"""
    )
    dataset = _dataset(tmp_path, rows)
    for side, hour in (("start", 30.0), ("end", 6.0)):
        labels = aces_labels(dataset, _task(tmp_path, text.replace("SIDE", side)))
        assert _hours(labels) == [(1, hour, True)]


def test_values_are_compared_as_the_dataset_stores_them(tmp_path: Path) -> None:
    """1.1 stored in 32 bits is not above 1.1: the bound is taken in the column's own precision."""
    rows: list[Row] = [(1, 0, "ADMISSION//A"), (1, 1, "LACTATE", 1.1), (1, 2, "LACTATE", 1.2)]
    task = _task(
        tmp_path,
        """
predicates:
  admission: {code: ADMISSION//A}
  high: {code: LACTATE, value_min: 1.1}
trigger: admission
windows:
  target: {start: trigger, end: start + 1h, start_inclusive: true, end_inclusive: true,
           label: high, index_timestamp: start}
""",
    )
    assert _hours(aces_labels(_dataset(tmp_path, rows), task)) == [(1, 0, False)]


def test_further_keys_of_a_predicate_are_columns(tmp_path: Path) -> None:
    rows: list[Row] = [(1, 0, "DEATH"), (2, 0, "DEATH")]
    dataset = _dataset(tmp_path, rows, ward=["ICU", None])
    text = """
predicates: {death: {code: DEATH, ward: ICU}}
trigger: death
windows:
  w: {start: trigger, end: null, start_inclusive: true,
      end_inclusive: true, label: death, index_timestamp: start}
"""
    assert _hours(aces_labels(dataset, _task(tmp_path, text))) == [(1, 0, True)]
    with pytest.raises(InputError, match="bed: str"):
        aces_labels(dataset, _task(tmp_path, text.replace("ward", "bed")))
    with pytest.raises(InputError, match="ward: int"):
        aces_labels(dataset, _task(tmp_path, text.replace("ward: ICU", "ward: 7")))


def test_a_task_that_nothing_triggers_has_no_rows(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, [(1, 0, "LACTATE", 1.0)])
    assert aces_labels(dataset, _task(tmp_path, IN_HOSPITAL_DEATH)).is_empty()


def test_labels_depend_neither_on_shards_nor_on_the_order_of_rows(tmp_path: Path) -> None:
    rows: list[Row] = []
    for subject in range(6):
        rows += [
            (subject, 0, "ADMISSION//A"),
            (subject, 50 + subject, "DISCHARGE//HOME"),
            (subject, 53, "DEATH"),
        ]
    task = _task(tmp_path, IN_HOSPITAL_DEATH)
    whole = aces_labels(_dataset(tmp_path / "whole", rows), task)
    parts = aces_labels(_dataset(tmp_path / "parts", rows[9:][::-1], rows[:9]), task)
    assert whole.equals(parts)
    assert whole["boolean_value"].to_list() == [False, False, False, True, True, True]
