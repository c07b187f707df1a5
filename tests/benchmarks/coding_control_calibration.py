"""Probabilities of findings held against what was true, as they come and after a round of review."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from coding_control_judging import EXPECTATION_FAMILIES, FAMILIES, Judged, about_family, has_truth

from phenotype.coding.cases.review_correction import correct_probabilities
from phenotype.coding.cases.reviews import REVIEWS
from phenotype.coding.rules.rules import load_rules

N_REVIEWED = 40
"""Findings of each rule, and of each kind of expectation, that reviewers answer for, drawn at random."""
REVIEW_SEED = 1


@dataclass(frozen=True)
class Calibration:
    """Probabilities held against what was true.

    Attributes:
        n: findings judged.
        n_unknown: findings that the simulator has no truth about.
        bins: bin, n, probability (mean), share (right).
        error: mean of |probability - share| over the bins, weighted by their findings.
    """

    n: int
    n_unknown: int
    bins: pl.DataFrame
    error: float


def told_right(judged: Judged, *, honest_is_wrong: bool) -> pl.DataFrame:
    """Findings about the planted families, and whether the coding is wrong as they say.

    Args:
        judged: the audit and the truth.
        honest_is_wrong: whether a true condition that was left out honestly counts as coding that is wrong.

    Returns:
        finding_id, rule_id, kind, probability, is_right, is_known (whether the simulator holds the truth),
        one row a finding with a probability, sorted by finding_id.
    """
    errors = judged.cases.filter("is_error")
    planted = errors.select("family", "category", stay_id="stays").explode("stay_id")
    parts = []
    for family in FAMILIES:
        keys = ["stay_id", "category"] if family in EXPECTATION_FAMILIES else ["stay_id"]
        right = planted.filter(family=family).select(keys).unique().with_columns(is_right=pl.lit(value=True))
        parts.append(about_family(judged.found, family).join(right, on=keys, how="left"))
    about = pl.concat(parts)
    if honest_is_wrong:
        left_out = judged.honest.with_columns(kind=pl.lit("missing"), is_honest=pl.lit(value=True))
        about = about.join(left_out, on=["kind", "stay_id", "category"], how="left").with_columns(
            is_right=pl.coalesce("is_right", "is_honest")
        )
    return (
        about.filter(pl.col("probability").is_not_null())
        .group_by("finding_id")
        .agg(
            pl.col("rule_id", "kind", "probability").first(),
            pl.col("is_right").fill_null(value=False).max(),
            has_truth().max().alias("is_known"),
        )
        .sort("finding_id")
    )


def calibration(told: pl.DataFrame) -> Calibration:
    """How near the probabilities are to the share that is right, by tenths of the probability.

    Args:
        told: probability, is_right, is_known.
    """
    known = told.filter("is_known")
    bins = (
        known.with_columns(bin=(pl.col("probability") * 10).floor().clip(0, 9).cast(pl.Int32))
        .group_by("bin")
        .agg(pl.len().alias("n"), pl.col("probability").mean(), pl.col("is_right").mean().alias("share"))
        .sort("bin")
    )
    gap = (bins["probability"] - bins["share"]).abs()
    error = float((gap * bins["n"]).sum() / max(known.height, 1))
    return Calibration(known.height, told.height - known.height, bins, error)


def after_review(told: pl.DataFrame, audit: Path) -> pl.DataFrame:
    """The findings that nobody was asked about, with probabilities corrected by the answers for others.

    Args:
        told: as of `told_right`.
        audit: the audit's folder.
    """
    rng = np.random.default_rng(REVIEW_SEED)
    asked = pl.when(kind="rule").then("rule_id").otherwise("kind")
    known = told.filter("is_known")
    known = known.with_columns(asked=asked, order=rng.random(known.height))
    drawn = known.filter(pl.col("order").rank("ordinal").over("asked") <= N_REVIEWED)
    stays = (
        pl.read_parquet(audit / "finding_items.parquet")
        .group_by("finding_id")
        .agg(pl.col("contact_id").first().alias("stay_id"))
    )
    reviews = drawn.join(stays, on="finding_id", how="left").select(
        "finding_id",
        "stay_id",
        answer=pl.when("is_right").then(pl.lit("agree")).otherwise(pl.lit("disagree")),
        reason=pl.lit(""),
        reviewer_role=pl.lit("simulated"),
        date=pl.lit(dt.date(2026, 1, 1)),
        drawn=pl.lit("random"),
    )
    findings = pl.read_parquet(audit / "findings.parquet")
    corrected = correct_probabilities(findings, reviews.cast(REVIEWS), load_rules(None))
    return (
        told.drop("probability")
        .join(drawn, on="finding_id", how="anti")
        .join(corrected.select("finding_id", "probability"), on="finding_id")
        .filter(pl.col("probability").is_not_null())
    )
