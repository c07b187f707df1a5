"""Births and deaths of one person from several sources: one of each is kept, and what differs is reported."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from phenotype.trajectory import BIRTH_CODE, DEATH_CODE, EVENTS
from pipelines.joining.conflicts import CONFLICTS, as_conflicts

_KIND = {BIRTH_CODE: "birth", DEATH_CODE: "death"}


@dataclass(frozen=True)
class Lives:
    """One birth and one death a subject.

    Attributes:
        events: columns of EVENTS and `_source`.
        moved: old, new: lineage ids whose rows now belong to the birth or death that was kept.
        conflicts: columns of CONFLICTS: births or deaths on other days than the one kept.
        n_same: events that were one with a kept one.
        n_dropped: events that contradict the kept one; they are in the conflicts alone.
    """

    events: pl.DataFrame
    moved: pl.DataFrame
    conflicts: pl.DataFrame
    n_same: int
    n_dropped: int


def is_life() -> pl.Expr:
    """Whether an event is a birth or a death with a time."""
    return pl.col("code").is_in(list(_KIND)) & pl.col("time").is_not_null()


def settle_lives(events: pl.DataFrame, first: pl.DataFrame, *, ages_are_capped: bool) -> Lives:
    """The birth and death of each subject that most sources give.

    Two are the same where they are on one day; the finer time is kept. Of different days the one that most
    sources give is kept: of births first those that no other event precedes, then the earliest; of deaths the
    latest. A birth is never later than the subject's first other event.

    Args:
        events: births and deaths of all sources: columns of EVENTS, `_source` and `_part` (its number).
        first: subject_id, first_time: of all other dated events and contacts.
        ages_are_capped: whether the sources made the ages of the old one group: then births that differ are
            no conflict; the latest is kept, unless an event precedes it.
    """
    ordered = _best_first(events.join(first, on="subject_id", how="left"), ages_are_capped=ages_are_capped)
    kept = ordered.unique(["subject_id", "code"], keep="first", maintain_order=True)
    kept_facts = kept.select(
        "subject_id", "code", _kept_day="_day", new="lineage_id", _kept_source="_source", _kept_time="time"
    )
    is_kept = ordered.select(pl.struct("subject_id", "code").is_first_distinct()).to_series()
    others = ordered.filter(~is_kept).join(kept_facts, on=["subject_id", "code"], maintain_order="left")
    is_same = pl.col("_day") == pl.col("_kept_day")
    if ages_are_capped:
        is_same |= pl.col("_is_birth")
    same, other = others.filter(is_same), others.filter(~is_same)
    precedes = pl.when("_is_birth").then("first_time")
    kept = kept.with_columns(time=pl.min_horizontal("time", precedes))
    known = pl.when(pl.col("known_time") > pl.col("time")).then("known_time")
    return Lives(
        kept.with_columns(known_time=known).select(*EVENTS.names(), "_source"),
        same.select(old="lineage_id", new="new").drop_nulls(),
        _told(other),
        same.height,
        other.height,
    )


def _best_first(told: pl.DataFrame, *, ages_are_capped: bool) -> pl.DataFrame:
    """Births and deaths, of each subject the one to keep first."""
    told = told.with_columns(_day=pl.col("time").dt.truncate("1d"), _is_birth=pl.col("code") == BIRTH_CODE)
    is_capped = pl.col("_is_birth") if ages_are_capped else pl.lit(value=False)
    n_sources = pl.col("_part").n_unique().over("subject_id", "code", "_day").cast(pl.Int64)
    day = pl.col("_day").cast(pl.Int64)
    return told.with_columns(
        _precedes=pl.col("_is_birth") & (pl.col("_day") > pl.col("first_time")).fill_null(value=False),
        _votes=pl.when(is_capped).then(0).otherwise(-n_sources),
        _late=pl.when(is_capped | ~pl.col("_is_birth")).then(-day).otherwise(day),
        _is_coarse=pl.col("time") == pl.col("_day"),
    ).sort(
        ["subject_id", "code", "_precedes", "_votes", "_late", "_is_coarse", "_part", "time", "lineage_id"],
        nulls_last=True,
    )


def _told(other: pl.DataFrame) -> pl.DataFrame:
    renamed = other.with_columns(
        kind=pl.col("code").replace_strict(_KIND, return_dtype=pl.String),
        other_time="time",
        other_source="_source",
        other_lineage_id="lineage_id",
    )
    return as_conflicts(renamed.with_columns(time="_kept_time", source="_kept_source", lineage_id="new"))


def several_of_one(events: pl.DataFrame, beginnings: tuple[str, ...]) -> pl.DataFrame:
    """Conflicts of subjects with several codes where a person has one (GENDER//F and GENDER//M).

    Args:
        events: columns of EVENTS and `_source`.
        beginnings: of the codes, without the two slashes.
    """
    static = events.filter(pl.col("time").is_null())
    static = static.with_columns(_of=pl.col("code").str.split("//").list.first())
    static = static.filter(pl.col("_of").is_in(list(beginnings)))
    static = static.unique(["subject_id", "code"], keep="first", maintain_order=True)
    if not static.height:
        return pl.DataFrame(schema=CONFLICTS)
    several = static.filter(pl.col("code").n_unique().over("subject_id", "_of") > 1)
    ordered = several.sort("subject_id", "_of", "code")
    first = ordered.unique(["subject_id", "_of"], keep="first", maintain_order=True)
    pairs = first.join(ordered, on=["subject_id", "_of"]).filter(pl.col("code") != pl.col("code_right"))
    told = pairs.with_columns(
        source="_source", other_source="_source_right", other_lineage_id="lineage_id_right"
    )
    return as_conflicts(told, "one per subject")
