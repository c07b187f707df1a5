"""Configuration files: a key that stands twice is told, however deep, and never silently dropped."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.configuration import read_yaml
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
