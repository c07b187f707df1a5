"""Findings gathered into cases: what deviates in a unit, against whom, over what time, for how much."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from phenotype.coding.cases.deviation import Deviation, change_directions, deviation
from phenotype.coding.cases.explanations import LookedAt, looked_at
from phenotype.coding.cases.names import CaseNames, Title, with_families
from phenotype.coding.cases.order import RATE_KINDS, Effort, order_stays
from phenotype.coding.cases.rates import CaseRate, Direction, case_rates, rule_rates
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import RULE_COVERAGE, SEVERITIES, UNITS, Found

CASES = pl.Schema(
    {
        "case_id": pl.String(),
        "family": pl.String(),
        "kinds": pl.List(pl.String()),
        "severity": pl.String(),
        "title": pl.String(),
        "title_nb": pl.String(),
        "unit_id": pl.String(),
        "first_period": pl.String(),
        "last_period": pl.String(),
        "against": pl.String(),
        "deviation": pl.String(),
        "n_findings": pl.Int64(),
        "n_contacts": pl.Int64(),
        "n_stays": pl.Int64(),
        "n_subjects": pl.Int64(),
        "n_priced": pl.Int64(),
        "n_priced_subjects": pl.Int64(),
        "expected_right": pl.Float64(),
        "amount_low_nok": pl.Float64(),
        "amount_high_nok": pl.Float64(),
        "expected_nok": pl.Float64(),
        "rate_low_nok": pl.Float64(),
        "rate_high_nok": pl.Float64(),
        "finding_ids": pl.List(pl.String()),
    }
)
"""Cases as a table; see `Case`."""
Against = Literal["expected", "wards", "peers", "model"]
_OWN_YEAR = -10_000
"""Stands for the year of a period that names none."""


@dataclass(frozen=True, eq=False)
class Case:
    """What deviates in one unit.

    Attributes:
        case_id: 10 hexadecimal digits; of unit, family and first period alone, so that a case which goes on
            for another year keeps its id.
        family: of rules or measures, or the kind and code group that models expect otherwise.
        kinds: kinds of its findings, sorted.
        severity: the gravest of its findings.
        title: what it is about.
        unit_id: whose coding.
        first_period, last_period: over what time.
        against: expected (adjusted for case mix), peers (the other units), or model (what the rest of each
            stay lets one expect) where there is no rate.
        deviation: which way it deviates from those.
        n_findings, n_contacts, n_stays, n_subjects: how many; a finding that is about no contact has none.
        n_priced, n_priced_subjects: stays with a price, and their patients.
        expected_right: stays expected to be wrongly coded; null where no finding has a probability.
        amount_low_nok, amount_high_nok: what the payer would get back if every finding is right; null where
            nothing is priced.
        expected_nok: the same by probability; below nothing: in the hospital's favour.
        rate_low_nok, rate_high_nok: what cutting the unit to the rate expected of it would bring, by the
            findings about rates; another way to settle the same stays, so it is never added to the other
            amounts.
        finding_ids: those of the first stay to open first, then those about no stay.
        openings: columns of OPENINGS.
        rates: what its measures and rules say of the unit.
        explanations: innocent explanations that were looked at.
    """

    case_id: str
    family: str
    kinds: tuple[str, ...]
    severity: str
    title: Title
    unit_id: str
    first_period: str
    last_period: str
    against: Against
    deviation: Deviation
    n_findings: int
    n_contacts: int
    n_stays: int
    n_subjects: int
    n_priced: int
    n_priced_subjects: int
    expected_right: float | None
    amount_low_nok: float | None
    amount_high_nok: float | None
    expected_nok: float | None
    rate_low_nok: float | None
    rate_high_nok: float | None
    finding_ids: tuple[str, ...]
    openings: pl.DataFrame
    rates: tuple[CaseRate, ...]
    explanations: tuple[LookedAt, ...]


def make_cases(
    found: Found,
    rates: pl.DataFrame,
    record: CodedRecord,
    *,
    coverage: pl.DataFrame,
    names: CaseNames,
    effort: Effort,
    by: Literal["money", "probability"] = "money",
) -> tuple[Case, ...]:
    """All findings gathered into cases.

    Findings of one unit and family whose years follow each other are one case, whatever found them: a flag of
    a measure, or a change over time, joins the rule findings of its family. A year without a finding parts
    two cases. Every finding is in exactly one case.

    Args:
        found: findings with what they are about.
        rates: columns of UNITS.
        record: contacts of the findings.
        coverage: columns of RULE_COVERAGE.
        names: families and titles.
        effort: what opening a stay costs.
        by: how stays are ranked within a case.

    Returns:
        The cases of which the payer is expected to recover most first, then those with the most stays
        expected to be wrong, then the most findings; neither the order of the findings nor that of units
        matters. Money in the hospital's favour moves no case up.
    """
    gathered = gather(with_families(found.findings, names))
    if not gathered.height:
        return ()
    openings = order_stays(found, record.contacts, effort, by=by, cases=gathered)
    wanted = gathered.group_by("case_id").agg(
        pl.col("unit_id", "family").first(), pl.col("first_year").min(), pl.col("last_year").max()
    )
    told = case_rates(
        rule_rates(coverage.cast(RULE_COVERAGE)), rates.cast(UNITS), names, wanted.sort("case_id")
    )
    opened = {str(key[0]): part for key, part in openings.partition_by("case_id", as_dict=True).items()}
    titles, explanations = _titles(gathered, names), looked_at(gathered, names)
    changes = change_directions(found)
    counts = _counts(gathered, found.items, record.contacts, openings)
    summaries = _summaries(gathered, openings).join(counts, on="case_id", how="left").sort("case_id")
    cases = [
        _case(
            row,
            opened.get(row["case_id"], openings.clear()),
            told.get(row["case_id"], ()),
            titles[row["case_id"]],
            explanations.get(row["case_id"], ()),
            changes=[changes[one] for one in row["every"] if one in changes],
        )
        for row in summaries.iter_rows(named=True)
    ]
    return tuple(sorted(cases, key=_weight))


def gather(findings: pl.DataFrame) -> pl.DataFrame:
    """The findings with the case_id of each.

    Args:
        findings: what `with_families` gives.
    """
    first = pl.col("first_year").fill_null(_OWN_YEAR)
    last = pl.col("last_year").fill_null(_OWN_YEAR)
    whose = ["unit_id", "family"]
    ordered = findings.with_columns(from_year=first, to_year=last).sort(
        *whose, "from_year", "to_year", "finding_id", nulls_last=True
    )
    reached = pl.col("to_year").cum_max().shift(1).over(whose)
    starts = (pl.col("from_year") > reached + 1).fill_null(value=True)
    numbered = ordered.with_columns(chain=starts.cast(pl.Int32).cum_sum().over(whose)).with_columns(
        start=pl.col("from_year").min().over(*whose, "chain")
    )
    distinct = numbered.select(*whose, "chain", "start").unique(maintain_order=True)
    ids = [
        hashlib.sha256(f"{unit}\n{family}\n{start}".encode()).hexdigest()[:10]
        for unit, family, start in distinct.select(*whose, "start").iter_rows()
    ]
    return numbered.join(
        distinct.with_columns(case_id=pl.Series(ids, dtype=pl.String)).drop("start"),
        on=[*whose, "chain"],
        how="left",
        nulls_equal=True,
    ).drop("from_year", "to_year", "chain", "start")


def _summaries(gathered: pl.DataFrame, openings: pl.DataFrame) -> pl.DataFrame:
    """What findings and openings of each case come to."""
    is_rate = pl.col("kind").is_in(RATE_KINDS)

    def known(name: str, rows: pl.Expr | None = None) -> pl.Expr:
        """The sum of what is known; null where nothing is."""
        values = pl.col(name) if rows is None else pl.col(name).filter(rows)
        return pl.when(values.is_not_null().any()).then(values.sum())

    money = ("amount_low_nok", "amount_high_nok", "expected_nok")
    stays = openings.group_by("case_id").agg(
        *(known(name).alias(name) for name in money),
        expected_right=known("probability"),
        n_priced=pl.col("amount_low_nok").count(),
        opened=pl.col("finding_ids").sort_by("rank").explode(empty_as_null=False),
    )
    return (
        gathered.group_by("case_id")
        .agg(
            pl.col("family", "unit_id").first(),
            kinds=pl.col("kind").unique().sort(),
            severities=pl.col("severity").drop_nulls().unique(),
            first_period=pl.col("period").min(),
            last_period=pl.col("period").max(),
            n_findings=pl.len(),
            rate_low_nok=known("amount_low_nok", is_rate),
            rate_high_nok=known("amount_high_nok", is_rate),
            every=pl.col("finding_id").sort(),
        )
        .join(stays, on="case_id", how="left")
    )


def _counts(
    gathered: pl.DataFrame, items: pl.DataFrame, contacts: pl.DataFrame, openings: pl.DataFrame
) -> pl.DataFrame:
    """Contacts, stays and patients of each case, and the patients of its priced stays."""
    priced = (
        openings.filter(pl.col("amount_low_nok").is_not_null())
        .join(contacts.select("stay_id", "subject_id").unique(), on="stay_id", how="inner")
        .group_by("case_id")
        .agg(n_priced_subjects=pl.col("subject_id").n_unique())
    )
    return (
        items.join(gathered.select("finding_id", "case_id"), on="finding_id", how="inner")
        .join(contacts.select("contact_id", "stay_id", "subject_id"), on="contact_id", how="inner")
        .group_by("case_id")
        .agg(
            n_contacts=pl.col("contact_id").n_unique(),
            n_stays=pl.col("stay_id").n_unique(),
            n_subjects=pl.col("subject_id").n_unique(),
        )
        .join(priced, on="case_id", how="left")
        .with_columns(pl.col("n_priced_subjects").fill_null(0))
    )


def _case(
    row: Mapping[str, Any],
    openings: pl.DataFrame,
    rates: tuple[CaseRate, ...],
    title: Title,
    explanations: tuple[LookedAt, ...],
    *,
    changes: Collection[Direction],
) -> Case:
    plain: dict[str, Any] = {name: row[name] for name in _AS_THEY_ARE}
    plain |= {name: row[name] or 0 for name in _COUNTS}
    return Case(
        **plain,
        kinds=tuple(row["kinds"]),
        severity=min(row["severities"], key=_gravity, default=SEVERITIES[-1]),
        title=title,
        first_period=row["first_period"] or "",
        last_period=row["last_period"] or "",
        against=_against(rates),
        deviation=deviation(rates, changes),
        finding_ids=tuple(dict.fromkeys([*(row["opened"] or ()), *row["every"]])),
        openings=openings,
        rates=rates,
        explanations=explanations,
    )


_AS_THEY_ARE = (
    "case_id",
    "family",
    "unit_id",
    "expected_right",
    "amount_low_nok",
    "amount_high_nok",
    "expected_nok",
    "rate_low_nok",
    "rate_high_nok",
)
_COUNTS = ("n_findings", "n_contacts", "n_stays", "n_subjects", "n_priced", "n_priced_subjects")


def _against(rates: tuple[CaseRate, ...]) -> Against:
    """The fairest comparison that there is."""
    made = {rate.against for rate in rates}
    return next((one for one in ("expected", "wards", "peers") if one in made), "model")


def _titles(gathered: pl.DataFrame, names: CaseNames) -> dict[str, Title]:
    """What most findings of each case are about, rules before rates."""
    about = (
        gathered.with_columns(is_rate=pl.col("kind").is_in(RATE_KINDS))
        .group_by("case_id", "family", "is_rate", "rule_id")
        .agg(pl.len(), pl.col("title").min())
        .sort("case_id", "is_rate", "len", "rule_id", descending=[False, False, True, False])
        .unique("case_id", keep="first", maintain_order=True)
    )
    return {
        case_id: names.expectation_title(family) or names.title(rule_id, title or "", of_rates=is_rate)
        for case_id, family, is_rate, rule_id, _, title in about.iter_rows()
    }


def _gravity(severity: str) -> int:
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)


def _weight(case: Case) -> tuple[float, float, int, str]:
    return (
        -max(case.expected_nok or 0.0, 0.0),
        -(case.expected_right or 0.0),
        -case.n_findings,
        case.case_id,
    )


def cases_table(cases: tuple[Case, ...]) -> pl.DataFrame:
    """The cases as a table, columns of CASES, in the order given."""
    rows = [
        {
            **{name: getattr(case, name) for name in CASES if name not in {"title", "title_nb"}},
            "title": case.title.en,
            "title_nb": case.title.nb,
            "kinds": list(case.kinds),
            "finding_ids": list(case.finding_ids),
        }
        for case in cases
    ]
    return pl.DataFrame(rows, schema=CASES)
