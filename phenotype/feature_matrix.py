"""The feature matrix: sparse cells of prediction rows under columns that a person can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import sparse

from ontology.errors import ConfigurationError, Problem

if TYPE_CHECKING:
    Cells: TypeAlias = sparse.csr_array[np.float32, tuple[int, int]]
else:
    Cells = sparse.csr_array
ROWS_FILLED = 10_000
COLUMNS = pl.Schema(
    {
        "name": pl.String,
        "code": pl.String,
        "aggregation": pl.String,
        "window": pl.String,
        "label": pl.String,
        "absent": pl.String,
    }
)


@dataclass(frozen=True)
class FeatureMatrix:
    """What is known about each prediction row at its prediction time.

    Attributes:
        values: float32 CSR of shape (rows, columns); every cell that exists is stored, zeros too.
        columns: columns of COLUMNS; `name` is unique and made of code, aggregation and window; `label` says
            the same in words; `absent` says what a cell that is not stored means: "zero" (nothing happened)
            or "missing" (nothing to aggregate).
        rows: subject_id, prediction_time, in the order that was asked for.
    """

    values: Cells
    columns: pl.DataFrame
    rows: pl.DataFrame

    def dense(self, columns: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """The cells as an array (rows, columns): absent counts and sums are 0, other absent cells NaN.

        Args:
            columns: names to take, in this order; all where None.

        Raises:
            ConfigurationError: a name that is not a column, or twice the same.
        """
        chosen = np.arange(self.columns.height) if columns is None else self._places(columns)
        is_missing = (self.columns["absent"] == "missing").to_numpy()[chosen]
        filled = np.empty((self.rows.height, len(chosen)), dtype=np.float32)
        filled[:] = np.where(is_missing, np.nan, 0).astype(np.float32)
        target = np.full(self.columns.height, -1, dtype=np.int32)
        target[chosen] = np.arange(len(chosen))
        indptr = self.values.indptr
        for first in range(0, len(filled), ROWS_FILLED):
            last = min(first + ROWS_FILLED, len(filled))
            cells = slice(indptr[first], indptr[last])
            column = target[self.values.indices[cells]]
            row = np.repeat(np.arange(first, last), np.diff(indptr[first : last + 1]))
            is_wanted = column >= 0
            filled[row[is_wanted], column[is_wanted]] = self.values.data[cells][is_wanted]
        return filled

    def select(self, names: Sequence[str]) -> FeatureMatrix:
        """The matrix of some columns, in the order of the names.

        Raises:
            ConfigurationError: a name that is not a column, or twice the same.
        """
        chosen = self._places(names)
        values = self.values[:, chosen]
        values.sort_indices()
        return FeatureMatrix(values, self.columns[chosen], self.rows)

    def _places(self, names: Sequence[str]) -> npt.NDArray[np.int64]:
        place = {name: number for number, name in enumerate(self.columns["name"])}
        if unknown := [name for name in names if name not in place]:
            raise ConfigurationError(
                Problem(
                    "features that this matrix does not have",
                    found=f"{len(unknown)} unknown names, first {unknown[0]!r}",
                    allowed=f"the {len(place)} names of `columns`",
                    next_step="build the features with the specification that the names came from",
                )
            )
        if len(set(names)) < len(names):
            raise ConfigurationError(Problem("a feature is asked for twice", allowed="each name once"))
        return np.array([place[name] for name in names], dtype=np.int64)

    def take_rows(self, indices: npt.NDArray[np.integer] | Sequence[int]) -> FeatureMatrix:
        """The matrix of some rows, in the order of the indices."""
        taken = np.asarray(indices, dtype=np.int64)
        return FeatureMatrix(self.values[taken], self.columns, self.rows[taken])

    def frequent(self, row_mask: npt.NDArray[np.bool_], min_subjects: int) -> list[str]:
        """Names of the columns that at least so many distinct subjects hold, in column order.

        Args:
            row_mask: (rows,) which rows count: those of the training subjects.
            min_subjects: the fewest subjects with a stored cell in one of these rows.
        """
        mask = np.asarray(row_mask, dtype=bool)
        subject = self.rows["subject_id"].rank("dense").to_numpy().astype(np.int32) - 1
        n_subjects = int(subject.max(initial=-1)) + 1
        chosen = np.flatnonzero(mask).astype(np.int32)
        shape = (n_subjects, len(mask))
        of_subject = sparse.csr_array(
            (np.ones(len(chosen), dtype=bool), (subject[chosen], chosen)), shape=shape
        )
        is_stored = np.ones(self.values.nnz, dtype=bool)
        stored = sparse.csr_array(
            (is_stored, self.values.indices, self.values.indptr), shape=self.values.shape
        )
        held = (of_subject @ stored).tocsr()
        n_holding = np.bincount(held.indices, minlength=self.values.shape[1])
        return self.columns["name"].filter(pl.Series(n_holding >= min_subjects)).to_list()
