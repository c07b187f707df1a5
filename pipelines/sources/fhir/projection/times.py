"""FHIR's dates, times and periods as instants of the dataset's clock: the first and the last of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.times import UNPARSABLE

__all__ = ["UNPARSABLE", "Moments", "either", "moments", "moments_between", "when"]

_ZONED = "%Y-%m-%dT%H:%M:%S%.f%#z"
_UNZONED = "%Y-%m-%dT%H:%M:%S%.f"
_YEAR, _MONTH, _DAY = 4, 7, 10
"""Letters of a date that is known to the year, to the month, to the day."""


class Moments(NamedTuple):
    """What some texts say of time, one each.

    Attributes:
        first: the first instant, naive microseconds; null where there is none or it cannot be read.
        last: the last instant; the same but for dates and periods.
        is_wrong: which were given and cannot be read; None where none is.
    """

    first: pl.Series
    last: pl.Series
    is_wrong: pl.Series | None = None

    def gather(self, positions: list[int]) -> Moments:
        """Those at some positions."""
        wrong = None if self.is_wrong is None else self.is_wrong.gather(positions)
        return Moments(self.first.gather(positions), self.last.gather(positions), wrong)


def moments(given: Sequence[object], options: FhirOptions) -> Moments:
    """What dateTime, date and instant texts say.

    Args:
        given: as sent, or None.
        options: whose `time_zone` holds for what names no offset, and whose `clock` the instants are told by.

    Raises:
        TypeError: something is no text.

    **Source:** HL7 FHIR R4, 2.24 Data types: date, dateTime and instant.
    """
    told = pl.Series("told", given, dtype=pl.String, strict=True)
    exact = told.str.to_datetime(_ZONED, strict=False, time_unit="us")
    first = _on_clock(exact, options.clock)
    if exact.null_count() == told.null_count():
        return Moments(first, first)
    places = (told.is_not_null() & exact.is_null()).arg_true()
    begin, end = _local(told.gather(places), options)
    last = first.clone().scatter(places, end)
    first = first.scatter(places, begin)
    is_wrong = first.is_null() & told.is_not_null()
    return Moments(first, last, is_wrong if is_wrong.any() else None)


def _on_clock(exact: pl.Series, clock: str) -> pl.Series:
    told = exact if clock == "UTC" else exact.dt.convert_time_zone(clock)
    return told.dt.replace_time_zone(None)


def _local(told: pl.Series, options: FhirOptions) -> tuple[pl.Series, pl.Series]:
    """First and last instant of texts without an offset: dates, parts of dates, and times."""
    letters = pl.col("told").str.len_bytes()
    day = (
        pl.when(letters == _YEAR)
        .then(pl.col("told") + "-01-01")
        .when(letters == _MONTH)
        .then(pl.col("told") + "-01")
        .when(letters == _DAY)
        .then("told")
    )
    found = told.to_frame().select(
        begin=pl.coalesce(
            day.str.to_date("%Y-%m-%d", strict=False).cast(INSTANT),
            pl.col("told").str.to_datetime(_UNZONED, strict=False, time_unit="us"),
        ),
        span=pl.when(letters == _YEAR)
        .then(pl.lit("1y"))
        .when(letters == _MONTH)
        .then(pl.lit("1mo"))
        .when(letters == _DAY)
        .then(pl.lit("1d")),
    )
    after = pl.col("begin").dt.offset_by(pl.col("span")) - pl.duration(seconds=1)
    both = found.select("begin", end=pl.when(pl.col("span").is_null()).then("begin").otherwise(after))
    local = both.select(
        pl.all().dt.replace_time_zone(options.time_zone, ambiguous="earliest", non_existent="null")
    )
    begin, end = (_on_clock(column.dt.convert_time_zone("UTC"), options.clock) for column in local)
    return begin, end


def moments_between(starts: Sequence[object], ends: Sequence[object], options: FhirOptions) -> Moments:
    """Periods: the first instant of the start (else of the end), the last of the end (else of the start)."""
    begin, finish = moments(starts, options), moments(ends, options)
    first = begin.first.fill_null(finish.first)
    last = finish.last.fill_null(begin.last)
    return Moments(first, last, _any_wrong(begin.is_wrong, finish.is_wrong))


def when(elements: Sequence[dict[str, Any]], stem: str, options: FhirOptions) -> Moments:
    """A choice of times: `effectiveDateTime`, `effectiveInstant`, `effectivePeriod` or `effectiveTiming`.

    Args:
        elements: that have it.
        stem: "effective", "onset", "performed" ...
        options: of the mapping.
    """
    name = f"{stem}DateTime"
    given = [element.get(name) for element in elements]
    if None not in given:
        return moments(given, options)
    spans = [
        (text, text) if text is not None else _span(element, stem, options)
        for text, element in zip(given, elements, strict=True)
    ]
    return moments_between([start for start, _ in spans], [end for _, end in spans], options)


def _span(element: dict[str, Any], stem: str, options: FhirOptions) -> tuple[object, object]:
    """The texts of the start and of the end of an instant, a Period or a Timing."""
    instant = element.get(f"{stem}Instant")
    if instant is not None:
        return instant, instant
    period = element.get(f"{stem}Period")
    if period is not None:
        return period.get("start"), period.get("end")
    timing = element.get(f"{stem}Timing")
    return (None, None) if timing is None else _of_timing(timing, options)


def _of_timing(timing: dict[str, Any], options: FhirOptions) -> tuple[object, object]:
    events = timing.get("event")
    if events is not None and not isinstance(events, list):
        message = "the events of a Timing are no list"
        raise TypeError(message)
    if events:
        told = moments(events, options)
        if told.is_wrong is not None:
            wrong = events[int(told.is_wrong.arg_true()[0])]
            return wrong, wrong
        return events[int(told.first.arg_min() or 0)], events[int(told.last.arg_max() or 0)]
    repeat = timing.get("repeat")
    bounds = None if repeat is None else repeat.get("boundsPeriod")
    return (None, None) if bounds is None else (bounds.get("start"), bounds.get("end"))


def either(*told: Moments) -> Moments:
    """Of several moments each time the first that is there; wrong where any of them is."""
    first, last, is_wrong = told[0]
    for other in told[1:]:
        first, last = first.fill_null(other.first), last.fill_null(other.last)
        is_wrong = _any_wrong(is_wrong, other.is_wrong)
    return Moments(first, last, is_wrong)


def _any_wrong(one: pl.Series | None, other: pl.Series | None) -> pl.Series | None:
    if one is None or other is None:
        return other if one is None else one
    return one | other
