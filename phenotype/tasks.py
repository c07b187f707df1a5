"""What is asked of a model: when it predicts, for whom, what and how far ahead; a typed task, from YAML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ontology.configuration import find_config, read_yaml, validation_problems
from ontology.errors import ConfigurationError, Problem
from phenotype.aces.file import is_aces, read_aces
from phenotype.aces.text import AcesTask
from phenotype.aces.tree import horizon_hours
from phenotype.task_parts import (
    LONGEST_HOURS,
    AcesLabel,
    AcesTriggers,
    Frozen,
    Hours,
    Index,
    Name,
    Outcome,
    Population,
    Share,
    Text,
)


class Task(Frozen):
    """One question to a model.

    Attributes:
        name: as in file names and columns.
        title: a heading.
        question: the question in plain words.
        index: when the prediction is made.
        population: who is asked about.
        outcome: what is predicted.
        horizon_hours: how far ahead; null where the stay's end is the horizon.
        blanking_hours: rows whose outcome comes this soon after the prediction are left out.
        competing: what makes the outcome impossible; it ends the follow-up, is named in the outcomes, and is
            a negative in the binary labels.
        needs_observation: whether the prediction must lie in an observation window, whose end censors; False
            where the stay itself is all that the question is about.
        min_events: fewer positives than this are warned about.
        alert_rates: shares of predictions that may raise an alert, for workload and lead time.
        source: where the question, or its answers, come from; null where the outcome's definition says it.
    """

    name: Name
    title: Text
    question: Text
    index: Index
    population: Population = Population()
    outcome: Outcome
    horizon_hours: Hours | None = None
    blanking_hours: Annotated[float, Field(ge=0, le=LONGEST_HOURS)] = 0
    competing: tuple[Literal["death"], ...] = ()
    needs_observation: bool = True
    min_events: Annotated[int, Field(ge=1)] = 100
    alert_rates: tuple[Share, ...] = (0.01, 0.02, 0.05, 0.1)
    source: Text | None = None

    @property
    def event(self) -> str:
        """What a positive row's event is called in outcomes."""
        return self.outcome.event

    @property
    def ends_with_stay(self) -> bool:
        """Whether the stay's end is the horizon: an outcome after it does not count."""
        return self.outcome.kind in _UNTIL_STAY_ENDS

    @property
    def needs_calendar(self) -> bool:
        """Whether the task means something only where dates are true dates."""
        return self.index.kind == "new_year"


_OUTCOMES_OF_INDEX: Mapping[str, tuple[str, ...]] = {
    "admission": ("death_in_stay", "death", "prolonged_stay", "infection_in_stay"),
    "after_start": ("death_in_stay", "death", "prolonged_stay", "infection_in_stay", "labelled_onset"),
    "hourly": ("labelled_onset",),
    "discharge": ("death", "readmission", "infection_admission"),
    "after_discharge": ("death", "infection_admission"),
    "new_year": ("death", "infection_admission"),
    "aces": ("aces_label",),
}
_UNTIL_STAY_ENDS = ("death_in_stay", "prolonged_stay", "infection_in_stay")
_WITH_OWN_END = (*_UNTIL_STAY_ENDS, "aces_label")


def task_names() -> list[str]:
    """The names of the tasks that come with Pesta, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in (files("configs") / "tasks").iterdir()
        if entry.name.endswith(".yaml")
    )


def load_task(name_or_path: str | Path) -> Task:
    """A task by the name of one that comes with Pesta, or by the path of a YAML file, also one for ACES.

    Raises:
        ConfigurationError: no such task, not YAML, or a fault in it; every fault is listed.
    """
    file = find_config("tasks", name_or_path)
    content = read_yaml(file)
    return load_aces_task(file) if is_aces(content) else parse_task(content, file.name)


def load_aces_task(
    file: Path, predicates: Path | None = None, *, name: str | None = None, title: str | None = None
) -> Task:
    """A task that is written for ACES.

    Args:
        file: the task's file.
        predicates: a dataset's predicates file that completes it.
        name: what it is called here; by default the file's name without its ending.
        title: its heading; by default its name in words.

    Raises:
        ConfigurationError: every fault of both files, or a task that asks nothing: no label, or no
            index_timestamp.
    """
    task = read_aces(file, predicates)
    label = _what_is_asked(task, file)
    plain = name or re.sub(r"[^a-z0-9]+", "_", file.stem.lower()).strip("_")
    plain = plain if plain[:1].isalpha() else f"task_{plain}"
    return Task(
        name=plain,
        title=title or plain.replace("_", " ").capitalize(),
        question=task.description or f"Will the label {label} stand in its window?",
        index=AcesTriggers(task=task),
        outcome=AcesLabel(event=label),
        horizon_hours=horizon_hours(task),
        needs_observation=False,
    )


def _what_is_asked(task: AcesTask, file: Path) -> str:
    """The label of a task that has both a label and a time of prediction."""
    if task.label and task.index_window:
        return task.label
    missing = [key for key, has in (("label", task.label), ("index_timestamp", task.index_window)) if not has]
    raise ConfigurationError(
        Problem(
            "this task can give rows but asks no model anything",
            where=f"{file.name}: windows",
            found=f"no window has {' or '.join(missing)}",
            allowed="one window with a label, one with an index_timestamp",
            next_step="add them to the task's windows",
        )
    )


def parse_task(given: Mapping[str, Any], where: str = "task") -> Task:
    """A task from a mapping such as YAML or JSON gives.

    Args:
        given: the fields of Task as plain values.
        where: what faults are said to lie in.

    Raises:
        ConfigurationError: every fault of the mapping at once.
    """
    problems = _contradictions(given, where)
    try:
        task = Task.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError([*validation_problems(error, where=where), *problems]) from None
    if problems:
        raise ConfigurationError(problems)
    return task


def _contradictions(given: Mapping[str, Any], where: str) -> list[Problem]:
    """Fields that are well formed one by one and do not fit each other."""
    problems: list[Problem] = []

    def fault(what: str, field: str, found: object, allowed: str) -> None:
        """Keep one fault of the task."""
        step = "compare with docs/tasks.md"
        problems.append(Problem(what, f"{where}: {field}", str(found), allowed, step))

    index, outcome = _kind(given.get("index")), _kind(given.get("outcome"))
    fitting = _OUTCOMES_OF_INDEX.get(index or "")
    known = {kind for kinds in _OUTCOMES_OF_INDEX.values() for kind in kinds}
    if fitting and outcome in known and outcome not in fitting:
        fault(f"this outcome cannot be asked at index {index}", "outcome.kind", outcome, ", ".join(fitting))
    horizon = given.get("horizon_hours")
    if outcome in _UNTIL_STAY_ENDS and horizon is not None:
        fault("the stay's end is the horizon", "horizon_hours", horizon, "leave the field out")
    if outcome in known and outcome not in _WITH_OWN_END and horizon is None:
        fault("a horizon is missing", "horizon_hours", "nothing", "hours, e.g. 720 for 30 days")
    if outcome in {"death", "death_in_stay"} and given.get("competing"):
        fault("death does not compete with itself", "competing", given["competing"], "leave the field out")
    if outcome == "prolonged_stay":
        thresholds = [key for key in ("percentile", "days") if given["outcome"].get(key) is not None]
        if len(thresholds) != 1:
            fault("one threshold is needed", "outcome", thresholds or "none", "either percentile or days")
    if given.get("needs_observation") is False and outcome in {"death", "readmission", "infection_admission"}:
        fault("follow-up after the stay needs observation", "needs_observation", "false", "true")
    overnight = given.get("population")
    if (
        isinstance(overnight, dict)
        and overnight.get("is_overnight")
        and index in {"admission", "after_start"}
    ):
        fault("whether a stay is overnight is not known then", "population.is_overnight", "true", "false")
    return problems


def _kind(given: object) -> str | None:
    kind = given.get("kind") if isinstance(given, dict) else None
    return kind if isinstance(kind, str) else None
