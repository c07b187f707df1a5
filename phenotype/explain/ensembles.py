"""An ensemble's reasons: its members' reasons on one scale, added up with the ensemble's weights."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from phenotype.explain.concepts import BASE, EXPLANATIONS, KEYS, ROOT, TREE


def combine_reasons(
    members: Sequence[pl.DataFrame], scales: Sequence[float], intercept: float, n: int | None = None
) -> pl.DataFrame:
    """Reasons that add up to the ensemble's logit wherever each member's add up to its own.

    Each member is explained by what suits it (trees by their own contributions, networks by leaving events
    out), so a reason here is a weighted mean of answers to slightly different questions.

    Args:
        members: each member's explanations of the same rows (columns of EXPLANATIONS), with every code.
        scales: of each member, its weight times the slope of its calibrator.
        intercept: what the weights make of the calibrators' intercepts.
        n: only the n codes with the largest absolute phi of each row are told; None tells every code.

    Returns:
        Columns of EXPLANATIONS, `model` being "ensemble"; intervals are as wide as the members' together.
    """
    scaled = [
        frame.with_columns(
            pl.col("phi") * scale,
            low=pl.min_horizontal(pl.col("low") * scale, pl.col("high") * scale),
            high=pl.max_horizontal(pl.col("low") * scale, pl.col("high") * scale),
        )
        for frame, scale in zip(members, scales, strict=True)
    ]
    moved = pl.when(pl.col("node") == BASE).then(intercept).otherwise(0.0)
    summed = (
        pl.concat(scaled)
        .group_by([*KEYS, "node"], maintain_order=True)
        .agg(
            pl.col("parent").first(),
            pl.col("phi", "low", "high").sum(),
            pl.col("is_exact").all(),
        )
        .with_columns(pl.col("phi", "low", "high") + moved, model=pl.lit("ensemble"), tree=pl.lit(TREE))
    )
    told = summed if n is None else _largest_codes(summed, n)
    return told.select(pl.col(name).cast(dtype) for name, dtype in EXPLANATIONS.items()).sort(*KEYS, "node")


def _largest_codes(reasons: pl.DataFrame, n: int) -> pl.DataFrame:
    """The base, the root, the domains, and of each row the n largest codes with what stands under them."""
    upper = reasons.filter(pl.col("parent").is_null() | (pl.col("parent") == ROOT))
    domains = upper.filter(pl.col("parent") == ROOT).select(*KEYS, parent="node")
    codes = (
        reasons.join(domains, on=[*KEYS, "parent"], how="semi", maintain_order="left")
        .sort(*KEYS, pl.col("phi").abs(), "node", descending=[False, False, True, False])
        .filter(pl.int_range(pl.len()).over(KEYS) < n)
    )
    features = reasons.join(codes.select(*KEYS, parent="node"), on=[*KEYS, "parent"], how="semi")
    return pl.concat([upper, codes, features])
