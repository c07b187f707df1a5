"""Configuration files: a key that stands twice is told, however deep, and never silently dropped."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from ontology.configuration import read_config, read_yaml
from ontology.errors import ConfigurationError

CONFIGS = Path(__file__).parents[3] / "configs"


def test_every_key_that_stands_twice_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "lists.yaml"
    file.write_text(
        "name: a\nsystems:\n  - paths: {2024: a.json, 2024: b.json}\nname: b\nother:\n  name: c\n", "utf-8"
    )
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(file)
    assert [problem.where for problem in caught.value.problems] == [
        "lists.yaml:3: systems.0.paths.2024",
        "lists.yaml:4: name",
    ]


def test_what_aliases_repeat_is_walked_once(tmp_path: Path) -> None:
    layers = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 40))
    file = tmp_path / "many.yaml"
    file.write_text(f"l0: &l0 [1]\n{layers}", "utf-8")
    assert len(read_yaml(file)) == 40
    file.write_text("a: &a\n  b: *a\n", "utf-8")
    content = read_yaml(file)
    assert content["a"]["b"] is content["a"]


def test_no_shipped_file_says_a_key_twice() -> None:
    files = sorted(CONFIGS.rglob("*.yaml"))
    assert len(files) > 50
    for file in files:
        assert read_yaml(file)


class Effort(BaseModel):
    model_config = ConfigDict(extra="forbid")

    hours_a_stay: float
    hours_a_further_finding: float
    nok_an_hour: float
    source: str


def test_a_room_s_file_is_read_by_name_and_a_file_of_the_same_form_by_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("hours_a_stay: 2\nhours_a_further_finding: 1\nnok_an_hour: 5\nsource: us\n", "utf-8")
    assert read_config(Effort, "coding", own) == Effort(
        hours_a_stay=2, hours_a_further_finding=1, nok_an_hour=5, source="us"
    )
    assert read_config(Effort, "coding", "review_effort").source


def test_every_fault_of_a_room_s_file_and_a_name_that_is_none_are_told(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("hours_a_stay: long\nsource: us\nnok: 5\n", "utf-8")
    with pytest.raises(ConfigurationError) as caught:
        read_config(Effort, "coding", own)
    assert sorted(str(problem.where).split(": ")[-1] for problem in caught.value.problems) == [
        "hours_a_further_finding", "hours_a_stay", "nok", "nok_an_hour",
    ]  # fmt: skip
    with pytest.raises(ConfigurationError, match="review_effort"):
        read_config(Effort, "coding", "no_such_file")
