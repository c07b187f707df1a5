"""The course of a severity score: its value at every instant at which a measurement comes or leaves.

Every measurement counts for the 24 hours after it, (t - 24 h, t]. NEWS2 and qSOFA read the last measurement
of each component (of several at one instant the highest), SOFA the worst. All subjects lie on one axis on
which long silences are shortened, so that one pass of rolling windows serves the whole dataset.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import polars as pl

from phenotype.scores.codes import Clock, ScoreCodes
from phenotype.scores.components import KEYS, measured_components
from phenotype.scores.points import Score, find_score
from phenotype.trajectory import INSTANT

HOUR = 3_600_000_000
DAY = f"{24 * HOUR}i"
SILENCE = 25 * HOUR
"""Longer than the look-back: gaps are shortened to this, and subjects are this far apart."""
LOOK_BACK = pl.duration(hours=24)
MEASURED, ASKED, LEFT = 2, 1, 0
"""What a row of the grid stands for: a measurement, the start of a window, a measurement that leaves."""


def score_course(
    events: pl.LazyFrame,
    score: str,
    *,
    windows: pl.DataFrame | None = None,
    codes: ScoreCodes | None = None,
    clock: Clock = "time",
    with_parts: bool = False,
) -> pl.DataFrame:
    """A severity score at every instant where it may change.

    Args:
        events: columns of EVENTS.
        score: one of SCORES.
        windows: subject_id, start_time, end_time (both ends belong to it; they may overlap): only instants
            within them are returned, and the score in force at each start_time as well. None = all instants.
        codes: which codes feed which component; None = the shipped map.
        clock: the axis of time. Phenotypes go by `time`; what a predictor may see goes by `known_time`.
        with_parts: also the points of each part (an organ of SOFA, a row of the NEWS2 chart).

    Returns:
        subject_id, time, score (Float64, null where no component is in force), n_components (how many parts
        were measured) and, where asked for, one Int32 column a part, null where it was not measured; sorted
        by subject and time. An instant at which measurements only leave is a row where that changes a part.

    Raises:
        ConfigurationError: no such score.
    """
    definition = find_score(score)
    course = course_of(measured_components(events, definition, codes, clock=clock), definition, windows)
    return course if with_parts else course.drop(definition.points())


def course_of(measured: pl.DataFrame, definition: Score, windows: pl.DataFrame | None) -> pl.DataFrame:
    """The course with its parts, from what `measured_components` found."""
    spans = None if windows is None else _joined(windows)
    if spans is not None:
        measured = _within(measured, spans.with_columns(pl.col("start_time") - LOOK_BACK))
    grid = _on_one_axis(_grid(measured, definition, windows))
    course = _scored(_in_force(grid, definition), definition)
    if spans is not None:
        course = _within(course, spans)
    parts = [pl.col(name).cast(pl.Int32) for name in definition.points()]
    return course.select(*KEYS, "score", "n_components", *parts)


def _joined(windows: pl.DataFrame) -> pl.DataFrame:
    """Windows as spans that do not overlap: subject_id, start_time, end_time, sorted."""
    return _merge(
        windows.drop_nulls(["subject_id", "start_time", "end_time"])
        .filter(pl.col("start_time") <= pl.col("end_time"))
        .select("subject_id", pl.col("start_time").cast(INSTANT), pl.col("end_time").cast(INSTANT))
    )


def _merge(spans: pl.DataFrame) -> pl.DataFrame:
    """Overlapping spans of a subject as one."""
    ordered = spans.sort("subject_id", "start_time", "end_time")
    reached = pl.col("end_time").cum_max().shift(1).over("subject_id")
    is_new = (pl.col("start_time") > reached).fill_null(value=True)
    return (
        ordered.with_columns(is_new.cum_sum().alias("span"))
        .group_by("subject_id", "span")
        .agg(pl.col("start_time").min(), pl.col("end_time").max())
        .drop("span")
        .sort("subject_id", "start_time")
    )


def _within(rows: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The rows whose time lies in a span of their subject, ends included; sorted by subject and time."""
    starts = _merge(spans).with_columns(pl.col("start_time").alias("time"))
    return (
        rows.sort(KEYS)
        .join_asof(
            starts.select(*KEYS, "end_time"),
            on="time",
            by="subject_id",
            strategy="backward",
            check_sortedness=False,
        )
        .filter(pl.col("time") <= pl.col("end_time"))
        .drop("end_time")
    )


def _grid(measured: pl.DataFrame, definition: Score, windows: pl.DataFrame | None) -> pl.DataFrame:
    """One row an instant, with `kind` and what was measured at it: "<component>_<aggregation>"."""
    cells = []
    for name, how in definition.needs:
        values = pl.col("value").filter(pl.col("component") == name)
        cells.append((values.min() if how == "min" else values.max()).alias(f"{name}_{how}"))
    wide = measured.group_by(KEYS).agg(cells)
    left = wide.select("subject_id", pl.col("time") + LOOK_BACK, pl.lit(LEFT).alias("kind"))
    instants = [wide.select(*KEYS, pl.lit(MEASURED).alias("kind")), left]
    if windows is not None:
        asked = windows.select("subject_id", pl.col("start_time").alias("time"), pl.lit(ASKED).alias("kind"))
        instants.append(asked.drop_nulls())
    schema = pl.Schema({"subject_id": pl.Int64(), "time": INSTANT, "kind": pl.Int32()})
    every = pl.concat([frame.cast(schema) for frame in instants]).group_by(KEYS).agg(pl.col("kind").max())
    return every.join(wide, on=KEYS, how="left").sort(KEYS)


def _on_one_axis(grid: pl.DataFrame) -> pl.DataFrame:
    """With `at`, microseconds on an axis that all subjects share, gaps above SILENCE shortened to it."""
    step = pl.col("time").diff().dt.total_microseconds().clip(upper_bound=SILENCE)
    is_same = pl.col("subject_id") == pl.col("subject_id").shift(1)
    return grid.with_columns(
        pl.when(is_same).then(step).otherwise(SILENCE).fill_null(SILENCE).cum_sum().alias("at")
    )


def _in_force(grid: pl.DataFrame, definition: Score) -> pl.DataFrame:
    """The grid with what is in force at each instant in place of what was measured at it."""
    held = [_held(pl.col(f"{name}_{how}"), how).alias(f"{name}_{how}") for name, how in definition.needs]
    return grid.select(*KEYS, "kind", *held)


def _held(cell: pl.Expr, how: str) -> pl.Expr:
    """One component's aggregate over the look-back."""
    if how == "last":
        measured_at = pl.when(cell.is_not_null()).then(pl.col("at")).forward_fill()
        return pl.when(pl.col("at") - measured_at < 24 * HOUR).then(cell.forward_fill())
    return cell.rolling_min_by("at", DAY) if how == "min" else cell.rolling_max_by("at", DAY)


def _scored(grid: pl.DataFrame, definition: Score) -> pl.DataFrame:
    """Parts, score and n_components, without the instants at which nothing but time went by."""
    points = definition.points()
    rows = grid.select(*KEYS, "kind", *(expression.alias(name) for name, expression in points.items()))
    is_changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift(1)) for name in ("subject_id", *points)
    )
    n_components = pl.sum_horizontal(pl.col(name).is_not_null() for name in points).cast(pl.Int64)
    total = reduce(add, (pl.col(name).fill_null(0) for name in points)).cast(pl.Float64)
    return rows.filter((pl.col("kind") != LEFT) | is_changed).with_columns(
        pl.when(n_components > 0).then(total).alias("score"), n_components.alias("n_components")
    )
