"""Events of one shard from two sources: which are one fact, which contradict, and what they become."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ontology.errors import PestaError
from ontology.units.conversion import conversion
from phenotype.trajectory import EVENTS
from pipelines.joining.conflicts import as_conflicts
from pipelines.joining.matching import equal_rows, nearest, unmatched
from pipelines.joining.rule import SECONDS_OF, JoinRule

_CONTACT_CODES = ("CONTACT//", "CONTACT_END//")
_EQUAL = ["subject_id", "code", "time", "numeric_value", "_text", "_unit"]
_FACTS = ["subject_id", "code", "time", "numeric_value", "_text", "_unit", "lineage_id", "_source"]
LADDER = (86_400, 60, 1)
"""Precisions of a time, in seconds: a day, a minute, a second."""


@dataclass(frozen=True)
class Joined:
    """What two sources' events have become.

    Attributes:
        events: columns of EVENTS and `_source`: the source that a fact is named after.
        moved: old, new: lineage ids of the right whose rows now belong to an event of the left.
        conflicts: columns of CONFLICTS.
        n_same: pairs that became one.
    """

    events: pl.DataFrame
    moved: pl.DataFrame
    conflicts: pl.DataFrame
    n_same: int


def join_events(left: pl.DataFrame, right: pl.DataFrame, rule: JoinRule) -> Joined:
    """Both sources' events, those that are one fact as one.

    Args:
        left: columns of EVENTS and `_source`, in canonical order, with contact ids and lineage ids of the
            joined dataset; events of one side are never joined with each other.
        right: the same of the other source.
        rule: when facts are one.
    """
    may_match = [_may_match(left, right), _may_match(right, left)]
    alone = [events.filter(~may) for events, may in zip((left, right), may_match, strict=True)]
    rows = _prepared(left.filter(may_match[0])), _prepared(right.filter(may_match[1]))
    is_of_contact = pl.col("code").str.starts_with("CONTACT") & pl.col("contact_id").is_not_null()
    ends = [part.filter(is_of_contact) for part in rows]
    pairs = equal_rows(ends[0], ends[1], ["subject_id", "code", "contact_id"])
    pairs = pl.concat([pairs, equal_rows(*_rest(rows, pairs), _EQUAL)])
    rest = _rest(rows, pairs)
    candidates = _candidates(*rest, rule)
    near = nearest(candidates.filter("is_same"), ["_apart", "_off", "_steps"])
    pairs = pl.concat([pairs, near])
    merged = _merged(rows, pairs, rule)
    columns = [*EVENTS.names(), "_source"]
    parts = [*alone, unmatched(rows[0], pairs, "left"), merged, unmatched(rows[1], pairs, "right")]
    moved = merged.select(old="_lineage_right", new="lineage_id").drop_nulls()
    return Joined(
        pl.concat([part.select(columns) for part in parts]),
        moved.filter(pl.col("old") != pl.col("new")),
        _contradictions(candidates, near),
        pairs.height,
    )


def _may_match(events: pl.DataFrame, others: pl.DataFrame) -> pl.Series:
    """Which events have a subject and a code that the other source has too."""
    is_known = [events[name].is_in(others[name].unique().implode()) for name in ("subject_id", "code")]
    return is_known[0] & is_known[1]


def _rest(rows: tuple[pl.DataFrame, pl.DataFrame], pairs: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    return unmatched(rows[0], pairs, "left"), unmatched(rows[1], pairs, "right")


def _prepared(events: pl.DataFrame) -> pl.DataFrame:
    """Events with `_id`, and texts and units as they are compared."""
    return events.with_columns(
        _id=pl.int_range(pl.len(), dtype=pl.Int64),
        _text=pl.col("text_value").str.strip_chars().str.to_lowercase(),
        _unit=pl.col("unit").str.strip_chars(),
        _step=pl.int_range(pl.len(), dtype=pl.Int64).over("subject_id", "code", "time"),
    )


def _candidates(left: pl.DataFrame, right: pl.DataFrame, rule: JoinRule) -> pl.DataFrame:
    """Pairs of one subject and code at one time, with how near they are and whether they are one fact."""
    width = max(rule.time.tolerance_seconds, SECONDS_OF[rule.time.coarser])
    keyed = [rows.select("_id", "_step", *_FACTS, _bucket=_bucket(width)) for rows in (left, right)]
    if rule.time.tolerance_seconds:
        around = pl.concat_list(pl.col("_bucket") + by for by in (-1, 0, 1))
        dated = (
            keyed[1].filter(pl.col("_bucket").is_not_null()).with_columns(_bucket=around).explode("_bucket")
        )
        keyed[1] = pl.concat([dated, keyed[1].filter(pl.col("_bucket").is_null())])
    joined = keyed[0].join(keyed[1], on=["subject_id", "code", "_bucket"], how="inner", nulls_equal=True)
    joined = joined.filter(_is_same_time(rule)).unique(["_id", "_id_right"])
    joined = _converted(joined, rule)
    value, other = pl.col("numeric_value").cast(pl.Float64), pl.col("_other")
    off = (value - other).abs() / pl.max_horizontal(value.abs(), other.abs(), 1e-30)
    is_text_same = pl.col("_text").eq(pl.col("_text_right")).fill_null(value=True)
    has_both = (value.is_not_null() & pl.col("numeric_value_right").is_not_null()) | (
        pl.col("_text").is_not_null() & pl.col("_text_right").is_not_null()
    )
    is_bare = [
        pl.all_horizontal(pl.col(name).is_null() for name in names)
        for names in (("numeric_value", "_text"), ("numeric_value_right", "_text_right"))
    ]
    return joined.with_columns(
        left="_id",
        right="_id_right",
        _apart=(pl.col("time") - pl.col("time_right")).abs(),
        _off=off,
        _steps=(pl.col("_step") - pl.col("_step_right")).abs(),
        _is_value_same=(off <= rule.value.relative_tolerance).fill_null(value=True),
        _is_text_same=is_text_same,
    ).with_columns(
        is_same=pl.col("_is_value_same")
        & pl.col("_is_text_same")
        & pl.col("_is_convertible")
        & (has_both | is_bare[0] | is_bare[1])
    )


def _bucket(width: int) -> pl.Expr:
    micros = pl.col("time").cast(pl.Int64)
    return micros.floordiv(width * 1_000_000) if width else micros


def _is_same_time(rule: JoinRule) -> pl.Expr:
    """Whether two times agree: near enough, or equal at the precision of the coarser."""
    time, other = pl.col("time").cast(pl.Int64), pl.col("time_right").cast(pl.Int64)
    agrees = [
        (time - other).abs() <= rule.time.tolerance_seconds * 1_000_000,
        time.is_null() & other.is_null(),
    ]
    for seconds in LADDER:
        if seconds <= SECONDS_OF[rule.time.coarser]:
            ticks = seconds * 1_000_000
            is_whole = (time % ticks == 0) | (other % ticks == 0)
            agrees.append((time.floordiv(ticks) == other.floordiv(ticks)) & is_whole)
    return pl.any_horizontal(agrees)


def _converted(pairs: pl.DataFrame, rule: JoinRule) -> pl.DataFrame:
    """Pairs with `_other`: the right value in the left unit, and whether there is a way between the units."""
    differ = pl.col("_unit") != pl.col("_unit_right")
    analyte = pl.col("code").replace_strict(rule.analytes, default=None, return_dtype=pl.String)
    pairs = pairs.with_columns(_analyte=analyte if rule.analytes else pl.lit(None, pl.String))
    keys = ["_unit", "_unit_right", "_analyte"]
    wanted = pairs.filter(differ).select(keys).unique().sort(keys)
    steps = pl.DataFrame(
        [(*row, *_step_between(row[1], row[0], row[2])) for row in wanted.iter_rows()],
        schema={**dict.fromkeys(keys, pl.String), "_factor": pl.Float64, "_offset": pl.Float64},
        orient="row",
    )
    told = pairs.join(steps, on=keys, how="left", nulls_equal=True, maintain_order="left")
    sent = pl.col("numeric_value_right").cast(pl.Float64)
    needs = differ.fill_null(value=False)
    has_values = pl.col("numeric_value").is_not_null() & sent.is_not_null()
    return told.with_columns(
        _other=pl.when(needs).then(sent * pl.col("_factor") + pl.col("_offset")).otherwise(sent),
        _is_convertible=~needs | ~has_values | pl.col("_factor").is_not_null(),
    )


def _step_between(sent: str, wanted: str, analyte: str | None) -> tuple[float | None, float | None]:
    try:
        step = conversion(sent, wanted, analyte)
    except PestaError:
        return None, None
    return step.factor, step.offset


def _merged(rows: tuple[pl.DataFrame, pl.DataFrame], pairs: pl.DataFrame, rule: JoinRule) -> pl.DataFrame:
    """One event a pair: the finer time, the left's value, text and unit where it has any, both lineages."""
    both = pairs.join(rows[0], left_on="left", right_on="_id", maintain_order="left").join(
        rows[1], left_on="right", right_on="_id", maintain_order="left"
    )
    time, other = pl.col("time"), pl.col("time_right")
    finer = pl.when(_precision(time) > _precision(other)).then(other).otherwise(time)
    is_end = pl.col("code").str.starts_with(_CONTACT_CODES[1])
    is_start = pl.col("code").str.starts_with(_CONTACT_CODES[0])
    edge = (
        pl.when(is_end)
        .then(pl.max_horizontal(time, other))
        .when(is_start)
        .then(pl.min_horizontal(time, other))
    )
    has_value = pl.col("numeric_value").is_not_null()
    of_several = pl.max_horizontal if rule.known_time == "latest" else pl.min_horizontal
    known = of_several("known_time", "known_time_right")
    merged = both.with_columns(
        time=pl.coalesce(edge, finer),
        numeric_value=pl.coalesce("numeric_value", "numeric_value_right"),
        unit=pl.when(has_value)
        .then(pl.coalesce("unit", "unit_right"))
        .otherwise(pl.coalesce("unit_right", "unit")),
        text_value=pl.coalesce("text_value", "text_value_right"),
        contact_id=pl.coalesce("contact_id", "contact_id_right"),
        lineage_id=pl.coalesce("lineage_id", "lineage_id_right"),
        _lineage_right="lineage_id_right",
    )
    return merged.with_columns(known_time=pl.when(known > pl.col("time")).then(known)).select(
        *EVENTS.names(), "_source", "_lineage_right"
    )


def _precision(time: pl.Expr) -> pl.Expr:
    """The coarsest of day, minute and second that a time is a whole number of, in seconds; 0 where none."""
    micros = time.cast(pl.Int64)
    found = pl.lit(0)
    for seconds in reversed(LADDER):
        found = pl.when(micros % (seconds * 1_000_000) == 0).then(pl.lit(seconds)).otherwise(found)
    return found


def _contradictions(candidates: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """Pairs that were left over and say different things, each row in one at most."""
    left_over = candidates.filter(
        ~pl.col("is_same")
        & (~pl.col("_is_value_same") | ~pl.col("_is_text_same") | ~pl.col("_is_convertible"))
    )
    left_over = left_over.join(near, on="left", how="anti").join(near, on="right", how="anti")
    told = nearest(left_over, ["_apart", "_off", "_steps"]).join(left_over, on=["left", "right"], how="inner")
    kind = (
        pl.when(~pl.col("_is_convertible"))
        .then(pl.lit("unit"))
        .when(~pl.col("_is_value_same"))
        .then(pl.lit("value"))
    )
    return as_conflicts(
        told.with_columns(
            kind=kind.otherwise(pl.lit("text")),
            source="_source",
            unit="_unit",
            other_source="_source_right",
            other_time="time_right",
            other_lineage_id="lineage_id_right",
            other_value="numeric_value_right",
            other_unit="_unit_right",
        )
    )
