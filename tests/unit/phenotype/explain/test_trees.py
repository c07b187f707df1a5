"""Exact explanations: they add up at every level, equal brute force, and find what was planted."""

from __future__ import annotations

import itertools
import math

import numpy as np
import polars as pl
import pytest

from phenotype.cases import Cases
from phenotype.explain.concepts import EXPLANATIONS
from phenotype.explain.trees import explain_linear, explain_trees
from phenotype.feature_spec import FeatureSpec
from phenotype.logistic import LogisticConfig, fit_logistic
from phenotype.trees import LightGBMConfig, fit_lightgbm
from phenotype.ward import WardConfig, fit_ward

SPEC = FeatureSpec(windows=("24h", "full"), aggregations=("count", "mean", "max"), min_subjects=5)
KEYS = ["subject_id", "prediction_time"]
EXPLAINERS = {"lightgbm": explain_trees, "logistic": explain_linear, "ward": explain_linear}


@pytest.fixture(scope="module")
def models(planted):
    rows = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    trees = LightGBMConfig(features=SPEC, n_seeds=3, learning_rate=0.1, max_trees=60, patience=20)
    return {
        "lightgbm": fit_lightgbm(*rows, trees, seed=1),
        "logistic": fit_logistic(*rows, LogisticConfig(features=SPEC), seed=1),
        "ward": fit_ward(*rows, WardConfig(score="SCORE//TEST"), seed=1),
    }


@pytest.mark.parametrize("kind", list(EXPLAINERS))
def test_base_and_contributions_are_the_logit(planted, models, kind: str) -> None:
    explanations = EXPLAINERS[kind](models[kind], planted.held_out)
    risks = models[kind].predict(planted.held_out)
    total = (
        explanations.filter(pl.col("node").is_in(["", "base"]))
        .group_by(KEYS)
        .agg(pl.col("phi").sum())
        .sort(KEYS)
    )
    np.testing.assert_allclose(total["phi"], np.log(risks / (1 - risks)), atol=1e-6)


@pytest.mark.parametrize("kind", list(EXPLAINERS))
def test_every_node_is_the_sum_of_its_children(planted, models, kind: str) -> None:
    explanations = EXPLAINERS[kind](models[kind], planted.held_out)
    children = (
        explanations.filter(pl.col("parent").is_not_null())
        .group_by(*KEYS, node="parent")
        .agg(pl.col("phi").sum().alias("children"))
    )
    joined = explanations.join(children, on=[*KEYS, "node"])
    assert joined["node"].n_unique() > 1
    np.testing.assert_allclose(joined["phi"], joined["children"], atol=1e-9)


def test_contributions_are_the_shapley_values_found_by_trying_every_coalition(planted) -> None:
    """Brute force over all coalitions of the features, with the expectation that TreeSHAP defines.

    **Source:** Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9, algorithm 1 (EXPVALUE).
    """
    few = FeatureSpec(windows=("full",), aggregations=("mean",), min_subjects=5)
    config = LightGBMConfig(features=few, n_seeds=2, learning_rate=0.3, max_trees=5, n_leaves=6)
    rows = (planted.train, planted.train_labels, planted.tuning, planted.tuning_labels)
    model = fit_lightgbm(*rows, config, seed=1)
    values = model.columns.dense(planted.held_out.features(few))
    n_features = values.shape[1]
    assert 3 <= n_features <= 6
    complete = np.flatnonzero(~np.isnan(values).any(axis=1))[:5]
    expected = np.mean([_brute_force(booster, values[complete]) for booster in model.boosters], axis=0)
    told = explain_trees(model, Cases(planted.held_out.dataset, planted.held_out.rows[complete]))
    codes = model.columns.table["code"]
    for number, code in enumerate(codes):
        found = planted.held_out.rows[complete].join(told.filter(pl.col("node") == code), on=KEYS, how="left")
        np.testing.assert_allclose(found["phi"].fill_null(0.0), expected[:, number], atol=1e-9)


def _brute_force(booster, values: np.ndarray) -> np.ndarray:
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    n_features = values.shape[1]
    phi = np.zeros(values.shape)
    for row, feature in itertools.product(range(len(values)), range(n_features)):
        others = [other for other in range(n_features) if other != feature]
        for size in range(n_features):
            weight = 1 / (n_features * math.comb(n_features - 1, size))
            for known in itertools.combinations(others, size):
                with_it = sum(_expectation(tree, values[row], {*known, feature}) for tree in trees)
                without = sum(_expectation(tree, values[row], set(known)) for tree in trees)
                phi[row, feature] += weight * (with_it - without)
    return phi


def _expectation(node: dict, values: np.ndarray, known: set[int]) -> float:
    if "leaf_value" in node:
        return node["leaf_value"]
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        is_left = values[node["split_feature"]] <= node["threshold"]
        return _expectation(left if is_left else right, values, known)
    counts = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    means = [_expectation(child, values, known) for child in (left, right)]
    return float(np.average(means, weights=counts))


@pytest.mark.parametrize("kind", ["lightgbm", "logistic"])
def test_the_planted_signal_and_drug_come_first(planted, models, kind: str) -> None:
    explanations = EXPLAINERS[kind](models[kind], planted.held_out)
    codes = explanations.filter(pl.col("node").is_in(["LAB//SIGNAL", "ATC//J01CF05", "LAB//NOISE", "AGE"]))
    size = codes.group_by("node").agg(pl.col("phi").abs().mean()).sort("phi", descending=True)
    assert size["node"].head(2).to_list() == ["LAB//SIGNAL", "ATC//J01CF05"]


def test_a_ward_score_has_one_reason_with_the_hand_counted_size(planted, models) -> None:
    model = models["ward"]
    explanations = explain_linear(model, planted.held_out)
    phi = explanations.filter(pl.col("node") == "SCORE//TEST")
    expected = model.slope * (model.scores(planted.held_out) - model.scores(planted.train).mean())
    np.testing.assert_allclose(phi["phi"], expected[expected != 0], atol=1e-9)


def test_only_the_largest_codes_are_told_when_asked_so(planted, models) -> None:
    everything = explain_trees(models["lightgbm"], planted.held_out)
    some = explain_trees(models["lightgbm"], planted.held_out, n=2)
    is_code = (
        pl.col("node").str.contains("//") & ~pl.col("parent").str.contains("//") & (pl.col("parent") != "AGE")
    )
    per_row = some.filter(is_code).group_by(KEYS).len()
    assert per_row["len"].max() <= 2
    root = pl.col("node") == ""
    assert some.filter(root).equals(everything.filter(root))


def test_the_frame_is_the_formats(planted, models) -> None:
    explanations = explain_trees(models["lightgbm"], planted.held_out)
    assert explanations.schema == EXPLANATIONS
    assert explanations["is_exact"].all()
    assert explanations["low"].equals(explanations["phi"].alias("low"))
    assert not explanations.select(*KEYS, "node").is_duplicated().any()
