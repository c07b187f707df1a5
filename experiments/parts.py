"""The rows of one split with what came of them, and which rows a model may learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel

from phenotype.cases import Cases
from phenotype.past import before, later_of

KEYS = ["subject_id", "prediction_time"]


@dataclass(frozen=True)
class Part:
    """The rows of one split with their labels.

    Attributes:
        cases: prediction rows, sorted.
        labels: bool of shape (n,), in the order of the rows; False where the record ended too early to tell.
        outcomes: columns of OUTCOMES, in the order of the rows.
    """

    cases: Cases
    labels: npt.NDArray[np.bool_]
    outcomes: pl.DataFrame

    def take(self, is_taken: npt.NDArray[np.bool_]) -> Part:
        """Some of the rows."""
        cases = self.cases.take(self.cases.rows.filter(pl.Series(is_taken)))
        return Part(cases, self.labels[is_taken], self.outcomes.filter(pl.Series(is_taken)))

    def of_others(self, subjects: pl.Series) -> Part:
        """The rows of patients that are not among some."""
        return self.take(~self.cases.rows["subject_id"].is_in(subjects.unique().implode()).to_numpy())

    def as_known_before(self, instant: datetime) -> Part:
        """The same rows over the records as they were known at an instant, which none of them is after."""
        cases = replace(self.cases, dataset=before(self.cases.dataset, instant))
        return replace(self, cases=cases)

    def joined(self, other: Part) -> Part:
        """The rows of both, sorted; no row stands in both."""
        rows = pl.concat([self.cases.rows, other.cases.rows]).with_row_index("_row").sort(KEYS)
        order = rows["_row"].to_numpy()
        return Part(
            Cases(later_of(self.cases.dataset, other.cases.dataset), rows.drop("_row")),
            np.concatenate([self.labels, other.labels])[order],
            pl.concat([self.outcomes, other.outcomes])[order],
        )


def learnt_rows(settings: BaseModel, train: Part, censored: Part | None) -> Part:
    """What a model of these settings learns from: hazards also use rows until their records end.

    Args:
        settings: of the model.
        train: training rows whose outcome the record determines.
        censored: training rows whose record ends before; None: there are none.
    """
    if censored is None or not len(censored.labels) or getattr(settings, "head", None) != "hazards":
        return train
    return train.joined(censored)
