"""Facts of two sources that contradict each other: what is told of them; no free text."""

from __future__ import annotations

import polars as pl

from phenotype.trajectory import INSTANT

CONFLICTS = pl.Schema(
    {
        "kind": pl.String(),
        "subject_id": pl.Int64(),
        "contact_id": pl.Int64(),
        "code": pl.String(),
        "time": INSTANT,
        "source": pl.String(),
        "lineage_id": pl.Int64(),
        "numeric_value": pl.Float64(),
        "unit": pl.String(),
        "other_time": INSTANT,
        "other_source": pl.String(),
        "other_lineage_id": pl.Int64(),
        "other_value": pl.Float64(),
        "other_unit": pl.String(),
    }
)
"""kind: value, unit, text, birth, death, one per subject, contact times, contact of two subjects, role."""


def as_conflicts(rows: pl.DataFrame, kind: str | None = None) -> pl.DataFrame:
    """Rows with the columns of CONFLICTS; those that they lack are null.

    Args:
        rows: any of the columns.
        kind: of all rows, where they have no column of it.
    """
    rows = rows.with_columns(kind=pl.lit(kind)) if kind else rows
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in CONFLICTS.items()
    )
