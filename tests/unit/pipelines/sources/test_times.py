"""Times of a mapping: forms, zones, dates and anchors, and the reason where one cannot be used."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from pydantic import TypeAdapter

from pipelines.sources.fields import TimeField
from pipelines.sources.times import Clock, instants

ANCHOR = datetime(2012, 1, 1)


def read(
    spec: Any, zone: str | None = None, **columns: list[Any]
) -> tuple[list[datetime | None], list[str | None]]:
    time = TypeAdapter(TimeField).validate_python(spec)
    rows = pl.DataFrame(columns).with_row_index("_index")
    found = instants(rows, time, Clock(ANCHOR, zone))
    reasons = found.reasons.to_list() if found.reasons is not None else [None] * rows.height
    return found.values.to_list(), reasons


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-03-01 08:15:30", datetime(2020, 3, 1, 8, 15, 30)),
        ("2020-03-01T08:15:30", datetime(2020, 3, 1, 8, 15, 30)),
        ("2020-03-01 08:15", datetime(2020, 3, 1, 8, 15)),
        ("2020-03-01", datetime(2020, 3, 1)),
        ("2020-03-01T08:15:30.25", datetime(2020, 3, 1, 8, 15, 30, 250_000)),
        ("2020-03-01T08:15:30Z", datetime(2020, 3, 1, 8, 15, 30)),
        ("2020-03-01T08:15:30+01:00", datetime(2020, 3, 1, 7, 15, 30)),
    ],
)
def test_iso_forms_are_read_without_being_asked_for(text: str, expected: datetime) -> None:
    assert read("t", t=[text]) == ([expected], [None])


def test_formats_are_tried_in_order_and_what_fits_none_is_unparsable() -> None:
    spec = {"column": "t", "formats": ["%d.%m.%Y %H:%M", "%d.%m.%Y", "%Y"]}
    values, reasons = read(spec, t=["02.03.2020 08:15", "02.03.2020", "2020", "2020-03-02", None])
    assert values == [datetime(2020, 3, 2, 8, 15), datetime(2020, 3, 2), datetime(2020, 1, 1), None, None]
    assert reasons == [None, None, None, "unparsable time", None]


def test_norwegian_clock_changes() -> None:
    """In 2021 the clocks went forward at 02:00 on 28 March and back at 03:00 on 31 October."""
    spec = {"column": "t", "zone": "Europe/Oslo"}
    values, reasons = read(
        spec, t=["2021-01-15 12:00:00", "2021-07-15 12:00:00", "2021-10-31 02:30:00", "2021-03-28 02:30:00"]
    )
    assert values[0] == datetime(2021, 1, 15, 11)
    assert values[1] == datetime(2021, 7, 15, 10)
    assert values[2] == datetime(2021, 10, 31, 0, 30)
    assert values[3] is None
    assert reasons == [None, None, None, "time that the clock skipped"]


def test_the_mappings_zone_holds_for_columns_that_name_none() -> None:
    assert read("t", zone="Europe/Oslo", t=["2021-07-15 12:00:00"])[0] == [datetime(2021, 7, 15, 10)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("start", datetime(2020, 3, 2)),
        ("end", datetime(2020, 3, 2, 23, 59, 59)),
        ("12:30", datetime(2020, 3, 2, 12, 30)),
    ],
)
def test_a_date_gets_the_time_of_day_it_is_given(at: str, expected: datetime) -> None:
    assert read({"column": "t", "at": at}, t=["2020-03-02"])[0] == [expected]


def test_offsets_after_the_nominal_anchor() -> None:
    hours = {"anchor": "nominal", "offset": "n", "unit": "hours"}
    assert read(hours, n=["1.5", "-2", None, "x"]) == (
        [datetime(2012, 1, 1, 1, 30), datetime(2011, 12, 31, 22), None, None],
        [None, None, None, "unparsable time"],
    )
    assert read({**hours, "unit": "days"}, n=[3])[0] == [datetime(2012, 1, 4)]
    assert read({"anchor": "nominal", "offset": 48}, n=[1])[0] == [datetime(2012, 1, 3)]


def test_hours_and_minutes_may_pass_a_day() -> None:
    spec = {"anchor": "nominal", "offset": "t", "unit": "HH:MM"}
    assert read(spec, t=["00:07", "42:05", "7:61", "seven"]) == (
        [datetime(2012, 1, 1, 0, 7), datetime(2012, 1, 2, 18, 5), None, None],
        [None, None, "unparsable time", "unparsable time"],
    )


def test_offsets_after_a_column_and_years_by_the_calendar() -> None:
    after = {"anchor": {"column": "t", "formats": ["%Y"]}, "offset": "age", "factor": -1, "unit": "years"}
    assert read(after, t=["2180"], age=["52"])[0] == [datetime(2128, 1, 1)]
    assert read({"anchor": "t", "offset": "m", "unit": "minutes"}, t=["2020-01-01"], m=[90])[0] == [
        datetime(2020, 1, 1, 1, 30)
    ]


def test_a_choice_among_times_leaves_nulls_out() -> None:
    columns = {"a": ["2020-01-03", None], "b": ["2020-01-02", "2020-01-05"]}
    early, late = datetime(2020, 1, 2), datetime(2020, 1, 3)
    only = datetime(2020, 1, 5)
    assert read({"first_of": ["a", "b"]}, **columns)[0] == [late, only]
    assert read({"earliest_of": ["a", "b"]}, **columns)[0] == [early, only]
    assert read({"latest_of": ["a", "b"], "plus_hours": 24}, **columns)[0] == [
        datetime(2020, 1, 4),
        datetime(2020, 1, 6),
    ]


def test_typed_columns_of_parquet_are_taken_as_they_are() -> None:
    assert read("t", t=[datetime(2164, 9, 24, 20, 21)]) == ([datetime(2164, 9, 24, 20, 21)], [None])


def test_years_of_typing_faults_are_out_of_range() -> None:
    assert read("t", t=["0020-01-01", "9999-01-01"]) == ([None, None], ["time out of range"] * 2)


def test_durations_are_counted_from_the_anchor_in_iso_form() -> None:
    """The forms are ISO 8601's own examples and polars' way of writing a Parquet column of durations."""
    spec = {"anchor": "nominal", "offset": "t", "unit": "duration"}
    values, reasons = read(spec, t=["PT0S", "P1DT1H", "PT90M", "-PT30M", "PT1.5S", "P", "P1Y", "1h", None])
    assert values[:5] == [
        datetime(2012, 1, 1),
        datetime(2012, 1, 2, 1),
        datetime(2012, 1, 1, 1, 30),
        datetime(2011, 12, 31, 23, 30),
        datetime(2012, 1, 1, 0, 0, 1, 500_000),
    ]
    assert values[5:] == [None] * 4
    assert reasons == [None] * 5 + ["unparsable time"] * 3 + [None]
    written = pl.Series([timedelta(days=6, hours=23), timedelta(minutes=-5)]).dt.to_string("iso")
    assert read(spec, t=written.to_list())[0] == [datetime(2012, 1, 7, 23), datetime(2011, 12, 31, 23, 55)]
