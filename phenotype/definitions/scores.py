"""The criterion `score`: the instants at which a severity score fulfils a condition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_

import polars as pl

from phenotype.definitions.mark_windows import microseconds
from phenotype.definitions.marks import MARKS, as_marks, latest
from phenotype.definitions.nodes import Part, Score
from phenotype.definitions.record import Record
from phenotype.scores.components import measured_components
from phenotype.scores.course import course_of
from phenotype.scores.evidence import evidence_of
from phenotype.scores.points import SCORES
from phenotype.scores.points import Score as SeverityScore
from phenotype.scores.rise import rise_of

Evaluate = Callable[[Part], pl.DataFrame]
_KEYS = ["subject_id", "time"]


@dataclass(frozen=True)
class ScoreOfRecord:
    """One score over a whole record; what is computed once is kept.

    Attributes:
        definition: the score.
        events: columns of EVENTS.
    """

    definition: SeverityScore
    events: pl.LazyFrame

    @cached_property
    def measured(self) -> pl.DataFrame:
        """The measurements that it reads."""
        return measured_components(self.events, self.definition)

    @cached_property
    def course(self) -> pl.DataFrame:
        """Its course with its parts."""
        return course_of(self.measured, self.definition, None)


def score_marks(node: Score, evaluate: Evaluate, score: ScoreOfRecord, record: Record) -> pl.DataFrame:
    """The marks of `score`.

    Args:
        node: the criterion.
        evaluate: what gives the marks of other criteria.
        score: the score that it names, over the record.
        record: whose.
    """
    around = None if node.around is None else evaluate(node.around)
    if around is not None and not around.height:
        return around
    course = None
    if around is None:
        course = score.course
        points = _fulfilling(node, course)
    elif node.rise is not None:
        points = _risen(node, around, score)
    else:
        points = _first_around(node, around, score)
    instants = points.select(_KEYS).unique()
    evidence = evidence_of(score.measured, instants, score.definition, part=node.part, parts=course)
    return as_marks(_with_evidence(points, evidence, around, record).select(MARKS.names()))


def _risen(node: Score, around: pl.DataFrame, score: ScoreOfRecord) -> pl.DataFrame:
    found = rise_of(
        score.measured,
        around.select("subject_id", pl.col("start_time").alias("time")).unique(),
        score.definition,
        rise=node.rise or 0,
        baseline=node.baseline,
        from_hours=node.from_hours,
        to_hours=node.to_hours,
    )
    value = (pl.col("score") - pl.col("baseline")).cast(pl.Float64).alias("value")
    return found.select("subject_id", "around_time", "time", value)


def _first_around(node: Score, around: pl.DataFrame, score: ScoreOfRecord) -> pl.DataFrame:
    """The first instant around each mark at which the conditions hold."""
    start = pl.col("start_time")
    windows = around.select(
        "subject_id",
        start.alias("around_time"),
        (start + pl.duration(microseconds=microseconds(node.from_hours))).alias("start_time"),
        (start + pl.duration(microseconds=microseconds(node.to_hours))).alias("end_time"),
    ).unique()
    seen = course_of(score.measured, score.definition, windows.select("subject_id", "start_time", "end_time"))
    found = windows.sort("start_time").join_asof(
        _fulfilling(node, seen).sort("time"),
        left_on="start_time",
        right_on="time",
        by="subject_id",
        strategy="forward",
        check_sortedness=False,
        coalesce=False,
    )
    in_time = found.filter(pl.col("time") <= pl.col("end_time"))
    return in_time.select("subject_id", "around_time", "time", "value")


def _fulfilling(node: Score, course: pl.DataFrame) -> pl.DataFrame:
    """subject_id, time and value of the instants at which the conditions on the score hold."""
    value = pl.col(node.part or "score").cast(pl.Float64)
    bounds = [value >= node.at_least] if node.at_least is not None else []
    bounds += [value < node.below] if node.below is not None else []
    is_in = reduce(and_, bounds, value.is_not_null())
    if node.any_single is not None:
        single = pl.max_horizontal(pl.col(name) for name in SCORES[node.name].points()) >= node.any_single
        is_bounded = node.at_least is not None or node.below is not None
        is_in = is_in | single.fill_null(value=False) if is_bounded else is_in & single
    return course.filter(value.is_not_null() & is_in).select(*_KEYS, value.alias("value"))


def _with_evidence(
    points: pl.DataFrame, evidence: pl.DataFrame, around: pl.DataFrame | None, record: Record
) -> pl.DataFrame:
    """Points as marks: with the measurements in force and, where there is one, the mark they lie around."""
    empty = pl.lit([], dtype=pl.List(pl.Int64))
    rows = points.join(evidence, on=_KEYS, how="left").with_columns(
        pl.col("evidence").fill_null(empty), pl.col("known_time").fill_null(pl.col("time"))
    )
    rows = rows.with_columns(known_time=pl.max_horizontal("known_time", "time"))
    if around is not None:
        marks = around.select(
            "subject_id",
            pl.col("start_time").alias("around_time"),
            pl.col("evidence").alias("around_evidence"),
            pl.col("known_time").alias("around_known"),
            "stay_id",
            "contact_id",
        )
        rows = rows.join(marks, on=["subject_id", "around_time"]).with_columns(
            latest(pl.col("known_time"), pl.col("around_known")).alias("known_time"),
            pl.concat_list("evidence", "around_evidence").alias("evidence"),
        )
    else:
        belonging = record.spans.belonging(rows.select(*_KEYS, contact_id=pl.lit(None, pl.Int64)))
        rows = rows.with_columns(belonging["stay_id"], belonging["contact_id"])
    return rows.with_columns(pl.col("time").alias("start_time"), pl.col("time").alias("end_time"))
