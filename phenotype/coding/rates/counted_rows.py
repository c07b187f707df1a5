"""What measures count: stays, contacts and patient-months with their codes, and what conditions hold of them.

Rows live in arrays, codes as numbers, so that thousands of conditions cost little. Truth has three values:
what a record does not tell is unknown, with the reason, and is neither counted nor dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.terminology import Ontology
from ontology.valuesets.sets import Resolver, load_valueset
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rates.measures import Condition, Number, Per
from phenotype.contacts import CARE_LEVELS

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
ROLES = ("main", "other", "procedure")
DIAGNOSES = ("main", "other")
NO_DIAGNOSIS = "no diagnosis is coded"
NO_AGE = "the age is not told"
NO_LEVEL = "the care level is not told"
NO_URGENCY = "the urgency is not told"
UNKNOWN = "?"

ROWS = pl.Schema(
    {
        "stay_id": pl.Int64(),
        "contact_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "unit": pl.String(),
        "hospital": pl.String(),
        "region": pl.String(),
        "time": pl.Datetime("us"),
        "start_time": pl.Datetime("us"),
        "year": pl.Int32(),
        "age_years": pl.Float64(),
        "sex": pl.String(),
        "urgency": pl.String(),
        "care_level": pl.String(),
        "admitted_from": pl.String(),
        "n_contacts": pl.Int64(),
    }
)
"""contact_id: of a stay or patient-month its last contact, whose unit, hospital and region it bears; time:
when it ended, else began; year: that time's; start_time, age_years, admitted_from: of its first contact;
care_level: the most intensive; urgency: acute where any contact is."""


@dataclass(frozen=True)
class Truth:
    """What is known of a condition, row by row.

    Attributes:
        yes: it holds.
        no: it does not.
        reasons: why it is neither, by reason; a row may have several.
    """

    yes: Bools
    no: Bools
    reasons: Mapping[str, Bools] = field(default_factory=dict)

    @property
    def unknown(self) -> Bools:
        """Neither."""
        return ~(self.yes | self.no)


@dataclass(frozen=True)
class RowCodes:
    """The codes of rows, one entry a code of a contact.

    Attributes:
        row: whose.
        code: number in `distinct`.
        role: number in ROLES.
        is_first: whether it is the first code of its condition.
        distinct: codes as text, sorted.
    """

    row: Ints
    code: Ints
    role: Ints
    is_first: Bools
    distinct: pl.Series


@dataclass(frozen=True)
class CountedRows:
    """All stays, contacts or patient-months of a record.

    Attributes:
        per: which of them.
        rows: columns of ROWS.
        codes: theirs.
        contact_row: the row of each of the record's contacts, in their order.
        facts: fact -> (row, value).
        told: the facts that the record tells of anybody.
        ontology: by which value sets are judged.
    """

    per: Per
    rows: pl.DataFrame
    codes: RowCodes
    contact_row: Ints
    facts: Mapping[str, tuple[Ints, pl.Series]]
    told: frozenset[str]
    ontology: Ontology | None

    @cached_property
    def has_diagnosis(self) -> Bools:
        """Whether a diagnosis is coded."""
        found = np.zeros(self.rows.height, dtype=np.bool_)
        found[self.codes.row[self.codes.role < ROLES.index("procedure")]] = True
        return found

    @cached_property
    def _resolver(self) -> Resolver:
        return Resolver(self.codes.distinct.to_list(), self.ontology)

    @cached_property
    def _bare(self) -> pl.Series:
        return self.codes.distinct.str.replace_all(".", "", literal=True)

    def holds(self, condition: Condition) -> Truth:
        """What is known of a condition; parts that are not given hold everywhere.

        Raises:
            ConfigurationError: a value set that is not there.
        """
        parts = [
            *self._code_parts(condition),
            *self._column_parts(condition),
            *(self._fact(name, values) for name, values in condition.facts.items()),
            *(self.holds(inner) for inner in condition.every),
        ]
        if condition.some:
            parts.append(
                _negated(_all_of([_negated(self.holds(inner)) for inner in condition.some], self.rows.height))
            )
        parts.extend(_negated(self.holds(inner)) for inner in condition.none)
        return _all_of(parts, self.rows.height)

    def codes_of(self, condition: Condition) -> Bools:
        """Which entries of `codes` a condition's own codes mean, (n_codes,)."""
        meant = np.ones(len(self.codes.distinct), dtype=np.bool_)
        if condition.codes or condition.patterns or condition.value_sets:
            meant = self._meant(condition)
        hit = meant[self.codes.code]
        if condition.roles:
            hit &= np.isin(self.codes.role, [ROLES.index(role) for role in condition.roles])
        if condition.main_code:
            hit &= (self.codes.role == ROLES.index("main")) & self.codes.is_first
        return np.asarray(hit)

    def numbers(self, number: Number) -> Ints:
        """How many different codes, or contacts, each row has."""
        if number.of == "contacts":
            return np.asarray(self.rows["n_contacts"].to_numpy(), dtype=np.int64)
        chosen = np.isin(self.codes.role, [ROLES.index(role) for role in number.roles])
        key = distinct(self.codes.row[chosen] * np.int64(len(self.codes.distinct)) + self.codes.code[chosen])
        return np.bincount(key // max(len(self.codes.distinct), 1), minlength=self.rows.height)

    def _meant(self, condition: Condition) -> Bools:
        distinct = self.codes.distinct
        beginnings = [code.replace(".", "") for code in condition.codes]
        meant = np.zeros(len(distinct), dtype=np.bool_)
        for beginning in beginnings:
            meant |= self._bare.str.starts_with(beginning).to_numpy()
        for pattern in condition.patterns:
            whole = re.compile(pattern)
            meant |= np.array([whole.fullmatch(code) is not None for code in distinct], dtype=np.bool_)
        for name in condition.value_sets:
            members = self._resolver.resolve(load_valueset(name))["code"].unique()
            meant |= distinct.is_in(members.implode()).to_numpy()
        return meant

    def _code_parts(self, condition: Condition) -> list[Truth]:
        if not condition.asks_for_codes:
            return []
        yes = np.zeros(self.rows.height, dtype=np.bool_)
        yes[self.codes.row[self.codes_of(condition)]] = True
        if condition.roles and set(condition.roles) <= {"procedure"}:
            return [Truth(yes, ~yes)]
        known = yes | self.has_diagnosis
        return [Truth(yes, known & ~yes, {NO_DIAGNOSIS: ~known})]

    def _column_parts(self, condition: Condition) -> list[Truth]:
        found: list[Truth] = []
        if condition.care_levels:
            found.append(self._column("care_level", list(condition.care_levels), NO_LEVEL))
        if condition.urgency:
            found.append(self._column("urgency", [condition.urgency], NO_URGENCY))
        age = self.rows["age_years"].to_numpy()
        known = ~np.isnan(age)
        if condition.age_from is not None:
            yes = known & (age >= condition.age_from)
            found.append(Truth(yes, known & ~yes, {NO_AGE: ~known}))
        if condition.age_below is not None:
            yes = known & (age < condition.age_below)
            found.append(Truth(yes, known & ~yes, {NO_AGE: ~known}))
        return found

    def _column(self, name: str, values: list[str], reason: str) -> Truth:
        known = self.rows[name].is_not_null().to_numpy()
        yes = self.rows[name].is_in(values).fill_null(value=False).to_numpy()
        return Truth(yes, known & ~yes, {reason: ~known})

    def _fact(self, name: str, beginnings: tuple[str, ...]) -> Truth:
        yes, known = (np.zeros(self.rows.height, dtype=np.bool_) for _ in range(2))
        if name in self.facts:
            row, value = self.facts[name]
            known[row] = True
            fits = np.zeros(len(row), dtype=np.bool_)
            for beginning in beginnings:
                fits |= value.str.starts_with(beginning).fill_null(value=False).to_numpy()
            yes[row[fits | (not beginnings)]] = True
        return Truth(yes, known & ~yes, {not_told(name): ~known})


def distinct(keys: Ints) -> Ints:
    """The different keys, sorted: by sorting, which is faster here than numpy's table of hashes."""
    ordered = np.sort(keys)
    is_new = np.ones(len(ordered), dtype=np.bool_)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def not_told(fact: str) -> str:
    """The reason why a condition on a fact cannot be judged."""
    return f"the fact {fact} is not told"


def _negated(truth: Truth) -> Truth:
    return Truth(truth.no, truth.yes, truth.reasons)


def _all_of(parts: list[Truth], n: int) -> Truth:
    """Yes where every part is, no where one is not."""
    yes, no = np.ones(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
    for part in parts:
        yes &= part.yes
        no |= part.no
    unknown = ~(yes | no)
    reasons: dict[str, Bools] = {}
    for part in parts:
        for reason, where in part.reasons.items():
            reasons[reason] = reasons.get(reason, np.zeros(n, dtype=np.bool_)) | (where & unknown)
    return Truth(yes, no, reasons)


def count_rows(record: CodedRecord, per: Per, ontology: Ontology | None = None) -> CountedRows:
    """The rows of a record.

    Args:
        record: whose; contacts without a start or an end, or with an end before the start, are rows like
            others.
        per: stays, contacts or patient-months.
        ontology: by which value sets are judged; None is the one in use.
    """
    contacts = record.contacts.with_columns(
        pl.coalesce("stay_id", "contact_id").alias("stay_id"),
        hospital=pl.col("hospital_id").fill_null(UNKNOWN),
    ).join(_regions(record), on="contact_id", how="left", maintain_order="left")
    rows, number = _rows(contacts, per)
    return CountedRows(
        per,
        rows,
        _codes(record, contacts["contact_id"], number),
        number,
        _facts(record, contacts["contact_id"], number),
        record.told,
        ontology,
    )


def _regions(record: CodedRecord) -> pl.DataFrame:
    return (
        record.facts.filter(pl.col("fact") == "home_region")
        .group_by("contact_id")
        .agg(pl.col("value").min().alias("region"))
    )


def _rows(contacts: pl.DataFrame, per: Per) -> tuple[pl.DataFrame, Ints]:
    """The rows, and the row of each contact."""
    if per == "contact":
        single = contacts.with_columns(time=pl.col("judged_time"), n_contacts=pl.lit(1))
        return _cast(single), np.arange(contacts.height, dtype=np.int64)
    keys = ["stay_id"] if per == "stay" else ["subject_id", "unit", "_month"]
    dated = contacts.with_columns(_month=pl.col("judged_time").dt.truncate("1mo"))
    numbers = dated.select(keys).unique().sort(keys).with_row_index("_row")
    numbered = dated.join(numbers, on=keys, how="left", nulls_equal=True, maintain_order="left")
    rows = (
        numbered.sort("judged_time", "contact_id", nulls_last=False)
        .group_by("_row", maintain_order=True)
        .agg(
            pl.col("stay_id", "contact_id", "subject_id", "unit", "hospital", "sex").last(),
            pl.col("region").drop_nulls().last(),
            pl.col("judged_time").last().alias("time"),
            pl.col("year").last(),
            pl.col("start_time").min(),
            pl.col("age_years").min(),
            pl.col("admitted_from").sort_by("start_time", "contact_id").first(),
            _urgency(),
            _care_level(),
            pl.len().alias("n_contacts"),
        )
        .sort("_row")
    )
    return _cast(rows), np.asarray(numbered["_row"].cast(pl.Int64).to_numpy(), dtype=np.int64)


def _urgency() -> pl.Expr:
    return (
        pl.when((pl.col("urgency") == "acute").any())
        .then(pl.lit("acute"))
        .when((pl.col("urgency") == "planned").any())
        .then(pl.lit("planned"))
        .alias("urgency")
    )


def _care_level() -> pl.Expr:
    return pl.coalesce(
        pl.when((pl.col("care_level") == level).any()).then(pl.lit(level)) for level in CARE_LEVELS
    ).alias("care_level")


def _cast(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.col(name).cast(dtype) for name, dtype in ROWS.items()).with_columns(
        pl.col("unit", "hospital", "region").fill_null(UNKNOWN)
    )


def _codes(record: CodedRecord, contact_ids: pl.Series, contact_row: Ints) -> RowCodes:
    known = record.codes.filter(pl.col("code").is_not_null())
    place = pl.DataFrame({"contact_id": contact_ids, "_row": contact_row})
    joined = known.join(place, on="contact_id", how="inner", maintain_order="left")
    distinct = joined["code"].unique().sort()
    numbers = pl.DataFrame({"code": distinct, "_code": np.arange(len(distinct), dtype=np.int64)})
    coded = joined.join(numbers, on="code", how="left", maintain_order="left").with_columns(
        _role=pl.col("role").replace_strict(
            {name: no for no, name in enumerate(ROLES)}, default=1, return_dtype=pl.Int64
        ),
        _first=pl.col("code_no").fill_null(1) == 1,
    )
    return RowCodes(
        coded["_row"].to_numpy(),
        coded["_code"].to_numpy(),
        coded["_role"].to_numpy(),
        coded["_first"].to_numpy(),
        distinct,
    )


def _facts(
    record: CodedRecord, contact_ids: pl.Series, contact_row: Ints
) -> dict[str, tuple[Ints, pl.Series]]:
    place = pl.DataFrame({"contact_id": contact_ids, "_row": contact_row})
    joined = record.facts.join(place, on="contact_id", how="inner", maintain_order="left")
    return {
        str(name): (part["_row"].to_numpy(), part["value"])
        for (name,), part in joined.group_by("fact", maintain_order=True)
    }
