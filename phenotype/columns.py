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
from phenotype.feature_spec import FeatureSpec

if TYPE_CHECKING:
    from phenotype.features import FeatureMatrix

COLUMNS = ["name", "code", "aggregation", "window", "label", "absent"]
CHUNK_ROWS = 50_000


@dataclass(frozen=True)
class FeatureColumns:
    """Columns chosen on training rows.

    Attributes:
        spec: how the features are made.
        table: COLUMNS, one row a feature, in the order in which the model reads them, names unique.
    """

    spec: FeatureSpec
    table: pl.DataFrame

    def dense(self, matrix: FeatureMatrix) -> npt.NDArray[np.float32]:
        """The matrix's values, (n, columns) float32; a column that it lacks is absent in every row."""
        held = set(matrix.columns["name"].to_list())
        names = self.table["name"].to_list()
        present = [name for name in names if name in held]
        if len(present) == len(names):
            return matrix.dense(names)
        nothing = np.where(self.table["absent"] == "zero", 0.0, np.nan).astype(np.float32)
        values = np.tile(nothing, (matrix.rows.height, 1))
        if present:
            values[:, [number for number, name in enumerate(names) if name in held]] = matrix.dense(present)
        return values

    def chunks(self, cases: Cases) -> Iterator[npt.NDArray[np.float32]]:
        """Dense values of the cases' rows in order, CHUNK_ROWS rows at a time."""
        matrix = cases.features(self.spec)
        for start in range(0, cases.rows.height, CHUNK_ROWS):
            rows = np.arange(start, min(start + CHUNK_ROWS, cases.rows.height))
            yield self.dense(matrix.take_rows(rows))


def choose_columns(train: Cases, spec: FeatureSpec) -> FeatureColumns:
    """The columns that enough training patients hold, sorted by name.

    Raises:
        TaskError: no column is held by `spec.min_subjects` training patients.
    """
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
