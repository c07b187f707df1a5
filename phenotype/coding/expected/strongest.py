"""The findings that a reader is shown first: probable, carried by events, and not all of one kind."""

from __future__ import annotations

import math

import polars as pl

from phenotype.coding.expected.reasons import BACKGROUND, CHANCE, LEAST_RATIO, UNIT
from phenotype.coding.findings import Found

_PER_GROUP = (1, 2, 3)
"""Findings of one group of codes, for ever more as long as others are too few."""


def carried_by_events(found: Found) -> pl.DataFrame:
    """The explained findings that events speak for at least as much as background and chance do.

    Age, sex and how a stay ran make conditions likely, and show none; how a unit codes says nothing of a
    patient. A doubt that rests on these alone gives a reader nothing to look up; nor do many events each of
    which says next to nothing, so one at least must change the odds by LEAST_RATIO by itself.

    Args:
        found: findings with reasons.

    Returns:
        finding_id, by_events: log odds that concepts with events add in favour of the doubt, less those that
        speak against it; sorted by finding_id.
    """
    kinds = found.findings.select("finding_id", "kind")
    told = found.reasons.filter(pl.col("contribution").is_finite()).join(kinds, on="finding_id", how="inner")
    towards = pl.col("contribution") * pl.when(pl.col("kind") == "unsupported").then(-1.0).otherwise(1.0)
    is_background = pl.col("concept").is_in([BACKGROUND, CHANCE])
    is_event = (pl.col("evidence").list.len() > 0) & ~is_background & (pl.col("concept") != UNIT)
    return (
        told.with_columns(_towards=towards)
        .group_by("finding_id")
        .agg(
            by_events=pl.col("_towards").filter(is_event).sum(),
            _largest=pl.col("_towards").filter(is_event).max(),
            _background=pl.col("_towards").filter(is_background).sum(),
        )
        .filter(
            (pl.col("by_events") > 0)
            & (pl.col("_largest") >= math.log(LEAST_RATIO))
            & (pl.col("by_events") >= pl.col("_background"))
        )
        .select("finding_id", "by_events")
        .sort("finding_id")
    )


def strongest(found: Found, n: int) -> pl.DataFrame:
    """The n findings to show first, the most probable first, to the hundredth; then what events say most of.

    What has no probability stands last.

    Of those that events carry, the first are taken, each kind for its share, of each group of codes
    one and of each contact one; then more of a group and of a kind, where the others are too few.

    Args:
        found: findings with items and reasons.
        n: how many are wanted; fewer are given where fewer are carried by events.

    Returns:
        Columns of FINDINGS and by_events.
    """
    contacts = found.items.group_by("finding_id").agg(_contact=pl.col("contact_id").min())
    candidates = (
        found.findings.join(carried_by_events(found), on="finding_id", how="inner")
        .join(contacts, on="finding_id", how="left")
        .sort(
            pl.col("probability").fill_nan(None).round(2),
            "by_events",
            "finding_id",
            descending=[True, True, False],
            nulls_last=True,
        )
    )
    n_kinds = max(candidates["kind"].n_unique(), 1)
    share = -(-n // n_kinds)
    chosen: list[int] = []
    rows = candidates.select("kind", "rule_id", "_contact").rows()
    for per_group in (*_PER_GROUP, n):
        for per_kind in (share, n):
            _choose(rows, chosen, n, per_kind, per_group)
    return candidates[sorted(chosen)].drop("_contact")


def _choose(
    rows: list[tuple[str, str, int | None]], chosen: list[int], n: int, per_kind: int, per_group: int
) -> None:
    """Adds the numbers of rows, in order, while there is room for their kind, group and contact."""
    for number, (kind, group, contact) in enumerate(rows):
        if len(chosen) >= n:
            return
        taken = [rows[one] for one in chosen]
        if (
            number not in chosen
            and sum(one[0] == kind for one in taken) < per_kind
            and sum(one[1] == group for one in taken) < per_group
            and all(contact is None or one[2] != contact for one in taken)
        ):
            chosen.append(number)
