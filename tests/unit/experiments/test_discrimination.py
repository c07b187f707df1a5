"""Areas equal scikit-learn's, weighted or not; thinned curves stay on the full ones."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from experiments.bootstrap import resample_measures, resamples
from experiments.discrimination import auprc, auroc, precision_recall_curve, roc_curve
from experiments.scored import ScoredRows, score_rows

START = datetime(2020, 1, 1)


def scored(risk: list[float], outcome: list[bool], subject: list[int] | None = None) -> ScoredRows:
    n_rows = len(risk)
    return score_rows(
        pl.DataFrame(
            {
                "subject_id": subject or list(range(n_rows)),
                "prediction_time": [START + timedelta(hours=hour) for hour in range(n_rows)],
                "boolean_value": outcome,
                "predicted_boolean_probability": risk,
            },
            schema_overrides={"boolean_value": pl.Boolean, "predicted_boolean_probability": pl.Float64},
        )
    )


# risks on a coarse grid, so that ties within and between the classes are common
ROWS = st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.integers(0, 6)), min_size=3, max_size=40)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_each_resample_has_the_areas_of_scikit_learn_on_the_rows_it_drew(
    rows: list[tuple[int, bool, int]],
) -> None:
    rows = sorted(rows, key=lambda row: row[2])
    risk, outcome, subject = ([row[place] for row in rows] for place in range(3))
    held = scored([value / 8 for value in risk], list(outcome), list(subject))
    measured = resample_measures(held, {}, n_resamples=5, seed=1, with_calibration=False)
    drawn = next(iter(resamples(held.n_subjects, 5, 1, 5)))
    for number in range(5):
        repeated = np.repeat(np.arange(held.n_rows), drawn[held.subject, number].astype(int))
        y, p = held.is_positive[repeated], held.risk[repeated]
        if y.all() or not y.any():
            assert np.isnan(measured["auroc"][number])
            continue
        assert measured["auroc"][number] == pytest.approx(metrics.roc_auc_score(y, p), abs=1e-12)
        assert measured["auprc"][number] == pytest.approx(metrics.average_precision_score(y, p), abs=1e-12)
        assert measured["brier"][number] == pytest.approx(metrics.brier_score_loss(y, p), abs=1e-12)


def test_areas_of_a_hand_count() -> None:
    # pairs: 0.9 beats both negatives, 0.4 ties one and beats the other: (2 + 1.5) / 4
    held = scored([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
    assert auroc(held) == pytest.approx(3.5 / 4)
    # precision 1 at the first positive; 2 of 3 at the second, which shares its risk with a negative
    assert auprc(held) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


@pytest.mark.parametrize("outcome", [True, False])
def test_one_class_has_no_areas(outcome: bool) -> None:
    held = scored([0.2, 0.4], [outcome, outcome])
    assert auroc(held) is None
    assert (auprc(held) is None) == (not outcome)
    assert roc_curve(held) == {"false_positive_rate": [], "sensitivity": []}


def test_thinned_curves_lie_on_the_full_ones_and_keep_their_areas() -> None:
    generator = np.random.default_rng(0)
    outcome = generator.random(20_000) < 0.1
    risk = 1 / (1 + np.exp(-generator.normal(outcome * 1.5 - 3, 1)))
    held = scored(risk.tolist(), outcome.tolist())
    thin = roc_curve(held)
    assert len(thin["sensitivity"]) <= 202
    assert metrics.auc(thin["false_positive_rate"], thin["sensitivity"]) == pytest.approx(
        metrics.roc_auc_score(outcome, risk), abs=2e-3
    )
    precision, recall, _ = metrics.precision_recall_curve(outcome, risk)
    full = {(round(r, 6), round(p, 6)) for r, p in zip(recall, precision, strict=True)}
    thin = precision_recall_curve(held)
    assert set(zip(thin["sensitivity"], thin["ppv"], strict=True)) <= full
    assert thin["sensitivity"][-1] == 1
