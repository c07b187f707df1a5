"""AUROC by group: against scikit-learn within a fold, by hand over folds, and what shuffled answers give."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from experiments.coding_scores import SCORES, auroc_by_group, within_folds
from phenotype.coding.expected.expected import EXPECTED


def test_one_fold_is_scikit_learn_s() -> None:
    random = np.random.default_rng(1)
    score, coded = random.random(200).round(1), random.random(200) < 0.3
    assert within_folds(score, coded, np.zeros(200, np.int32)) == pytest.approx(roc_auc_score(coded, score))


def test_pairs_of_different_folds_are_not_compared() -> None:
    """In each fold the coded stay has the higher score; over both the order would be mixed."""
    score = np.array([0.2, 0.1, 0.9, 0.8])
    coded = np.array([True, False, True, False])
    assert within_folds(score, coded, np.array([0, 0, 1, 1], np.int32)) == 1.0
    assert within_folds(score, ~coded | coded, np.zeros(4, np.int32)) is None


def test_a_table_with_and_without_a_network() -> None:
    random = np.random.default_rng(2)
    n = 400
    coded = random.random(n) < 0.3
    frame = pl.DataFrame(
        {
            "stay_id": np.arange(n),
            "fold": (np.arange(n) % 4).astype(np.int32),
            "concept": ["ICD10//E11"] * n,
            "probability": np.where(coded, 0.6, 0.4) + random.normal(0, 0.1, n),
            "probability_trees": random.random(n),
            "is_coded": coded,
            "is_main": [False] * n,
        }
    )
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in EXPECTED.items() if name not in frame.columns
    ]
    told = auroc_by_group(frame.with_columns(missing).select(EXPECTED.names()))
    assert told.schema == SCORES
    row = told.row(0, named=True)
    assert row["n_coded"] == int(coded.sum())
    assert row["network"] is None
    assert row["both"] > 0.85 > row["by_chance"] > 0.45
    assert row["trees"] == pytest.approx(0.5, abs=0.1)
