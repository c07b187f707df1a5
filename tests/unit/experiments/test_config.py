"""A run configuration reports every fault at once, and overrides are typed as YAML types them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from experiments.config import RunConfig, load_run_config, resolved_yaml, with_overrides
from ontology.configuration import find_config
from ontology.errors import ConfigurationError

MINIMAL = {
    "name": "small",
    "dataset": "somewhere",
    "tasks": ["stay_death_30d_24h"],
    "models": {"trees": {"kind": "lightgbm"}},
    "splits": {"kind": "random"},
}


def write(folder: Path, content: object) -> Path:
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump(content), "utf-8")
    return file


def test_overrides_reach_into_nested_keys_and_keep_their_types(tmp_path: Path) -> None:
    config = load_run_config(
        write(tmp_path, MINIMAL), ["seed=7", "evaluation.n_bootstrap=3", "reasons.subjects=[4, 5]"]
    )
    assert (config.seed, config.evaluation.n_bootstrap, config.reasons.subjects) == (7, 3, (4, 5))


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    content = MINIMAL | {"name": "not a name", "tasks": [], "models": {"x": {"kind": "forest"}}, "colour": 1}
    with pytest.raises(ConfigurationError) as caught:
        load_run_config(write(tmp_path, content))
    text = str(caught.value)
    for key in ("name", "tasks", "models.x", "colour"):
        assert f": {key}" in text
    assert "unknown key" in text


@pytest.mark.parametrize("override", ["seed", "=3", "name.deep=1"])
def test_an_override_that_leads_nowhere_is_refused(override: str) -> None:
    with pytest.raises(ConfigurationError):
        with_overrides(dict(MINIMAL), [override])


def test_the_resolved_file_is_the_same_configuration(tmp_path: Path) -> None:
    config = load_run_config(write(tmp_path, MINIMAL))
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(resolved_yaml(config), "utf-8")
    assert load_run_config(resolved) == config


def test_shipped_runs_are_valid() -> None:
    folder = find_config("runs", "demo").parent
    for file in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(file.read_text("utf-8"))
        if content["splits"]["kind"] != "file":
            assert isinstance(load_run_config(file), RunConfig)


def test_every_path_of_a_run_is_made_whole_and_names_stay_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is gone on with, and its report written again, from another folder than it began in."""
    monkeypatch.chdir(tmp_path)
    for name in ("task.yaml", "mine.yaml"):
        (tmp_path / name).write_text("{}", "utf-8")
    content = {
        **MINIMAL,
        "tasks": ["stay_death_30d_24h", "task.yaml", {"aces": "other.yaml"}],
        "phenotypes": ["sepsis3", "mine.yaml"],
        "ontology": "built",
        "models": {
            "net": {"kind": "gru", "reading": "shared", "pretrained": "body"},
            "trees": {"kind": "lightgbm"},
        },
    }
    whole = RunConfig.model_validate(content).with_whole_paths()
    assert whole.dataset == tmp_path / "somewhere"
    assert whole.ontology == tmp_path / "built"
    assert getattr(whole.models["net"], "pretrained", None) == tmp_path / "body"
    assert whole.tasks[:2] == ("stay_death_30d_24h", str(tmp_path / "task.yaml"))
    assert getattr(whole.tasks[2], "aces", None) == tmp_path / "other.yaml"
    assert whole.phenotypes == ("sepsis3", str(tmp_path / "mine.yaml"))
    assert RunConfig.model_validate({**content, "phenotypes": "all"}).with_whole_paths().phenotypes == "all"
