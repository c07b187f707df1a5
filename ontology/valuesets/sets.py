"""Named sets of codes or texts from YAML: loading with every fault told at once, and what is in a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ontology.configuration import find_config
from ontology.errors import ConfigurationError, Problem
from ontology.marked_yaml import MarkedYaml, Place, read_marked, validate_marked
from ontology.valuesets.resolving import Resolver, in_set
from ontology.valuesets.text import Family, Group, Rule, Rules, SetText, folded

if TYPE_CHECKING:
    from ontology.release import Ontology

__all__ = [
    "Family",
    "Group",
    "Resolver",
    "ValueSet",
    "in_set",
    "load_family",
    "load_valueset",
    "valueset_names",
]


@dataclass(frozen=True, eq=False)
class ValueSet:
    """A named set, the sets that it refers to already found.

    Attributes:
        name: as in file names and tasks; `family/group` for a group.
        title: what the set means.
        version: of its file; changes whenever the members do.
        sources: where the rules come from, one sentence each.
        review: who should check what before the set is trusted.
        rules: what is in and what is not.
        references: the sets that its rules name.
        marked: its file.
        place: where in the file its rules stand.
    """

    name: str
    title: str
    version: str
    sources: tuple[str, ...]
    review: str
    rules: Rules
    references: Mapping[str, ValueSet]
    marked: MarkedYaml
    place: Place = ()

    @property
    def analyte(self) -> str | None:
        """What a laboratory set measures, as ontology/units/conversion.py calls it."""
        return self.rules.analyte

    @property
    def unit(self) -> str | None:
        """The UCUM unit that a laboratory set's values are wanted in."""
        return self.rules.unit

    def resolve(self, codes: Sequence[str], ontology: Ontology | None = None) -> pl.DataFrame:
        """Which of these codes are in the set, and when; a `Resolver` does many sets on the same codes.

        Args:
            codes: the event codes of a dataset, in any order.
            ontology: by which `under` is judged; None is the one in use.

        Returns:
            Columns of RESOLVED, sorted.

        Raises:
            ConfigurationError: `under` names concepts that the ontology does not know.
        """
        return Resolver(codes, ontology).resolve(self)

    def holds(self, column: str, codes: Sequence[str], ontology: Ontology | None = None) -> pl.Expr:
        """Whether a code column's value is in the set at the instant in column `time`; False where null."""
        return in_set(self.resolve(codes, ontology), code=column)

    def holds_text(self, column: str) -> pl.Expr:
        """Whether a text column's value is in the set by its rules on text; False where it is null."""
        text = folded(pl.col(column))
        is_in = self._any_text(column, text, self.rules.include)
        return (is_in & ~self._any_text(column, text, self.rules.exclude)).fill_null(value=False)

    def _any_text(self, column: str, text: pl.Expr, rules: Sequence[Rule]) -> pl.Expr:
        entries = [entry.lower() for rule in rules for entry in rule.text]
        exact = text.is_in([entry for entry in entries if not entry.endswith("*")])
        begun = [text.str.starts_with(entry[:-1]) for entry in entries if entry.endswith("*")]
        named = [self.references[name].holds_text(column) for rule in rules for name in rule.value_set]
        return pl.any_horizontal(exact, *begun, *named)


def load_valueset(name: str | Path) -> ValueSet:
    """A value set that comes with Pesta, by name or `family/group`, or one's own by the path of a YAML file.

    A family's own name is the union of its groups. Sets that a file of one's own refers to are looked for
    beside it, then among those that come with Pesta.

    Raises:
        ConfigurationError: no such value set, an unknown key, a rule without meaning, a reference to a set
            that is not there, sets that refer to each other in a circle: all at once, with file and line.
    """
    return _load(str(name), None, ())


def load_family(name: str | Path) -> Family:
    """A family of value sets, with weights and which group hides which.

    Raises:
        ConfigurationError: as load_valueset, or the file holds a single set.
    """
    file = find_config("valuesets", name)
    text, _ = _read(file, file.stat().st_mtime_ns)
    if isinstance(text, Family):
        return text
    raise ConfigurationError(
        Problem("not a family", where=file.name, found="a single set", allowed="a file with `groups`")
    )


def valueset_names() -> list[str]:
    """Names of all value sets, families and groups that come with Pesta, sorted."""
    names: list[str] = []
    for file in sorted(Path(str(resources.files("configs") / "valuesets")).glob("*.yaml")):
        content = read_marked(file).content
        names.extend([file.stem] if {"include", "groups"} & content.keys() else [])
        names.extend(f"{file.stem}/{group}" for group in content.get("groups", ()))
    return sorted(names)


@lru_cache(maxsize=256)
def _read(file: Path, changed: int) -> tuple[SetText | Family, MarkedYaml]:
    """The typed content of a file; `changed` is its time of change, so that an edited file is read again."""
    marked = read_marked(file)
    if "groups" in marked.content:
        return validate_marked(Family, marked), marked
    return validate_marked(SetText, marked), marked


def _find(name: str, beside: Path | None) -> tuple[Path, str]:
    """The file of a set's name, and the group within it, or ""."""
    if Path(name).suffix in {".yaml", ".yml"}:
        return find_config("valuesets", name), ""
    file, _, group = name.partition("/")
    own = beside / f"{file}.yaml" if beside else None
    return own if own and own.exists() else find_config("valuesets", file), group


def _load(name: str, beside: Path | None, trail: tuple[tuple[Path, str], ...]) -> ValueSet:
    file, group_name = _find(name, beside)
    text, marked = _read(file, file.stat().st_mtime_ns)
    rules, title, place = _part(text, group_name, marked)
    here = (*trail, (file, group_name))
    references: dict[str, ValueSet] = {}
    problems: list[Problem] = []
    for side in ("include", "exclude"):
        for number, rule in enumerate(getattr(rules, side)):
            where = marked.where((*place, side, number) if place is not None else ("groups",))
            for reference in rule.value_set:
                try:
                    references[reference] = _reference(reference, file.parent, here, where)
                except ConfigurationError as error:
                    problems.extend(error.problems)
    if problems:
        raise ConfigurationError(list(dict.fromkeys(problems)))
    full_name = f"{text.name}/{group_name}" if group_name else text.name
    return ValueSet(
        full_name, title, text.version, text.sources, text.review, rules, references, marked, place or ()
    )


def _reference(name: str, beside: Path, here: tuple[tuple[Path, str], ...], where: str) -> ValueSet:
    """A set that another one names.

    Raises:
        ConfigurationError: it is not there, leads back to a set being loaded, or has faults of its own.
    """
    try:
        place = _find(name, beside)
    except ConfigurationError as error:
        (problem,) = error.problems
        raise ConfigurationError(
            Problem("no such value set", where, name, problem.allowed, "check the name")
        ) from None
    if place in here:
        circle = [f"{file.stem}/{group}" if group else file.stem for file, group in here[here.index(place) :]]
        raise ConfigurationError(
            Problem("value sets that refer to each other in a circle", where, " -> ".join([*circle, name]))
        )
    return _load(name, beside, here)


def _part(text: SetText | Family, group_name: str, marked: MarkedYaml) -> tuple[Rules, str, Place | None]:
    """The rules that a name means, its title, and where they stand; a whole family is written nowhere."""
    if isinstance(text, SetText):
        if group_name:
            raise ConfigurationError(
                Problem("not a family", marked.file.name, f"{text.name}/{group_name}", text.name)
            )
        return text, text.title, ()
    if not group_name:
        shown = [name for name, group in text.groups.items() if not group.is_auxiliary]
        return (
            Rules(include=(Rule(value_set=tuple(f"{text.name}/{name}" for name in shown)),)),
            text.title,
            None,
        )
    if group_name not in text.groups:
        raise ConfigurationError(
            Problem("no such group", marked.file.name, group_name, ", ".join(text.groups), "check the name")
        )
    return text.groups[group_name], text.groups[group_name].title, ("groups", group_name)
