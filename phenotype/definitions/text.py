"""Phenotype definitions as YAML files, read into typed models; every fault is told by file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ontology.configuration import find_config
from ontology.errors import ConfigurationError, PestaError, Problem
from ontology.marked_yaml import MarkedYaml, Place, marked_problems, read_marked
from ontology.valuesets.sets import load_family
from phenotype.definitions.nodes import NODES, STATES, Criterion, Not, Part, Phenotype

__all__ = ["Definition", "definition_files", "load_definitions", "read_definitions", "with_needed"]

ROOM = "phenotypes"
_COMPANIONS = {"any": (), "all": ("per",), "first": ("per",), "last": ("per",), "phenotype": ("state",)}
"""Keys that may stand beside a criterion's own, for those whose body is no mapping of settings."""
_DESCRIBING = ("version", "sources", "review", "per", "is_shown")
_FILE_KEYS = ("definitions", "family", "shared", *_DESCRIBING)
_STAND_IN = Phenotype(name="?")
"""Takes the place of a faulty criterion, so that the faults beside it are found as well."""


class Definition(Part):
    """A phenotype: when it is confirmed, and perhaps when suspected or excluded.

    Attributes:
        name: as in phenotypes.parquet.
        title: what it means, for readers.
        version: changes whenever the meaning does.
        sources: where the definition comes from.
        review: who should check what before it is trusted.
        per: `each` keeps all marks; else one a stay, contact or subject: the strongest state, its first mark.
        confirmed: the criterion for it.
        suspected: what raises the suspicion only.
        excluded: what speaks against it.
        is_shown: whether a patient's page lists it.
        file: the name of the file that it stands in.
    """

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_]+(/[a-zA-Z0-9_]+)?$")]
    title: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)]
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    review: Annotated[str, Field(min_length=1)]
    per: Literal["each", "subject", "stay", "contact"] = "each"
    confirmed: Criterion
    suspected: Criterion | None = None
    excluded: Criterion | None = None
    is_shown: bool = True
    file: str = ""

    @property
    def criteria(self) -> dict[str, Criterion]:
        """The criteria that are given, by state, the strongest first."""
        given = {state: getattr(self, state) for state in STATES}
        return {state: criterion for state, criterion in given.items() if criterion is not None}

    @property
    def digest(self) -> str:
        """The sha256 of all that decides the result: changes with the meaning, not with title or sources."""
        meaning = self.model_dump(include={"name", "version", "per", *STATES}, mode="json")
        return sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


class DefinitionFile:
    """One file's definitions, the places of their parts, and the faults found on the way."""

    def __init__(self, marked: MarkedYaml) -> None:
        self.marked = marked
        self.problems: list[Problem] = []
        self.definitions: list[tuple[Definition, Place]] = []
        self.names: set[str] = set()
        self.places: dict[int, Place] = {}
        self._kept: list[Part] = []
        self._read_file()

    def where(self, place: Place) -> str:
        """File, line and key path."""
        return self.marked.where(place)

    def place_of(self, part: Part) -> Place:
        """Where a part of these definitions stands."""
        return self.places.get(id(part), ())

    def fault(
        self, what: str, place: Place, found: str = "", allowed: str = "", do: str = "mend this key"
    ) -> None:
        """Remember a fault."""
        self.problems.append(Problem(what, self.where(place), found, allowed, do))

    def _read_file(self) -> None:
        content = self.marked.content
        shared = content.get("shared") or {}
        if not isinstance(shared, dict):
            self.fault("shared is not a mapping", ("shared",), type(shared).__name__, "name: criterion")
            shared = {}
        for name, criterion in shared.items():
            self._criterion(criterion, ("shared", name))
        if "definitions" not in content:
            self._read_one({key: value for key, value in content.items() if key != "shared"}, (), {})
            return
        self._unknown_keys(content, _FILE_KEYS, ())
        listed = content["definitions"]
        if not isinstance(listed, list) or not listed:
            self.fault("definitions is not a list of definitions", ("definitions",), type(listed).__name__)
            return
        defaults = {key: content[key] for key in _DESCRIBING if key in content}
        for number, body in enumerate(listed):
            place: Place = ("definitions", number)
            if isinstance(body, dict):
                self._read_one(body, place, defaults)
            else:
                self.fault(
                    "not a definition", place, type(body).__name__, "a mapping with name and confirmed"
                )

    def _read_one(self, body: Mapping[str, Any], place: Place, defaults: Mapping[str, Any]) -> None:
        if "groups_of" not in body:
            self._definition(body, place, defaults)
            return
        try:
            groups = load_family(str(body["groups_of"])).groups
        except PestaError as error:
            self.fault(error.problems[0].what, (*place, "groups_of"), str(body["groups_of"]))
            return
        rest = {key: value for key, value in body.items() if key != "groups_of"}
        for name, group in groups.items():
            if not group.is_auxiliary:
                self._definition(_filled(rest, {"group": name, "title": group.title}), place, defaults)

    def _definition(self, body: Mapping[str, Any], place: Place, defaults: Mapping[str, Any]) -> None:
        fields = {**defaults, **body}
        self.names.add(str(fields.get("name")))
        self._unknown_keys(body, [key for key in Definition.model_fields if key != "file"], place)
        for state in STATES:
            if state in fields:
                fields[state] = self._positive(fields[state], (*place, state))
        known = {key: value for key, value in fields.items() if key in Definition.model_fields}
        known["file"] = self.marked.file.name
        if (definition := self._valid(Definition, known, place)) is not None:
            self.definitions.append((definition, place))

    def _criterion(self, content: Any, place: Place) -> Part:
        """The criterion of a mapping with one key; a stand-in where it is faulty."""
        if not isinstance(content, dict):
            self.fault("not a criterion", place, type(content).__name__, f"one of {', '.join(NODES)}")
            return _STAND_IN
        named = [key for key in content if key in NODES]
        if len(named) != 1:
            self._no_single_key(content, named, place)
            return _STAND_IN
        key = named[0]
        beside = {name: value for name, value in content.items() if name != key}
        self._unknown_keys(beside, _COMPANIONS.get(key, ()), place, known=NODES)
        body = self._body(key, content[key], (*place, key))
        if body is None:
            return _STAND_IN
        body.update({name: value for name, value in beside.items() if name in _COMPANIONS.get(key, ())})
        return self._valid(NODES[key], body, (*place, key)) or _STAND_IN

    def _body(self, key: str, content: Any, place: Place) -> dict[str, Any] | None:
        """A criterion's settings with their criteria read; None where the content has the wrong form."""
        if key in {"any", "all"}:
            if not isinstance(content, list) or not content:
                self.fault(f"{key} is not a list", place, type(content).__name__, "a list of criteria")
                return None
            parts = [self._criterion(part, (*place, number)) for number, part in enumerate(content)]
            if key == "any":
                self._no_negation(parts, content, place)
            return {"of": tuple(parts)}
        if key in {"first", "last", "not"}:
            return {"of": self._positive(content, place)}
        if isinstance(content, str) and key in {"phenotype", "events"}:
            return {"name" if key == "phenotype" else "in": content}
        if not isinstance(content, dict):
            self.fault(f"{key} is not a mapping", place, type(content).__name__, _settings(key))
            return None
        settings = dict(content)
        for name in ("of", "other", "around"):
            if name in settings and name in NODES[key].model_fields:
                settings[name] = self._inner(settings[name], (*place, name))
        self._unknown_keys(settings, _setting_names(key), place)
        return {name: value for name, value in settings.items() if name in _setting_names(key)}

    def _inner(self, content: Any, place: Place) -> Any:
        if isinstance(content, list):
            return tuple(self._positive(part, (*place, number)) for number, part in enumerate(content))
        return self._positive(content, place)

    def _positive(self, content: Any, place: Place) -> Part:
        part = self._criterion(content, place)
        self._no_negation([part], [content], place)
        return _STAND_IN if isinstance(part, Not) else part

    def _no_negation(self, parts: Sequence[Part], _content: Any, place: Place) -> None:
        if any(isinstance(part, Not) for part in parts):
            self.fault(
                "not stands outside all", place, allowed="not as a part of all",
                do="write all: [what there is, {not: what there is not}]; or near with absent: true",
            )  # fmt: skip

    def _no_single_key(self, content: Mapping[str, Any], named: list[str], place: Place) -> None:
        if named:
            self.fault("a criterion with several keys", place, ", ".join(named), "one key", "use any or all")
            return
        if not content:
            self.fault("an empty criterion", place, allowed=f"one of {', '.join(NODES)}")
        for key in content:
            self.fault("unknown key", (*place, str(key)), str(key), *_allowed(str(key), list(NODES)))

    def _unknown_keys(
        self,
        content: Mapping[str, Any],
        allowed: Sequence[str],
        place: Place,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        for key in content:
            if key not in allowed and key not in (known or {}):
                self.fault("unknown key", (*place, str(key)), str(key), *_allowed(str(key), list(allowed)))

    def _valid(self, model: type[Any], fields: dict[str, Any], place: Place) -> Any:
        try:
            part = model.model_validate(fields)
        except ValidationError as error:
            self.problems += marked_problems(error, self.marked, place)
            return None
        self.places[id(part)] = place
        self._kept.append(part)
        return part


def read_definitions(files: Sequence[Path]) -> list[Definition]:
    """The definitions of these files, checked together.

    Args:
        files: YAML files; a definition may name phenotypes of another of them, or that come with Pesta.

    Returns:
        The definitions in the order of files and lines.

    Raises:
        ConfigurationError: every fault of every file at once, with file and line: unknown keys, value sets
            that are not there, units that cannot be converted, phenotypes that need each other in a circle.
    """
    from phenotype.definitions.checks import problems_between

    read: list[DefinitionFile] = []
    problems: list[Problem] = []
    for file in files:
        try:
            read.append(DefinitionFile(read_marked(file)))
        except ConfigurationError as error:
            problems += error.problems
        except RecursionError:
            problems.append(
                Problem(
                    "criteria within each other without end, or too many",
                    file.name,
                    next_step="cut the circle of anchors",
                )
            )
    problems += [problem for file in read for problem in file.problems]
    known = set[str]().union(*(file.names for file in read))
    if needed_names([definition for file in read for definition, _ in file.definitions]) - known:
        known |= _names_in(set(definition_files()) - {file.resolve() for file in files})
    problems += problems_between(read, known)
    if problems:
        raise ConfigurationError(problems)
    return [definition for file in read for definition, _ in file.definitions]


def load_definitions(names: Sequence[str | Path] | None = None) -> list[Definition]:
    """Definitions by the names or paths of their files; None = all that come with Pesta.

    Raises:
        ConfigurationError: as read_definitions, or no such file.
    """
    return read_definitions(definition_files() if names is None else [find_config(ROOM, n) for n in names])


def with_needed(definitions: Sequence[Definition]) -> list[Definition]:
    """The definitions and those that come with Pesta which they need, each after what it needs.

    Raises:
        ConfigurationError: a definition that is needed and is not there.
    """
    have = {definition.name: definition for definition in definitions}
    missing = needed_names(definitions) - have.keys()
    while missing:
        shipped = {definition.name: definition for definition in load_definitions()}
        if unknown := missing - shipped.keys():
            raise ConfigurationError(
                [Problem("no definition of this name", found=name) for name in sorted(unknown)]
            )
        have |= {name: shipped[name] for name in missing}
        missing = needed_names(list(have.values())) - have.keys()
    return in_order_of_need(list(have.values()))


def in_order_of_need(definitions: Sequence[Definition]) -> list[Definition]:
    """The definitions, each after those that it needs; otherwise in the order given.

    Raises:
        ConfigurationError: definitions that need each other in a circle.
    """
    waiting, done, ordered = list(definitions), set[str](), list[Definition]()
    names = {definition.name for definition in definitions}
    while waiting:
        ready = next((one for one in waiting if needed_names([one]) & names <= done), None)
        if ready is None:
            raise ConfigurationError(
                Problem(
                    "definitions that need each other in a circle, some of them shipped ones",
                    found=", ".join(sorted(one.name for one in waiting)),
                    next_step="rename the one that bears a shipped definition's name, or cut the circle",
                )
            )
        waiting.remove(ready)
        done.add(ready.name)
        ordered.append(ready)
    return ordered


def definition_files() -> list[Path]:
    """The definition files that come with Pesta, in name order."""
    return sorted((Path(str(resources.files("configs"))) / ROOM).resolve().glob("*.yaml"))


def needed_names(definitions: Sequence[Definition]) -> set[str]:
    """Names of the phenotypes that these definitions' criteria name."""
    return {
        part.name
        for definition in definitions
        for criterion in definition.criteria.values()
        for part in parts_of(criterion)
        if isinstance(part, Phenotype)
    }


def parts_of(criterion: Part) -> Iterator[Part]:
    """A criterion and all that it is made of, itself first."""
    from phenotype.definitions.nodes import children

    yield criterion
    for child in children(criterion):
        yield from parts_of(child)


def _names_in(files: set[Path]) -> set[str]:
    names: set[str] = set()
    for file in sorted(files):
        try:
            read = DefinitionFile(read_marked(file))
        except ConfigurationError:
            continue
        names |= read.names
    return names


def _filled(content: Any, words: Mapping[str, str]) -> Any:
    """Content with `{group}` and `{title}` replaced in all its texts."""
    if isinstance(content, str):
        for word, text in words.items():
            content = content.replace("{" + word + "}", text)
        return content
    if isinstance(content, dict):
        return {key: _filled(value, words) for key, value in content.items()}
    if isinstance(content, list):
        return [_filled(value, words) for value in content]
    return content


def _setting_names(key: str) -> list[str]:
    fields = NODES[key].model_fields
    return [field.alias or name for name, field in fields.items() if name != "kind"]


def _settings(key: str) -> str:
    return f"a mapping of {', '.join(_setting_names(key))}"


def _allowed(key: str, names: list[str]) -> tuple[str, str]:
    close = get_close_matches(key, names, n=1)
    do = f"write {close[0]}" if close else "leave it out, or write one that is allowed"
    return (", ".join(names) or "nothing beside the key"), do
