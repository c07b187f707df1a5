"""What cases are called and which findings belong to one: rule families, measures, and what models expect."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from ontology.systems import parts
from ontology.terminology import Ontology
from phenotype.coding.rates.measures import Measure
from phenotype.coding.rules.rules import Rule

MIN_OWN_CASE = 5
"""Expectations about one code group have a case of their own from this many findings in a unit; fewer are
gathered with those of the other groups."""
EXPECTED = "expected/"


@dataclass(frozen=True)
class Title:
    """A text in both languages."""

    en: str
    nb: str


@dataclass(frozen=True)
class CaseNames:
    """Which family a rule or measure belongs to, and what both are called.

    Attributes:
        family: rule id or measure -> family; one that is not there is its own.
        titles: rule id -> title.
        measure_titles: measure -> title; a measure may have the id of a rule.
        says: rule id -> what the rule says.
        sources: rule id -> where it is written.
        innocent: rule id -> the innocent explanations that it looks at.
        measure_innocent: measure -> the same.
        innocent_titles: name of an explanation -> what its rule calls it, in English.
        ontology: what codes are called; null = by themselves.
    """

    family: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, Title] = field(default_factory=dict)
    measure_titles: Mapping[str, Title] = field(default_factory=dict)
    says: Mapping[str, Title] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    innocent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    measure_innocent: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    innocent_titles: Mapping[str, str] = field(default_factory=dict)
    ontology: Ontology | None = None

    @classmethod
    def of(
        cls, rules: Iterable[Rule], measures: Iterable[Measure], ontology: Ontology | None = None
    ) -> CaseNames:
        """The names of rules and measures."""
        rules, measures = list(rules), list(measures)
        family = {rule.id: next(iter(rule.reference), rule.id) for rule in rules}
        documents = {document: family[rule.id] for rule in reversed(rules) for document in rule.reference}
        for one in measures:
            followed = [documents[case] for case in one.case.split(", ") if case in documents]
            family |= {one.id: followed[0]} if followed else {}
        return cls(
            family=family,
            titles={rule.id: Title(rule.title, rule.title_nb or rule.title) for rule in rules},
            measure_titles={one.id: Title(one.title, one.title_nb or one.title) for one in measures},
            says={rule.id: Title(rule.says, rule.says_nb) for rule in rules},
            sources={rule.id: tuple(rule.sources) for rule in rules},
            innocent={rule.id: tuple(one.name for one in rule.explanations) for rule in rules},
            measure_innocent={one.id: tuple(one.innocent) for one in measures},
            innocent_titles={one.name: one.title for rule in rules for one in rule.explanations},
            ontology=ontology,
        )

    def code_title(self, code: str) -> Title:
        """What a code is called in each language, as the lists have it; one of no list by itself."""
        bare = parts(code)[1] if "//" in code else code
        if self.ontology is None:
            return Title(bare, bare)
        en, nb = (
            (self.ontology.label(code, language) or bare).removesuffix(f" ({bare})")
            for language in ("en", "nb")
        )
        return Title(en, nb)

    def title(self, rule_id: str, fallback: str, *, of_rates: bool = False) -> Title:
        """What a rule or measure is called.

        Args:
            rule_id: of a finding; a measure made for one code is `measure/CODE`.
            fallback: what the finding calls itself.
            of_rates: whether it is a measure's.
        """
        titles = self.measure_titles if of_rates else self.titles
        base, _, key = rule_id.partition("/")
        known = titles.get(rule_id)
        if known is None and key and base in titles:
            known, about = titles[base], self.code_title(key)
            return Title(f"{known.en}: {about.en}", f"{known.nb}: {about.nb}")
        return known or Title(fallback or rule_id, fallback or rule_id)

    def looked_at(self, rule_id: str, *, of_rates: bool = False) -> tuple[str, ...]:
        """The innocent explanations that a rule or measure looks at."""
        told = self.measure_innocent if of_rates else self.innocent
        return told.get(rule_id, told.get(rule_id.partition("/")[0], ()))

    def expectation_title(self, family: str) -> Title | None:
        """What a family of expectations is called; null for another family."""
        kind, _, concept = family.partition("/")
        if kind not in _EXPECTATIONS:
            return None
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


def family_of(names: CaseNames, column: str = "rule_id") -> pl.Expr:
    """The family of a rule id or measure; one made for a code takes its template's, if that has one."""
    base = pl.col(column).str.extract("^([^/]*)")
    known = dict(names.family)
    return pl.coalesce(
        pl.col(column).replace_strict(known, default=None, return_dtype=pl.String),
        base.replace_strict(known, default=None, return_dtype=pl.String),
        column,
    )


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
        .otherwise(family_of(names)),
        first_year=years.list.min(),
        last_year=years.list.max(),
    )
