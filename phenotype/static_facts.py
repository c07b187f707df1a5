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


@dataclass(frozen=True)
class StaticCells:
    """Cells that stand before the windowed ones in every row.

    Attributes:
        values: float32 CSR (rows, static columns).
        columns: code, aggregation ("age" or "static"), window (empty), absent; one row a column.
    """

    values: Cells
    columns: pl.DataFrame


def static_cells(
    facts: Facts, row_subject: Ints, row_time: Ints, *, has_age: bool, has_static: bool
) -> StaticCells:
    """Age and static facts of each prediction row.

    A static fact is the value of its event, the largest of several, and 1 where its events have no value.

    Args:
        facts: what is known about the subjects.
        row_subject: (rows,) number of the subject.
        row_time: (rows,) prediction time, microseconds.
        has_age: whether there is a column for age.
        has_static: whether there are columns for static facts.
    """
    parts: list[Cells] = []
    columns: list[tuple[str, str, str, str]] = []
    if has_age:
        age = _age_years(facts, row_subject, row_time)
        known = np.flatnonzero(~np.isnan(age))
        cells = (age[known], (known, np.zeros_like(known)))
        parts.append(sparse.csr_array(cells, shape=(len(age), 1)) if len(known) else _no_cells(len(age)))
        columns += [(AGE_CODE, "age", "", "missing")] * bool(len(known))
    if has_static:
        values, codes = _static_of_subjects(facts)
        parts.append(values[row_subject])
        columns += codes
    schema = ["code", "aggregation", "window", "absent"]
    joined = sparse.csr_array(sparse.hstack(parts, format="csr")) if parts else _no_cells(len(row_subject))
    joined.sort_indices()
    return StaticCells(joined, pl.DataFrame(columns, schema=dict.fromkeys(schema, pl.String), orient="row"))


def _no_cells(n_rows: int) -> Cells:
    return sparse.csr_array((n_rows, 0), dtype=np.float32)


def _age_years(facts: Facts, row_subject: Ints, row_time: Ints) -> npt.NDArray[np.float32]:
    """Age from the earliest birth time that was known, else the static AGE, NaN where there is neither."""
    years = facts.static.filter(pl.col("code_number") == facts.number_of(AGE_CODE))
    oldest = years.group_by("subject_number").agg(pl.col("numeric_value").max()).drop_nulls()
    of_subject = np.full(facts.n_subjects, np.nan)
    of_subject[oldest["subject_number"].to_numpy()] = oldest["numeric_value"].to_numpy()
    age = of_subject[row_subject]
    born = facts.births
    rows = pl.DataFrame({"subject_number": row_subject, "row_time": row_time}).with_row_index("row")
    known = rows.join(born, on="subject_number").filter(pl.col("known_time") <= pl.col("row_time"))
    earliest = known.group_by("row").agg(pl.col("birth_time").min(), pl.col("row_time").first())
    age[earliest["row"].to_numpy()] = (
        earliest["row_time"] - earliest["birth_time"]
    ).to_numpy() / MICROSECONDS_A_YEAR
    return age.astype(np.float32)


def _static_of_subjects(facts: Facts) -> tuple[Cells, list[tuple[str, str, str, str]]]:
    found = (
        facts.static.filter(pl.col("code_number") != facts.number_of(AGE_CODE))
        .group_by("subject_number", "code_number")
        .agg(pl.col("numeric_value").max())
        .sort("subject_number", "code_number")
    )
    numbers = np.unique(found["code_number"].to_numpy())
    column = np.searchsorted(numbers, found["code_number"].to_numpy())
    cells = found["numeric_value"].fill_null(1.0).to_numpy().astype(np.float32)
    shape = (facts.n_subjects, len(numbers))
    values = sparse.csr_array(
        (cells, (found["subject_number"].to_numpy(), column)), shape=shape, dtype=np.float32
    )
    with_value = set(found.drop_nulls()["code_number"].to_list())
    absent = ["missing" if number in with_value else "zero" for number in numbers]
    codes = [
        (facts.codes[number], "static", "", meaning) for number, meaning in zip(numbers, absent, strict=True)
    ]
    return values, codes
