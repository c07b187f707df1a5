"""What the conditions of coding rules mean: which contacts each holds of, and which codes it found.

Shapes: n contacts and m codings of a JudgedRecord.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from ontology.validity import codings_outside_lists
from phenotype.coding.rules.conditions import (
    Another,
    Bounds,
    Code,
    Condition,
    ContactIs,
    FactIs,
    OutsideList,
    Together,
)
from phenotype.coding.rules.judging_neighbours import NOBODY, partners
from phenotype.coding.rules.judging_record import HOUR, NONE, Bools, Ints, JudgedRecord, numbered
from phenotype.coding.rules.judging_unknowns import MAIN_KEYS, Lacking

_NO_ANSWER = pl.Series([None], dtype=pl.Boolean)
Marks = Callable[[Condition], Bools]
"""Which contacts the marks of a criterion belong to, (n,)."""


def _lacks_nothing(_: Condition) -> str | None:
    return None


@dataclass(frozen=True)
class Hits:
    """What a condition found.

    Attributes:
        contacts: the contacts it holds of, (n,); sure only of those that were asked about.
        codings: the codes that it is about, (m,); None where it is about none.
        evidence: all codes that it rests on, (m,); None likewise.
        partner: the number of another contact that it rests on, -1 for none, (n,); None likewise.
    """

    contacts: Bools
    codings: Bools | None = None
    evidence: Bools | None = None
    partner: Ints | None = None


@dataclass(frozen=True, eq=False)
class Conditions:
    """Conditions over one record, within the days of one rule.

    Attributes:
        record: what is judged.
        visible: which codings may be seen, (m,); None = all.
        marks: meaning of `marks`.
        outside: what is known of codes outside their lists, shared between rules.
        lacking: what the dataset lacks for `marks`.
        may: whether what is not told counts as meeting a condition: then it may hold, else it surely does.
    """

    record: JudgedRecord
    visible: Bools | None
    marks: Marks
    outside: dict[tuple[str, ...], pl.DataFrame] = field(default_factory=dict)
    lacking: Lacking = _lacks_nothing
    may: bool = False

    def hits(self, condition: Condition, asked: Bools) -> Hits:
        """What a condition finds.

        Args:
            condition: any.
            asked: the contacts asked about, (n,); of others the answer may be wrong.
        """
        return _MEANINGS[condition.key](self, getattr(condition, condition.key), asked, condition)

    def _all(self, parts: tuple[Condition, ...], asked: Bools, _: Condition) -> Hits:
        found: list[Hits] = []
        for part in parts:
            hits = self.hits(part, asked)
            asked = asked & hits.contacts
            found.append(hits)
        about = next((hits.codings for hits in found if hits.codings is not None), None)
        partner = next((hits.partner for hits in found if hits.partner is not None), None)
        return self._within(asked, about, _either([hits.evidence for hits in found]), partner)

    def _any(self, parts: tuple[Condition, ...], asked: Bools, _: Condition) -> Hits:
        found = [self.hits(part, asked) for part in parts]
        contacts = asked & np.logical_or.reduce([hits.contacts for hits in found])
        about = _either([hits.codings for hits in found])
        partner: Ints | None = None
        for hits in found:
            if hits.partner is not None:
                known = np.full(self.record.n, NOBODY) if partner is None else partner
                partner = np.where(known == NOBODY, hits.partner, known)
        return self._within(contacts, about, _either([hits.evidence for hits in found]), partner)

    def _not(self, part: Condition, asked: Bools, _: Condition) -> Hits:
        otherwise = replace(self, may=not self.may)
        return Hits(asked & ~otherwise.hits(part, asked).contacts)

    def _code(self, code: Code, asked: Bools, _: Condition) -> Hits:
        found = self._seen(self.record.found(code, may=self.may))
        return self._within(asked & self.record.contacts_with(found), found, found, None)

    def _together(self, together: Together, asked: Bools, _: Condition) -> Hits:
        key = self._keys_of_codings(together)
        size = int(key.max(initial=-1)) + 1
        is_there = np.ones(size, np.bool_)
        has = [self._seen(self.record.found(code, may=self.may)) & (key >= 0) for code in together.has]
        for codings in has:
            is_there &= np.bincount(key[codings], minlength=size) > 0
        for code in together.lacks:
            lacked = self._seen(self.record.found(code, may=not self.may)) & (key >= 0)
            is_there &= np.bincount(key[lacked], minlength=size) == 0
        inside = (key >= 0) & is_there[key] if size else np.zeros(len(key), np.bool_)
        about, evidence = has[0] & inside, np.logical_or.reduce(has) & inside
        return self._within(asked & self.record.contacts_with(about), about, evidence, None)

    def _keys_of_codings(self, together: Together) -> Ints:
        """The group or the day of each coding as a number from 0 on, -1 where it has none, (m,)."""
        record = self.record
        if together.by == "condition":
            return np.where(record.group == NONE, -1, record.group)
        seen = record.roles["procedure"] & (record.day != NONE)
        numbers = np.full(len(seen), -1)
        numbers[seen] = numbered(record.row[seen], record.day[seen])
        return numbers

    def _contact(self, wanted: ContactIs, asked: Bools, _: Condition) -> Hits:
        contacts, holds = self.record.contacts, asked.copy()
        for column in ("care_level", "admitted_from", "discharged_to"):
            if values := getattr(wanted, column):
                holds &= self._told(contacts[column].is_in(list(values)))
        for column in ("urgency", "sex"):
            if value := getattr(wanted, column):
                holds &= self._told(contacts[column] == value)
        if wanted.age_years:
            holds &= self._told(_within_bounds(contacts["age_years"], wanted.age_years))
        if wanted.hours:
            holds &= self._told(_within_bounds(_hours(contacts), wanted.hours))
        if wanted.nights:
            holds &= self._told(_within_bounds(_nights(contacts), wanted.nights))
        return Hits(holds)

    def _fact(self, wanted: FactIs, asked: Bools, _: Condition) -> Hits:
        facts = self.record.facts_of(wanted.name)
        if not facts.height:
            return Hits(asked & self.may)
        holds = np.ones(facts.height, np.bool_)
        if wanted.values or wanted.begins:
            is_one = facts["value"].is_in(list(wanted.values))
            for begin in wanted.begins:
                is_one = is_one | facts["value"].str.starts_with(begin)
            holds &= _true(is_one)
        if wanted.number:
            holds &= _true(_within_bounds(facts["number"], wanted.number))
        if wanted.equals == "nights":
            holds &= _true(facts["number"] == _nights(self.record.contacts)[facts["row"]])
        found = np.zeros(self.record.n, np.bool_)
        found[facts["row"].to_numpy()[holds]] = True
        return Hits(asked & found)

    def _another(self, wanted: Another, asked: Bools, _: Condition) -> Hits:
        everyone = np.ones(self.record.n, np.bool_)
        others = self.hits(wanted.where, everyone).contacts if wanted.where else everyone
        partner = partners(self.record, wanted, asked, others)
        if self.may:
            for mine, theirs in self._of_untold_main(wanted, asked, others):
                loose = partners(self.record, _without_main(wanted), mine, theirs)
                partner = np.where(partner == NOBODY, loose, partner)
            untimed = self._of_untold_start(asked, others)
            partner = np.where(untimed & (partner == NOBODY), np.arange(self.record.n), partner)
        return Hits(partner != NOBODY, partner=partner)

    def _of_untold_start(self, asked: Bools, others: Bools) -> Bools:
        """Contacts asked about whose patient has another one, of one of which no start is told, (n,)."""
        subject = numbered(self.record.key("subject"))
        untold = self.record.start == NONE
        n_others = np.bincount(subject[others], minlength=self.record.n)[subject] - others
        n_untold = np.bincount(subject[others & untold], minlength=self.record.n)[subject]
        return asked & np.where(untold, n_others > 0, n_untold > 0)

    def _of_untold_main(self, wanted: Another, asked: Bools, others: Bools) -> Iterator[tuple[Bools, Bools]]:
        """Contacts asked about and others that may share a main condition; one of them does not tell its."""
        untold = self.record.has_untold_main
        if untold.any() and _without_main(wanted) != wanted:
            yield asked & untold, others
            yield asked, others & untold

    def _outside_list(self, wanted: OutsideList, asked: Bools, _: Condition) -> Hits:
        wrong = outside_lists(self, wanted.systems)
        kinds = wrong.filter(pl.col("kind").is_in(list(wanted.kinds)))
        found = np.zeros(len(self.record.row), np.bool_)
        found[kinds["coding"].to_numpy()] = True
        found = self._seen(found)
        return self._within(asked & self.record.contacts_with(found), found, found, None)

    def _marks(self, _part: Mapping[str, Any], asked: Bools, condition: Condition) -> Hits:
        if self.lacking(condition):
            return Hits(asked & self.may)
        return Hits(asked & self.marks(condition))

    def _told(self, answers: pl.Series) -> Bools:
        """Which answers are yes; those that are not told are where a condition may hold."""
        return answers.fill_null(value=self.may).to_numpy()

    def _seen(self, codings: Bools) -> Bools:
        return codings if self.visible is None else codings & self.visible

    def _within(
        self, contacts: Bools, about: Bools | None, evidence: Bools | None, partner: Ints | None
    ) -> Hits:
        """Hits whose codes are those of the contacts alone."""
        mine = contacts[self.record.row]
        return Hits(
            contacts,
            None if about is None else about & mine,
            None if evidence is None else evidence & mine,
            None if partner is None else np.where(contacts, partner, NOBODY),
        )


def outside_lists(conditions: Conditions, systems: tuple[str, ...]) -> pl.DataFrame:
    """The codings of these systems that the list of their day does not hold.

    Returns:
        coding (its number) and the columns of `ontology.validity.FINDINGS`.
    """
    if systems not in conditions.outside:
        record = conditions.record
        codings = record.codings.with_columns(coding=pl.int_range(pl.len(), dtype=pl.Int64))
        system = pl.col("code").str.extract("^(.*?)//")
        mine = codings.filter(system.is_in(list(systems)) & pl.col("day").is_not_null())
        pairs = mine.select("code", time="day").unique().sort("code", "time")
        wrong = codings_outside_lists(record.ontology, pairs)
        conditions.outside[systems] = (
            mine.select("coding", "code", "day").join(wrong, on=["code", "day"], how="inner").sort("coding")
        )
    return conditions.outside[systems]


_MEANINGS: Mapping[str, Callable[[Conditions, Any, Bools, Condition], Hits]] = {
    "all": Conditions._all,
    "any": Conditions._any,
    "not_": Conditions._not,
    "code": Conditions._code,
    "together": Conditions._together,
    "contact": Conditions._contact,
    "fact": Conditions._fact,
    "another": Conditions._another,
    "outside_list": Conditions._outside_list,
    "marks": Conditions._marks,
}


def _either(masks: list[Bools | None]) -> Bools | None:
    given = [mask for mask in masks if mask is not None]
    return np.logical_or.reduce(given) if given else None


def _nights(contacts: pl.DataFrame) -> pl.Series:
    """Midnights between start and end of each contact, null where one is missing or the end lies before."""
    days = pl.col("end_time").dt.date() - pl.col("start_time").dt.date()
    return _whole_span(contacts, days.dt.total_days().cast(pl.Float64))


def _hours(contacts: pl.DataFrame) -> pl.Series:
    """Hours from start to end of each contact, null likewise."""
    return _whole_span(contacts, (pl.col("end_time") - pl.col("start_time")).dt.total_microseconds() / HOUR)


def _whole_span(contacts: pl.DataFrame, span: pl.Expr) -> pl.Series:
    is_span = pl.col("end_time") >= pl.col("start_time")
    return contacts.select(span=pl.when(is_span).then(span))["span"]


def _without_main(wanted: Another) -> Another:
    """The same, without what the two share or do not share of their main conditions."""
    keys = {
        name: tuple(key for key in getattr(wanted, name) if key not in MAIN_KEYS)
        for name in ("same", "differs")
    }
    return wanted.model_copy(update=keys)


def _within_bounds(numbers: pl.Series, bounds: Bounds) -> pl.Series:
    """Whether each number lies within bounds, null where there is none."""
    found = pl.Series([True]).new_from_index(0, len(numbers)).zip_with(numbers.is_not_null(), _NO_ANSWER)
    if bounds.above is not None:
        found &= numbers > bounds.above
    if bounds.at_least is not None:
        found &= numbers >= bounds.at_least
    if bounds.below is not None:
        found &= numbers < bounds.below
    if bounds.at_most is not None:
        found &= numbers <= bounds.at_most
    return found


def _true(answers: pl.Series) -> Bools:
    return answers.fill_null(value=False).to_numpy()
