"""How a cohort arose: the rows and subjects left after each reason to leave rows out, step by step."""

from __future__ import annotations

import polars as pl

from phenotype.eligibility import REASONS
from phenotype.outcomes import OUTCOME_REASONS

STEPS = {
    "candidates": "every row that the index rule names",
    **REASONS,
    **OUTCOME_REASONS,
    "labelled": "rows whose outcome can be determined",
}
"""Each step in order, with what it means in plain words; a reason's meaning is why its rows are left out."""

ATTRITION = pl.Schema(
    {
        "step": pl.String(),
        "n_rows": pl.Int64(),
        "n_subjects": pl.Int64(),
        "n_excluded": pl.Int64(),
        "description": pl.String(),
    }
)


def attrition(outcomes: pl.DataFrame) -> pl.DataFrame:
    """Rows and subjects that remain after each step.

    Args:
        outcomes: subject_id and exclusion_reason (a key of STEPS, or null) among others; one row a candidate.

    Returns:
        Columns of ATTRITION: "candidates" first, then each reason that left any row out, then "labelled".
        n_rows and n_subjects remain after the step, n_excluded rows were left out by it.
    """
    order = {reason: number for number, reason in enumerate(STEPS)}
    numbered = outcomes.select(
        "subject_id",
        _step=pl.col("exclusion_reason")
        .fill_null("labelled")
        .replace_strict(order, return_dtype=pl.Int64, default=None),
    )
    last_step = numbered.group_by("subject_id").agg(pl.col("_step").max())
    rows = []
    for reason, number in order.items():
        n_excluded = 0 if reason in {"candidates", "labelled"} else int((numbered["_step"] == number).sum())
        if n_excluded or reason in {"candidates", "labelled"}:
            is_last = reason == "labelled"
            n_rows = int(
                (numbered["_step"] >= number).sum() if is_last else (numbered["_step"] > number).sum()
            )
            n_subjects = (last_step["_step"] >= number if is_last else last_step["_step"] > number).sum()
            rows.append((reason, n_rows, int(n_subjects), n_excluded, STEPS[reason]))
    return pl.DataFrame(rows, schema=ATTRITION, orient="row")
