"""Which way a case deviates: more than expected, fewer, nothing unusual, or nobody to be held against."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import polars as pl

from phenotype.coding.cases.rates import CaseRate, Direction, compared_rates, direction
from phenotype.coding.findings import Found

Deviation = Literal["more", "fewer", "within", "alone"]
"""more, fewer: than expected of the unit, beyond chance; within: what is expected, whatever its findings say
of single stays; alone: no rate could be held against anything."""


def deviation(rates: Sequence[CaseRate], changes: Collection[Direction]) -> Deviation:
    """Which way a case deviates.

    A rule that is broken less often than elsewhere is nothing that anybody needs to be asked about; a measure
    that counts fewer than expected is.

    Args:
        rates: those of the case.
        changes: the directions of its changes over time.
    """
    compared = compared_rates(rates)
    of_measures = {direction(rate) for rate in compared if rate.against == "expected"}
    of_rules = {direction(rate) for rate in compared if rate.against != "expected"}
    if "more" in of_measures | of_rules | set(changes):
        return "more"
    if "fewer" in of_measures | set(changes):
        return "fewer"
    return "within" if compared else "alone"


def change_directions(found: Found) -> dict[str, Direction]:
    """finding_id -> the direction of each change over time, by the sign of its log odds ratio.

    One of nothing, or of no number, has no direction, and is left out.
    """
    changes = found.reasons.join(
        found.findings.filter(kind="drift").select("finding_id"), on="finding_id", how="semi"
    ).filter(pl.col("contribution").is_not_nan() & (pl.col("contribution") != 0))
    return {
        finding_id: "more" if contribution > 0 else "fewer"
        for finding_id, contribution in changes.select("finding_id", "contribution").iter_rows()
    }
