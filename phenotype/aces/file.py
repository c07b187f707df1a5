"""A task in ACES' language read from its file, and from a dataset's predicates file that completes it.

Every fault of both files is raised at once, with file and line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ontology.errors import ConfigurationError, Problem
from ontology.marked_yaml import MarkedYaml, Place, marked_problems, read_marked
from phenotype.aces.faults import find_faults
from phenotype.aces.text import (
    SPECIAL,
    AcesTask,
    DerivedPredicate,
    PlainPredicate,
    Predicate,
    Window,
    parse_predicate,
)

_TASK_KEYS = ("predicates", "patient_demographics", "trigger", "windows", "description", "metadata")
_PREDICATE_KEYS = ("predicates", "patient_demographics", "description", "metadata")
_STEP = "compare with docs/aces.md"
_MODELS: Mapping[str, type[PlainPredicate | DerivedPredicate]] = {
    "plain": PlainPredicate,
    "derived": DerivedPredicate,
}
_Given = Mapping[str, tuple[MarkedYaml, Place, object]]
"""Predicate name -> the file that has the last word on it, the key path there, and what it says."""


def is_aces(content: Mapping[str, Any]) -> bool:
    """Whether a YAML file's content is a task in ACES' language: it has a trigger and no index rule."""
    return "trigger" in content and "index" not in content


def read_aces(file: Path, predicates: Path | None = None) -> AcesTask:
    """A task from its file.

    Args:
        file: the task: predicates, patient_demographics, trigger, windows.
        predicates: a dataset's own predicates and patient_demographics, which replace those of the same name.

    Raises:
        ConfigurationError: every fault of both files, with file and line.
    """
    task = read_marked(file)
    dataset = read_marked(predicates) if predicates else None
    problems = _unknown_keys(task, _TASK_KEYS)
    problems += _unknown_keys(dataset, _PREDICATE_KEYS) if dataset else []
    trigger, faults = _trigger(task)
    problems += faults
    windows, faults = _windows(task)
    problems += faults
    demographics, faults = _given(task, dataset, "patient_demographics")
    problems += faults
    plain, faults = _given(task, dataset, "predicates")
    problems += faults
    parsed, faults = _parsed({**plain, **demographics}, _used(trigger, windows), frozenset(demographics))
    problems += faults
    unread = frozenset({*plain, *demographics} - set(parsed)), frozenset(_names(task)) - frozenset(windows)
    ordered = {name: parsed[name] for name in [*plain, *demographics] if name in parsed}
    read = AcesTask(
        predicates=ordered, trigger=trigger, windows=windows, description=_description(task.content)
    )
    problems += [
        Problem(fault.what, task.where(fault.place), fault.found, fault.allowed, _STEP)
        for fault in find_faults(read, unread_predicates=unread[0], unread_windows=unread[1])
    ]
    if problems:
        raise ConfigurationError(problems)
    return read


def _unknown_keys(marked: MarkedYaml, allowed: tuple[str, ...]) -> list[Problem]:
    return [
        Problem("unknown key", marked.where((key,)), str(key), ", ".join(allowed), _STEP)
        for key in marked.content
        if key not in allowed
    ]


def _trigger(task: MarkedYaml) -> tuple[str, list[Problem]]:
    given = task.content.get("trigger")
    if isinstance(given, str):
        return given, []
    where = task.where(("trigger",))
    return "", [Problem("the trigger is the name of one predicate", where, type(given).__name__, "", _STEP)]


def _windows(task: MarkedYaml) -> tuple[dict[str, Window], list[Problem]]:
    given = task.content.get("windows") or {}
    if not isinstance(given, dict):
        where = task.where(("windows",))
        return {}, [Problem("windows are a mapping of names", where, type(given).__name__, "", _STEP)]
    windows: dict[str, Window] = {}
    problems: list[Problem] = []
    for name, content in given.items():
        try:
            windows[str(name)] = Window.model_validate(content)
        except ValidationError as error:
            problems += _problems(error, task, ("windows", name))
    return windows, problems


def _names(task: MarkedYaml) -> list[str]:
    given = task.content.get("windows")
    return [str(name) for name in given] if isinstance(given, dict) else []


def _given(task: MarkedYaml, dataset: MarkedYaml | None, room: str) -> tuple[_Given, list[Problem]]:
    """The predicates of one room, the dataset's file having the last word."""
    given: dict[str, tuple[MarkedYaml, Place, object]] = {}
    problems = []
    for marked in (task, dataset) if dataset else (task,):
        content = marked.content.get(room) or {}
        if isinstance(content, dict):
            given |= {str(name): (marked, (room, name), value) for name, value in content.items()}
        else:
            where = marked.where((room,))
            problems.append(
                Problem(f"{room} is a mapping of names", where, type(content).__name__, "", _STEP)
            )
    return given, problems


def _used(trigger: str, windows: Mapping[str, Window]) -> list[str]:
    """The predicates that trigger and windows name, each once."""
    names = [trigger]
    for window in windows.values():
        bounds = [bound.predicate for bound in (window.start, window.end) if bound and bound.predicate]
        names += [*bounds, *window.has, *([window.label] if window.label else [])]
    return [name for name in dict.fromkeys(names) if name and name not in SPECIAL]


def _parsed(
    given: _Given, used: list[str], demographics: frozenset[str]
) -> tuple[dict[str, Predicate], list[Problem]]:
    """The used predicates and those that they are made of, and all demographics; the rest stays unread."""
    parsed: dict[str, Predicate] = {}
    problems: list[Problem] = []
    waiting, seen = [*used, *demographics], set()
    while waiting:
        name = waiting.pop(0)
        if name in seen or name not in given:
            continue
        seen.add(name)
        marked, place, content = given[name]
        try:
            fields = parse_predicate(content, static=name in demographics)
            parsed[name] = _MODELS[fields["kind"]].model_validate(fields)
        except ValidationError as error:
            problems += _problems(error, marked, place)
            continue
        except ValueError as error:
            problems.append(Problem(str(error), marked.where(place), _shown(content), "", _STEP))
            continue
        predicate = parsed[name]
        if isinstance(predicate, DerivedPredicate):
            waiting += predicate.inputs
    return parsed, problems


def _problems(error: ValidationError, marked: MarkedYaml, place: Place) -> list[Problem]:
    """What pydantic found, in our own words where they are."""
    found = marked_problems(error, marked, place)
    return [replace(problem, what=problem.what.removeprefix("value error, ")) for problem in found]


def _shown(content: object) -> str:
    return content if isinstance(content, str) else type(content).__name__


def _description(content: Mapping[str, Any]) -> str:
    """description, or metadata.description, as one line."""
    metadata = content.get("metadata")
    given = content.get("description") or (metadata.get("description") if isinstance(metadata, dict) else "")
    return " ".join(str(given or "").split())
