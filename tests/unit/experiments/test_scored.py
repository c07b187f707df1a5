"""Predictions become arrays in one order, and what cannot be evaluated is refused with every fault."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from experiments.scored import score_rows
from ontology.errors import InputError

T0, T1 = datetime(2020, 1, 1, 0), datetime(2020, 1, 1, 1)
PREDICTIONS = pl.DataFrame(
    {
        "subject_id": [7, 3, 7, 9],
        "prediction_time": [T1, T0, T0, T1],
        "boolean_value": [True, False, False, False],
        "predicted_boolean_probability": [0.75, 0.25, 0.5, 0.25],
    }
)


def test_rows_are_sorted_by_subject_and_time_and_subjects_numbered() -> None:
    rows = score_rows(PREDICTIONS)
    assert rows.risk.tolist() == [0.25, 0.5, 0.75, 0.25]
    assert rows.is_positive.tolist() == [False, False, True, False]
    assert rows.subject.tolist() == [0, 1, 1, 2]
    assert (rows.n_rows, rows.n_subjects, rows.n_positive, rows.n_positive_subjects) == (4, 3, 1, 1)
    assert rows.sums(rows.risk).tolist() == [0.25, 1.25, 0.25]


def test_tie_totals_count_both_classes_at_each_distinct_risk() -> None:
    positives, negatives = score_rows(PREDICTIONS).ranking.tie_totals()
    assert positives.tolist() == [0, 0, 1]
    assert negatives.tolist() == [2, 1, 0]


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_given_changes_nothing(seed: int) -> None:
    shuffled = PREDICTIONS.sample(fraction=1, shuffle=True, seed=seed)
    assert np.array_equal(score_rows(shuffled).risk, score_rows(PREDICTIONS).risk)


def test_every_fault_is_told_at_once_and_no_value_or_number_is_quoted() -> None:
    faulty = pl.concat([PREDICTIONS, PREDICTIONS[:1]]).with_columns(
        pl.Series("predicted_boolean_probability", [0.5, 1.25, None, 0.25, 0.5])
    )
    with pytest.raises(InputError) as refusal:
        score_rows(faulty, "held-out predictions")
    assert len(refusal.value.problems) == 3
    text = str(refusal.value)
    assert all(part in text for part in ("1 rows with a null", "numbers from 0 to 1", "unique rows"))
    assert "1.25" not in text


def test_a_missing_column_and_an_empty_frame_are_refused() -> None:
    with pytest.raises(InputError, match="no boolean_value"):
        score_rows(PREDICTIONS.drop("boolean_value"))
    with pytest.raises(InputError, match="nothing to evaluate"):
        score_rows(PREDICTIONS.clear())
