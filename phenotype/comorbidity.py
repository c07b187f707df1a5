"""Comorbidity and frailty indices: which groups of a family are seen, and what they weigh together.

**Source:** each family's own file in configs/valuesets: charlson_quan, charlson_nordic, elixhauser_quan,
hospital_frailty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.valuesets import Family, Resolver, in_set, load_family, load_valueset
from phenotype.contacts import join_stays, stays
from phenotype.trajectory import Dataset

if TYPE_CHECKING:
    from ontology.release import Ontology

WEIGHT_DIGITS = 6
"""Sums are rounded to so many digits, so that 0.1 + 0.2 is 0.3 whatever the order of the groups."""


def family_score(seen: pl.DataFrame, family: Family, weighting: str | None = None) -> pl.DataFrame:
    """The sum of the weights of the groups that count, for each unit in which anything is seen.

    A group that is seen with others is added first; then a group that a more severe one hides is taken away.

    Args:
        seen: column group (names of the family's groups; others are ignored) and any columns that name a
            unit, such as subject_id or stay_id; in any order, rows may be there several times.
        family: the family.
        weighting: the name of the weights; None takes the family's own choice.

    Returns:
        The unit's columns, score (Float64, 0 where nothing that is seen counts) and groups (those that
        count, in text order); sorted by the unit's columns, whose nulls come first.

    Raises:
        ConfigurationError: the family has no such weights.
    """
    units = [name for name in seen.columns if name != "group"]
    weights = _weights(family, weighting)
    counted = counted_groups(seen, family).join(weights, on="group")
    sums = (
        counted.sort(*units, "group")
        .group_by(units, maintain_order=True)
        .agg(score=pl.col("weight").sum(), groups=pl.col("group"))
    )
    return (
        seen.select(units)
        .unique()
        .join(sums, on=units, how="left", nulls_equal=True)
        .with_columns(
            pl.col("score").fill_null(0.0).round(WEIGHT_DIGITS),
            pl.col("groups").fill_null(pl.lit([], dtype=pl.List(pl.String))),
        )
        .sort(units)
    )


def counted_groups(seen: pl.DataFrame, family: Family) -> pl.DataFrame:
    """The groups that count: with those that several others make, without those that a more severe one hides.

    Args:
        seen: column group and any columns that name a unit.
        family: the family.

    Returns:
        The same columns, unique rows, unsorted; auxiliary groups are left out.
    """
    units = [name for name in seen.columns if name != "group"]
    rows = seen.select(*units, "group").unique()
    for name, group in family.groups.items():
        if group.seen_with:
            parts = rows.filter(pl.col("group").is_in(group.seen_with))
            together = parts.group_by(units).len().filter(pl.col("len") == len(group.seen_with))
            made = together.select(*units, group=pl.lit(name))
            rows = pl.concat([rows, made]).unique()
    hidden = [
        rows.filter(pl.col("group") == name).select(*units, group=pl.lit(milder))
        for name, group in family.groups.items()
        for milder in group.hides
    ]
    shown = [name for name, group in family.groups.items() if not group.is_auxiliary]
    kept = rows.filter(pl.col("group").is_in(shown))
    return (
        kept.join(pl.concat(hidden), on=[*units, "group"], how="anti", nulls_equal=True) if hidden else kept
    )


def band_of(score: pl.Expr, family: Family) -> pl.Expr:
    """The name of the first of the family's bands that a score lies in; null where none holds it."""
    found = pl.lit(None, dtype=pl.String)
    for name, band in reversed(family.bands.items()):
        bounds = [
            score > band.above if band.above is not None else None,
            score >= band.at_least if band.at_least is not None else None,
            score < band.below if band.below is not None else None,
            score <= band.at_most if band.at_most is not None else None,
        ]
        inside = pl.all_horizontal(*[bound for bound in bounds if bound is not None], pl.lit(value=True))
        found = pl.when(inside).then(pl.lit(name)).otherwise(found)
    return found


def coded_groups(events: pl.LazyFrame, family_name: str, ontology: Ontology | None = None) -> pl.DataFrame:
    """The events that a family's groups are seen by.

    Args:
        events: columns of EVENTS.
        family_name: name or path of the family's file.
        ontology: by which `under` is judged; None is the embedded one.

    Returns:
        subject_id, time, contact_id, group; unique rows, sorted. Events without a time are left out.
    """
    codes = events.select(pl.col("code").unique()).collect()["code"].to_list()
    resolver, family = Resolver(codes, ontology), load_family(family_name)
    resolved = {
        name: resolver.resolve(load_valueset(f"{family_name}/{name}")).with_columns(group=pl.lit(name))
        for name in family.groups
    }
    every = pl.concat(resolved.values())
    found = events.filter(
        pl.col("time").is_not_null() & pl.col("code").is_in(every["code"].unique().to_list())
    ).select("subject_id", "time", "contact_id", "code")
    here = found.unique().collect()
    parts = [
        here.filter(in_set(rows)).with_columns(group=pl.lit(name))
        for name, rows in resolved.items()
        if rows.height
    ]
    columns = ["subject_id", "time", "contact_id", "group"]
    if not parts:
        return here.clear().with_columns(group=pl.lit(None, dtype=pl.String)).select(columns)
    return pl.concat(parts).select(columns).unique().sort(columns)


def stay_scores(
    dataset: Dataset,
    family_name: str = "charlson_quan",
    *,
    weighting: str | None = None,
    look_back_days: int | None = None,
    own_codes: bool = True,
    ontology: Ontology | None = None,
) -> pl.DataFrame:
    """An index for every stay, from the codes of the stay itself and of the days before it.

    An event belongs to the stay of its contact; one without a contact to the stay that its time lies in. What
    comes before a stay is what has a time in the look-back and before the stay's start.

    Args:
        dataset: whose events and contacts count.
        family_name: a family of configs/valuesets, or the path of one's own.
        weighting: the name of the weights; None takes the family's own choice.
        look_back_days: None takes the family's own; 0 where it says nothing.
        own_codes: whether the stay's own codes count; SKDE in Norway leaves them out.
        ontology: by which the codes are judged; None is the embedded one.

    Returns:
        stay_id, subject_id, score (0 where nothing is seen), groups, band (null where the family has none);
        sorted by stay_id.
    """
    family = load_family(family_name)
    days = family.look_back_days or 0 if look_back_days is None else look_back_days
    contacts = join_stays(dataset.contacts())
    spans = stays(contacts).select("stay_id", "subject_id", "start_time", "end_time")
    coded = coded_groups(dataset.events(), family_name, ontology)
    seen = pl.concat([_before(coded, spans, days), *([_own(coded, contacts, spans)] if own_codes else [])])
    scores = family_score(seen, family, weighting)
    return (
        spans.select("stay_id", "subject_id")
        .join(scores, on="stay_id", how="left")
        .with_columns(
            pl.col("score").fill_null(0.0), pl.col("groups").fill_null(pl.lit([], dtype=pl.List(pl.String)))
        )
        .with_columns(band=band_of(pl.col("score"), family))
        .sort("stay_id")
    )


def _before(coded: pl.DataFrame, spans: pl.DataFrame, look_back_days: int) -> pl.DataFrame:
    """stay_id and group of what was coded in the days before each stay."""
    start = pl.col("start_time")
    return (
        spans.filter(start.is_not_null())
        .join(coded, on="subject_id")
        .filter((pl.col("time") < start) & (pl.col("time") >= start - pl.duration(days=look_back_days)))
        .select("stay_id", "group")
    )


def _own(coded: pl.DataFrame, contacts: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """stay_id and group of what was coded in each stay."""
    stay_of = contacts.select("contact_id", "stay_id")
    by_contact = coded.filter(pl.col("contact_id").is_not_null()).join(stay_of, on="contact_id")
    is_inside = pl.col("time") >= pl.col("start_time")
    is_inside &= (pl.col("time") <= pl.col("end_time")) | pl.col("end_time").is_null()
    by_time = coded.filter(pl.col("contact_id").is_null()).join(spans, on="subject_id").filter(is_inside)
    return pl.concat([part.select("stay_id", "group") for part in (by_contact, by_time)])


def _weights(family: Family, weighting: str | None) -> pl.DataFrame:
    """The weight of every group that counts.

    Raises:
        ConfigurationError: the family has no such weights.
    """
    name = weighting or family.weighting
    shown = {key: group for key, group in family.groups.items() if not group.is_auxiliary}
    there = sorted(next(iter(shown.values())).weights)
    if name is None or name not in there:
        raise ConfigurationError(
            Problem(
                "no such weights",
                where=f"value set family {family.name}",
                found=str(weighting),
                allowed=", ".join(there) or "none: the family is not scored",
                next_step="name one of the family's weightings",
            )
        )
    rows = [(key, group.weights[name]) for key, group in shown.items()]
    return pl.DataFrame(rows, schema={"group": pl.String, "weight": pl.Float64}, orient="row")
