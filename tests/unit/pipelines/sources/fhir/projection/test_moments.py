"""FHIR's times by the dataset's clock: offsets, dates and parts of dates, periods, timings.

Expected instants are by hand: Norway is at +01:00, and at +02:00 from the last Sunday of March, 01:00 UTC,
to the last of October, 01:00 UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.projection.times import moments, moments_between, when

NORWAY = FhirOptions()


def both(text: str | None, options: FhirOptions = NORWAY) -> tuple[datetime | None, datetime | None]:
    told = moments([text], options)
    return told.first[0], told.last[0]


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2021-02-03T04:05:06Z", datetime(2021, 2, 3, 4, 5, 6)),
        ("2021-02-03T04:05:06+01:00", datetime(2021, 2, 3, 3, 5, 6)),
        ("2021-07-03T00:30:00.250+02:00", datetime(2021, 7, 2, 22, 30, 0, 250_000)),
        ("2021-02-03T04:05:06-05:00", datetime(2021, 2, 3, 9, 5, 6)),
        ("2021-07-03T12:00:00", datetime(2021, 7, 3, 10)),  # no offset: Norwegian summer time
        ("2021-10-31T02:30:00", datetime(2021, 10, 31, 0, 30)),  # the hour that comes twice: the earlier
    ],
)
def test_an_instant_is_both_first_and_last(sent: str, instant: datetime) -> None:
    assert both(sent) == (instant, instant)


@pytest.mark.parametrize(
    ("sent", "first", "last"),
    [
        ("2019-05-03", datetime(2019, 5, 2, 22), datetime(2019, 5, 3, 21, 59, 59)),
        ("2019-05", datetime(2019, 4, 30, 22), datetime(2019, 5, 31, 21, 59, 59)),
        ("2019", datetime(2018, 12, 31, 23), datetime(2019, 12, 31, 22, 59, 59)),
        ("2020-02", datetime(2020, 1, 31, 23), datetime(2020, 2, 29, 22, 59, 59)),
        # the day on which the clock goes forward has 23 hours
        ("2021-03-28", datetime(2021, 3, 27, 23), datetime(2021, 3, 28, 21, 59, 59)),
    ],
)
def test_a_date_lasts_from_its_first_second_to_its_last(sent: str, first: datetime, last: datetime) -> None:
    assert both(sent) == (first, last)


def test_the_dataset_may_be_told_by_another_clock() -> None:
    hospital = FhirOptions(time_zone="Etc/GMT-1", clock="Etc/GMT-1")
    assert both("2021-07-03T12:00:00+01:00", hospital)[0] == datetime(2021, 7, 3, 12)
    assert both("2021-07-03T12:00:00Z", hospital)[0] == datetime(2021, 7, 3, 13)
    assert both("2021-07-03", hospital) == (datetime(2021, 7, 3), datetime(2021, 7, 3, 23, 59, 59))


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "i går",
        "2021-13-01",
        "2021-02-30",
        "03.02.2021",
        "2021-03-28T02:30:00",
        "2021-02-03T25:00:00Z",
        "21",
    ],
)
def test_what_cannot_be_read_is_told(sent: str) -> None:
    told = moments([sent, "2021-02-03", None], NORWAY)
    assert told.first[0] is None
    assert told.is_wrong is not None
    assert told.is_wrong.to_list() == [True, False, False]


def test_nothing_is_not_wrong() -> None:
    told = moments([None, None], NORWAY)
    assert told.is_wrong is None
    assert told.first.null_count() == 2


@pytest.mark.parametrize("wrong", [20210203, True, ["2021"], {"start": "2021"}])
def test_a_time_that_is_no_text_is_an_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        moments([wrong], NORWAY)
    with pytest.raises(TypeError):
        moments(["2021", wrong], NORWAY)


def test_a_period_has_the_first_of_its_start_and_the_last_of_its_end() -> None:
    told = moments_between(["2021-01-01", None, "2021-01-01"], ["2021-01-03", "2021-01-03", None], NORWAY)
    start, end = datetime(2020, 12, 31, 23), datetime(2021, 1, 3, 22, 59, 59)
    assert told.first.to_list() == [start, datetime(2021, 1, 2, 23), start]
    assert told.last.to_list() == [end, end, datetime(2021, 1, 1, 22, 59, 59)]


def test_the_four_ways_of_saying_when() -> None:
    elements: list[dict[str, Any]] = [
        {"effectiveDateTime": "2021-01-01T10:00:00Z"},
        {"effectiveInstant": "2021-01-01T11:00:00Z"},
        {"effectivePeriod": {"start": "2021-01-01T12:00:00Z", "end": "2021-01-01T13:00:00Z"}},
        # 14:00 at +02:00 is before 13:00 at -01:00, though its text is not
        {"effectiveTiming": {"event": ["2021-01-01T13:00:00-01:00", "2021-01-01T14:00:00+02:00"]}},
        {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2021-01-01T15:00:00Z"}}}},
        {},
    ]
    told = when(elements, "effective", NORWAY)
    assert [instant and instant.hour for instant in told.first] == [10, 11, 12, 12, 15, None]
    assert [instant and instant.hour for instant in told.last] == [10, 11, 13, 14, 15, None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"effectivePeriod": "2021"},
        {"effectivePeriod": {"start": 2021}},
        {"effectiveTiming": {"event": "2021-01-01"}},
        {"effectiveTiming": [1]},
        {"effectiveInstant": 5},
    ],
)
def test_wrong_json_types_of_times_are_errors(wrong: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        when([wrong], "effective", NORWAY)
