"""YAML with line numbers: every fault names the line on which a reader finds it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from ontology.errors import ConfigurationError
from ontology.marked_yaml import read_marked, validate_marked


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    parts: list[Inner]


def written(folder: Path, text: str) -> Path:
    file = folder / "a.yaml"
    file.write_text(text, "utf-8")
    return file


def test_each_key_and_item_has_its_line(tmp_path: Path) -> None:
    marked = read_marked(written(tmp_path, "name: a\nparts:\n  - number: 1\n  - {number: 2}\n"))
    assert marked.content == {"name": "a", "parts": [{"number": 1}, {"number": 2}]}
    assert marked.where(("parts", 1, "number")) == "a.yaml:4: parts.1.number"
    assert marked.where(("parts", 0)) == "a.yaml:3: parts.0"
    assert marked.where(("parts", 0, "missing")) == "a.yaml:3: parts.0.missing"
    assert marked.where(()) == "a.yaml:1: the whole file"


def test_all_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    marked = read_marked(written(tmp_path, "nam: a\nparts:\n- number: one\n- numbr: 2\n"))
    with pytest.raises(ConfigurationError) as caught:
        validate_marked(Outer, marked)
    assert sorted(problem.where for problem in caught.value.problems) == [
        "a.yaml:1: nam",
        "a.yaml:1: name",
        "a.yaml:3: parts.0.number",
        "a.yaml:4: parts.1.number",
        "a.yaml:4: parts.1.numbr",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: a\nname: b\n", "a.yaml:2: name"),
        ("parts:\n- {number: 1, number: 2}\n", "a.yaml:2: parts.0.number"),
        ("- a\n", "not a mapping"),
        ("a: [\n", "not a YAML file"),
    ],
)
def test_what_is_no_plain_mapping_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_marked(written(tmp_path, text))
