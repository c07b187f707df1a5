"""Contributions of features rolled up to codes and domains, as explanations that add up at every level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.labels import domain_of
from phenotype.trajectory import INSTANT

EXPLANATIONS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": INSTANT,
        "model": pl.String(),
        "tree": pl.String(),
        "node": pl.String(),
        "parent": pl.String(),
        "phi": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "is_exact": pl.Boolean(),
    }
)
ROOT = ""
BASE = "base"
TREE = "concepts"
KEYS = ["subject_id", "prediction_time"]


def roll_up(
    contributions: npt.NDArray[np.float64],
    base: npt.NDArray[np.float64],
    rows: pl.DataFrame,
    columns: pl.DataFrame,
    *,
    model: str,
    n: int | None = None,
) -> pl.DataFrame:
    """Exact contributions to the logit as explanations: root, domains, codes, features, and the base.

    The root holds the sum of all contributions and `base`, which stands beside it, the expected logit:
    together they are the prediction's logit. Every other node's phi is the sum of its children's.

    Args:
        contributions: (n_rows, C) to the logit, of each feature.
        base: (n_rows,) the logit that contributions start from.
        rows: subject_id, prediction_time, n_rows rows.
        columns: name and code of the C features; features of one code stand under it, unless named as it.
        model: the model's name.
        n: only the n codes with the largest absolute phi of each row are told, with their features; domains
            still hold all. None tells every code.

    Returns:
        Columns of EXPLANATIONS, sorted by subject_id, prediction_time, node; nodes that contribute exactly
        0 are left out below the domains.
    """
    features = _long(contributions, rows, columns)
    codes = features.group_by([*KEYS, "domain", "code"], maintain_order=True).agg(pl.col("phi").sum())
    domains = codes.group_by([*KEYS, "domain"], maintain_order=True).agg(pl.col("phi").sum())
    told = codes.filter(pl.col("phi") != 0)
    if n is not None:
        size = pl.col("phi").abs()
        told = told.sort([*KEYS, size, "code"], descending=[False, False, True, False]).group_by(KEYS).head(n)
    below = features.filter((pl.col("phi") != 0) & (pl.col("name") != pl.col("code")))
    below = below.join(told, on=[*KEYS, "code"], how="semi")
    root = rows.select(KEYS).with_columns(phi=pl.Series(contributions.sum(axis=1), dtype=pl.Float64))
    start = rows.select(KEYS).with_columns(phi=pl.Series(base, dtype=pl.Float64))
    nothing = pl.lit(None, pl.String)
    nodes = pl.concat(
        [
            _nodes(root, pl.lit(ROOT), nothing),
            _nodes(start, pl.lit(BASE), nothing),
            _nodes(domains, pl.col("domain"), pl.lit(ROOT)),
            _nodes(told, pl.col("code"), pl.col("domain")),
            _nodes(below, pl.col("name"), pl.col("code")),
        ]
    )
    finished = nodes.with_columns(
        model=pl.lit(model),
        tree=pl.lit(TREE),
        low=pl.col("phi"),
        high=pl.col("phi"),
        is_exact=pl.lit(value=True),
    )
    return finished.select(pl.col(name).cast(dtype) for name, dtype in EXPLANATIONS.items()).sort(
        *KEYS, "node"
    )


def _long(contributions: npt.NDArray[np.float64], rows: pl.DataFrame, columns: pl.DataFrame) -> pl.DataFrame:
    """One row for each prediction row and feature: KEYS, domain, code, name, phi."""
    n_rows, n_columns = contributions.shape
    domains = [domain_of(code) for code in columns["code"]]
    named = columns.select("name", "code").with_columns(domain=pl.Series(domains, dtype=pl.String))
    repeated = rows.select(KEYS)[np.repeat(np.arange(n_rows), n_columns)]
    described = named[np.tile(np.arange(n_columns), n_rows)]
    return pl.concat([repeated, described], how="horizontal").with_columns(
        phi=pl.Series(contributions.ravel())
    )


def _nodes(frame: pl.DataFrame, node: pl.Expr, parent: pl.Expr) -> pl.DataFrame:
    return frame.select(*KEYS, node.alias("node"), parent.alias("parent"), "phi")
