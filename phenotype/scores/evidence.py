"""Which measurements gave a severity score its points at given instants."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from phenotype.scores.codes import Clock, ScoreCodes
from phenotype.scores.components import KEYS, measured_components
from phenotype.scores.course import course_of
from phenotype.scores.points import Score, find_score
from phenotype.trajectory import INSTANT

LOOK_BACK = timedelta(hours=24)


def score_evidence(
    events: pl.LazyFrame,
    instants: pl.DataFrame,
    score: str,
    *,
    part: str | None = None,
    codes: ScoreCodes | None = None,
    clock: Clock = "time",
) -> pl.DataFrame:
    """The measurements behind a score: of every part with points the value that counted.

    That is the last value of a component (NEWS2, qSOFA) or its worst (SOFA; of equal ones the latest).

    Args:
        events: columns of EVENTS.
        instants: subject_id, time: when the score was looked at; each once.
        score: one of SCORES.
        part: one part of the score only.
        codes: which codes feed which component; None = the shipped map.
        clock: the axis of `time`.

    Returns:
        subject_id, time, evidence (List[Int64]: lineage_ids, sorted), known_time (when all of it could be
        known), sorted by subject and time; no row for an instant without points.

    Raises:
        ConfigurationError: no such score.
    """
    definition = find_score(score)
    measured = measured_components(events, definition, codes, clock=clock)
    return evidence_of(measured, instants, definition, part=part)


def evidence_of(
    measured: pl.DataFrame,
    instants: pl.DataFrame,
    definition: Score,
    *,
    part: str | None = None,
    parts: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The evidence, from what `measured_components` found.

    Args:
        measured: as `measured_components` gives it for this score.
        instants: subject_id, time; each once.
        definition: the score.
        part: one part of the score only.
        parts: a course with its parts that has a row at each of the instants; None = it is computed.

    Returns:
        As score_evidence.
    """
    asked = instants.select(pl.col("subject_id").cast(pl.Int64), pl.col("time").cast(INSTANT)).unique()
    if parts is None:
        start_and_end = [pl.col("time").alias(name) for name in ("start_time", "end_time")]
        parts = course_of(measured, definition, asked.select("subject_id", *start_and_end))
    else:
        parts = parts.join(asked, on=KEYS, how="semi")
    scored = _with_points(parts, definition, part)
    counted = _counted(_in_look_back(measured, asked), definition)
    counted = counted.join(scored, on=[*KEYS, "component"], how="semi")
    return (
        counted.explode("lineage_ids")
        .group_by(KEYS)
        .agg(
            pl.col("lineage_ids").drop_nulls().unique().sort().alias("evidence"),
            pl.col("known_time").max(),
        )
        .sort(KEYS)
    )


def _in_look_back(measured: pl.DataFrame, asked: pl.DataFrame) -> pl.DataFrame:
    """Every measurement in the 24 hours before each instant (`time`), with its own time as `at`."""
    day = pl.col("time").dt.truncate("1d")
    days = asked.with_columns(pl.concat_list(day, day - LOOK_BACK).alias("day")).explode("day")
    return (
        days.join(measured.with_columns(day.alias("day")).rename({"time": "at"}), on=["subject_id", "day"])
        .filter((pl.col("at") <= pl.col("time")) & (pl.col("at") > pl.col("time") - LOOK_BACK))
        .drop("day")
    )


def _counted(in_window: pl.DataFrame, definition: Score) -> pl.DataFrame:
    """The measurements that the aggregates rest on."""
    ties = ["known_time", "lineage_ids"]
    orders = {
        "last": (["at", "value", *ties], False),
        "max": (["value", "at", *ties], False),
        "min": (["value", "at", *ties], True),
    }
    found = []
    for name, how in definition.needs:
        rows = in_window.filter(pl.col("component") == name)
        if how in orders:
            by, is_lowest = orders[how]
            descending = [column != "value" or not is_lowest for column in by]
            rows = rows.sort(by, descending=descending).unique(KEYS, keep="first", maintain_order=True)
        found.append(rows)
    return pl.concat(found).select(*KEYS, "component", "known_time", "lineage_ids")


def _with_points(parts: pl.DataFrame, definition: Score, part: str | None) -> pl.DataFrame:
    """The components of the parts that had points: subject_id, time, component."""
    read = {
        name: sorted({column.rpartition("_")[0] for column in expression.meta.root_names()})
        for name, expression in definition.points().items()
        if part in (None, name)
    }
    rows = [
        parts.filter(pl.col(name) > 0).select(*KEYS, pl.lit(component).alias("component"))
        for name, components in read.items()
        for component in components
    ]
    return pl.concat(rows).unique()
