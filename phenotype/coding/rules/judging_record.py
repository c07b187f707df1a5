"""A coded record as arrays, so that rules are judged over millions of contacts at once.

Shapes: n contacts, in the order of CodedRecord.contacts; m codings of these contacts; k different codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.concepts import CodeSystem
from ontology.terminology import Ontology
from ontology.valuesets.sets import Resolver, load_valueset
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rules.conditions import Code

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
NONE = np.iinfo(np.int64).min
"""Stands for a null among whole numbers."""
DIAGNOSES = ("main", "other")
HOUR = 3_600_000_000
"""Microseconds."""


@dataclass(frozen=True, eq=False)
class JudgedRecord:
    """What rules are judged on.

    Attributes:
        record: the tables.
        ontology: the lists by which codes are judged.
    """

    record: CodedRecord
    ontology: Ontology
    _sets: dict[str, Bools] = field(default_factory=dict)
    _keys: dict[str, Ints] = field(default_factory=dict)

    @property
    def contacts(self) -> pl.DataFrame:
        """One row a contact."""
        return self.record.contacts

    @property
    def n(self) -> int:
        """The number of contacts."""
        return self.record.contacts.height

    @cached_property
    def codings(self) -> pl.DataFrame:
        """The codings of known contacts, (m,) rows, and `row`, their contact's number."""
        rows = self.contacts.select("contact_id", row=pl.int_range(pl.len(), dtype=pl.Int64))
        return self.record.codes.join(rows, on="contact_id", how="inner", maintain_order="left")

    @cached_property
    def row(self) -> Ints:
        """The number of each coding's contact, (m,)."""
        return self.codings["row"].to_numpy()

    @cached_property
    def start(self) -> Ints:
        """When each contact began, microseconds, NONE where not told, (n,)."""
        return whole(self.contacts["start_time"])

    @cached_property
    def reach(self) -> Ints:
        """Until when each contact reached: its end, or its start where that is later or alone, (n,)."""
        return np.maximum(whole(self.contacts["end_time"]), self.start)

    @cached_property
    def judged_day(self) -> Ints:
        """Days since 1970 of the day by which each contact is judged, (n,)."""
        return whole(self.contacts["judged_time"].dt.date())

    @cached_property
    def day(self) -> Ints:
        """Days since 1970 of the day whose list holds for each coding, (m,)."""
        return whole(self.codings["day"])

    @cached_property
    def _coded(self) -> tuple[pl.Series, Ints]:
        distinct = self.codings.select(pl.col("code").drop_nulls().unique().sort()).to_series()
        numbers = pl.DataFrame({"code": distinct}).with_row_index("number").cast({"number": pl.Int64})
        told = self.codings.select("code").join(numbers, on="code", how="left", maintain_order="left")
        return distinct, told["number"].fill_null(len(distinct)).to_numpy()

    @property
    def distinct(self) -> pl.Series:
        """The different codes, (k,), sorted."""
        return self._coded[0]

    @property
    def number(self) -> Ints:
        """Which of the different codes each coding has, k where it has none, (m,)."""
        return self._coded[1]

    @cached_property
    def compact(self) -> pl.Series:
        """The different codes without dots, (k,)."""
        return self.distinct.str.replace_all(".", "", literal=True)

    @cached_property
    def roles(self) -> dict[str, Bools]:
        """Role -> which codings have it, (m,)."""
        role = self.codings["role"].fill_null("")
        found = {name: (role == name).to_numpy() for name in ("main", "other", "procedure")}
        return {**found, "diagnosis": found["main"] | found["other"], "any": np.ones(len(role), np.bool_)}

    @cached_property
    def group(self) -> Ints:
        """The condition group of each diagnosis, a number of its own; NONE for procedures, (m,).

        Where no group is told, the codes of the main condition are one, and the other codes another.
        """
        told = pl.coalesce("condition_group_no", "group_no").cast(pl.Int64)
        not_told = pl.when(pl.col("role") == "main").then(-1).otherwise(-2)
        groups = self.codings.select(group=pl.coalesce(told, not_told))["group"].to_numpy()
        numbers = numbered(self.row, groups)
        return np.where(self.roles["diagnosis"], numbers, NONE)

    @cached_property
    def is_first(self) -> Bools:
        """Which codings are the first of their group, (m,); one that stands alone is, numbered or not."""
        code_no = whole(self.codings["code_no"])
        place = np.where(code_no == NONE, np.iinfo(np.int64).max, code_no)
        order = np.lexsort((place, self.group))
        group = self.group[order]
        first = np.ones(len(order), np.bool_)
        first[1:] = group[1:] != group[:-1]
        lowest = np.zeros(len(order), np.int64)
        lowest[order] = place[order][np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))]
        is_lowest = (place == lowest) & (code_no != NONE)
        return np.asarray((is_lowest | (self._group_counts[0] == 1)) & (self.group != NONE), np.bool_)

    @cached_property
    def _group_counts(self) -> tuple[Ints, Ints]:
        """How many codes the group of each coding has, and how many of them are numbered, (m,) each."""
        _, group = np.unique(self.group, return_inverse=True)
        numbered_codes = (whole(self.codings["code_no"]) != NONE).astype(np.float64)
        return np.bincount(group)[group], np.bincount(group, numbered_codes)[group].astype(np.int64)

    @cached_property
    def is_of_untold_place(self) -> Bools:
        """Which codings stand in a group of several of which none is numbered: any may be first, (m,)."""
        n_codes, n_numbered = self._group_counts
        return np.asarray((self.group != NONE) & (n_codes > 1) & (n_numbered == 0), np.bool_)

    @cached_property
    def has_untold_main(self) -> Bools:
        """Which contacts have main conditions, and do not tell which code of them is the first, (n,)."""
        main = self.roles["main"]
        return self.contacts_with(main & self.is_of_untold_place) & ~self.contacts_with(main & self.is_first)

    def facts_of(self, name: str) -> pl.DataFrame:
        """What is told of contacts by one name: row (the contact's number), value, number."""
        return self._facts.get(name, self._no_facts)

    @cached_property
    def _facts(self) -> dict[str, pl.DataFrame]:
        rows = self.contacts.select("contact_id", row=pl.int_range(pl.len(), dtype=pl.Int64))
        told = self.record.facts.join(rows, on="contact_id", how="inner", maintain_order="left")
        kept = told.select("fact", "row", "value", "number")
        return {str(fact): one for (fact,), one in kept.group_by("fact", maintain_order=True)}

    @cached_property
    def _no_facts(self) -> pl.DataFrame:
        return pl.DataFrame(schema={"row": pl.Int64, "value": pl.String, "number": pl.Float64})

    def contacts_with(self, codings: Bools) -> Bools:
        """Which contacts have any of these codings, (n,)."""
        found = np.zeros(self.n, np.bool_)
        found[self.row[codings]] = True
        return found

    def found(self, code: Code, *, may: bool = False) -> Bools:
        """Which codings a `code` names, (m,); may: those too of which only their place is not told."""
        found = self.roles[code.role].copy()
        if code.sets:
            found &= np.logical_or.reduce([self.in_set(name) for name in code.sets])
        if code.codes:
            found &= self._of_codes(written_codes(self.compact, code.codes))
        if code.first_code is not None:
            found &= (self.is_first == code.first_code) & ~self.is_of_untold_place | (
                self.is_of_untold_place & may
            )
        if code.length is not None:
            found &= self._of_codes(self.compact.str.split("//").list.last().str.len_chars() == code.length)
        if code.ends_with is not None:
            found &= self._of_codes(self.compact.str.ends_with(code.ends_with))
        if code.has_children is not None:
            found &= self.has_children == code.has_children
        if code.at_least > 1:
            found &= (np.bincount(self.row[found], minlength=self.n) >= code.at_least)[self.row]
        return found

    def in_set(self, name: str) -> Bools:
        """Which codings are in a value set on their day, (m,)."""
        if name not in self._sets:
            members = self._resolver.resolve(load_valueset(name))
            found = np.zeros(len(self.number), np.bool_)
            for (begin, end), rows in members.group_by("from_time", "to_time", maintain_order=True):
                now = self._of_codes(self.distinct.is_in(rows["code"].implode()))
                now &= self.day >= _day(begin) if begin is not None else True
                found |= now & (self.day < _day(end)) if end is not None else now
            self._sets[name] = found
        return self._sets[name]

    @cached_property
    def has_children(self) -> Bools:
        """For which codings the list of their day has longer codes that begin with theirs, (m,)."""
        parents = child_spans(self.ontology.system).join(
            pl.DataFrame({"parent": self.compact, "number": np.arange(len(self.compact))}), on="parent"
        )
        found = np.zeros(len(self.number), np.bool_)
        for (number,), spans in parents.group_by("number", maintain_order=True):
            mine = np.flatnonzero(self.number == number)
            for begin, end in spans.select("valid_from", "valid_to").iter_rows():
                within = np.ones(len(mine), np.bool_)
                within &= self.day[mine] >= _day(begin) if begin is not None else True
                within &= self.day[mine] <= _day(end) if end is not None else True
                found[mine] |= within
        return found

    def of_system(self, system: str) -> Bools:
        """Which codings are of a code system, (m,)."""
        return self._of_codes(self.distinct.str.starts_with(f"{system}//"))

    def key(self, name: str) -> Ints:
        """A number for each contact that is equal where a key is; NONE where it is not known, (n,)."""
        if name not in self._keys:
            self._keys[name] = self._key(name)
        return self._keys[name]

    def _key(self, name: str) -> Ints:
        columns = {"hospital": "hospital_id", "unit": "unit_id", "stay": "stay_id", "subject": "subject_id"}
        if name in columns:
            return ranked(self.contacts[columns[name]])
        if name == "day":
            return whole(self.contacts["start_time"].dt.date())
        if name == "programme":
            return self._key_of_fact(name)
        main = np.full(self.n, len(self.distinct), np.int64)
        first = self.roles["main"] & self.is_first
        main[self.row[first][::-1]] = self.number[first][::-1]
        if name == "main_category":
            category = ranked(self.compact.str.extract("^(.*?//.{3})"))
            return np.append(category, NONE)[main]
        return np.where(main == len(self.distinct), NONE, main)

    def _key_of_fact(self, name: str) -> Ints:
        facts = self.facts_of(name)
        key = np.full(self.n, NONE)
        key[facts["row"].to_numpy()] = ranked(facts["value"])
        return key

    @cached_property
    def _resolver(self) -> Resolver:
        return Resolver(self.distinct.to_list(), self.ontology)

    def _of_codes(self, is_meant: pl.Series) -> Bools:
        """Which codings have one of the different codes that are meant, (m,)."""
        return np.append(is_meant.fill_null(value=False).to_numpy(), False)[self.number]


def written_codes(compact: pl.Series, codes: Sequence[str]) -> pl.Series:
    """Which codes without dots are written letter for letter, or begin as one that ends in `*`."""
    found = pl.Series([False]).new_from_index(0, len(compact))
    for code in codes:
        wanted = code.replace(".", "")
        system, _, rest = wanted.partition("//")
        editions = ("ICD10", "ICD10-NO") if system == "ICD10" else (system,)
        for name in (f"{edition}//{rest}" for edition in editions):
            found = found | (compact.str.starts_with(name[:-1]) if name.endswith("*") else compact == name)
    return found


def child_spans(system: CodeSystem) -> pl.DataFrame:
    """When lists hold codes below a shorter one: parent (without dots), valid_from, valid_to."""
    dated = system.coverage["system"].unique().implode()
    codes = system.concepts.filter(pl.col("system").is_in(dated) & ~pl.col("flags").list.contains("abstract"))
    compact = pl.col("concept").str.replace_all(".", "", literal=True)
    shorter = [
        codes.select("valid_from", "valid_to", parent=compact.str.slice(0, compact.str.len_chars() - n))
        for n in (1, 2)
    ]
    return pl.concat(shorter).unique().sort("parent", "valid_from", "valid_to")


def whole(column: pl.Series) -> Ints:
    """A column of whole numbers, days or instants as int64, NONE where null."""
    return column.to_physical().cast(pl.Int64).fill_null(NONE).to_numpy()


def ranked(column: pl.Series) -> Ints:
    """A number for each different value, NONE for null."""
    return whole(column.rank("dense"))


def numbered(*columns: Ints) -> Ints:
    """A number for each different row of several columns."""
    found = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        values, place = np.unique(column, return_inverse=True)
        _, found = np.unique(found * max(len(values), 1) + place, return_inverse=True)
    return found.astype(np.int64)


def _day(instant: object) -> int:
    return int(pl.Series([instant]).cast(pl.Date).to_physical()[0])
