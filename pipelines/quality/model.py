"""The language of quality checks: a check and its rule, typed, read from configs/quality/*.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate
from ontology.errors import ConfigurationError, Problem
from pipelines.quality.conditions import fault_of
from pipelines.quality.rules import Condition, Rule

Category = Literal["conformance", "completeness", "plausibility"]
Context = Literal["verification", "validation"]
Level = Literal["table", "field", "concept"]
Severity = Literal["fatal", "convention", "characterization"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
CATEGORIES: tuple[str, ...] = get_args(Category)
Need = Literal[
    "contacts",
    "codings",
    "observation",
    "lineage",
    "ingest",
    "births",
    "deaths",
    "sex",
    "known_time",
    "unit",
    "contact_id",
    "lineage_id",
    "created_at",
    "calendar",
]
"""What a check may need of a dataset: a table beside the events, a kind of event, a column that MEDS lacks,
or an entry of its metadata; `calendar` is not met where dates were shifted or are counted from a nominal
one."""


class Settings(BaseModel):
    """The base of all configuration: frozen, and unknown keys are faults."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(Settings):
    """One question that is asked of a dataset.

    Attributes:
        id: its name, everywhere.
        title: what is counted, in a few words.
        why: what goes wrong where the check fails.
        category: Kahn's category: conformance to the format, completeness, plausibility.
        context: verification against what is known beforehand, or validation against an outside standard.
        level: whether it asks about a table, a field or a concept (a code).
        severity: fatal (do not go on), convention (mend it if you can) or characterization (know it).
        table: the table asked about.
        field: the column asked about; empty for a whole table.
        threshold: the largest share of wrong rows that passes; null = only shown, never failed.
        at_least: groups with fewer rows are not judged.
        needs: what the dataset must have; otherwise the check is not applicable.
        source: where the rule, the limits and the threshold come from.
        advice: what to do where it fails.
        rule: what is counted.

    **Source:** Kahn et al., eGEMs 2016;4(1):1244, doi 10.13063/2327-9214.1244 (categories and contexts);
    OHDSI DataQualityDashboard (levels, severities, thresholds as a share of rows).
    """

    id: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")
    title: str
    why: str
    category: Category
    context: Context = "verification"
    level: Level
    severity: Severity
    table: str
    field: str = ""
    threshold: float | None = Field(default=0.0, ge=0, le=1)
    at_least: int = Field(default=1, ge=1)
    needs: tuple[Need, ...] = ()
    source: str
    advice: str
    rule: Annotated[Rule, Field(discriminator="type")]


class CheckFile(Settings):
    """The checks of one theme."""

    name: str
    title: str
    version: str
    checks: tuple[Check, ...]


def shipped_files() -> tuple[str, ...]:
    """The names of the files in configs/quality, sorted."""
    folder = Path(str(resources.files("configs"))) / "quality"
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def load_checks(names: Sequence[str] | None = None) -> tuple[Check, ...]:
    """The checks of some files, or of all that come with Pesta, in the order of files and of each file.

    Args:
        names: names of files in configs/quality, paths of other files, or ids of single shipped checks; None
            = everything shipped.

    Raises:
        ConfigurationError: every fault of every file: unknown keys, conditions that cannot be read, ids that
            stand twice, names that are neither a file nor a check.
    """
    if names is None:
        return _without_repeats([check for name in shipped_files() for check in _shipped(name).checks])
    shipped = {check.id: check for name in shipped_files() for check in _shipped(name).checks}
    found: list[Check] = []
    for name in names:
        found += [shipped[name]] if name in shipped else _read(_file_of(name)).checks
    return _without_repeats(found)


def _file_of(name: str) -> Path:
    """The file of a name or path.

    Raises:
        ConfigurationError: there is none, and no check of that id.
    """
    try:
        return find_config("quality", name)
    except ConfigurationError as error:
        (problem,) = error.problems
        allowed = f"{problem.allowed}; or a check's id (docs/quality.md)"
        raise ConfigurationError(replace(problem, allowed=allowed)) from None


@lru_cache(maxsize=64)
def _shipped(name: str) -> CheckFile:
    """A file of configs/quality, read once."""
    return _read(find_config("quality", name))


def _read(path: Path) -> CheckFile:
    file = validate(CheckFile, read_yaml(path), where=path.name)
    problems = [problem for check in file.checks for problem in _condition_problems(check, path.name)]
    if problems:
        raise ConfigurationError(problems)
    return file


def _condition_problems(check: Check, where: str) -> list[Problem]:
    """What is wrong with the conditions of a check."""
    if not isinstance(check.rule, Condition):
        return []
    texts = {"among": check.rule.among, "wrong": check.rule.wrong}
    faults = {key: fault_of(text, check.rule.table) for key, text in texts.items() if text}
    return [
        Problem(
            "a condition that cannot be read",
            f"{where}: {check.id}: rule.{key}",
            fault,
            f"an SQL condition over the columns of {check.rule.table}",
            "mend the condition; docs/quality.md lists the columns",
        )
        for key, fault in faults.items()
        if fault
    ]


def _without_repeats(checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks, none twice.

    Raises:
        ConfigurationError: two different checks have one id.
    """
    by_id: dict[str, Check] = {}
    problems = [
        Problem("two checks with one id", found=check.id, next_step="give one of them another id")
        for check in checks
        if by_id.setdefault(check.id, check) != check
    ]
    if problems:
        raise ConfigurationError(problems)
    return tuple(by_id.values())
