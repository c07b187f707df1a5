"""The feature columns that a fitted model reads, in its order, taken from any cases whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import Problem, TaskError
from phenotype.cases import Cases
from phenotype.code_groups import fitted_spec
from phenotype.feature_spec import FeatureSpec

if TYPE_CHECKING:
    from phenotype.features import FeatureMatrix

COLUMNS = ["name", "code", "aggregation", "window", "label", "absent"]
CHUNK_ROWS = 20_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FeatureColumns:
    """Columns chosen on training rows.

    Attributes:
        spec: how the features are made.
        table: COLUMNS, one row a feature, in the order in which the model reads them, names unique.
    """

    spec: FeatureSpec
    table: pl.DataFrame

    def dense(self, matrix: FeatureMatrix, rows: Ints | None = None) -> npt.NDArray[np.float32]:
        """The matrix's values, (n, columns) float32; a column that it lacks is absent in every row.

        Args:
            matrix: features made by `spec`.
            rows: numbers of the rows to take, in order; None takes all.
        """
        taken = np.arange(matrix.rows.height) if rows is None else rows
        values = np.empty((len(taken), self.table.height), dtype=np.float32)
        for start in range(0, len(taken), CHUNK_ROWS):
            values[start : start + CHUNK_ROWS] = self._chunk(
                matrix.take_rows(taken[start : start + CHUNK_ROWS])
            )
        return values

    def chunks(self, cases: Cases) -> Iterator[npt.NDArray[np.float32]]:
        """Dense values of the cases' rows in order, CHUNK_ROWS rows at a time."""
        matrix = cases.features(self.spec)
        for start in range(0, cases.rows.height, CHUNK_ROWS):
            yield self.dense(matrix, np.arange(start, min(start + CHUNK_ROWS, cases.rows.height)))

    def _chunk(self, matrix: FeatureMatrix) -> npt.NDArray[np.float32]:
        held = set(matrix.columns["name"])
        names = self.table["name"].to_list()
        if held.issuperset(names):
            return matrix.dense(names)
        is_held = np.array([name in held for name in names])
        nothing = np.where(self.table["absent"] == "zero", 0.0, np.nan).astype(np.float32)
        values = np.tile(nothing, (matrix.rows.height, 1))
        values[:, is_held] = matrix.dense([name for name in names if name in held])
        return values


def choose_columns(train: Cases, spec: FeatureSpec) -> FeatureColumns:
    """The columns that enough training patients hold, sorted by name.

    Raises:
        TaskError: no column is held by `spec.min_subjects` training patients.
    """
    spec = fitted_spec(spec)
    matrix = train.features(spec)
    everyone = np.ones(train.rows.height, dtype=np.bool_)
    names = sorted(matrix.frequent(everyone, spec.min_subjects))
    if not names:
        raise TaskError(
            Problem(
                "no feature is held by enough training patients",
                where="features.min_subjects",
                found=f"{matrix.columns.height} features, none held by {spec.min_subjects} patients",
                allowed="at least one feature",
                next_step="lower min_subjects, or use more training data",
            )
        )
    order = pl.DataFrame({"name": names})
    return FeatureColumns(
        spec, order.join(matrix.columns.select(COLUMNS), on="name", how="left", maintain_order="left")
    )
