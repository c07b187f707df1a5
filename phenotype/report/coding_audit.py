"""What the first page of an audit says: cases, what rules judged, answers; no small counts.

The page may leave the hospital. Counts of fewer than five patients are not shown, nor amounts about them, nor
what would betray them by subtraction; sums are those of the cases that are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from phenotype.coding.cases.cases import Case
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import RATE_KINDS
from phenotype.coding.cases.rates import CaseRate, overall
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import Found
from phenotype.explain.wording import count_words
from phenotype.report.coding_words import AGAINST_WORDS, KIND_WORDS, lead_words, with_small_rest
from phenotype.report.money import (
    nok_words,
    period_words,
    plain_number,
    recovery_range_words,
    recovery_words,
    share_words,
)
from phenotype.report.suppression import HIDDEN, hidden_parts, is_small, shown_count
from phenotype.task_parts import Frozen


class CaseLine(Frozen):
    """One case on the first page; has_page says whether it has files of its own."""

    case_id: str
    title: str
    unit: str
    period: str
    kinds: str
    n_stays: str
    n_to_open: str
    expected_right: str
    amount: str
    expected: str
    rate_amount: str
    lead: str
    is_hidden: bool
    has_page: bool


class CoverageLine(Frozen):
    """What one rule judged, what broke it, and what could not be judged, with reasons."""

    rule_id: str
    title: str
    judged: str
    broken: str
    share: str
    not_judgeable: str
    reasons: tuple[tuple[str, str], ...]
    cleared: tuple[tuple[str, str], ...]


class CheckLine(Frozen):
    """Reviewers' answers against what was expected of them."""

    kind: str
    drawn: str
    n: str
    agreed: str
    expected: str
    cannot_tell: str
    verdict: str


class AuditTotals(Frozen):
    """The figures on top; all but contacts and cases are those of the cases that are shown."""

    n_findings: str
    n_stays: str
    n_cases: str
    n_units: str
    n_contacts: str
    amount: str
    expected: str
    favour: str
    n_hidden_cases: int
    n_openings: str


def case_lines(
    cases: Sequence[Case], chosen: pl.DataFrame, subjects: Mapping[int, int], with_pages: frozenset[str]
) -> tuple[CaseLine, ...]:
    """The cases as the first page writes them.

    Args:
        cases: in the order of the page.
        chosen: stay_id of the stays within the capacity.
        subjects: stay_id -> subject_id.
        with_pages: ids of the cases that have files of their own.
    """
    within = set(chosen["stay_id"].to_list())
    return tuple(_case_line(case, within, subjects, has_page=case.case_id in with_pages) for case in cases)


def _case_line(case: Case, within: set[int], subjects: Mapping[int, int], *, has_page: bool) -> CaseLine:
    hides = is_small(case.n_subjects)
    to_open = [stay for stay in case.openings["stay_id"].to_list() if stay in within]
    few_to_open = is_small(len({subjects.get(stay, stay) for stay in to_open}))
    few_left = is_small(case.n_stays - len(to_open))
    hides_money = hides or is_small(case.n_priced_subjects)
    rate = overall(case.rates)
    right = case.expected_right
    return CaseLine(
        case_id=case.case_id,
        title=case.title.en,
        unit=case.unit_id,
        period=period_words(case.first_period, case.last_period),
        kinds=", ".join(KIND_WORDS["en"].get(kind, kind) for kind in case.kinds),
        n_stays="< 5" if hides else count_words(case.n_stays),
        n_to_open="< 5" if few_to_open else HIDDEN if few_left else count_words(len(to_open)),
        expected_right=HIDDEN if hides else "–" if right is None else plain_number(right, "en", 0),
        amount=HIDDEN if hides_money else recovery_range_words(case.amount_low_nok, case.amount_high_nok),
        expected=HIDDEN if hides_money else recovery_words(case.expected_nok),
        rate_amount=""
        if hides or case.rate_low_nok is None
        else recovery_range_words(case.rate_low_nok, case.rate_high_nok),
        lead=_case_lead(case, rate),
        is_hidden=hides,
        has_page=has_page,
    )


def _case_lead(case: Case, rate: CaseRate | None) -> str:
    """What deviates, in a sentence; whom the unit is held against where figures would give few away."""
    if is_small(case.n_subjects) or betrays(rate, case):
        return f"Held against {AGAINST_WORDS['en'][case.against]}. Figures not shown: few patients."
    hides = rate is not None and rate.measure in with_small_rest(case.rates)
    told = lead_words(rate, "en", hides_judged=hides)
    return told or f"Held against {AGAINST_WORDS['en'][case.against]}."


def betrays(rate: CaseRate | None, case: Case) -> bool:
    """Whether what is said of a rate, beside the stays of its case, gives a small count away."""
    return rate is not None and (
        is_small(round(rate.observed)) or is_small(case.n_stays - round(rate.observed)) or is_small(rate.n)
    )


def is_shown(case: Case) -> bool:
    """Whether a case stands on the page with its counts."""
    return not is_small(case.n_subjects)


def shown_part(cases: Sequence[Case], found: Found, *, with_money: bool = False) -> Found:
    """The findings of the cases that are shown: sums over all would give the others away by subtraction.

    Args:
        cases: all of them.
        found: the findings.
        with_money: those of the cases alone whose amounts are shown.
    """
    is_wanted = shows_money if with_money else is_shown
    shown = [finding_id for case in cases if is_wanted(case) for finding_id in case.finding_ids]
    keep = pl.col("finding_id").is_in(shown)
    return Found(found.findings.filter(keep), found.items.filter(keep), found.reasons.filter(keep))


def shows_money(case: Case) -> bool:
    """Whether the amounts of a case stand on the page."""
    return is_shown(case) and not is_small(case.n_priced_subjects)


def totals(
    cases: Sequence[Case], shown: Found, record: CodedRecord, n_openings: int, settled: pl.DataFrame
) -> AuditTotals:
    """The figures on top of the page.

    Args:
        cases: all of them.
        shown: what `shown_part` gives.
        record: whose stays.
        n_openings: stays to open for the findings that are shown.
        settled: columns of OPENINGS: the stays of the cases whose amounts are shown, all cases together, for
            a contact that is doubted in two cases is settled once.
    """
    doubts = shown.findings.filter(~pl.col("kind").is_in(RATE_KINDS)).select("finding_id")
    stays = shown.items.join(doubts, on="finding_id").join(record.contacts, on="contact_id", how="inner")

    def added(name: str) -> float | None:
        """The sum of an amount over the stays; null where none has one."""
        return float(settled[name].sum()) if settled[name].count() else None

    expected = settled["expected_nok"].drop_nulls()
    favour = -float(expected.filter(expected < 0).sum())

    return AuditTotals(
        n_findings=count_words(shown.findings.height),
        n_stays=count_words(stays["stay_id"].n_unique()),
        n_cases=count_words(len(cases)),
        n_units=count_words(len({case.unit_id for case in cases})),
        n_contacts=shown_count(record.contacts.height),
        amount=recovery_range_words(added("amount_low_nok"), added("amount_high_nok")),
        expected=nok_words(float(expected.filter(expected > 0).sum()) if len(expected) else None),
        favour=nok_words(favour) if favour >= 1 else "",
        n_hidden_cases=sum(not shows_money(case) for case in cases),
        n_openings=count_words(n_openings),
    )


def coverage_lines(
    coverage: pl.DataFrame,
    found: Found,
    record: CodedRecord,
    names: CaseNames,
    looked_at: pl.DataFrame | None = None,
    *,
    shown: Found,
    of_rates: bool = False,
) -> tuple[CoverageLine, ...]:
    """What each rule judged, over all units and years.

    Args:
        coverage: columns of RULE_COVERAGE.
        found: findings, by which the patients behind the broken contacts are counted.
        record: whose patients.
        names: what rules are called.
        looked_at: rule_id, explanation, looked_at, held: at how many matches each innocent explanation was
            looked at and held.
        shown: the findings of the cases that are shown. Where the others of a rule are of few patients, its
            count is that of the cases shown: less their counts, the whole would give the others away.
        of_rates: whether the coverage is that of measures.
    """
    patients = _behind(found, record, "subject_id", of_rates=of_rates)
    contacts = _behind(shown, record, "contact_id", of_rates=of_rates)
    rest = found.findings.join(shown.findings.select("finding_id"), on="finding_id", how="anti")
    hidden = _behind(Found(rest, found.items, found.reasons), record, "subject_id", of_rates=of_rates)
    counts = coverage.group_by("rule_id").agg(pl.col("judged", "broken", "not_judgeable").sum())
    reasons = (
        coverage.filter(pl.col("reason").is_not_null() & (pl.col("not_judgeable") > 0))
        .group_by("rule_id", "reason")
        .agg(pl.col("not_judgeable").sum())
        .sort("rule_id", "not_judgeable", "reason", descending=[False, True, False])
    )
    cleared = _cleared(looked_at, names)
    return tuple(
        _coverage_line(
            row,
            Behind(
                patients.get(row["rule_id"], row["broken"]),
                hidden.get(row["rule_id"], 0),
                contacts.get(row["rule_id"], 0),
            ),
            reasons.filter(pl.col("rule_id") == row["rule_id"]).select("reason", "not_judgeable").rows(),
            cleared.get(row["rule_id"], ()),
            names.title(row["rule_id"], row["rule_id"], of_rates=of_rates).en,
        )
        for row in counts.sort("broken", "judged", "rule_id", descending=[True, True, False]).to_dicts()
    )


class Behind(NamedTuple):
    """Who is behind a rule's broken contacts.

    Attributes:
        n_subjects: their patients.
        n_hidden_subjects: the patients of cases that are not shown.
        n_shown_contacts: the broken contacts of cases that are.
    """

    n_subjects: int
    n_hidden_subjects: int
    n_shown_contacts: int


def _behind(found: Found, record: CodedRecord, what: str, *, of_rates: bool) -> dict[str, int]:
    """Rule, or measure -> how many different contacts or patients are behind its findings."""
    wanted = pl.col("kind").is_in(RATE_KINDS) == of_rates
    return dict(
        found.items.join(found.findings.filter(wanted).select("finding_id", "rule_id"), on="finding_id")
        .join(record.contacts.select("contact_id", "subject_id"), on="contact_id")
        .group_by("rule_id")
        .agg(pl.col(what).n_unique())
        .iter_rows()
    )


def _broken(judged: int, broken: int, behind: Behind) -> tuple[str, str]:
    """How many contacts break a rule, and their share; less where the rest would give few patients away."""
    if is_small(broken) or is_small(behind.n_subjects) or is_small(judged - broken):
        return ("< 5" if is_small(broken) else HIDDEN), ""
    if is_small(behind.n_hidden_subjects):
        least = min(behind.n_shown_contacts, broken)
        return f"≥ {count_words(least)}", f"≥ {share_words(least / judged)}"
    return count_words(broken), share_words(broken / judged) if judged else ""


def _cleared(looked_at: pl.DataFrame | None, names: CaseNames) -> dict[str, tuple[tuple[str, str], ...]]:
    """Rule -> its explanations and at how many of its matches each held; none that were never looked at."""
    told: dict[str, list[tuple[str, str]]] = {}
    if looked_at is None:
        return {}
    for rule_id, name, n_looked, n_held in looked_at.filter(pl.col("looked_at") > 0).iter_rows():
        words = names.innocent_titles.get(name, name.replace("_", " "))
        told.setdefault(rule_id, []).append((words, _part(n_held, n_looked)))
    return {rule_id: tuple(lines) for rule_id, lines in told.items()}


def _part(part: int, whole: int) -> str:
    """A part of a whole in words; a small one, or one that leaves a small rest, is hidden."""
    if is_small(part) or is_small(whole):
        return f"{shown_count(part)} of {shown_count(whole)}"
    return f"{HIDDEN if is_small(whole - part) else count_words(part)} of {count_words(whole)}"


def _coverage_line(
    row: Mapping[str, int | str],
    patients: Behind,
    reasons: Sequence[tuple[str, int]],
    cleared: tuple[tuple[str, str], ...],
    title: str,
) -> CoverageLine:
    rule_id, judged, broken = str(row["rule_id"]), int(row["judged"]), int(row["broken"])
    broken_words, share = _broken(judged, broken, patients)
    hidden = hidden_parts([count for _, count in reasons])
    return CoverageLine(
        rule_id=rule_id,
        title=title,
        judged=shown_count(judged),
        broken=broken_words,
        share=share,
        not_judgeable=shown_count(int(row["not_judgeable"])),
        reasons=tuple(
            (reason, ("< 5" if is_small(count) else HIDDEN) if hides else count_words(count))
            for (reason, count), hides in zip(reasons, hidden, strict=True)
        ),
        cleared=cleared,
    )


def check_lines(checks: pl.DataFrame) -> tuple[CheckLine, ...]:
    """Answers against what was expected of them.

    Args:
        checks: columns of `phenotype.coding.cases.review_correction.CHECKS`.
    """
    return tuple(_check_line(row) for row in checks.to_dicts())


def _check_line(row: Mapping[str, float | str | None]) -> CheckLine:
    n, agreed = int(row["n"] or 0), float(row["agreed"] or 0)
    hides = is_small(n) or is_small(round(agreed)) or is_small(n - round(agreed))
    p_value = row["p_value"]
    is_off = isinstance(p_value, float) and p_value < 0.01
    return CheckLine(
        kind=KIND_WORDS["en"].get(str(row["kind"]), str(row["kind"])),
        drawn="opened for its rank" if row["drawn"] == "ranked" else "opened at random",
        n=shown_count(n),
        agreed=HIDDEN if hides else plain_number(agreed, "en", 0),
        expected=HIDDEN if hides else plain_number(float(row["expected"] or 0), "en", 1),
        cannot_tell=shown_count(int(row["cannot_tell"] or 0)),
        verdict="differs from what was expected" if is_off else "as expected",
    )


def not_judged_lines(counts: Iterable[tuple[str, int]]) -> tuple[tuple[str, str], ...]:
    """What could not be judged, priced or compared, each with its count; small ones hidden."""
    return tuple((words, shown_count(count)) for words, count in counts if count)
