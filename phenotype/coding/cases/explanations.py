"""Innocent explanations of a deviation: which were looked at, and for how many findings each holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict

from ontology.configuration import read_yaml, validate
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import RATE_KINDS


class BothLanguages(BaseModel):
    """A text in English and in Norwegian (bokmål)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: str
    nb: str


class InnocentExplanation(BaseModel):
    """One reason why a deviation may be nobody's error.

    Attributes:
        title: the reason.
        looked_at: what is looked at to see whether it holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: BothLanguages
    looked_at: BothLanguages


class InnocentExplanations(BaseModel):
    """The explanations by name.

    Attributes:
        explanations: name -> explanation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    explanations: Mapping[str, InnocentExplanation]

    @classmethod
    def load(cls, path: Path) -> InnocentExplanations:
        """The explanations that a YAML file names.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return validate(cls, read_yaml(path), where=str(path))

    def get(self, name: str, title: str = "") -> InnocentExplanation:
        """An explanation; one that the file does not name is called by its title, or by its name."""
        if name in self.explanations:
            return self.explanations[name]
        words = title or name.replace("_", " ").capitalize()
        return InnocentExplanation(
            title=BothLanguages(en=words, nb=words), looked_at=BothLanguages(en="", nb="")
        )


@dataclass(frozen=True)
class LookedAt:
    """One explanation as it stands in a case.

    Attributes:
        name: of the explanation.
        n_looked: findings for which it was looked at.
        n_held: those for which it holds.
    """

    name: str
    n_looked: int
    n_held: int

    @property
    def verdict(self) -> str:
        """One of holds (for every finding), holds_in_part and does_not_hold."""
        if self.n_held == 0:
            return "does_not_hold"
        return "holds" if self.n_held == self.n_looked else "holds_in_part"


def looked_at(findings: pl.DataFrame, names: CaseNames) -> dict[str, tuple[LookedAt, ...]]:
    """The explanations that were looked at in each case, those that hold most often first.

    Args:
        findings: case_id, finding_id, rule_id, kind and innocent_explanations (those that hold).
        names: which explanations each rule or measure looks at. One that holds was looked at even where its
            rule does not name it.

    Returns:
        case_id -> its explanations; cases without any are left out.
    """
    by = ["case_id", "rule_id", "kind"]
    looked: dict[str, Counter[str]] = {}
    held: dict[str, Counter[str]] = {}
    named: dict[tuple[str, str], frozenset[str]] = {}
    for case_id, rule_id, kind, n in findings.group_by(by).len().iter_rows():
        named[rule_id, kind] = frozenset(names.looked_at(rule_id, of_rates=kind in RATE_KINDS))
        looked.setdefault(case_id, Counter()).update(dict.fromkeys(named[rule_id, kind], n))
    holding = (
        findings.select("finding_id", *by, name="innocent_explanations")
        .explode("name", empty_as_null=False)
        .drop_nulls("name")
        .unique()
        .group_by(*by, "name")
        .len()
    )
    for case_id, rule_id, kind, name, n in holding.iter_rows():
        held.setdefault(case_id, Counter())[name] += n
        if name not in named[rule_id, kind]:
            looked[case_id][name] += n
    return {
        case_id: tuple(
            sorted(
                (LookedAt(name, n, held.get(case_id, Counter())[name]) for name, n in counts.items()),
                key=lambda one: (-one.n_held / one.n_looked, one.name),
            )
        )
        for case_id, counts in looked.items()
        if counts
    }
