"""Boosted trees: a planted signal is found, shuffled labels give none, one seed gives one model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ontology.errors import TaskError
from phenotype.cases import Cases
from phenotype.feature_spec import FeatureSpec
from phenotype.fitting_rows import thin_negatives
from phenotype.trees import LightGBMConfig, LightGBMModel, fit_lightgbm

SPEC = FeatureSpec(
    windows=("24h", "full"), aggregations=("count", "mean", "max", "time_since"), min_subjects=5
)
CONFIG = LightGBMConfig(features=SPEC, n_seeds=2, learning_rate=0.1, max_trees=200, patience=20)


@pytest.fixture(scope="module")
def model(planted) -> LightGBMModel:
    return fit_lightgbm(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=7
    )


def test_a_planted_signal_is_found(planted, model) -> None:
    # The true risks themselves reach the Bayes-optimal AUROC on these rows.
    best = roc_auc_score(planted.held_out_labels, planted.true_risks)
    assert roc_auc_score(planted.held_out_labels, model.predict(planted.held_out)) > best - 0.05


def test_shuffled_labels_predict_nothing(planted) -> None:
    random = np.random.default_rng(0)
    shuffled = fit_lightgbm(
        planted.train,
        random.permutation(planted.train_labels),
        planted.tuning,
        random.permutation(planted.tuning_labels),
        CONFIG,
        seed=0,
    )
    # 200 rows with 80 positives: an AUROC by chance has standard error 0.042 (Hanley & McNeil 1982).
    labels = random.permutation(planted.held_out_labels)
    assert abs(roc_auc_score(labels, shuffled.predict(planted.held_out)) - 0.5) < 3 * 0.042


def test_one_seed_gives_one_model_bit_for_bit(planted, model) -> None:
    again = fit_lightgbm(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=7
    )
    other = fit_lightgbm(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=8
    )
    assert again.predict(planted.held_out).tobytes() == model.predict(planted.held_out).tobytes()
    assert again.texts == model.texts
    assert other.predict(planted.held_out).tobytes() != model.predict(planted.held_out).tobytes()


def test_the_number_of_threads_changes_nothing(planted, model, monkeypatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")
    alone = fit_lightgbm(
        planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, CONFIG, seed=7
    )
    monkeypatch.setenv("PESTA_THREADS", "2")
    assert alone.predict(planted.held_out).tobytes() == model.predict(planted.held_out).tobytes()


def test_the_risk_is_the_sigmoid_of_the_mean_raw_score(planted, model) -> None:
    values = model.columns.dense(planted.held_out.features(SPEC))
    raw = np.mean([booster.predict(values, raw_score=True) for booster in model.boosters], axis=0)
    np.testing.assert_allclose(model.predict(planted.held_out), 1 / (1 + np.exp(-raw)), rtol=1e-12)


def test_one_patient_alone_has_the_same_risk_as_among_others(planted, model) -> None:
    # A single row's matrix lacks most columns: they are absent, not an error.
    rows = planted.held_out.rows[3:4]
    alone = model.predict(Cases(planted.held_out.dataset, rows))
    assert alone[0] == model.predict(planted.held_out)[3]


def test_columns_are_chosen_on_training_patients_alone(planted, model) -> None:
    columns = model.columns.table["code"].unique().to_list()
    assert "SCORE//TEST" not in columns
    assert {"LAB//SIGNAL", "ATC//J01CF05", "AGE"} <= set(columns)


def test_one_sided_labels_are_refused(planted) -> None:
    nobody = np.zeros_like(planted.train_labels)
    with pytest.raises(TaskError, match="nothing to learn"):
        fit_lightgbm(planted.train, nobody, planted.tuning, planted.tuning_labels, CONFIG, seed=0)


def test_a_demand_that_no_column_meets_is_refused(planted) -> None:
    nothing = CONFIG.model_copy(update={"features": SPEC.model_copy(update={"min_subjects": 10_000})})
    with pytest.raises(TaskError, match="no feature"):
        fit_lightgbm(
            planted.train, planted.train_labels, planted.tuning, planted.tuning_labels, nothing, seed=0
        )


def test_thinned_rows_keep_every_rare_outcome_and_the_base_rate() -> None:
    labels = np.zeros(100_000, dtype=bool)
    labels[::50] = True
    rows, weights = thin_negatives(labels, 20_000, seed=1)
    assert len(rows) == 20_000
    assert (np.diff(rows) > 0).all()
    assert labels[rows].sum() == labels.sum() == 2000
    assert weights[~labels[rows]].sum() == pytest.approx(98_000, rel=1e-5)
    assert (weights[labels[rows]] == 1).all()


def test_few_rows_are_all_kept() -> None:
    rows, weights = thin_negatives(np.array([True, False, False]), 20_000, seed=1)
    assert rows.tolist() == [0, 1, 2]
    assert weights.tolist() == [1, 1, 1]
