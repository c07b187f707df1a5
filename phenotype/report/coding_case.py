"""What the page and the sheet of a case say: stays to open, what is doubted in each, rates, explanations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from ontology.systems import parts
from phenotype.coding.case_names import CaseNames
from phenotype.coding.case_order import RATE_KINDS
from phenotype.coding.case_rates import CaseRate, overall
from phenotype.coding.cases import Case
from phenotype.coding.explanations import InnocentExplanations, LookedAt
from phenotype.coding.findings import Found
from phenotype.explain.wording import count_words
from phenotype.report.money import (
    Language,
    nok_range_words,
    nok_words,
    period_words,
    plain_number,
    share_words,
)
from phenotype.task_parts import Frozen

REASONS_SHOWN = 3
MIN_COMMON, COMMON_SHARE = 4, 0.5
"""What at least so many findings, and more than this share of them, say is said once."""
KIND_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "rule": "coding rule",
        "missing": "probable, not coded",
        "unsupported": "coded, little support",
        "main_condition": "main condition",
        "unspecific": "unspecific code",
        "unit_rate": "rate",
        "drift": "change over time",
    },
    "nb": {
        "rule": "koderegel",
        "missing": "sannsynlig, ikke kodet",
        "unsupported": "kodet, lite støtte",
        "main_condition": "hovedtilstand",
        "unspecific": "uspesifikk kode",
        "unit_rate": "andel",
        "drift": "endring over tid",
    },
}
AGAINST_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "expected": "what is expected of its patients (adjusted for case mix)",
        "wards": "wards of the same name in the other hospitals",
        "peers": "all other units judged by the same rule",
        "model": "what the rest of each stay lets one expect",
    },
    "nb": {
        "expected": "forventet nivå justert for pasientsammensetning",
        "wards": "tilsvarende avdelinger ved de andre sykehusene",
        "peers": "alle øvrige enheter vurdert etter samme regel",
        "model": "det øvrige innholdet i hvert opphold",
    },
}
VERDICT_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {"holds": "holds", "holds_in_part": "holds for some", "does_not_hold": "does not hold"},
    "nb": {"holds": "gjelder", "holds_in_part": "gjelder for noen", "does_not_hold": "gjelder ikke"},
}


class FindingLine(Frozen):
    """One doubt as a page writes it; contact and evidence are pseudonyms and numbers of the dataset."""

    finding_id: str
    kind: str
    title: str
    contact: str
    code: str
    suggested: str
    probability: str
    amount: str
    reasons: tuple[str, ...]
    holding: tuple[str, ...]


class StayLine(Frozen):
    """One stay to open.

    Attributes:
        rank: in the order of opening, within the case.
        stay: its pseudonym.
        others: stays that must be read beside it.
        probability: that at least one finding is right, in words.
        amount: what the payer would get back.
        expected: the same by probability.
        hours: that opening takes.
        verdict: whether opening pays off.
        drawn: ranked, random, or empty where it is beyond the capacity.
        findings: what is doubted, the most probable first.
    """

    rank: int
    stay: str
    others: tuple[str, ...]
    probability: str
    amount: str
    expected: str
    hours: str
    verdict: str
    drawn: str
    findings: tuple[FindingLine, ...]


class RateLine(Frozen):
    """One rate as a page writes it."""

    title: str
    period: str
    n: str
    observed: str
    expected: str
    ratio: str
    limits: str
    against: str
    verdict: str


class ExplanationLine(Frozen):
    """One innocent explanation as a page writes it."""

    title: str
    looked_at: str
    held: str
    verdict: str


class RuleWords(Frozen):
    """What a rule of the case says, and where it is written."""

    title: str
    says: str
    sources: tuple[str, ...]


class CasePage(Frozen):
    """What the page of one case says, in one language.

    Attributes:
        case_id: of the case.
        title: what it is about.
        unit: whose coding.
        period: over what time.
        kinds: how it was found.
        severity: the gravest of its findings.
        against: whom the unit is held against.
        lead: one sentence: what deviates, and by how much.
        n_findings, n_contacts, n_stays, n_subjects: how many.
        n_to_open: stays within the capacity.
        expected_right: stays expected to be wrongly coded.
        amount, expected: what the payer would get back if all findings are right, and by probability.
        rate_amount: what cutting the unit to the expected rate would bring; empty where it is not priced.
        priced: how many stays have a price, in words.
        rules: what the rules of the case say.
        rates: what measures and rules say of the unit.
        explanations: innocent explanations that were looked at.
        titles_differ: whether the findings on the page have more than one title.
        common: what is said of most findings on the page, once.
        stays: the first stays to open, without what is common.
        n_more: how many more there are, in the sheet.
        answers: how many findings reviewers agreed with, disagreed with, or could not tell.
    """

    case_id: str
    title: str
    unit: str
    period: str
    kinds: str
    severity: str
    against: str
    lead: str
    n_findings: int
    n_contacts: int
    n_stays: int
    n_subjects: int
    n_to_open: int
    expected_right: str
    amount: str
    expected: str
    rate_amount: str
    priced: str
    rules: tuple[RuleWords, ...]
    rates: tuple[RateLine, ...]
    explanations: tuple[ExplanationLine, ...]
    titles_differ: bool
    common: tuple[str, ...]
    stays: tuple[StayLine, ...]
    n_more: int
    answers: Mapping[str, int]


class CaseBook:
    """The findings of an audit by id, so that each case finds its own quickly.

    Args:
        found: findings with items and reasons.
        names: what rules and codes are called.
        explanations: what innocent explanations are called.
        chosen: stay_id and how (ranked, random) of the stays within the capacity.
        answered: finding_ids that reviewers have answered.
    """

    def __init__(
        self,
        found: Found,
        names: CaseNames,
        explanations: InnocentExplanations,
        chosen: pl.DataFrame,
        answered: frozenset[str] = frozenset(),
    ) -> None:
        self._answered = answered
        self.names = names
        self.explanations = explanations
        self._findings = {row["finding_id"]: row for row in found.findings.iter_rows(named=True)}
        self._items = _grouped(found.items)
        self._reasons = _grouped(found.reasons.sort("finding_id", "rank"))
        self._code_words: dict[str, str] = {}
        self._chosen = dict(chosen.select("stay_id", "how").iter_rows())

    def page(
        self, case: Case, answers: Mapping[str, int], n_shown: int, language: Language = "en"
    ) -> CasePage:
        """What the page of a case says.

        Args:
            case: the case.
            answers: agree, disagree, cannot_tell -> how many of its findings.
            n_shown: how many stays stand on the page.
            language: of all words but the record's.
        """
        title = case.title.nb if language == "nb" else case.title.en
        common, stays = without_common(self.stays(case, n_shown, language))
        return CasePage(
            case_id=case.case_id,
            title=title,
            unit=case.unit_id,
            period=period_words(case.first_period, case.last_period),
            kinds=", ".join(KIND_WORDS[language].get(kind, kind) for kind in case.kinds),
            severity=case.severity,
            against=AGAINST_WORDS[language][case.against],
            lead=lead_words(overall(case.rates), language),
            n_findings=case.n_findings,
            n_contacts=case.n_contacts,
            n_stays=case.n_stays,
            n_subjects=case.n_subjects,
            n_to_open=sum(stay in self._chosen for stay in case.openings["stay_id"].to_list()),
            expected_right="–"
            if case.expected_right is None
            else plain_number(case.expected_right, language, 1),
            amount=nok_range_words(case.amount_low_nok, case.amount_high_nok, language),
            expected=nok_words(case.expected_nok, language),
            rate_amount=""
            if case.rate_low_nok is None
            else nok_range_words(case.rate_low_nok, case.rate_high_nok, language),
            priced=f"{count_words(case.n_priced)} / {count_words(case.openings.height)}",
            rules=self._rules(case, language),
            rates=tuple(self._rate(rate, language) for rate in case.rates),
            explanations=tuple(self._explanation(one, language) for one in case.explanations),
            titles_differ=len({one.title for stay in stays for one in stay.findings}) > 1,
            common=common,
            stays=stays,
            n_more=max(case.openings.height - n_shown, 0),
            answers=answers,
        )

    def stays(self, case: Case, n: int | None = None, language: Language = "en") -> tuple[StayLine, ...]:
        """The first stays of a case to open, those that are answered last; null = all of them."""
        is_answered = pl.Series(
            [self._answered.issuperset(ids) for ids in case.openings["finding_ids"].to_list()],
            dtype=pl.Boolean,
        )
        rows = case.openings.with_columns(is_answered=is_answered).sort("is_answered", "rank")
        shown = rows if n is None else rows.head(n)
        return tuple(self._stay(row, language) for row in shown.iter_rows(named=True))

    def _stay(self, row: Mapping[str, Any], language: Language) -> StayLine:
        return StayLine(
            rank=row["rank"],
            stay=str(row["stay_id"]),
            others=tuple(str(stay) for stay in row["other_stay_ids"]),
            probability=_chance(row["probability"], language),
            amount=nok_range_words(row["amount_low_nok"], row["amount_high_nok"], language),
            expected=nok_words(row["expected_nok"], language),
            hours=plain_number(row["hours"], language, 1),
            verdict=_verdict(row, language),
            drawn=self._chosen.get(row["stay_id"], ""),
            findings=tuple(self._finding(finding_id, language) for finding_id in row["finding_ids"]),
        )

    def _finding(self, finding_id: str, language: Language) -> FindingLine:
        row = self._findings[finding_id]
        items = self._items.get(finding_id, [])
        title = self.names.title(row["rule_id"], row["title"] or "", of_rates=row["kind"] in RATE_KINDS)
        own = row["title"] if language == "en" and row["title"] else getattr(title, language)
        codes = dict.fromkeys(item["code"] for item in items if item["code"])
        suggested = dict.fromkeys(item["suggested_code"] for item in items if item["suggested_code"])
        reasons = self._reasons.get(finding_id, [])[:REASONS_SHOWN]
        return FindingLine(
            finding_id=finding_id,
            kind=KIND_WORDS[language].get(row["kind"], row["kind"]),
            title=own,
            contact=", ".join(dict.fromkeys(str(item["contact_id"]) for item in items)),
            code="; ".join(self.code_words(code) for code in codes),
            suggested="; ".join(self.code_words(code) for code in suggested),
            probability=_chance(row["probability"], language),
            amount=nok_range_words(row["amount_low_nok"], row["amount_high_nok"], language),
            reasons=tuple(reason["text"] for reason in reasons if reason["text"]),
            holding=tuple(
                getattr(self._innocent(name).title, language) for name in row["innocent_explanations"] or ()
            ),
        )

    def code_words(self, code: str) -> str:
        """A code with what the Norwegian list calls it."""
        if code not in self._code_words:
            label = self.names.code_title(code).nb
            written = parts(code)[1] if "//" in code else code
            self._code_words[code] = written if label == code else f"{written} {label}"
        return self._code_words[code]

    def _innocent(self, name: str) -> Any:
        return self.explanations.get(name, self.names.innocent_titles.get(name, ""))

    def _explanation(self, one: LookedAt, language: Language) -> ExplanationLine:
        words = self._innocent(one.name)
        joint = "of" if language == "en" else "av"
        return ExplanationLine(
            title=getattr(words.title, language),
            looked_at=getattr(words.looked_at, language),
            held=f"{count_words(one.n_held)} {joint} {count_words(one.n_looked)}",
            verdict=VERDICT_WORDS[language][one.verdict],
        )

    def _rate(self, rate: CaseRate, language: Language) -> RateLine:
        flagged = {"en": ("flagged", "within limits"), "nb": ("avviker", "innenfor grensene")}[language]
        return RateLine(
            title=getattr(
                self.names.title(rate.measure, rate.measure, of_rates=rate.against == "expected"), language
            ),
            period=rate.period,
            n=count_words(rate.n),
            observed=_figure(rate.observed, language),
            expected="–" if rate.expected is None else plain_number(rate.expected, language, 1),
            ratio="–" if rate.ratio is None else plain_number(rate.ratio, language, 2),
            limits=_limits(rate, language),
            against=AGAINST_WORDS[language][rate.against],
            verdict="" if rate.is_flagged is None else flagged[0 if rate.is_flagged else 1],
        )

    def measure_words(self, measure: str) -> str:
        """What a measure is called, in English."""
        return self.names.title(measure, measure, of_rates=True).en

    def rule_ids(self, case: Case) -> frozenset[str]:
        """The rules, expectations and measures that its findings come from."""
        return frozenset(self._findings[one]["rule_id"] for one in case.finding_ids)

    def _rules(self, case: Case, language: Language) -> tuple[RuleWords, ...]:
        return tuple(
            RuleWords(
                title=getattr(self.names.title(rule_id, rule_id), language),
                says=getattr(self.names.says[rule_id], language),
                sources=self.names.sources.get(rule_id, ()),
            )
            for rule_id in sorted(self.rule_ids(case))
            if rule_id in self.names.says
        )


def without_common(stays: tuple[StayLine, ...]) -> tuple[tuple[str, ...], tuple[StayLine, ...]]:
    """Reasons that most findings share, and the stays without them; nothing is common to three or fewer."""
    findings = [finding for stay in stays for finding in stay.findings]
    counted = Counter(reason for finding in findings for reason in finding.reasons)
    common = tuple(
        reason for reason, n in counted.items() if n >= MIN_COMMON and n > len(findings) * COMMON_SHARE
    )
    rest = tuple(
        stay.model_copy(
            update={
                "findings": tuple(
                    finding.model_copy(
                        update={"reasons": tuple(one for one in finding.reasons if one not in common)}
                    )
                    for finding in stay.findings
                )
            }
        )
        for stay in stays
    )
    return common, rest


def _grouped(rows: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        grouped.setdefault(row["finding_id"], []).append(row)
    return grouped


def lead_words(rate: CaseRate | None, language: Language) -> str:
    """What deviates and by how much, in a sentence; empty where no rate is held against anything."""
    if rate is None or rate.expected is None or rate.ratio is None:
        return ""
    n, observed = count_words(rate.n), _figure(rate.observed, language)
    is_count = rate.n > 0 and rate.observed <= rate.n and rate.observed == round(rate.observed)
    share = f" ({share_words(rate.observed / rate.n, language)})" if is_count else ""
    expected, ratio = plain_number(rate.expected, language, 1), plain_number(rate.ratio, language, 1)
    limits = _limits(rate, language)
    if language == "en":
        whose = "of its patients" if rate.against == "expected" else "at the others' rate"
        tail = f", 95% limits {limits}" if limits else ""
        return (
            f"{rate.period}: {observed} of {n}{share} where {expected} would be expected {whose}, "
            f"{ratio} times as many{tail}."
        )
    whose = "ut fra pasientsammensetningen" if rate.against == "expected" else "ut fra de andres andel"
    tail = f", 95 % grenser {limits}" if limits else ""
    return (
        f"{rate.period}: {observed} av {n}{share}, mot {expected} forventet {whose}; "
        f"forholdstall {ratio}{tail}."
    )


def _limits(rate: CaseRate, language: Language) -> str:
    if rate.low is None or rate.high is None:
        return ""
    joint = " to " if language == "en" else " til "
    return f"{plain_number(rate.low, language, 2)}{joint}{plain_number(rate.high, language, 2)}"


def _figure(value: float, language: Language) -> str:
    return count_words(round(value)) if value == round(value) else plain_number(value, language, 2)


def _chance(probability: float | None, language: Language) -> str:
    if probability is None:
        return "–"
    figure = plain_number(100 * probability, language, 0)
    return f"{figure}%" if language == "en" else f"{figure} %"


def _verdict(row: Mapping[str, Any], language: Language) -> str:
    en = language == "en"
    if row["is_answered"]:
        return "answered" if en else "besvart"
    if row["probability"] is None:
        return "sample behind the rate" if en else "utvalg bak andelen"
    if row["pays"] is None:
        return "no price" if en else "uten beløp"
    if row["pays"]:
        return "pays off" if en else "lønner seg"
    return "costs more than it brings" if en else "koster mer enn det gir"
