"""Features without a window: age at the prediction time, and facts that have no time such as sex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from phenotype.facts import AGE_CODE, MICROSECONDS_A_YEAR, Facts
from phenotype.feature_matrix import Cells

Ints = npt.NDArray[np.int64]

STATIC_COLUMNS = pl.Schema(
    {"code": pl.String, "aggregation": pl.String, "window": pl.String, "absent": pl.String}
)


@dataclass(frozen=True)
class StaticCells:
    """Cells that stand before the windowed ones in every row.

    Attributes:
        values: float32 CSR (rows, static columns).
        columns: columns of STATIC_COLUMNS, one row a column: aggregation is "age", "static" (the value of a
            fact) or "present" (1 for a fact without a value); window is empty.
    """

    values: Cells
    columns: pl.DataFrame


def static_cells(
    facts: Facts, row_subject: Ints, row_time: Ints, *, has_age: bool, has_static: bool
) -> StaticCells:
    """Age and static facts of each prediction row; of several values of one static fact the largest.

    Args:
        facts: what is known about the subjects.
        row_subject: (rows,) number of the subject.
        row_time: (rows,) prediction time, microseconds.
        has_age: whether there is a column for age.
        has_static: whether there are columns for static facts.
    """
    parts: list[StaticCells] = []
    if has_age:
        parts.append(_age_cells(facts, row_subject, row_time))
    if has_static:
        of_subjects = _cells_of_subjects(facts)
        parts.append(StaticCells(of_subjects.values[row_subject], of_subjects.columns))
    nothing = sparse.coo_array((len(row_subject), 0), dtype=np.float32)
    return StaticCells(
        sparse.hstack([nothing, *(part.values for part in parts)], format="csr"),
        pl.concat([STATIC_COLUMNS.to_frame(), *(part.columns for part in parts)]),
    )


def _age_cells(facts: Facts, row_subject: Ints, row_time: Ints) -> StaticCells:
    """One column, or none where nobody's age is known."""
    age = _age_years(facts, row_subject, row_time)
    known = np.flatnonzero(~np.isnan(age))
    n_columns = int(len(known) > 0)
    values = sparse.coo_array(
        (age[known], (known, np.zeros_like(known))), shape=(len(age), n_columns)
    ).tocsr()
    columns = pl.DataFrame(
        [(AGE_CODE, "age", "", "missing")] * n_columns, schema=STATIC_COLUMNS, orient="row"
    )
    return StaticCells(values, columns)


def _age_years(facts: Facts, row_subject: Ints, row_time: Ints) -> npt.NDArray[np.float32]:
    """Age from the earliest birth time that was known, else the static AGE, NaN where there is neither."""
    stated = facts.static.filter(pl.col("code_number") == facts.number_of(AGE_CODE))
    oldest = stated.group_by("subject_number").agg(pl.col("numeric_value").max()).drop_nulls()
    of_subject = np.full(facts.n_subjects, np.nan)
    of_subject[oldest["subject_number"].to_numpy()] = oldest["numeric_value"].to_numpy()
    age = of_subject[row_subject]
    rows = pl.DataFrame({"subject_number": row_subject, "row_time": row_time}).with_row_index("row")
    known = rows.join(facts.births, on="subject_number").filter(pl.col("known_time") <= pl.col("row_time"))
    earliest = known.group_by("row").agg(pl.col("birth_time").min(), pl.col("row_time").first())
    microseconds = (earliest["row_time"] - earliest["birth_time"]).to_numpy()
    age[earliest["row"].to_numpy()] = microseconds / MICROSECONDS_A_YEAR
    return age.astype(np.float32)


def _cells_of_subjects(facts: Facts) -> StaticCells:
    """Static facts (subjects, columns), by code: its values, then its presence without a value."""
    found = (
        facts.static.filter(pl.col("code_number") != facts.number_of(AGE_CODE))
        .with_columns(is_bare=pl.col("numeric_value").is_null())
        .group_by("subject_number", "code_number", "is_bare")
        .agg(pl.col("numeric_value").max().fill_null(1.0))
        .sort("subject_number", "code_number", "is_bare")
    )
    kinds = found.select("code_number", "is_bare").unique().sort("code_number", "is_bare")
    numbered = found.join(
        kinds.with_row_index("column"), on=["code_number", "is_bare"], maintain_order="left"
    )
    place = (numbered["subject_number"].to_numpy(), numbered["column"].to_numpy())
    values = numbered["numeric_value"].to_numpy().astype(np.float32)
    columns = kinds.select(
        pl.Series("code", [facts.codes[number] for number in kinds["code_number"]], dtype=pl.String),
        pl.when("is_bare").then(pl.lit("present")).otherwise(pl.lit("static")).alias("aggregation"),
        pl.lit("").alias("window"),
        pl.when("is_bare").then(pl.lit("zero")).otherwise(pl.lit("missing")).alias("absent"),
    )
    cells = sparse.coo_array((values, place), shape=(facts.n_subjects, columns.height)).tocsr()
    return StaticCells(cells, columns)
