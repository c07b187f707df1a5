"""The criteria that look along time: near, before, after, at_least, worst and rise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from phenotype.definitions.events import holds
from phenotype.definitions.mark_windows import (
    GROUP_COLUMNS,
    Line,
    blocks_of_pairs,
    first_where_equal,
    line_of,
    microseconds,
    reduce_ranges,
)
from phenotype.definitions.marks import (
    MARKS,
    NEVER,
    Floats,
    Ints,
    as_instants,
    as_marks,
    as_values,
    instants,
    latest,
    rounded,
)
from phenotype.definitions.nodes import After, AtLeast, Before, Near, Part, Rise, Worst

Evaluate = Callable[[Part], pl.DataFrame]
_OTHER = "_other"


def near_marks(node: Near, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `near`."""
    span = (
        None if node.from_hours is None else microseconds(node.from_hours),
        None if node.to_hours is None else microseconds(node.to_hours),
    )
    if node.absent:
        return _without(evaluate(node.of), evaluate(node.other), span, node.same)
    return _with_other(evaluate(node.of), evaluate(node.other), span, node.same, node.keep)


def before_marks(node: Before, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `before`."""
    last = None if node.within_hours is None else microseconds(node.within_hours)
    return _with_other(evaluate(node.of), evaluate(node.other), (1, last), node.same, "of")


def after_marks(node: After, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `after`."""
    first = None if node.within_hours is None else -microseconds(node.within_hours)
    return _with_other(evaluate(node.of), evaluate(node.other), (first, -1), node.same, "of")


Span = tuple[int | None, int | None]


def _window(marks: pl.DataFrame, line: Line, span: Span, same: str) -> tuple[Ints, Ints]:
    """For each mark the range of the line's marks that start within the span from its start."""
    group, start = instants(marks, GROUP_COLUMNS[same]), instants(marks, "start_time")
    first, last = (None if bound is None else start + bound for bound in span)
    return line.window(group, first, last)


def _with_other(marks: pl.DataFrame, other: pl.DataFrame, span: Span, same: str, keep: str) -> pl.DataFrame:
    marks = marks.filter(pl.col(GROUP_COLUMNS[same]).is_not_null())
    line = line_of(other, same)
    low, high = _window(marks, line, span, same)
    hits = low < high
    one = marks.filter(pl.Series(hits))
    two = line.marks[low[hits]]
    if keep == "of":
        kept = one
    elif keep == "other":
        kept = two
    else:
        is_one = one["start_time"] <= two["start_time"]
        pairs = pl.concat([one, two.rename({name: name + _OTHER for name in MARKS})], how="horizontal")
        kept = pairs.select(
            pl.when(is_one).then(name).otherwise(name + _OTHER).alias(name) for name in MARKS.names()
        )
    both = pl.DataFrame(
        {
            "known": one["known_time"],
            "known_other": two["known_time"],
            "evidence": one["evidence"],
            "evidence_other": two["evidence"],
        }
    ).select(
        latest(pl.col("known"), pl.col("known_other")).alias("known_time"),
        pl.concat_list("evidence", "evidence_other").alias("evidence"),
    )
    return as_marks(kept.with_columns(both["known_time"], both["evidence"]))


def _without(marks: pl.DataFrame, other: pl.DataFrame, span: Span, same: str) -> pl.DataFrame:
    marks = marks.filter(pl.col(GROUP_COLUMNS[same]).is_not_null())
    low, high = _window(marks, line_of(other, same), span, same)
    kept = marks.filter(pl.Series(low == high))
    if span[1] is None:
        return as_marks(kept.with_columns(known_time=pl.lit(None)))
    window_end = pl.col("start_time") + pl.duration(microseconds=span[1])
    return as_marks(kept.with_columns(known_time=latest(pl.col("known_time"), window_end)))


def at_least_marks(node: AtLeast, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The marks of `at_least`.

    Args:
        node: the criterion.
        parts: the marks of each member of `of`; with `same: text` rows that have a column `text` as well.
    """
    line, part = _line_of_parts(parts, node.same)
    if not line.marks.height:
        return as_marks(line.marks)
    reach = NEVER if node.within_hours is None else microseconds(node.within_hours)
    nth = _nth_start(line, part, node, reach)
    found = np.flatnonzero(nth != NEVER)
    low = line.place(line.group[found], line.start[found])
    high = line.place(line.group[found], nth[found], after_ties=True)
    kept = line.marks[found].with_columns(
        as_instants(nth[found]).alias("end_time"),
        pl.lit(None, pl.Float64).alias("value"),
        line.known_by(low, high).alias("known_time"),
        line.evidence(low, high).alias("evidence"),
    )
    return as_marks(kept)


def _line_of_parts(parts: Sequence[pl.DataFrame], same: str) -> tuple[Line, Ints]:
    """All parts' marks on one line, and which part each is of."""
    numbered = [rows.with_columns(_part=pl.lit(number, pl.Int64)) for number, rows in enumerate(parts)]
    marks = pl.concat(numbered)
    if same == "text":
        marks = marks.filter(pl.col("text").is_not_null())
        group = marks.select(pl.struct("subject_id", "text").rank("dense").cast(pl.Int64)).to_series()
    else:
        marks = marks.filter(pl.col(GROUP_COLUMNS[same]).is_not_null())
        group = marks[GROUP_COLUMNS[same]]
    order = np.lexsort((instants(marks, "start_time"), group.to_numpy()))
    marks, group = marks[order], group[order]
    return Line(marks.select(MARKS.names()), group.to_numpy()), marks["_part"].to_numpy()


def _nth_start(line: Line, part: Ints, node: AtLeast, reach: int) -> Ints:
    """When the nth different mark from each mark on starts; NEVER where none does within reach."""
    if node.distinct == "time":
        return _nth_time(line, node.n, reach)
    if node.distinct == "part":
        return _nth_part(line, part, len(node.of), node.n, reach)
    return _nth_value(line, node.n, reach)


def _nth_time(line: Line, n: int, reach: int) -> Ints:
    is_new = np.ones(len(line.group), dtype=np.bool_)
    is_new[1:] = (line.group[1:] != line.group[:-1]) | (line.start[1:] != line.start[:-1])
    number = np.cumsum(is_new) - 1
    group, start = line.group[is_new], line.start[is_new]
    wanted = np.minimum(number + n - 1, len(start) - 1)
    is_there = (number + n - 1 < len(start)) & (group[wanted] == line.group)
    return _within(np.where(is_there, start[wanted], NEVER), line.start, reach)


def _nth_part(line: Line, part: Ints, n_parts: int, n: int, reach: int) -> Ints:
    """The nth smallest of the next starts of each part."""
    following = np.full((n_parts, len(part)), NEVER)
    for number in range(n_parts):
        is_part = part == number
        one = Line(line.marks.filter(pl.Series(is_part)), line.group[is_part])
        place = one.place(line.group, line.start)
        _, end = one.group_range(line.group)
        is_there = place < end
        following[number, is_there] = one.start[place[is_there]]
    nth = np.sort(following, axis=0)[n - 1]
    return _within(nth, line.start, reach)


def _nth_value(line: Line, n: int, reach: int) -> Ints:
    """The nth smallest of the next starts of each value, from each mark with a value on."""
    nth = np.full(len(line.group), NEVER)
    last = np.full(len(line.start), NEVER) if reach == NEVER else line.start + reach
    low, high = line.window(line.group, line.start, last)
    high = np.where(np.isnan(line.value), low, high)
    for block, query, mark in blocks_of_pairs(low, high):
        pairs = pl.DataFrame({"query": query, "value": line.value[mark], "start": line.start[mark]})
        firsts = (
            pairs.filter(pl.col("value").is_not_nan()).group_by("query", "value").agg(pl.col("start").min())
        )
        ranked = firsts.with_columns(rank=pl.col("start").rank("ordinal").over("query")).filter(
            pl.col("rank") == n
        )
        nth[block][ranked["query"].to_numpy()] = ranked["start"].to_numpy()
    return nth


def _within(nth: Ints, start: Ints, reach: int) -> Ints:
    is_there = nth != NEVER
    gap = np.where(is_there, nth, start) - start
    return np.where(is_there & (gap <= reach), nth, NEVER)


def worst_marks(node: Worst, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `worst`."""
    line = line_of(evaluate(node.of), node.same)
    reach = microseconds(node.window_hours)
    low = line.place(line.group, line.start - reach, after_ties=True)
    high = line.place(line.group, line.start, after_ties=True)
    number = aggregate(line.value, low, high, node.how)
    marks = line.marks.with_columns(as_values(number).alias("value"), _row=pl.int_range(pl.len()))
    marks = marks.filter(pl.col("value").is_not_null() & holds(node.value, "value"))
    kept = marks["_row"].to_numpy()
    low, high, number = low[kept], high[kept], number[kept]
    if node.how in {"max", "min", "last"}:
        place = bearer(line.value, number, low, high, node.how)
        low, high = place, place + 1
    return as_marks(_resting_on(marks.select(MARKS.names()), line, low, high))


def aggregate(value: Floats, low: Ints, high: Ints, how: str) -> Floats:
    """(Q,) an aggregate of the values that are not NaN in each range; NaN where there are none.

    `count` counts all marks, with a value or without; ranges are not empty.
    """
    if how == "count":
        return (high - low).astype(np.float64)
    is_there = ~np.isnan(value)
    n = reduce_ranges(np.add, is_there.astype(np.int64), low, high)
    if how in {"first", "last"}:
        place = _end_with_value(is_there, low, high, how)
        return np.where(n > 0, value[np.where(n > 0, place, 0)], np.nan)
    if how in {"max", "min"}:
        nothing = -np.inf if how == "max" else np.inf
        reduction = np.maximum if how == "max" else np.minimum
        found = reduce_ranges(reduction, np.where(is_there, value, nothing), low, high)
        return np.where(n > 0, found, np.nan)
    total = reduce_ranges(np.add, np.where(is_there, value, 0.0), low, high)
    with np.errstate(invalid="ignore", divide="ignore"):
        result = total if how == "sum" else total / n
    return rounded(np.where(n > 0, result, np.nan))


def _end_with_value(is_there: Ints, low: Ints, high: Ints, how: str) -> Ints:
    """(Q,) the first or last mark with a value in each range that has any."""
    places = np.arange(len(is_there))
    if how == "last":
        return np.asarray(np.maximum.accumulate(np.where(is_there, places, 0))[high - 1])
    backwards = np.where(is_there, places, len(is_there))[::-1]
    return np.asarray(np.minimum.accumulate(backwards)[::-1][low])


def bearer(value: Floats, number: Floats, low: Ints, high: Ints, how: str) -> Ints:
    """(Q,) the mark of each range that has the aggregate as its value: the first, for last the last."""
    if how in {"first", "last"}:
        return _end_with_value(~np.isnan(value), low, high, how)
    return first_where_equal(value, number, low, high)


def _resting_on(marks: pl.DataFrame, line: Line, low: Ints, high: Ints) -> pl.DataFrame:
    """The marks with the evidence and the knowledge of those in their ranges added."""
    more = pl.DataFrame({"_evidence": line.evidence(low, high), "_known": line.known_by(low, high)})
    return pl.concat([marks, more], how="horizontal").select(
        *(name for name in MARKS.names() if name not in {"known_time", "evidence"}),
        latest(pl.col("known_time"), pl.col("_known")).alias("known_time"),
        pl.concat_list("evidence", "_evidence").alias("evidence"),
    )


def rise_marks(node: Rise, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `rise`."""
    marks = evaluate(node.of)
    line = line_of(marks.filter(pl.col("value").is_not_null()), node.same)
    reach = microseconds(node.within_hours)
    low = line.place(line.group, line.start - reach)
    high = line.place(line.group, line.start)
    has_any = np.flatnonzero(low < high)
    low, high = low[has_any], high[has_any]
    lowest = aggregate(line.value, low, high, "min")
    value = line.value[has_any]
    if node.by is not None:
        number = rounded(value - lowest)
        is_rise = number >= node.by
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            number = rounded(np.where(lowest > 0, value / lowest, np.nan))
        is_rise = number >= (node.ratio or 0)
    kept = np.flatnonzero(is_rise)
    risen = line.marks[has_any[kept]].with_columns(as_values(number[kept]).alias("value"))
    place = first_where_equal(line.value, lowest[kept], low[kept], high[kept])
    return as_marks(_resting_on(risen, line, place, place + 1))
