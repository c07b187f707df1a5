"""What cases are called and which findings belong to one: rule families, measures, and what models expect."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from ontology.terminology import Ontology

MIN_OWN_CASE = 5
"""Expectations about one code group have a case of their own from this many findings in a unit; fewer are
gathered with those of the other groups."""
EXPECTED = "expected/"


class Prior(Protocol):
    """What was believed of a rule's findings before anybody opened a stay: Beta(right, wrong)."""

    @property
    def right(self) -> float:
        """Pseudo-count of findings that were right."""

    @property
    def wrong(self) -> float:
        """Pseudo-count of findings that were wrong."""


class NamedRule(Protocol):
    """What cases and letters read of a rule."""

    @property
    def id(self) -> str:
        """Its id, the rule_id of its findings."""

    @property
    def title(self) -> str:
        """One line in English."""

    @property
    def title_nb(self) -> str:
        """One line in Norwegian (bokmål)."""

    @property
    def family(self) -> str:
        """Rules of one family make one case in a unit."""

    @property
    def source(self) -> str:
        """Where the rule is published."""

    @property
    def innocent(self) -> tuple[str, ...]:
        """Names of the innocent explanations that it looks at."""


class NamedMeasure(Protocol):
    """What cases and letters read of a measure."""

    @property
    def id(self) -> str:
        """Its id, the rule_id of its findings."""

    @property
    def title(self) -> str:
        """One line in English."""

    @property
    def title_nb(self) -> str:
        """One line in Norwegian (bokmål)."""

    @property
    def family(self) -> str | None:
        """The rule family whose cases it joins; null = its own."""

    @property
    def innocent(self) -> tuple[str, ...]:
        """Names of the innocent explanations that it looks at."""


@dataclass(frozen=True)
class Title:
    """A name in both languages."""

    en: str
    nb: str


@dataclass(frozen=True)
class CaseNames:
    """Which family a rule or measure belongs to, and what both are called.

    Attributes:
        family: rule id or measure -> family; one that is not there is its own.
        titles: rule id, measure or family -> title.
        sources: rule id -> where it is published.
        innocent: rule id or measure -> the innocent explanations that it looks at.
        ontology: what codes are called; null = by themselves.
    """

    family: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, Title] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    innocent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ontology: Ontology | None = None

    @classmethod
    def of(
        cls, rules: Iterable[NamedRule], measures: Iterable[NamedMeasure], ontology: Ontology | None = None
    ) -> CaseNames:
        """The names of rules and measures; a family is called what its first rule is."""
        rules, measures = list(rules), list(measures)
        family = {rule.id: rule.family or rule.id for rule in rules}
        family |= {measure.id: measure.family or measure.id for measure in measures}
        titles: dict[str, Title] = {}
        for one in (*rules, *measures):
            title = Title(one.title, one.title_nb or one.title)
            titles[one.id] = title
            titles.setdefault(family[one.id], title)
        return cls(
            family,
            titles,
            {rule.id: rule.source for rule in rules},
            {one.id: tuple(one.innocent) for one in (*rules, *measures)},
            ontology,
        )

    def code_title(self, code: str) -> Title:
        """What a code is called in each language, as the lists have it."""
        if self.ontology is None:
            return Title(code, code)
        return Title(
            self.ontology.label(code, "en") or code,
            self.ontology.label(code, "nb") or code,
        )

    def family_title(self, family: str) -> Title:
        """What a family is called."""
        kind, _, concept = family.partition("/")
        if family in self.titles or kind not in _EXPECTATIONS:
            return self.titles.get(family, Title(family, family))
        words = _EXPECTATIONS[kind]
        about = self.code_title(concept) if concept else _VARIOUS
        return Title(f"{words.en}: {about.en}", f"{words.nb}: {about.nb}")


_EXPECTATIONS: Mapping[str, Title] = {
    "missing": Title("Not coded though probable", "Ikke kodet, men sannsynlig"),
    "unsupported": Title("Coded with little support", "Kodet, men lite støttet av øvrige data"),
    "main_condition": Title("Another main condition is likely", "Annen hovedtilstand er sannsynlig"),
    "unspecific": Title("A more specific code is likely", "Mer spesifikk kode er sannsynlig"),
}
_VARIOUS = Title("several code groups", "flere kodegrupper")


def with_families(findings: pl.DataFrame, names: CaseNames, min_own: int = MIN_OWN_CASE) -> pl.DataFrame:
    """The findings with `family`, first_year and last_year.

    Args:
        findings: columns of FINDINGS.
        names: families of rules and measures.
        min_own: from how many findings of a unit on a code group makes a case of its own.

    Returns:
        The same rows and order; years are null where the period names none.
    """
    is_expected = pl.col("rule_id").str.starts_with(EXPECTED)
    concept = pl.col("rule_id").str.strip_prefix(EXPECTED)
    has_own = pl.len().over("unit_id", "kind", "rule_id") >= min_own
    years = pl.col("period").str.extract_all(r"(?:19|20)\d\d").list.eval(pl.element().cast(pl.Int32))
    return findings.with_columns(
        family=pl.when(is_expected & has_own)
        .then(pl.concat_str("kind", pl.lit("/"), concept))
        .when(is_expected)
        .then("kind")
        .otherwise(pl.col("rule_id").replace(dict(names.family))),
        first_year=years.list.min(),
        last_year=years.list.max(),
    )


def is_file_name(text: str) -> bool:
    """Whether a text can stand in a file name as it is."""
    return bool(re.fullmatch(r"[\w.-]{1,60}", text))
