"""Searches: the better settings are found, poor trials given up, what is killed ends as it would have."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
import yaml
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from experiments import search as search_module
from experiments.config import RunConfig
from experiments.fitting import fit_model
from experiments.parts import Part
from experiments.search import inner_parts, search_settings
from experiments.search_config import SearchConfig, changed
from experiments.study import _refuse_what_pretraining_saw
from ontology.errors import BundleError, TaskError
from phenotype.ensemble import EnsembleConfig
from phenotype.feature_spec import FeatureSpec
from phenotype.networks.config import TransformerConfig
from phenotype.outcomes import OUTCOMES
from phenotype.trees import LightGBMConfig

TREES = LightGBMConfig(
    features=FeatureSpec(windows=("full",), aggregations=("last",), min_subjects=5),
    n_seeds=1,
    max_trees=10,
    min_leaf_rows=5,
)
NETWORK = TransformerConfig(
    width=16, n_layers=1, n_heads=2, min_subjects=5, max_epochs=4, batch_positions=512, learning_rate=5e-3
)


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PESTA_THREADS", "1")


def part(patients, first: int, last: int) -> Part:
    cases, labels = patients.part(first, last)
    unknown = pl.DataFrame({name: [None] * (last - first) for name in OUTCOMES.names()}, schema=OUTCOMES)
    return Part(cases, labels, unknown)


def searched(patients, folder: Path, settings, **search):
    config = SearchConfig(model="m", **search)
    return search_settings(
        config, settings, part(patients, 0, 200), part(patients, 200, 300), seed=3, folder=folder
    )


def trials(folder: Path) -> list[dict]:
    told = json.loads((folder / "trials.json").read_text())["trials"]
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in told]


SHRINKAGE = {"learning_rate": {"type": "float", "low": 1e-4, "high": 0.5, "log": True}}


def test_the_best_settings_are_found_and_written(patients, tmp_path: Path) -> None:
    """Ten trees that shrink each step a thousandfold know next to nothing; the best do much better."""
    found = searched(patients, tmp_path, TREES, space=SHRINKAGE, n_trials=8)
    assert found.learning_rate > 0.02
    assert found.max_trees == TREES.max_trees
    assert yaml.safe_load((tmp_path / "best.yaml").read_text()) == {
        "models": {"m": {"learning_rate": found.learning_rate}}
    }
    assert min(trials(tmp_path), key=lambda trial: trial["log_loss"])["settings"] == {
        "learning_rate": found.learning_rate
    }


def test_a_search_that_was_killed_tries_what_it_would_have_tried(
    patients, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = SHRINKAGE | {"n_leaves": {"type": "int", "low": 2, "high": 16, "log": True}}
    search = {"space": space, "n_trials": 7, "n_startup_trials": 3}
    undisturbed = searched(patients, tmp_path / "undisturbed", TREES, **search)
    n_fits = 0

    def dying(*arguments, **more):
        nonlocal n_fits
        n_fits += 1
        if n_fits in {2, 6}:
            raise KeyboardInterrupt
        return fit_model(*arguments, **more)

    monkeypatch.setattr(search_module, "fit_model", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            searched(patients, tmp_path / "killed", TREES, **search)
    resumed = searched(patients, tmp_path / "killed", TREES, **search)
    assert resumed == undisturbed
    assert trials(tmp_path / "killed") == trials(tmp_path / "undisturbed")
    assert n_fits == 7 + 2
    again = searched(patients, tmp_path / "killed", TREES, **search)
    assert (again, n_fits) == (undisturbed, 9), "a finished search fits nothing"


def test_trials_that_lag_behind_are_given_up(patients, tmp_path: Path) -> None:
    """A network that hardly moves is stopped before its last epoch, and is never the best."""
    space = {"learning_rate": {"type": "float", "low": 1e-9, "high": 1e-2, "log": True}}
    search = {"n_trials": 5, "n_startup_trials": 2, "n_warmup_epochs": 1, "metric": "auroc"}
    found = searched(patients, tmp_path, NETWORK, space=space, **search)
    ended = trials(tmp_path)
    given_up = [trial for trial in ended if trial["state"] == "pruned"]
    assert len(ended) == 5
    assert given_up
    assert all(trial["auroc"] is None and 1 < len(trial["epochs"]) < 4 for trial in given_up)
    best = max(trial["auroc"] for trial in ended if trial["auroc"])
    assert found.learning_rate > 1e-3
    tuning = part(patients, 200, 300)
    (tmp_path / "fit").mkdir()
    rows = (part(patients, 0, 200).cases, patients.labels[:200], tuning.cases, tuning.labels)
    model = fit_model(found, *rows, seed=3, folder=tmp_path / "fit")
    assert roc_auc_score(tuning.labels, model.predict(tuning.cases)) == pytest.approx(best, abs=1e-9)
    assert not (tmp_path / "work").exists()


def test_the_same_settings_are_fitted_once(patients, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    monkeypatch.setattr(search_module, "fit_model", lambda *a, **k: fits.append(1) or fit_model(*a, **k))
    searched(patients, tmp_path, TREES, space={"n_leaves": {"type": "choice", "values": [2, 4]}}, n_trials=6)
    assert len(fits) == 2
    assert len(trials(tmp_path)) == 6


def test_a_trial_that_cannot_be_fitted_is_told_and_the_search_goes_on(patients, tmp_path: Path) -> None:
    space = {"min_leaf_rows": {"type": "choice", "values": [5]}, "features.min_subjects": CHOICE}
    searched(patients, tmp_path, TREES, space=space, n_trials=6)
    faults = {trial["settings"]["features.min_subjects"]: trial["fault"] for trial in trials(tmp_path)}
    assert faults == {5: None, 9999: "TaskError"}


CHOICE = {"type": "choice", "values": [5, 9999]}


def test_a_search_in_which_nothing_can_be_fitted_is_told(patients, tmp_path: Path) -> None:
    space = {"features.min_subjects": {"type": "choice", "values": [9999]}}
    with pytest.raises(TaskError, match="no trial of the search came to its end"):
        searched(patients, tmp_path, TREES, space=space, n_trials=2)


def test_inner_folds_part_patients_and_judge_each_once(patients) -> None:
    train, tuning = part(patients, 0, 200), part(patients, 200, 300)
    folds = inner_parts(train, tuning, 4, seed=0)
    judged = [fold[1].cases.rows["subject_id"].to_list() for fold in folds]
    assert sorted(subject for subjects in judged for subject in subjects) == list(range(300))
    assert {len(subjects) for subjects in judged} == {75}
    for learnt, held, _ in folds:
        subjects = learnt.cases.rows["subject_id"].to_list()
        assert set(subjects).isdisjoint(held.cases.rows["subject_id"])
        np.testing.assert_array_equal(learnt.labels, patients.labels[subjects])


def test_inner_folds_are_averaged(patients, tmp_path: Path) -> None:
    space = {"n_leaves": {"type": "choice", "values": [4]}}
    searched(patients, tmp_path, TREES, space=space, n_trials=1, inner_folds=3, metric="auroc")
    areas = []
    settings = TREES.model_copy(update={"n_leaves": 4})
    for learnt, held, _ in inner_parts(part(patients, 0, 200), part(patients, 200, 300), 3, seed=3):
        rows = (learnt.cases, learnt.labels, held.cases, held.labels)
        model = fit_model(settings, *rows, seed=3, folder=tmp_path)
        areas.append(roc_auc_score(held.labels, model.predict(held.cases)))
    assert trials(tmp_path)[0]["auroc"] == pytest.approx(np.mean(areas), abs=1e-9)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"model": "x", "space": SHRINKAGE}, "search.model names x, which is not among the models"),
        ({"model": "m", "space": {"n_trees": CHOICE}}, "search.space.n_trees: 5 does not fit model m"),
        (
            {"model": "m", "space": {"learning_rate": {"type": "float", "low": -1, "high": 1}}},
            "search.space.learning_rate: -1.0 does not fit model m",
        ),
        ({"model": "both", "space": {"weights": CHOICE}}, "search.model names both, an ensemble"),
    ],
)
def test_a_space_that_does_not_fit_is_told_before_anything_is_fitted(search: dict, said: str) -> None:
    (fault,) = SearchConfig(**search).faults({"m": TREES, "both": EnsembleConfig(members=("m",))})
    assert fault.startswith(said)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"a": {"type": "float", "low": 1, "high": 0}}, "above high"),
        ({"a": {"type": "int", "low": 0, "high": 4, "log": True}}, "begins above 0"),
        ({"a": {"type": "int", "low": 1, "high": 4, "log": True, "step": 2}}, "has no steps"),
        ({"a": {"type": "float", "low": 0, "high": math.inf}}, "finite number"),
        ({"a": {"type": "float", "low": math.nan, "high": 1}}, "finite number"),
        ({"a": {"type": "choice", "values": [date(2020, 1, 1)]}}, "values are numbers, texts"),
        ({"stop_on": {"type": "choice", "values": ["auroc"]}}, "set pruner: none"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(space: dict, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SearchConfig(model="m", space=space)


def test_dotted_keys_change_what_is_nested_and_leave_the_rest() -> None:
    found = changed(TREES, {"features.min_subjects": 7, "n_leaves": 3})
    assert found == TREES.model_copy(
        update={"n_leaves": 3, "features": TREES.features.model_copy(update={"min_subjects": 7})}
    )


def test_a_body_that_a_search_may_try_is_held_to_the_same_rule_as_one_that_is_named(tmp_path: Path) -> None:
    """Else a search could choose a pretraining that saw the held-out patients."""
    models = {"net": {"kind": "transformer", "reading": "shared", "pretrained": str(tmp_path / "a")}}
    bodies = {"type": "choice", "values": [None, str(tmp_path / "b")]}
    run = RunConfig.model_validate(
        {
            "name": "r",
            "dataset": "d",
            "tasks": ["stay_death_30d_24h"],
            "models": models,
            "search": {"model": "net", "space": {"pretrained": bodies}},
            "splits": {"kind": "random"},
        }
    )
    assert run.bodies("net") == (tmp_path / "a", tmp_path / "b")
    with pytest.raises(BundleError, match="no pretrained model here"):
        _refuse_what_pretraining_saw([tmp_path / "b"], cast("Any", None), run.splits)
