"""Features: look-behind windows x aggregations of every code, age and static facts, as one sparse matrix.

The axis is known_time: a window of 24 h is (prediction_time - 24 h, prediction_time] of the instants at which
facts could be known. docs/features.md says what each aggregation means.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from ontology.errors import InputError, Problem
from ontology.labels import label_of
from phenotype.facts import Facts, collect_facts
from phenotype.feature_matrix import COLUMNS, Cells, FeatureMatrix
from phenotype.feature_spec import FULL, FeatureSpec, window_microseconds
from phenotype.grouped_events import GroupedEvents, group_events
from phenotype.growing_array import GrowingArray
from phenotype.static_facts import StaticCells, static_cells
from phenotype.trajectory import INSTANT
from phenotype.windows import CellBlock, WindowRequest, window_cells

__all__ = ["FeatureMatrix", "FeatureSpec", "build_features"]

Ints = npt.NDArray[np.int64]

CELLS_RENUMBERED = 1 << 22
ZERO_WHEN_ABSENT = ("count", "sum")
IN_WORDS = {
    "count": "count",
    "sum": "sum",
    "mean": "mean",
    "min": "lowest",
    "max": "highest",
    "first": "first",
    "last": "last",
    "sd": "standard deviation",
    "slope": "slope per hour",
    "time_since": "hours since the last",
    "change": "last minus the one before",
}


def build_features(events: pl.LazyFrame, rows: pl.DataFrame, spec: FeatureSpec) -> FeatureMatrix:
    """The features of prediction rows; the same bits for any order, sharding or other patients of the input.

    Args:
        events: subject_id, time (null: a static fact), code, numeric_value (nullable), known_time (null: as
            time). Values that are not finite numbers count as none. Any order; equal events count each.
        rows: subject_id, prediction_time; unique; any order. More columns are ignored.
        spec: which features.

    Returns:
        The matrix in the order of `rows`, with the columns of which any row holds a cell: age, static facts
        by code, then codes in alphabetical order x windows x aggregations. Facts known at the prediction time
        count, later ones do not.

    Raises:
        InputError: a row without subject or prediction time, or two equal rows.
    """
    asked = _checked(rows)
    ordered = asked.with_row_index("row").sort("subject_id", "prediction_time")
    subjects = ordered.group_by("subject_id", maintain_order=True).agg(pl.col("prediction_time").last())
    row_subject = ordered["subject_id"].rle_id().to_numpy().astype(np.int64)
    row_time = ordered["prediction_time"].to_physical().to_numpy()
    facts = collect_facts(events, subjects, spec)
    static = static_cells(facts, row_subject, row_time, has_age=spec.age, has_static=spec.static)
    windows = tuple(window_microseconds(window) for window in spec.windows)
    request = WindowRequest(row_subject, row_time, windows, spec.aggregations)
    blocks = window_cells(_grouped(facts), request)
    n_windowed = len(facts.codes) * len(spec.windows) * len(spec.aggregations)
    values, present = _assemble(blocks, static, n_windowed)
    if not ordered["row"].is_sorted():
        values = values[np.argsort(ordered["row"].to_numpy())]
    return FeatureMatrix(values, _columns(facts, static, present, spec), asked)


def _checked(rows: pl.DataFrame) -> pl.DataFrame:
    asked = rows.select("subject_id", pl.col("prediction_time").cast(INSTANT))
    n_null = asked.select(pl.any_horizontal(pl.all().is_null()).sum()).item()
    n_double = asked.height - asked.n_unique()
    if n_null or n_double:
        raise InputError(
            Problem(
                "prediction rows that name no subject, no time, or the same twice",
                where="subject_id, prediction_time",
                found=f"{n_null} rows with a null, {n_double} repeated rows",
                allowed="each (subject_id, prediction_time) once, both given",
                next_step="drop or mend these rows",
            )
        )
    return asked


def _grouped(facts: Facts) -> GroupedEvents:
    return group_events(
        facts.dated["subject_number"].to_numpy(),
        facts.dated["code_number"].to_numpy(),
        facts.dated["known_time"].to_numpy(),
        facts.dated["numeric_value"].fill_null(float("nan")).to_numpy() + np.float32(0),
        n_subjects=facts.n_subjects,
    )


def _assemble(
    blocks: Iterable[CellBlock], static: StaticCells, n_windowed: int
) -> tuple[Cells, npt.NDArray[np.intp]]:
    """Static and windowed cells as one CSR; and which windowed columns hold any cell, ascending."""
    is_present = np.zeros(n_windowed, dtype=bool)
    n_static = static.values.shape[1]
    indices, data = GrowingArray(np.int32), GrowingArray(np.float32)
    n_cells = [np.zeros(1, dtype=np.int64)]
    for block in blocks:
        is_present[block.column] = True
        indptr = static.values.indptr[block.first_row : block.first_row + len(block.n_cells) + 1]
        before = slice(indptr[0], indptr[-1])
        counts = np.column_stack([np.diff(indptr), block.n_cells])
        is_static = np.repeat(np.tile([True, False], len(counts)), counts.ravel())
        merged_indices, merged_data = indices.extended(len(is_static)), data.extended(len(is_static))
        merged_indices[is_static] = static.values.indices[before]
        merged_indices[~is_static] = block.column + np.int32(n_static)
        merged_data[is_static] = static.values.data[before]
        merged_data[~is_static] = block.data
        n_cells.append(counts.sum(axis=1))
    place = np.concatenate([np.arange(n_static), n_static + np.cumsum(is_present) - 1]).astype(np.int32)
    columns = indices.taken()
    for first in range(0, len(columns), CELLS_RENUMBERED):
        part = columns[first : first + CELLS_RENUMBERED]
        part[:] = place[part]
    indptr = np.cumsum(np.concatenate(n_cells))
    if indptr[-1] <= np.iinfo(np.int32).max:
        indptr = indptr.astype(np.int32)
    shape = (len(indptr) - 1, n_static + int(is_present.sum()))
    return sparse.csr_array((data.taken(), columns, indptr), shape=shape), np.flatnonzero(is_present)


def _columns(
    facts: Facts, static: StaticCells, present: npt.NDArray[np.intp], spec: FeatureSpec
) -> pl.DataFrame:
    code_window, aggregation = np.divmod(present, len(spec.aggregations))
    code, window = np.divmod(code_window, len(spec.windows))
    codes = pl.Series(facts.codes, dtype=pl.String)
    windowed = pl.DataFrame(
        {
            "code": codes.gather(code),
            "aggregation": pl.Series(spec.aggregations).gather(aggregation),
            "window": pl.Series(spec.windows).gather(window),
        }
    ).with_columns(
        pl.when(pl.col("aggregation").is_in(ZERO_WHEN_ABSENT))
        .then(pl.lit("zero"))
        .otherwise(pl.lit("missing"))
        .alias("absent")
    )
    columns = pl.concat([static.columns, windowed])
    known = columns["code"].unique().to_list()
    label = pl.col("code").replace_strict(known, [label_of(code) for code in known], return_dtype=pl.String)
    in_words = pl.col("aggregation").replace(IN_WORDS)
    time_span = (
        pl.when(pl.col("window") == FULL)
        .then(pl.lit("full history"))
        .otherwise(pl.col("window").str.replace(r"(\d+)", "${1} "))
    )
    has_window = pl.col("window") != ""
    parts = [
        "code",
        pl.when(pl.col("aggregation") != "age").then("aggregation"),
        pl.when(has_window).then("window"),
    ]
    return columns.with_columns(
        pl.concat_str(parts, separator=" · ", ignore_nulls=True).alias("name"),
        pl.when(has_window)
        .then(pl.concat_str(label, in_words, time_span, separator=" · "))
        .otherwise(label)
        .alias("label"),
    ).select(COLUMNS.names())
