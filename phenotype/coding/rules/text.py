"""Coding rules read from YAML files; every fault of every file is told at once, by file, line and key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ontology.configuration import find_config
from ontology.errors import ConfigurationError, PestaError, Problem, gathered_problems
from ontology.marked_yaml import MarkedYaml, Place, marked_problems, read_marked
from ontology.valuesets.sets import load_valueset, valueset_names
from phenotype.coding.coded_record import ContactFact, ContactFacts
from phenotype.coding.rules.conditions import Condition
from phenotype.coding.rules.rules import ROOM, Rule, rule_files
from phenotype.definitions.nodes import Part
from phenotype.definitions.text import DefinitionFile

_DEFAULTS = ("family", "sources", "version", "severity", "prior", "valid_from", "valid_to")
_FILE_KEYS = ("rules", "shared", *_DEFAULTS)
_CONDITIONS = ("scope", "condition")


def read_rules(files: Sequence[Path]) -> tuple[Rule, ...]:
    """The rules of these files, checked together, sorted by id.

    Raises:
        ConfigurationError: every fault of every file.
    """
    with gathered_problems() as attempt:
        found: list[tuple[Rule, str]] = []
        for file in files:
            with attempt():
                found += _rules_of(read_marked(file))
        with attempt():
            _no_id_twice(found)
    return tuple(sorted((rule for rule, _ in found), key=lambda rule: rule.id))


def rules_named(names: Sequence[str | Path]) -> tuple[Rule, ...]:
    """Rules by names of shipped files or rules, or by paths of files, sorted by id.

    Raises:
        ConfigurationError: as read_rules; names that are neither.
    """
    shipped = {file.stem: file for file in rule_files()}
    own = {
        Path(name) for name in names if str(name) not in shipped and Path(name).suffix in {".yaml", ".yml"}
    }
    wanted = {str(name) for name in names if str(name) not in shipped and Path(name) not in own}
    files = [shipped[str(name)] for name in names if str(name) in shipped]
    files += [find_config(ROOM, path) for path in sorted(own)]
    rules = {rule.id: rule for rule in read_rules(list(dict.fromkeys(files)))}
    if wanted:
        every = {rule.id: rule for rule in read_rules(list(shipped.values()))}
        if unknown := sorted(wanted - every.keys()):
            raise ConfigurationError([_no_such_rule(name, [*shipped, *every]) for name in unknown])
        rules |= {name: every[name] for name in wanted}
    return tuple(rules[name] for name in sorted(rules))


def criterion_of(condition: Condition) -> Part:
    """The criterion of the phenotype language that a `marks` condition holds.

    Raises:
        ConfigurationError: faults of the criterion.
    """
    file = _as_definitions(MarkedYaml(Path("rule"), {}, {(): 1}), (), condition.marks or {})
    if file.problems:
        raise ConfigurationError(file.problems)
    return file.definitions[0][0].confirmed


def _rules_of(marked: MarkedYaml) -> list[tuple[Rule, str]]:
    content = marked.content
    problems = [
        Problem("unknown key", marked.where((key,)), key, ", ".join(_FILE_KEYS), "mend or remove the key")
        for key in content
        if key not in _FILE_KEYS
    ]
    listed = content.get("rules")
    if not isinstance(listed, list) or not listed:
        problems.append(
            Problem("rules is not a list of rules", marked.where(("rules",)), type(listed).__name__)
        )
        raise ConfigurationError(problems)
    defaults = {key: content[key] for key in _DEFAULTS if key in content}
    found: list[tuple[Rule, str]] = []
    for number, body in enumerate(listed):
        place: Place = ("rules", number)
        if not isinstance(body, dict):
            problems.append(
                Problem("not a rule", marked.where(place), type(body).__name__, "a mapping of keys")
            )
            continue
        rule = _rule({**defaults, **body}, marked, place, problems)
        if rule is not None:
            found.append((rule, marked.where((*place, "id"))))
    if problems:
        raise ConfigurationError(problems)
    return found


def _rule(body: Mapping[str, Any], marked: MarkedYaml, place: Place, problems: list[Problem]) -> Rule | None:
    try:
        rule = Rule.model_validate(dict(body))
    except ValidationError as error:
        problems += marked_problems(error, marked, place)
        return None
    for condition, where in _placed(rule, place):
        problems += _faults(condition, marked, where)
    known = _known_facts()
    problems += [
        _no_such_fact(name, marked.where((*place, "needs", key)), known)
        for key in ("facts", "recorded")
        for name in getattr(rule.needs, key)
        if name not in known
    ]
    return rule


def _placed(rule: Rule, place: Place) -> Iterator[tuple[Condition, Place]]:
    for key in _CONDITIONS:
        if condition := getattr(rule, key):
            yield from _walk_placed(condition, (*place, key))
    for number, explanation in enumerate(rule.explanations):
        yield from _walk_placed(explanation.when, (*place, "except", number, "when"))


def _walk_placed(condition: Condition, place: Place) -> Iterator[tuple[Condition, Place]]:
    yield condition, place
    for key in ("all", "any"):
        for number, part in enumerate(getattr(condition, key) or ()):
            yield from _walk_placed(part, (*place, key, number))
    if condition.not_:
        yield from _walk_placed(condition.not_, (*place, "not"))
    if condition.another and condition.another.where:
        yield from _walk_placed(condition.another.where, (*place, "another", "where"))


def _faults(condition: Condition, marked: MarkedYaml, place: Place) -> list[Problem]:
    """What no single key shows: value sets and facts that are not there, faults of criteria."""
    if condition.marks is not None:
        return _as_definitions(marked, (*place, "marks"), condition.marks).problems
    if condition.fact:
        known = _known_facts()
        name = condition.fact.name
        return [] if name in known else [_no_such_fact(name, marked.where((*place, "fact", "name")), known)]
    codes = [condition.code] if condition.code else []
    if condition.together:
        codes = [*condition.together.has, *condition.together.lacks]
    problems = []
    for name in dict.fromkeys(name for code in codes for name in code.sets):
        try:
            load_valueset(name)
        except PestaError as error:
            close = ", ".join(get_close_matches(name, valueset_names(), n=5, cutoff=0.5))
            what = f"no value set of this name, or faults in it: {error.problems[0].what}"
            problems.append(
                Problem(what, marked.where((*place, condition.key)), name, close, "mend the name")
            )
    return problems


def _as_definitions(marked: MarkedYaml, place: Place, criterion: Mapping[str, Any]) -> DefinitionFile:
    """A criterion read as the only definition of a file, its faults told where it stands in the rule."""
    within: Place = ("definitions", 0, "confirmed")
    lines = {
        (*within, *path[len(place) :]): line
        for path, line in marked.lines.items()
        if path[: len(place)] == place
    }
    body = {
        "name": "marks", "title": "marks", "version": "1", "sources": ["the rule"], "review": "the rule",
        "confirmed": dict(criterion),
    }  # fmt: skip
    content = {"definitions": [body]}
    return DefinitionFile(MarkedYaml(marked.file, content, {(): marked.lines.get(place, 1), **lines}))


@cache
def _known_facts() -> Mapping[str, ContactFact]:
    return ContactFacts.load(find_config("coding", "contact_facts")).facts


def _no_id_twice(found: Sequence[tuple[Rule, str]]) -> None:
    first: dict[str, str] = {}
    problems = []
    for rule, where in found:
        if rule.id in first:
            step = f"rename one; the other stands at {first[rule.id]}"
            problems.append(Problem("two rules of one id", where, rule.id, next_step=step))
        first.setdefault(rule.id, where)
    if problems:
        raise ConfigurationError(problems)


def _no_such_rule(name: str, names: Sequence[str]) -> Problem:
    close = ", ".join(get_close_matches(name, names, n=5, cutoff=0.5))
    allowed = close or "a rule file's path, the name of a family that comes with Pesta, or a rule's id"
    return Problem("no such rule", "rules", name, allowed, "check the name")


def _no_such_fact(name: str, where: str, known: Mapping[str, object]) -> Problem:
    return Problem(
        "no such fact about contacts", where, name, ", ".join(known), "mend the name, or add the fact"
    )
