"""Predictions as arrays in one order, whatever order they came in: what every measure is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import InputError, Problem

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PREDICTION_COLUMNS = ("subject_id", "prediction_time", "boolean_value", "predicted_boolean_probability")


@dataclass(frozen=True)
class ScoredRows:
    """Risks and outcomes of R prediction rows of P subjects, sorted by subject and time.

    Attributes:
        predictions: the sorted frame, with whatever columns it brought.
        risk: (R,) predicted probability.
        is_positive: (R,) the outcome.
        subject: (R,) 0-based number of the row's subject.
    """

    predictions: pl.DataFrame
    risk: FloatArray
    is_positive: BoolArray
    subject: IntArray

    @property
    def n_rows(self) -> int:
        """R."""
        return len(self.risk)

    @cached_property
    def n_subjects(self) -> int:
        """P."""
        return int(self.subject[-1]) + 1 if self.n_rows else 0

    @property
    def n_positive(self) -> int:
        """How many rows are positive."""
        return int(self.is_positive.sum())

    @cached_property
    def n_positive_subjects(self) -> int:
        """How many subjects have a positive row."""
        return len(np.unique(self.subject[self.is_positive]))

    @cached_property
    def ranking(self) -> Ranking:
        """The rows by rising risk."""
        return rank_rows(self.risk, self.is_positive)

    def sums(self, values: FloatArray | BoolArray) -> FloatArray:
        """(P,) a value a row, summed by subject."""
        summed: FloatArray = np.bincount(
            self.subject, weights=values.astype(np.float64), minlength=self.n_subjects
        ).astype(np.float64)
        return summed


@dataclass(frozen=True)
class Ranking:
    """Rows by rising risk, ties marked once so that every resample can use them again.

    Attributes:
        order: (R,) row numbers by rising risk.
        starts: (G,) where each group of equal risks begins in that order.
        risk: (G,) the risk of each group.
        is_positive: (R,) outcomes in that order.
    """

    order: IntArray
    starts: IntArray
    risk: FloatArray
    is_positive: BoolArray

    def tie_totals(self) -> tuple[FloatArray, FloatArray]:
        """(G,) positives and (G,) negatives at each distinct risk."""
        positives = np.add.reduceat(self.is_positive.astype(np.float64), self.starts)
        counts = np.diff(np.append(self.starts, len(self.order))).astype(np.float64)
        return positives, counts - positives


def rank_rows(risk: FloatArray, is_positive: BoolArray) -> Ranking:
    """The ranking of R rows, R at least 1."""
    order = np.argsort(risk, kind="stable")
    ranked = risk[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(ranked)) + 1]).astype(np.int64)
    return Ranking(order.astype(np.int64), starts, ranked[starts], is_positive[order])


def score_rows(predictions: pl.DataFrame, what: str = "predictions") -> ScoredRows:
    """Checked predictions as arrays.

    Args:
        predictions: PREDICTION_COLUMNS, any order of rows, other columns kept.
        what: how an error calls these predictions.

    Raises:
        InputError: a missing column, no rows, a row twice, or a risk that is not a number in [0, 1].
    """
    missing = [column for column in PREDICTION_COLUMNS if column not in predictions.columns]
    if missing:
        raise InputError(
            _problem(what, "a column is missing", f"no {', '.join(missing)}", ", ".join(PREDICTION_COLUMNS))
        )
    problems = _faults(predictions, what)
    if problems:
        raise InputError(problems)
    ordered = predictions.sort("subject_id", "prediction_time")
    subject = ordered["subject_id"].rle_id().to_numpy().astype(np.int64)
    return ScoredRows(
        ordered,
        ordered["predicted_boolean_probability"].to_numpy().astype(np.float64),
        ordered["boolean_value"].to_numpy().astype(np.bool_),
        subject,
    )


def _faults(predictions: pl.DataFrame, what: str) -> list[Problem]:
    risk = pl.col("predicted_boolean_probability")
    counted = predictions.select(
        n_missing=pl.any_horizontal(pl.col(*PREDICTION_COLUMNS).is_null()).sum(),
        n_outside=(~risk.is_between(0, 1)).sum(),
        n_repeated=pl.struct("subject_id", "prediction_time").is_duplicated().sum(),
    ).row(0, named=True)
    rules = [
        (predictions.is_empty(), "there is nothing to evaluate", "no rows", "at least one row"),
        (counted["n_missing"], "a value is missing", f"{counted['n_missing']} rows with a null", "no nulls"),
        (
            counted["n_outside"],
            "a risk is no probability",
            f"{counted['n_outside']} rows",
            "numbers from 0 to 1",
        ),
        (counted["n_repeated"], "a prediction stands twice", f"{counted['n_repeated']} rows", "unique rows"),
    ]
    return [_problem(what, text, found, allowed) for is_broken, text, found, allowed in rules if is_broken]


def _problem(where: str, what: str, found: str, allowed: str) -> Problem:
    return Problem(
        what, where=where, found=found, allowed=allowed, next_step="mend the predictions and evaluate again"
    )
