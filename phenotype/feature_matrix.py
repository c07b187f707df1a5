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
            ConfigurationError: a name that is not a column.
        """
        wanted = self if columns is None else self.select(columns)
        is_missing = (wanted.columns["absent"] == "missing").to_numpy()
        filling = np.where(is_missing, np.nan, 0).astype(np.float32)
        filled = np.empty(wanted.values.shape, dtype=np.float32)
        filled[:] = filling
        indptr = wanted.values.indptr
        for first in range(0, len(filled), 10_000):
            last = min(first + 10_000, len(filled))
            cells = slice(indptr[first], indptr[last])
            row = np.repeat(np.arange(first, last), np.diff(indptr[first : last + 1]))
            filled[row, wanted.values.indices[cells]] = wanted.values.data[cells]
        return filled

    def select(self, names: Sequence[str]) -> FeatureMatrix:
        """The matrix of some columns, in the order of the names.

        Raises:
            ConfigurationError: a name that is not a column, or twice the same.
        """
        position = {name: number for number, name in enumerate(self.columns["name"])}
        if unknown := [name for name in names if name not in position]:
            raise ConfigurationError(
                Problem(
                    "features that this matrix does not have",
                    found=f"{len(unknown)} unknown names, first {unknown[0]!r}",
                    allowed=f"the {len(position)} names of `columns`",
                    next_step="build the features with the specification that the names came from",
                )
            )
        if len(set(names)) < len(names):
            raise ConfigurationError(Problem("a feature is asked for twice", allowed="each name once"))
        chosen = np.array([position[name] for name in names], dtype=np.int64)
        return FeatureMatrix(self._columns_at(chosen), self.columns[chosen], self.rows)

    def _columns_at(self, chosen: npt.NDArray[np.int64]) -> Cells:
        """The values of some columns; zeros that are stored stay stored, indices ascend."""
        target = np.full(self.values.shape[1], -1, dtype=np.int64)
        target[chosen] = np.arange(len(chosen))
        column = target[self.values.indices]
        is_kept = column >= 0
        n_kept = np.concatenate([[0], np.cumsum(is_kept)])
        parts = (self.values.data[is_kept], column[is_kept], n_kept[self.values.indptr])
        values = sparse.csr_array(parts, shape=(self.values.shape[0], len(chosen)))
        values.sort_indices()
        return values

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
        subject = self.rows["subject_id"].rank("dense").to_numpy().astype(np.int64) - 1
        n_subjects = int(subject.max(initial=-1)) + 1
        chosen = np.flatnonzero(mask)
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
