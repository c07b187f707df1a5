"""Times of a mapping as naive microseconds: parsed, zoned or counted from an anchor, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from phenotype.trajectory import INSTANT
from pipelines.sources.cells import text_of
from pipelines.sources.fields import Time

ISO_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
)
FIRST_YEAR, LAST_YEAR = 1800, 2400
"""Times outside these years are faults of typing; de-identified sources shift theirs into the 2200s."""

UNPARSABLE = "unparsable time"
SKIPPED = "time that the clock skipped"
OUT_OF_RANGE = "time out of range"
_DURATION = r"^\s*(-)?P(?:(\d{1,7})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:\.\d+)?)S)?)?\s*$"
"""ISO 8601-1:2019, 5.5.2: days, hours, minutes and seconds; years and months have no fixed length."""
_MICROSECONDS = {"seconds": 1_000_000, "minutes": 60_000_000, "hours": 3_600_000_000, "days": 86_400_000_000}


@dataclass(frozen=True)
class Clock:
    """What a mapping says about all its times."""

    nominal_anchor: datetime | None
    zone: str | None


@dataclass(frozen=True)
class Instants:
    """Times of the rows of a frame.

    Attributes:
        values: naive microseconds; null where unknown or wrong.
        reasons: why a time that was given could not be used; null elsewhere. None where all could.
    """

    values: pl.Series
    reasons: pl.Series | None = None


def instants(frame: pl.DataFrame, time: Time, clock: Clock) -> Instants:
    """When each row of a frame was, by one time of the mapping."""
    if time.static:
        return Instants(pl.repeat(None, frame.height, dtype=INSTANT, eager=True))
    if time.column is not None:
        found = _column(frame, time, clock)
    elif time.anchor is not None:
        found = _after_anchor(frame, time, clock)
    else:
        found = _chosen(frame, time, clock)
    if time.plus_hours:
        found = Instants(_shifted(found.values, time.plus_hours), found.reasons)
    return found


def _shifted(values: pl.Series, hours: float) -> pl.Series:
    return (values.cast(pl.Int64) + round(hours * 3_600_000_000)).cast(INSTANT)


def _column(frame: pl.DataFrame, time: Time, clock: Clock) -> Instants:
    cells = frame.get_column(time.column or "")
    is_given = cells.is_not_null()
    if isinstance(cells.dtype, pl.Datetime):
        values = cells.cast(INSTANT)
    else:
        given = frame.select(text_of(frame, time.column or "")).to_series()
        values = _parsed(given, time.formats or ISO_FORMATS)
    if time.at:
        values = _at(values, time.at)
    reasons = _reasons(values.is_null() & is_given, UNPARSABLE)
    years = values.dt.year()
    reasons = _both(reasons, _reasons((years < FIRST_YEAR) | (years > LAST_YEAR), OUT_OF_RANGE))
    zone = time.zone or clock.zone
    if zone:
        in_utc = (
            values.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            .dt.convert_time_zone("UTC")
            .dt.replace_time_zone(None)
        )
        reasons = _both(reasons, _reasons(in_utc.is_null() & values.is_not_null(), SKIPPED))
        values = in_utc
    return Instants(_without(values, reasons), reasons)


def _parsed(given: pl.Series, formats: tuple[str, ...]) -> pl.Series:
    """Each text by the first format that fits it: the first is tried on all, the others on the rest."""
    values = _by_format(given, formats[0])
    for form in formats[1:]:
        left = values.is_null() & given.is_not_null()
        if not left.any():
            break
        values = values.scatter(left.arg_true(), _by_format(given.filter(left), form))
    return values


def _by_format(given: pl.Series, form: str) -> pl.Series:
    text, form = (given + "-01-01", "%Y-%m-%d") if form == "%Y" else (given, form)
    if "%H" in form or "%I" in form or "%T" in form or "%R" in form:
        parsed = text.str.to_datetime(form, time_unit="us", strict=False)
    else:
        parsed = text.str.to_date(form, strict=False).cast(INSTANT)
    is_zoned = isinstance(parsed.dtype, pl.Datetime) and parsed.dtype.time_zone
    return parsed.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if is_zoned else parsed.cast(INSTANT)


def _at(values: pl.Series, at: str) -> pl.Series:
    days = values.dt.truncate("1d")
    if at == "end":
        return _shifted(days, 24 - 1 / 3600)
    hours, minutes = (0, 0) if at == "start" else (int(part) for part in at.split(":"))
    return _shifted(days, hours + minutes / 60)


def _after_anchor(frame: pl.DataFrame, time: Time, clock: Clock) -> Instants:
    if isinstance(time.anchor, Time):
        anchor = instants(frame, time.anchor, clock)
    else:
        anchor = Instants(pl.repeat(clock.nominal_anchor, frame.height, dtype=INSTANT, eager=True))
    if not isinstance(time.offset, str):
        offset, is_wrong = pl.repeat(time.offset, frame.height, dtype=pl.Float64, eager=True), None
    else:
        offset, is_wrong = _offsets(frame, time.offset, time.unit)
    if time.unit == "years":
        whole = (offset * time.factor).cast(pl.Int64)
        shifts = pl.select(pl.format("{}y", whole)).to_series()
        values = pl.select(pl.lit(anchor.values).dt.offset_by(pl.lit(shifts))).to_series()
    else:
        unit = _MICROSECONDS["minutes" if time.unit in {"HH:MM", "duration"} else time.unit]
        span = (offset * (time.factor * unit)).round(0).cast(pl.Int64, strict=False)
        values = (anchor.values.cast(pl.Int64) + span).cast(INSTANT)
    reasons = anchor.reasons
    if is_wrong is not None:
        reasons = _both(reasons, _reasons(is_wrong, UNPARSABLE))
    return Instants(values, reasons)


def _offsets(frame: pl.DataFrame, column: str, unit: str) -> tuple[pl.Series, pl.Series]:
    """The offset of each row in its unit (texts in minutes), and whether it was given and is unreadable."""
    cells = frame.get_column(column)
    if unit == "duration":
        offset = _duration_minutes(cells.cast(pl.String))
    elif unit != "HH:MM":
        offset = cells.cast(pl.Float64, strict=False)
        if cells.dtype == pl.String:
            offset = offset.fill_null(cells.str.strip_chars().cast(pl.Float64, strict=False))
        offset = offset.to_frame("n").select(pl.when(pl.col("n").is_finite()).then("n")).to_series()
    else:
        parts = (
            cells.cast(pl.String)
            .str.extract_groups(r"^\s*(\d{1,4}):([0-5]\d)(?::([0-5]\d))?\s*$")
            .struct.unnest()
        )
        hours, minutes, seconds = (
            parts.to_series(index).cast(pl.Float64, strict=False) for index in range(3)
        )
        offset = hours * 60 + minutes + seconds.fill_null(0.0) / 60
    return offset, offset.is_null() & cells.is_not_null()


def _duration_minutes(texts: pl.Series) -> pl.Series:
    """Minutes of each ISO 8601 duration; null where a text is none, or names no part of one."""
    parts = texts.str.extract_groups(_DURATION).struct.unnest()
    parts.columns = ["sign", *"DHMS"]
    numbers = parts.with_columns(pl.col(*"DHMS").cast(pl.Float64, strict=False))
    in_minutes = {"D": 1440.0, "H": 60.0, "M": 1.0, "S": 1 / 60}
    total = pl.sum_horizontal(pl.col(name) * factor for name, factor in in_minutes.items())
    signed = pl.when(pl.col("sign") == "-").then(-total).otherwise(total)
    is_told = pl.any_horizontal(pl.col(*in_minutes).is_not_null())
    return numbers.select(pl.when(is_told).then(signed)).to_series()


def _chosen(frame: pl.DataFrame, time: Time, clock: Clock) -> Instants:
    parts = [instants(frame, part, clock) for part in time.parts]
    columns = pl.DataFrame([part.values.alias(str(index)) for index, part in enumerate(parts)])
    if time.first_of:
        values = columns.select(pl.coalesce(pl.all())).to_series()
    else:
        chosen = pl.max_horizontal(pl.all()) if time.latest_of else pl.min_horizontal(pl.all())
        values = columns.select(chosen).to_series()
    reasons = None
    for part in parts:
        reasons = _both(reasons, part.reasons)
    return Instants(values, reasons)


def _reasons(is_wrong: pl.Series, reason: str) -> pl.Series | None:
    if not is_wrong.any():
        return None
    return is_wrong.to_frame("w").select(pl.when("w").then(pl.lit(reason))).to_series()


def _both(one: pl.Series | None, other: pl.Series | None) -> pl.Series | None:
    if one is None or other is None:
        return other if one is None else one
    return one.fill_null(other)


def _without(values: pl.Series, reasons: pl.Series | None) -> pl.Series:
    if reasons is None:
        return values
    return (
        pl.DataFrame({"v": values, "r": reasons}).select(pl.when(pl.col("r").is_null()).then("v")).to_series()
    )
