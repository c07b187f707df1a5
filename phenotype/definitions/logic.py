"""The criteria that join marks by the unit they belong to: any, all with not, first and last."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import polars as pl

from phenotype.definitions.care_spans import CareSpans
from phenotype.definitions.mark_windows import GROUP_COLUMNS
from phenotype.definitions.marks import as_marks, latest
from phenotype.definitions.nodes import AllOf, AnyOf, First, Last, Not, Part
from phenotype.trajectory import INSTANT

Evaluate = Callable[[Part], pl.DataFrame]


def any_marks(node: AnyOf, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `any`."""
    return as_marks(pl.concat([evaluate(part) for part in node.of]))


def all_marks(node: AllOf, evaluate: Evaluate, spans: CareSpans) -> pl.DataFrame:
    """The marks of `all`: one for each unit that has every part and none of the negated ones."""
    unit = GROUP_COLUMNS[node.per]
    positive = [part for part in node.of if not isinstance(part, Not)]
    negated = [part.of for part in node.of if isinstance(part, Not)]
    firsts = [
        _first_of_each(evaluate(part), unit).select(
            pl.col(unit).alias("_unit"), pl.struct(pl.all()).alias(f"_{number}")
        )
        for number, part in enumerate(positive)
    ]
    units = reduce(lambda left, right: left.join(right, on="_unit"), firsts)
    for part in negated:
        absent = evaluate(part).select(pl.col(unit).alias("_unit")).drop_nulls()
        units = units.join(absent, on="_unit", how="anti")
    if negated:
        units = with_unit_end(units, node.per, spans, on="_unit")
    else:
        units = units.with_columns(unit_end=pl.lit(0).cast(INSTANT))
    names = [f"_{number}" for number in range(len(positive))]

    def field(name: str) -> list[pl.Expr]:
        """The same field of every part."""
        return [pl.col(part).struct.field(name) for part in names]

    start = pl.max_horizontal(field("start_time"))
    latest_part = pl.coalesce(
        pl.when(pl.col(part).struct.field("start_time") == start).then(part) for part in names
    )
    return as_marks(
        units.select(
            latest_part.struct.field("subject_id"),
            start.alias("start_time"),
            start.alias("end_time"),
            pl.lit(None, pl.Float64).alias("value"),
            latest_part.struct.field("stay_id"),
            latest_part.struct.field("contact_id"),
            latest(*field("known_time"), pl.col("unit_end")).alias("known_time"),
            pl.concat_list(field("evidence")).alias("evidence"),
        )
    )


def first_marks(node: First, evaluate: Evaluate) -> pl.DataFrame:
    """The marks of `first`."""
    return as_marks(_first_of_each(evaluate(node.of), GROUP_COLUMNS[node.per]))


def last_marks(node: Last, evaluate: Evaluate, spans: CareSpans) -> pl.DataFrame:
    """The marks of `last`; known when the unit is over."""
    unit = GROUP_COLUMNS[node.per]
    marks = evaluate(node.of).filter(pl.col(unit).is_not_null())
    kept = marks.unique(unit, keep="last", maintain_order=True)
    kept = with_unit_end(kept, node.per, spans, on=unit)
    return as_marks(kept.with_columns(known_time=latest(pl.col("known_time"), pl.col("unit_end"))))


def with_unit_end(rows: pl.DataFrame, per: str, spans: CareSpans, *, on: str) -> pl.DataFrame:
    """The rows with `unit_end`: when their stay or contact is over; null for subjects."""
    if per == "subject":
        return rows.with_columns(unit_end=pl.lit(None, INSTANT))
    ends = spans.ends(per).rename({f"{per}_id": "_id"})
    return rows.join(ends, left_on=on, right_on="_id", how="left", maintain_order="left")


def _first_of_each(marks: pl.DataFrame, unit: str) -> pl.DataFrame:
    held = marks.filter(pl.col(unit).is_not_null())
    return held.unique(unit, keep="first", maintain_order=True)
