"""Comorbidity and frailty indices: which groups of a family are seen, and what they weigh together.

**Source:** each family's own file in configs/valuesets: charlson_quan, charlson_nordic, elixhauser_quan,
hospital_frailty.
"""

from __future__ import annotations

import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.valuesets.sets import Family

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
    found: pl.Expr = pl.when(score.is_null()).then(pl.lit(None, dtype=pl.String))
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
