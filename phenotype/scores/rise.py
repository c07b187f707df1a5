"""The first rise of a severity score over its baseline in a window around given instants (Sepsis-3)."""

from __future__ import annotations

from typing import Literal

import polars as pl

from phenotype.scores.codes import Clock, ScoreCodes
from phenotype.scores.components import measured_components
from phenotype.scores.course import course_of
from phenotype.scores.points import Score, find_score
from phenotype.trajectory import INSTANT

Baseline = Literal["zero", "lowest_before", "lowest_known"]
KNOWN_FOR = "365d"
"""How long a measured dysfunction of an organ is known."""
_AROUND = ["subject_id", "around_time"]


def score_rise(
    events: pl.LazyFrame,
    around: pl.DataFrame,
    score: str,
    *,
    rise: float = 2,
    baseline: Baseline = "lowest_before",
    from_hours: float = -48,
    to_hours: float = 24,
    codes: ScoreCodes | None = None,
    clock: Clock = "time",
) -> pl.DataFrame:
    """When a score first stood `rise` or more above its baseline, in a window around each instant.

    The window is [t + from_hours, t + to_hours], both ends in it. The score in force at its start is its
    first value. A score without any measurement counts as 0, as each of its missing parts does.

    Args:
        events: columns of EVENTS.
        around: subject_id, time: the instants (of suspected infection); repeated ones count once.
        score: one of SCORES.
        rise: the least rise.
        baseline: `zero`; `lowest_before`: the lowest value at an earlier instant of the window, so that a
            score that stands high when the window begins is a rise over zero, and none over this;
            `lowest_known`: that, or the sum of the lowest points that each part had in the 365 days before
            the window (never measured: 0), whichever is higher, so that a chronic dysfunction is no rise.
        from_hours: start of the window, relative to each instant.
        to_hours: its end.
        codes: which codes feed which component; None = the shipped map.
        clock: the axis of time.

    Returns:
        subject_id, around_time, time (of the first such rise), score, baseline; one row for each instant of
        `around` that has one, sorted.

    Raises:
        ConfigurationError: no such score.

    **Source:** Singer et al., JAMA 2016;315:801-810, doi 10.1001/jama.2016.0287 (a rise of 2; zero where no
    dysfunction is known); Seymour et al., JAMA 2016;315:762-774, doi 10.1001/jama.2016.0288 (48 h before to
    24 h after).
    """
    definition = find_score(score)
    return rise_of(
        measured_components(events, definition, codes, clock=clock),
        around,
        definition,
        rise=rise,
        baseline=baseline,
        from_hours=from_hours,
        to_hours=to_hours,
    )


def rise_of(
    measured: pl.DataFrame,
    around: pl.DataFrame,
    definition: Score,
    *,
    rise: float = 2,
    baseline: Baseline = "lowest_before",
    from_hours: float = -48,
    to_hours: float = 24,
) -> pl.DataFrame:
    """The rises, from what `measured_components` found for this score; the rest as score_rise."""
    start, end = (pl.duration(microseconds=round(hours * 3_600_000_000)) for hours in (from_hours, to_hours))
    instant = pl.col("time").cast(INSTANT)
    windows = (
        around.select(
            pl.col("subject_id").cast(pl.Int64),
            instant.alias("around_time"),
            (instant + start).alias("start_time"),
            (instant + end).alias("end_time"),
        )
        .drop_nulls()
        .unique()
    )
    seen = _seen(windows, course_of(measured, definition, windows))
    if baseline == "lowest_known":
        seen = seen.join(_known(measured, definition, windows), on=_AROUND)
    seen = seen.sort(*_AROUND, "time").with_columns(_before(baseline).alias("baseline"))
    return (
        seen.filter(pl.col("score") - pl.col("baseline") >= rise)
        .unique(_AROUND, keep="first", maintain_order=True)
        .select(*_AROUND, "time", "score", "baseline")
        .sort(_AROUND)
    )


def _before(baseline: Baseline) -> pl.Expr:
    """What each score is compared with; null where there is nothing before it in the window."""
    lowest = pl.col("score").cum_min().shift(1).over(_AROUND)
    if baseline == "lowest_known":
        return pl.when(lowest.is_not_null()).then(pl.max_horizontal(lowest, "known"))
    return pl.lit(0.0) if baseline == "zero" else lowest


def _known(measured: pl.DataFrame, definition: Score, windows: pl.DataFrame) -> pl.DataFrame:
    """subject_id, around_time, known: the sum of each part's lowest points in the year before each window."""
    parts = list(definition.points())
    of_them = measured.join(windows.select("subject_id").unique(), on="subject_id", how="semi")
    course = course_of(of_them, definition, None).select("subject_id", "time", *parts)
    starts = windows.select("subject_id", pl.col("start_time").alias("time"), "around_time")
    rows = pl.concat([course, starts], how="diagonal").sort("subject_id", "time")
    lowest = rows.rolling("time", period=KNOWN_FOR, closed="left", group_by="subject_id").agg(
        pl.col(parts).min()
    )
    known = pl.sum_horizontal(lowest[part].fill_null(0) for part in parts).cast(pl.Float64)
    return rows.select(*_AROUND, known.alias("known")).drop_nulls("around_time")


def _seen(windows: pl.DataFrame, course: pl.DataFrame) -> pl.DataFrame:
    """The course in each window; joined by day, so that long courses with many windows stay small."""
    days = pl.date_ranges(pl.col("start_time").dt.date(), pl.col("end_time").dt.date())
    return (
        windows.with_columns(days.alias("day"))
        .explode("day")
        .join(course.with_columns(pl.col("time").dt.date().alias("day")), on=["subject_id", "day"])
        .filter(pl.col("time").is_between("start_time", "end_time"))
        .select(*_AROUND, "time", pl.col("score").fill_null(0.0))
    )
