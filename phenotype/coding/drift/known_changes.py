"""Known causes of changed practice: births and deaths of codes, rules, system defaults, epidemics."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ontology.configuration import find_config, read_yaml, validate
from ontology.list_changes import difference
from ontology.terminology import Ontology
from phenotype.coding.rules.conditions import codes_of
from phenotype.coding.rules.rules import Rule

Kind = Literal["code_birth", "code_death", "rule", "system_default", "text", "epidemic", "funding", "record"]


class KnownChange(BaseModel):
    """Something that changes what is coded without a change of practice.

    Attributes:
        id: its name.
        date: the first day on which it holds.
        kind: what sort of cause it is.
        title: what changed, in English.
        title_nb: in Norwegian.
        codes: beginnings of the codes that it concerns; none: every code.
        units: where it holds, `HOSPITAL/UNIT` or `HOSPITAL`; none: everywhere.
        explains: whether it may explain a change, or is only shown.
        source: who says so.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    date: dt.date
    kind: Kind
    title: str
    title_nb: str = ""
    codes: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    explains: bool = True
    source: str = ""

    def concerns(self, codes: Sequence[str]) -> bool:
        """Whether it concerns a measure of these codes (beginnings); one of no code is concerned by all."""
        if not self.codes or not codes:
            return True
        return any(one.startswith(own) or own.startswith(one) for one in self.codes for own in codes)

    def holds_at(self, unit: str) -> bool:
        """Whether it holds at a unit."""
        return not self.units or unit in self.units or unit.rsplit("/", 1)[0] in self.units


class KnownChanges(BaseModel):
    """All known causes, each id once.

    Attributes:
        changes: sorted by date and id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    changes: tuple[KnownChange, ...]

    @model_validator(mode="after")
    def _once(self) -> Self:
        names = [change.id for change in self.changes]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"a known change that stands twice: {', '.join(twice)}")
        return self

    @classmethod
    def load(cls, *files: str | Path) -> KnownChanges:
        """The shipped causes and those of the files.

        Raises:
            ConfigurationError: every fault of a file.
        """
        found = cls(changes=())
        for file in (find_config("coding", "known_changes"), *map(Path, files)):
            found = found.with_changes(validate(cls, read_yaml(file), where=str(file)).changes)
        return found

    def with_changes(self, changes: Iterable[KnownChange]) -> KnownChanges:
        """These and others; one whose id is known already takes its place."""
        by_id = {change.id: change for change in (*self.changes, *changes)}
        return KnownChanges(changes=tuple(sorted(by_id.values(), key=lambda one: (one.date, one.id))))

    def with_lists(self, ontology: Ontology, systems: Sequence[str] = ("ICD10-NO",)) -> KnownChanges:
        """And the births and deaths of codes between the years that the ontology's lists cover."""
        return self.with_changes(
            change for system in systems for change in _births_and_deaths(ontology, system)
        )

    def with_rules(self, rules: Iterable[Rule]) -> KnownChanges:
        """And the starts and ends of coding rules that name codes; they concern the measures of those."""
        return self.with_changes(change for rule in rules for change in _of_rule(rule))

    def concerning(self, codes: Sequence[str]) -> tuple[KnownChange, ...]:
        """Those that concern a measure of these codes."""
        return tuple(change for change in self.changes if change.concerns(codes))


def _births_and_deaths(ontology: Ontology, system: str) -> Iterable[KnownChange]:
    spans = ontology.system.coverage.filter(system=system)
    years = sorted(
        {
            year
            for _, first, last in spans.iter_rows()
            if first and last
            for year in range(first.year, last.year + 1)
            if first <= dt.date(year, 1, 1) <= last
        }
    )
    for before, after in pairwise(years):
        if after != before + 1:
            continue
        rows = difference(ontology, system, before, after)
        for change, kind in (("new", "code_birth"), ("gone", "code_death")):
            codes = tuple(rows.filter(change=change)["concept"].unique().sort())
            if codes:
                yield KnownChange.model_validate(
                    {
                        "id": f"list_{system.lower()}_{kind}_{after}",
                        "date": dt.date(after, 1, 1),
                        "kind": kind,
                        "title": f"{len(codes)} codes of {system} are {change} in {after}",
                        "codes": codes,
                        "source": f"lists of {before} and {after}",
                    }
                )


def _of_rule(rule: Rule) -> Iterable[KnownChange]:
    parts = [part for part in (rule.scope, rule.condition) if part is not None]
    named = {code.rstrip("*") for part in parts for one in codes_of(part) for code in one.codes}
    codes = tuple(sorted(named | {code.replace("ICD10//", "ICD10-NO//", 1) for code in named}))
    if not codes:
        return
    told = ((rule.valid_from, "starts"), (rule.valid_to and rule.valid_to + dt.timedelta(days=1), "ends"))
    for day, what in told:
        if day:
            yield KnownChange(
                id=f"rule_{rule.id}_{what}",
                date=day,
                kind="rule",
                title=f"rule {what}: {rule.title}",
                title_nb=rule.title_nb,
                codes=codes,
                source="; ".join(rule.sources),
            )
