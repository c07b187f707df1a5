"""YAML files read with the line of every key and item, so that a fault can be told by file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ontology.configuration import read_yaml, validation_problems
from ontology.errors import ConfigurationError, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class MarkedYaml:
    """What a YAML file holds, and where.

    Attributes:
        file: the file.
        content: the parsed mapping.
        lines: line number of each key path, counted from 1.
    """

    file: Path
    content: dict[str, Any]
    lines: Mapping[Place, int]

    def where(self, place: Sequence[str | int]) -> str:
        """`file:line: key.path` of a key path; the line is that of the nearest part which the file holds."""
        known = next(tuple(place[:n]) for n in range(len(place), -1, -1) if tuple(place[:n]) in self.lines)
        path = ".".join(str(part) for part in place) or "the whole file"
        return f"{self.file.name}:{self.lines[known]}: {path}"


def read_marked(file: Path) -> MarkedYaml:
    """A YAML file with its line numbers.

    Raises:
        ConfigurationError: the file is missing, is not YAML, does not hold a mapping, or says a key twice.
    """
    content = read_yaml(file)
    root = yaml.compose(file.read_text("utf-8"), Loader=yaml.SafeLoader)
    lines: dict[Place, int] = {}
    _mark(root, (), lines)
    return MarkedYaml(file, content, lines)


def marked_problems(error: ValidationError, marked: MarkedYaml, within: Place = ()) -> list[Problem]:
    """One problem for each fault that pydantic found, with file and line.

    Args:
        error: what pydantic raised.
        marked: the file.
        within: the key path at which the validated content stands in the file.
    """
    return [
        Problem(
            problem.what, marked.where((*within, *fault["loc"])), problem.found, next_step="mend this key"
        )
        for problem, fault in zip(
            validation_problems(error, where=""), error.errors(include_url=False), strict=True
        )
    ]


def validate_marked(model: type[ModelT], marked: MarkedYaml) -> ModelT:
    """A typed model of a file's content.

    Raises:
        ConfigurationError: with one problem for each fault, naming file, line and key path.
    """
    try:
        return model.model_validate(marked.content)
    except ValidationError as error:
        raise ConfigurationError(marked_problems(error, marked)) from None


def _mark(node: yaml.Node | None, place: Place, lines: dict[Place, int]) -> None:
    lines.setdefault(place, node.start_mark.line + 1 if node else 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            lines[inner] = key.start_mark.line + 1
            _mark(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            _mark(item, (*place, number), lines)
