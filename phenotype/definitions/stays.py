"""The criteria about time in hospital: stay, contact, and measure (one number for each stay)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from phenotype.contacts import readmissions
from phenotype.definitions.events import holds
from phenotype.definitions.mark_windows import HOUR, Line, line_of, reduce_ranges, spread
from phenotype.definitions.marks import (
    MARKS,
    NEVER,
    Floats,
    Ints,
    as_marks,
    as_values,
    instants,
    latest,
    rounded,
)
from phenotype.definitions.nodes import Contact, Measure, Part, Stay
from phenotype.definitions.record import Record
from phenotype.definitions.windows import aggregate, bearer

Evaluate = Callable[[Part], pl.DataFrame]
DAY = 24 * HOUR
DAYS_A_YEAR = 365.25
ZERO_WITHOUT_MARKS = ("count", "count_stays", "count_days", "sum_days", "sum", "ever")


def stay_marks(node: Stay, record: Record) -> pl.DataFrame:
    """The marks of `stay`."""
    spans = record.spans.stays.join(record.births, on="subject_id", how="left").with_columns(
        value=_length_days(), age=_age_years(), known_time=pl.col("end_time")
    )
    if node.readmission_within_days is not None:
        later = _readmissions(record, node.readmission_within_days)["readmission_stay_id"]
        spans = spans.filter(pl.col("stay_id").is_in(later.implode()))
    if node.readmitted_within_days is not None:
        found = _readmissions(record, node.readmitted_within_days).sort("end_time", "stay_id")
        index = found.unique("readmission_stay_id", keep="last", maintain_order=True)
        ends = record.spans.stays.select(readmission_stay_id="stay_id", known_time="end_time")
        index = index.join(ends, on="readmission_stay_id").select("stay_id", "known_time")
        spans = spans.drop("known_time").join(index, on="stay_id")
    spans = spans.filter(
        *_is_one_of("care_level", node.care_level),
        *_is(pl.col("is_acute"), node.acute),
        *_is(pl.col("is_overnight"), node.overnight),
        *_is(pl.col("is_dead"), node.died),
        *_is(pl.col("end_time").is_not_null(), node.ended),
        holds(node.length_days, "value"),
        holds(node.age_years, "age"),
    )
    spans = _long_ones(spans, node)
    return _span_marks(spans.with_columns(contact_id=pl.lit(None, pl.Int64)))


def contact_marks(node: Contact, record: Record) -> pl.DataFrame:
    """The marks of `contact`."""
    spans = record.spans.contacts.with_columns(value=_length_days()).filter(
        *_is_one_of("care_level", node.care_level),
        *_is(pl.col("urgency") == "acute", node.acute),
        *_is(pl.col("end_time").is_not_null(), node.ended),
        holds(node.length_days, "value"),
    )
    if node.at == "start":
        spans = spans.with_columns(end_time=pl.col("start_time"), value=pl.lit(None, pl.Float64))
    return _span_marks(spans.with_columns(known_time=pl.col("end_time")))


def measure_marks(node: Measure, evaluate: Evaluate, record: Record) -> pl.DataFrame:
    """The marks of `measure`."""
    stays = record.spans.stays.select("subject_id", "stay_id", "start_time", "end_time")
    line, low, high = _measured(node, evaluate(node.of), stays)
    number, low, high = _numbers(node, line, low, high, instants(stays, "start_time"))
    own = pl.col("start_time") if node.span == "history" else pl.col("end_time")
    has_marks = pl.Series(low < high)
    known = np.full(len(low), np.iinfo(np.int64).min)
    filled = np.flatnonzero(low < high)
    known[filled] = reduce_ranges(np.maximum, line.known, low[filled], high[filled])
    marks = stays.with_columns(
        own.alias("end_time"),
        as_values(number).alias("value"),
        own.alias("own"),
        line.evidence(low, high).alias("evidence"),
        pl.Series("known", np.where(known == NEVER, NEVER, known)),
        contact_id=pl.lit(None, pl.Int64),
        has_marks=has_marks,
    )
    of_marks = pl.when(pl.col("known") != NEVER).then("known").cast(MARKS["known_time"])
    known_time = pl.when("has_marks").then(latest(pl.col("own"), of_marks)).otherwise("own")
    marks = marks.with_columns(known_time=known_time)
    return as_marks(marks.filter(pl.col("value").is_not_null() & holds(node.value, "value")))


def _measured(node: Measure, marks: pl.DataFrame, stays: pl.DataFrame) -> tuple[Line, Ints, Ints]:
    """For each stay the range of marks that its number is made of."""
    start = instants(stays, "start_time")
    if node.span == "stay":
        line = line_of(marks, "stay")
        return (line, *line.group_range(instants(stays, "stay_id")))
    subject = instants(stays, "subject_id")
    line = line_of(marks, "subject")
    first = None if node.look_back_days is None else start - round(node.look_back_days * DAY)
    low, high = line.window(subject, first, start - 1)
    return _known_ones(line, low, high, start) if node.known else (line, low, high)


def _known_ones(line: Line, low: Ints, high: Ints, at: Ints) -> tuple[Line, Ints, Ints]:
    """The ranges without the marks that were not known at an instant, as ranges of a line made for them."""
    if not len(low) or not line.marks.height:
        return line, low, high
    length = high - low
    filled = np.flatnonzero(length > 0)
    latest_known = np.zeros(len(low), dtype=np.int64)
    latest_known[filled] = reduce_ranges(np.maximum, line.known, low[filled], high[filled])
    if (latest_known[filled] <= at[filled]).all():
        return line, low, high
    mark = spread(low, length)
    query = np.repeat(np.arange(len(low)), length)
    is_known = line.known[mark] <= at[query]
    mark, query = mark[is_known], query[is_known]
    n = np.bincount(query, minlength=len(low))
    ends = np.cumsum(n)
    return Line(line.marks[mark], query), ends - n, ends


def _numbers(node: Measure, line: Line, low: Ints, high: Ints, at: Ints) -> tuple[Floats, Ints, Ints]:
    """The number of each stay, NaN where there is none, and the range of marks that are its evidence."""
    number = np.full(len(low), 0.0 if node.how in ZERO_WITHOUT_MARKS else np.nan)
    filled = np.flatnonzero(low < high)
    low_f, high_f = low[filled], high[filled]
    if node.how in {"hours_since", "days_since"}:
        low[filled] = high_f - 1
        gap = (at[filled] - line.start[high_f - 1]) / (HOUR if node.how == "hours_since" else DAY)
        number[filled] = rounded(gap)
    elif node.how == "ever":
        number[filled] = 1
    elif node.how == "sum_days":
        end = instants(line.marks, "end_time", null=NEVER)
        days = np.where(end == NEVER, 0.0, (np.where(end == NEVER, 0, end) - line.start) / DAY)
        number[filled] = rounded(reduce_ranges(np.add, days, low_f, high_f))
    elif node.how in {"count_stays", "count_days"}:
        number[filled] = _n_different(line, low_f, high_f, node.how)
    else:
        how = node.how.removesuffix("_value")
        found = aggregate(line.value, low_f, high_f, how)
        number[filled] = np.where(np.isnan(found) & (how == "sum"), 0.0, found)
        if how in {"first", "last", "min", "max"}:
            _narrow(line, number, low, high, how)
    return number, low, high


def _narrow(line: Line, number: Floats, low: Ints, high: Ints, how: str) -> None:
    """Leave of each range the mark that has the number."""
    held = np.flatnonzero(~np.isnan(number) & (low < high))
    place = bearer(line.value, number[held], low[held], high[held], how)
    low[held], high[held] = place, place + 1


def _n_different(line: Line, low: Ints, high: Ints, how: str) -> Ints:
    """(Q,) different stays, or calendar days of the starts, in each range."""
    kind = instants(line.marks, "stay_id") if how == "count_stays" else line.start // DAY
    query = np.repeat(np.arange(len(low)), high - low)
    pairs = pl.DataFrame({"query": query, "kind": kind[spread(low, high - low)]}).unique()
    if how == "count_stays":
        pairs = pairs.filter(pl.col("kind") != np.iinfo(np.int64).min)
    return np.bincount(pairs["query"].to_numpy(), minlength=len(low))


def _readmissions(record: Record, within_days: float) -> pl.DataFrame:
    found = readmissions(record.spans.stays, within_days)
    return found.filter(pl.col("readmission_stay_id").is_not_null())


def _length_days() -> pl.Expr:
    length = (pl.col("end_time") - pl.col("start_time")).dt.total_microseconds() / DAY
    return length.round(6)


def _age_years() -> pl.Expr:
    age = (pl.col("start_time") - pl.col("birth_time")).dt.total_microseconds() / (DAY * DAYS_A_YEAR)
    return age.round(6)


def _is(flag: pl.Expr, wanted: bool | None) -> list[pl.Expr]:  # noqa: FBT001 - what a definition says
    return [] if wanted is None else [flag == wanted]


def _is_one_of(column: str, wanted: tuple[str, ...]) -> list[pl.Expr]:
    return [pl.col(column).is_in(list(wanted))] if wanted else []


def _long_ones(spans: pl.DataFrame, node: Stay) -> pl.DataFrame:
    """The stays longer than a percentile, or a mean and its spread, of these stays."""
    lengths = spans["value"].drop_nulls().to_numpy()
    if node.above_percentile is not None and len(lengths):
        spans = spans.filter(pl.col("value") > float(np.percentile(lengths, node.above_percentile)))
    if node.above_mean_sd is not None:
        if len(lengths) < 2:
            return spans.clear()
        bound = float(np.mean(np.sort(lengths))) + node.above_mean_sd * float(
            np.std(np.sort(lengths), ddof=1)
        )
        spans = spans.filter(pl.col("value") > bound)
    return spans


def _span_marks(spans: pl.DataFrame) -> pl.DataFrame:
    return as_marks(spans.with_columns(evidence=pl.lit([], dtype=pl.List(pl.Int64))))
