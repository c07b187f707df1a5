"""A run's manifest names the pretrained models that it starts from, and notices when they are exchanged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.config import RunConfig
from experiments.manifest import exchanged_bodies, make_manifest
from ontology.errors import BundleError
from phenotype.networks.population_folder import TABLES, write_folder
from phenotype.predictor import BundleParts
from phenotype.tasks import load_task
from phenotype.trajectory import EVENTS, Dataset

TASK = "stay_death_30d_24h"


def write_body(folder: Path, weight: float) -> Path:
    tables = dict.fromkeys(TABLES, pl.DataFrame({"one": [1]}))
    return write_folder(folder, BundleParts({}, {"weight": np.array([weight])}, tables=tables), {})


def run_config(folder: Path) -> RunConfig:
    network = {"kind": "transformer", "reading": "shared"}
    tried = {"type": "choice", "values": [None, str(folder / "tried")]}
    return RunConfig.model_validate(
        {
            "name": "r",
            "dataset": folder / "dataset",
            "tasks": [TASK],
            "models": {"plain": network, "begun": network | {"pretrained": folder / "body"}},
            "search": {"model": "begun", "space": {"pretrained": tried}},
            "splits": {"kind": "random"},
        }
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "dataset" / "data").mkdir(parents=True)
    pl.DataFrame(schema=EVENTS).write_parquet(tmp_path / "dataset" / "data" / "0.parquet")
    write_body(tmp_path / "body", 1.0)
    write_body(tmp_path / "tried", 2.0)
    return tmp_path


def test_an_exchanged_body_is_noticed(place: Path) -> None:
    config = run_config(place)
    manifest = make_manifest(config, Dataset(config.dataset), [load_task(TASK)])
    assert [len(digests) for digests in manifest["pretrained_digests"].values()] == [2]
    assert exchanged_bodies(config, manifest) == []
    write_body(place / "body", 3.0)
    (problem,) = exchanged_bodies(config, manifest)
    assert "exchanged since this run began" in str(problem)
    assert f"models.begun: {place / 'body'}" in str(problem)
    write_body(place / "tried", 4.0)
    assert len(exchanged_bodies(config, manifest)) == 2
    write_body(place / "body", 1.0)
    write_body(place / "tried", 2.0)
    assert exchanged_bodies(config, manifest) == []


def test_a_body_that_is_gone_is_missed_at_the_beginning_alone(place: Path) -> None:
    """What was fitted is whole without it; a run that has yet to begin cannot."""
    config = run_config(place)
    manifest = make_manifest(config, Dataset(config.dataset), [load_task(TASK)])
    shutil.rmtree(place / "body")
    assert exchanged_bodies(config, manifest) == []
    with pytest.raises(BundleError, match="no pretrained model here"):
        make_manifest(config, Dataset(config.dataset), [load_task(TASK)])


def test_a_run_without_bodies_goes_on_though_its_manifest_never_named_any(place: Path) -> None:
    config = run_config(place).model_copy(update={"search": None})
    assert exchanged_bodies(config, {"format": 1}) == []


def test_bodies_that_a_search_tries_have_whole_paths(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    content = run_config(place).model_dump(mode="json")
    content["models"]["begun"]["pretrained"] = "body"
    content["search"]["space"]["pretrained"]["values"] = [None, "tried"]
    whole = RunConfig.model_validate(content).with_whole_paths()
    assert whole.bodies("begun") == (place / "body", place / "tried")
    assert whole.bodies("plain") == ()
