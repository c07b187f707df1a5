"""Coding rules judged over a record: what breaks them, and of how many contacts that could be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import polars as pl

from ontology.release import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import RULE_COVERAGE, Found
from phenotype.coding.rules.conditions import Condition
from phenotype.coding.rules.judging_conditions import Conditions, Hits
from phenotype.coding.rules.judging_findings import findings_of, told_by_lists
from phenotype.coding.rules.judging_marks import MarksOfRules
from phenotype.coding.rules.judging_needs import REASONS, lacking
from phenotype.coding.rules.judging_record import NONE, Bools, Ints, JudgedRecord, numbered
from phenotype.coding.rules.judging_unknowns import unknowns
from phenotype.coding.rules.rules import Explanation, Rule
from phenotype.trajectory import Dataset

LOOKED_AT = pl.Schema(
    {"rule_id": pl.String(), "explanation": pl.String(), "looked_at": pl.Int64(), "held": pl.Int64()}
)


@dataclass(frozen=True)
class Judgement:
    """What rules say about a record.

    Attributes:
        found: the findings.
        coverage: columns of RULE_COVERAGE, sorted; for each rule, unit and year, judged and not_judgeable add
            up to the contacts that the rule is about.
        looked_at: rule_id, explanation, looked_at, held: at how many matches each innocent explanation was
            looked for, and how many it holds of; those that clear a contact leave no finding.
    """

    found: Found
    coverage: pl.DataFrame
    looked_at: pl.DataFrame


@dataclass(frozen=True)
class Verdict:
    """One rule over the contacts, (n,) each.

    Attributes:
        rule: which.
        is_judged: contacts that the rule is about and that could be judged.
        reasons: why others could not, and which.
        hits: what the condition found.
        is_broken: contacts that break the rule.
        held: explanations that hold, by name; of matches only.
    """

    rule: Rule
    is_judged: Bools
    reasons: dict[str, Bools]
    hits: Hits
    is_broken: Bools
    held: dict[str, Bools]
    n_matches: int


def judge_rules(
    rules: Sequence[Rule], dataset: Dataset | None, record: CodedRecord, ontology: Ontology
) -> Judgement:
    """Judge rules over a coded record.

    Args:
        rules: as `load_rules` gives them.
        dataset: whose record it is; only rules with `marks` look into it. None where there are no such rules.
        record: contacts, codes and facts.
        ontology: the lists by which codes are valid, and by which value sets are resolved.

    Returns:
        Findings of kind `rule` and the coverage of each rule; the same for any order of rows.

    Raises:
        ConfigurationError: value sets that name concepts which the ontology does not have.
    """
    judged = JudgedRecord(record, ontology)
    judging = Judging(judged, MarksOfRules(rules, dataset, judged))
    parts, coverage, looked_at = [], [pl.DataFrame(schema=RULE_COVERAGE)], [pl.DataFrame(schema=LOOKED_AT)]
    for rule in rules:
        verdict = judging.verdict(rule)
        coverage.append(judging.coverage(verdict))
        looked_at.append(_looked_at(verdict))
        if verdict.is_broken.any():
            parts.append(findings_of(verdict, judged, judging.listed(verdict)))
    order = ["rule_id", "unit_id", "period", "reason"]
    return Judgement(
        Found.together(parts),
        pl.concat(coverage).sort(order, nulls_last=False),
        pl.concat(looked_at).sort("rule_id", "explanation"),
    )


@dataclass(eq=False)
class Judging:
    """Rules over one record; keeps what several rules need."""

    record: JudgedRecord
    marks: MarksOfRules
    outside: dict[tuple[str, ...], pl.DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Number the pairs of unit and year once."""
        places = self.record.contacts.select(
            unit_id="unit", period=pl.col("year").cast(pl.String).fill_null("?")
        )
        self.place = numbered(*(_codes(places[name]) for name in places.columns))
        self.places = places.with_columns(place=pl.Series(self.place)).unique("place").sort("place")

    def verdict(self, rule: Rule) -> Verdict:
        """What one rule says of every contact."""
        record = self.record
        visible, asked = self._dated(rule)
        conditions = Conditions(record, visible, self.marks.of, self.outside, self.marks.lacking)
        reasons = dict[str, Bools]()
        if rule.scope:
            scope = conditions.hits(rule.scope, asked).contacts
            _add(reasons, self._untold(conditions, rule.scope, asked & ~scope))
            asked = scope
        is_judged = asked
        for reason, contacts in self._lacking(rule):
            _add(reasons, [(reason, is_judged & contacts)])
            is_judged = is_judged & ~contacts
        nothing = np.zeros(record.n, np.bool_)
        if not is_judged.any():
            return Verdict(rule, is_judged, reasons, Hits(nothing), nothing, {}, 0)
        hits = conditions.hits(rule.condition, is_judged)
        matched = hits.contacts & is_judged
        untold = self._untold(conditions, rule.condition, is_judged & ~matched)
        _add(reasons, untold)
        is_judged = is_judged & ~np.logical_or.reduce([nothing, *(contacts for _, contacts in untold)])
        held = {
            explanation.name: _held(explanation, conditions, matched) for explanation in rule.explanations
        }
        cleared = [held[one.name] for one in rule.explanations if one.effect == "clears"]
        is_broken = matched & ~np.logical_or.reduce(cleared) if cleared else matched
        return Verdict(rule, is_judged, reasons, hits, is_broken, held, int(matched.sum()))

    def _untold(self, conditions: Conditions, condition: Condition, asked: Bools) -> list[tuple[str, Bools]]:
        """Of contacts that do not surely meet a condition, those that may, by what is not told."""
        if not asked.any() or not (why := unknowns(self.record, condition, self.marks.lacking)):
            return []
        left = replace(conditions, may=True).hits(condition, asked).contacts & asked
        found = []
        for reason, contacts in why:
            found.append((reason, left & contacts))
            left &= ~contacts
        return found

    def coverage(self, verdict: Verdict) -> pl.DataFrame:
        """Columns of RULE_COVERAGE of one rule, for each unit and year that has contacts of it."""
        counts = {
            "judged": self._count(verdict.is_judged),
            "broken": self._count(verdict.is_broken),
        }
        nothing = np.zeros(len(self.places), np.int64)
        rows = [self.places.with_columns(**counts, not_judgeable=nothing, reason=pl.lit(None, pl.String))]
        rows += [
            self.places.with_columns(
                judged=nothing, broken=nothing, not_judgeable=self._count(contacts), reason=pl.lit(reason)
            )
            for reason, contacts in verdict.reasons.items()
        ]
        together = pl.concat([row.drop("place") for row in rows])
        return (
            together.filter((pl.col("judged") > 0) | (pl.col("not_judgeable") > 0))
            .with_columns(rule_id=pl.lit(verdict.rule.id))
            .select(pl.col(name).cast(dtype) for name, dtype in RULE_COVERAGE.items())
        )

    def listed(self, verdict: Verdict) -> pl.DataFrame | None:
        """What lists say of codings (coding, replaced_by, told), where the rule suggests by the list."""
        found = list(self.outside.values())
        return told_by_lists(pl.concat(found)) if verdict.rule.suggestion.from_list and found else None

    def _dated(self, rule: Rule) -> tuple[Bools | None, Bools]:
        """Which codings the rule may see (None: all), and which contacts lie in its days."""
        record = self.record
        everyone = np.ones(record.n, np.bool_)
        if rule.dated_by == "contact":
            return None, everyone if rule.valid_from is rule.valid_to is None else _between(
                rule, record.judged_day, unknown=True
            )
        procedures = record.roles["procedure"]
        within = _between(rule, record.day, unknown=True)
        return ~procedures | within, record.contacts_with(procedures & within)

    def _lacking(self, rule: Rule) -> list[tuple[str, Bools]]:
        is_dated = rule.valid_from is not None or rule.valid_to is not None
        first = [(REASONS["day"], self.record.judged_day == NONE)] if is_dated else []
        return [*first, *lacking(self.record, rule.needs)]

    def _count(self, contacts: Bools) -> Ints:
        return np.bincount(self.place[contacts], minlength=len(self.places)).astype(np.int64)


def _add(reasons: dict[str, Bools], found: Sequence[tuple[str, Bools]]) -> None:
    """Put contacts to the reasons for which they cannot be judged."""
    for reason, contacts in found:
        if contacts.any():
            reasons[reason] = reasons[reason] | contacts if reason in reasons else contacts


def _held(explanation: Explanation, conditions: Conditions, matched: Bools) -> Bools:
    if not matched.any():
        return matched
    everything = replace(conditions, visible=None)
    return everything.hits(explanation.when, matched).contacts & matched


def _between(rule: Rule, day: Ints, *, unknown: bool) -> Bools:
    within = np.ones(len(day), np.bool_)
    if rule.valid_from is not None:
        within &= day >= _number(rule.valid_from)
    if rule.valid_to is not None:
        within &= day <= _number(rule.valid_to)
    return np.where(day == NONE, unknown, within)


def _number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _looked_at(verdict: Verdict) -> pl.DataFrame:
    rows = [
        (verdict.rule.id, name, verdict.n_matches, int(contacts.sum()))
        for name, contacts in verdict.held.items()
    ]
    return pl.DataFrame(rows, schema=LOOKED_AT, orient="row")


def _codes(texts: pl.Series) -> Ints:
    return texts.rank("dense").cast(pl.Int64).to_numpy()
