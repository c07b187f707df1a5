"""YAML files read into typed models, every fault of a file reported at once with its key path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ontology.errors import ConfigurationError, Problem

ModelT = TypeVar("ModelT", bound=BaseModel)


def validate(model: type[ModelT], content: Mapping[str, Any], *, where: str) -> ModelT:
    """A typed model of parsed content.

    Args:
        model: the pydantic model.
        content: parsed YAML or JSON.
        where: the file, for the message.

    Raises:
        ConfigurationError: with one problem for each fault, naming its key path.
    """
    try:
        return model.model_validate(dict(content))
    except ValidationError as error:
        raise ConfigurationError(validation_problems(error, where=where)) from None


def validation_problems(error: ValidationError, *, where: str) -> list[Problem]:
    """One problem for each fault that pydantic found; input values are not repeated."""
    return [
        Problem(
            what=_sentence(fault["type"], fault["msg"]),
            where=f"{where}: {'.'.join(str(part) for part in fault['loc']) or 'the whole file'}",
            found=_found(fault["input"]),
            next_step="mend this key",
        )
        for fault in error.errors(include_url=False)
    ]


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        ConfigurationError: the file is missing, is not YAML, does not hold a mapping, or says keys twice.
    """
    try:
        text = path.read_text("utf-8")
        content = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigurationError(
            Problem("no such file", where=str(path), next_step="check the path")
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{path}:{mark.line + 1}" if mark else str(path)
        reason = getattr(error, "problem", None) or "not UTF-8 text"
        raise ConfigurationError(Problem("not a YAML file", where=line, found=str(reason))) from None
    if not isinstance(content, dict):
        raise ConfigurationError(
            Problem(
                "not a mapping of keys",
                where=str(path),
                found=type(content).__name__,
                allowed="key: value lines",
            )
        )
    if twice := list(_keys_twice(yaml.compose(text, Loader=yaml.SafeLoader), (), set())):
        raise ConfigurationError(
            [
                Problem(
                    "a key that stands twice",
                    where=f"{path.name}:{line}: {place}",
                    next_step="leave one of the two",
                )
                for line, place in twice
            ]
        )
    return content


def _keys_twice(
    node: yaml.Node | None, place: tuple[str, ...], walked: set[int]
) -> Iterator[tuple[int, str]]:
    """Line and path of every key that its mapping has already; what an alias repeats is walked once."""
    if id(node) in walked:
        return
    walked.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            inner = (*place, str(key.value))
            if inner[-1] in seen:
                yield key.start_mark.line + 1, ".".join(inner)
            seen.add(inner[-1])
            yield from _keys_twice(value, inner, walked)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _keys_twice(item, (*place, str(number)), walked)


def read_config(model: type[ModelT], room: str, name_or_path: str | Path) -> ModelT:
    """A typed model of the YAML file of that path, or of the shipped one of that name in configs/<room>/.

    Raises:
        ConfigurationError: there is no such file, or every fault of it.
    """
    file = find_config(room, name_or_path)
    return validate(model, read_yaml(file), where=str(file))


def find_config(room: str, name_or_path: str | Path) -> Path:
    """The YAML file of that path, or the shipped one of that name in configs/<room>/.

    Raises:
        ConfigurationError: neither exists; the shipped names are listed.
    """
    given = Path(name_or_path)
    if given.suffix in {".yaml", ".yml"} and given.exists():
        return given
    shipped = Path(str(resources.files("configs"))) / room
    candidate = shipped / f"{given.name.removesuffix('.yaml')}.yaml"
    if candidate.exists() and given.parent == Path():
        return candidate
    names = ", ".join(sorted(file.stem for file in shipped.glob("*.yaml")))
    raise ConfigurationError(
        Problem(
            f"no such configuration in {room}",
            found=str(name_or_path),
            allowed=f"a path to a .yaml file, or one of: {names}",
            next_step="check the name",
        )
    )


def _sentence(kind: str, message: str) -> str:
    return "unknown key" if kind == "extra_forbidden" else message[:1].lower() + message[1:]


def _found(value: object) -> str:
    return str(value) if isinstance(value, str | int | float | bool) else type(value).__name__
