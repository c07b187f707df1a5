"""Which codes of a dataset are in value sets, and in which years, by an ontology and by each other."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.systems import by_system
from ontology.valuesets.code_ranges import CodeRanges, range_ends
from ontology.valuesets.text import Rule
from ontology.valuesets.year_spans import ALWAYS, FIRST, LAST, Spans, both, either, without, years

if TYPE_CHECKING:
    from ontology.release import Ontology
    from ontology.valuesets.sets import ValueSet

RESOLVED = pl.Schema(
    {
        "code": pl.String(),
        "from_time": pl.Datetime("us"),
        "to_time": pl.Datetime("us"),
        "unit": pl.String(),
    }
)
"""from_time is the first instant, to_time the first one no more; null is no bound. A code may have rows for
several spans. unit is the UCUM unit of values that come without one, null where the set does not know it."""


def in_set(resolved: pl.DataFrame, *, code: str = "code", time: str = "time") -> pl.Expr:
    """Whether an event is in a resolved set; False for a null code, or a null time where the set has years.

    Args:
        resolved: columns of RESOLVED.
        code: column of event codes.
        time: column of instants; needed only where the set has years.
    """
    is_in = pl.col(code).is_in([])
    for (begin, end), codes in resolved.group_by("from_time", "to_time", maintain_order=True):
        now = pl.col(code).is_in(codes["code"].to_list())
        now = now & (pl.col(time) >= begin) if begin is not None else now
        is_in = is_in | (now & (pl.col(time) < end) if end is not None else now)
    return is_in.fill_null(value=False)


class Resolver:
    """Answers which of a dataset's codes are in a set; the ontology is asked once for each concept."""

    def __init__(self, codes: Iterable[str | None], ontology: Ontology | None = None) -> None:
        """The dataset's codes in any order; the ontology by which `under` is judged (None: that in use)."""
        self._codes = sorted({code for code in codes if code})
        self._code_set = frozenset(self._codes)
        self._given = ontology
        self._known: dict[tuple[Path, str], dict[str, Spans]] = {}
        self._below: dict[str, frozenset[str]] = {}
        self._units: dict[tuple[Path, str], dict[str, str]] = {}

    def resolve(self, valueset: ValueSet) -> pl.DataFrame:
        """The codes that are in the set.

        Returns:
            Columns of RESOLVED, sorted by code and from_time.

        Raises:
            ConfigurationError: `under` names concepts that the ontology does not know: all of them, with file
                and line.
        """
        problems: list[Problem] = []
        spans = self._members(valueset, problems)
        if problems:
            raise ConfigurationError(problems)
        units = self._units[_key(valueset)]
        rows = [
            (code, _instant(begin, FIRST), _instant(end, LAST), units.get(code))
            for code in sorted(spans)
            for begin, end in spans[code]
        ]
        return pl.DataFrame(rows, schema=RESOLVED, orient="row")

    def _members(self, valueset: ValueSet, problems: list[Problem]) -> dict[str, Spans]:
        key = _key(valueset)
        if key in self._known:
            return self._known[key]
        n_before = len(problems)
        self._units[key] = {}
        inside = self._side(valueset, "include", problems)
        outside = self._side(valueset, "exclude", problems)
        left = {code: without(spans, outside.get(code, ())) for code, spans in inside.items()}
        found = {code: spans for code, spans in left.items() if spans}
        if len(problems) == n_before:
            self._known[key] = found
        return found

    def _side(self, valueset: ValueSet, side: str, problems: list[Problem]) -> dict[str, Spans]:
        found: dict[str, Spans] = {}
        for number, rule in enumerate(getattr(valueset.rules, side)):
            span = years(rule.from_year, rule.to_year)
            where = valueset.marked.where((*valueset.place, side, number))
            for code, spans in self._rule(valueset, rule, where, problems).items():
                found[code] = either(found.get(code, ()), both(spans, span))
                if rule.unit:
                    self._units[_key(valueset)].setdefault(code, rule.unit)
        return found

    def _rule(self, valueset: ValueSet, rule: Rule, where: str, problems: list[Problem]) -> dict[str, Spans]:
        """The codes that a rule means, whatever its own years."""
        if rule.value_set:
            parts = [self._members(valueset.references[name], problems) for name in rule.value_set]
            named = {code for part in parts for code in part}
            for name in rule.value_set:
                units = self._units[_key(valueset.references[name])]
                self._units[_key(valueset)] = units | self._units[_key(valueset)]
            return {code: either(*(part.get(code, ()) for part in parts)) for code in named}
        if rule.pattern:
            anyone = f"^(?:{'|'.join(f'(?:{pattern})' for pattern in rule.pattern)})$"
            names = (pl.Series(codes, dtype=pl.String) for codes in (self._codes, self._by_system))
            as_sent, as_named = (series.str.contains(anyone) for series in names)
            return dict.fromkeys(pl.Series(self._codes, dtype=pl.String).filter(as_sent | as_named), ALWAYS)
        if rule.codes:
            asked = set(rule.codes)
            pairs = zip(self._codes, self._by_system, strict=True)
            return dict.fromkeys(
                (sent for sent, named in pairs if not asked.isdisjoint((sent, named))), ALWAYS
            )
        found: set[str] = set()
        for concept in rule.under:
            try:
                found |= self._under(concept)
            except KeyError:
                problems.append(
                    Problem(
                        "no such concept in the ontology",
                        where=where,
                        found=concept,
                        allowed="SYSTEM//code of a listed code, block or chapter, or a range of them",
                        next_step="check the code; use `pattern` for codes that are in no list",
                    )
                )
        return dict.fromkeys(found, ALWAYS)

    def _under(self, concept: str) -> frozenset[str]:
        """The dataset's codes at or below a concept or a range of concepts.

        Raises:
            KeyError: the ontology lists the codes of the concept's system, but not this one.
        """
        if concept not in self._below:
            tops = self._tops(concept)
            if tops:
                found = self._ontology.descendants_of(tops) & self._code_set
            else:
                first, last = range_ends(concept) or (concept, concept)
                exactly = {
                    s for s, named in zip(self._codes, self._by_system, strict=True) if named == concept
                }
                found = {concept, *exactly, *self._codes_by_form.between(first, last)} & self._code_set
            self._below[concept] = frozenset(found)
        return self._below[concept]

    def _tops(self, concept: str) -> list[str]:
        """The listed concepts that stand for one concept or a range; none where only the form can tell."""
        there = self._base.graph.index
        if concept in there:
            return [concept]
        ends = range_ends(concept)
        if concept.split("//", 1)[0] not in self._listed.systems:
            return []
        if ends is None or not all(end in there for end in ends):
            raise KeyError(concept)
        return self._listed.between(*ends)

    @cached_property
    def _by_system(self) -> list[str]:
        """The dataset's codes, in their order, under their systems' own names."""
        return [by_system(code) for code in self._codes]

    @cached_property
    def _codes_by_form(self) -> CodeRanges:
        return CodeRanges(self._codes)

    @cached_property
    def _ontology(self) -> Ontology:
        return self._base.with_codes(self._codes)

    @cached_property
    def _base(self) -> Ontology:
        from ontology.release import active_ontology

        return self._given or active_ontology()

    @property
    def _listed(self) -> CodeRanges:
        return _listed_codes(self._base)


@lru_cache(maxsize=4)
def _listed_codes(ontology: Ontology) -> CodeRanges:
    """The codes of the systems that an ontology lists, without chapters and blocks."""
    is_code = ~pl.col("flags").list.contains("abstract") & ~pl.col("flags").list.contains("not_listed")
    return CodeRanges(ontology.system.concepts.filter(is_code)["concept"].unique())


def _key(valueset: ValueSet) -> tuple[Path, str]:
    return valueset.marked.file, valueset.name


def _instant(year: int, unbounded: int) -> datetime | None:
    return None if year == unbounded else datetime(year, 1, 1)
