"""What the page and the sheet of a case say: stays to open, what is doubted in each, rates, explanations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import polars as pl

from ontology.systems import parts
from phenotype.coding.cases.cases import Case
from phenotype.coding.cases.explanations import InnocentExplanations, LookedAt
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import RATE_KINDS
from phenotype.coding.cases.rates import HARDLY_ANY, CaseRate, direction, overall
from phenotype.coding.findings import Found
from phenotype.explain.wording import count_words
from phenotype.report.coding_letter_purpose import NO_LETTER_WORDS, letter_purpose
from phenotype.report.coding_lines import (
    CasePage,
    ExplanationLine,
    FindingLine,
    RateLine,
    RuleWords,
    StayLine,
)
from phenotype.report.coding_words import (
    AGAINST_WORDS,
    DIRECTION_WORDS,
    KIND_WORDS,
    VERDICT_WORDS,
    chance_words,
    figure_words,
    lead_words,
    limits_words,
    opening_words,
    with_small_rest,
)
from phenotype.report.money import (
    Language,
    period_words,
    plain_number,
    recovery_range_words,
    recovery_words,
)
from phenotype.report.suppression import HIDDEN

REASONS_SHOWN = 3
MIN_COMMON, COMMON_SHARE = 4, 0.5
"""What at least so many findings, and more than this share of them, say is said once."""


class CaseBook:
    """The findings of an audit by id, so that each case finds its own quickly.

    Args:
        found: findings with items and reasons.
        names: what rules and codes are called.
        explanations: what innocent explanations are called.
        contacts: contact_id and stay_id.
        chosen: stay_id and how (ranked, random) of the stays within the capacity.
        answered: finding_ids that reviewers have answered.
    """

    def __init__(
        self,
        found: Found,
        names: CaseNames,
        explanations: InnocentExplanations,
        *,
        contacts: pl.DataFrame,
        chosen: pl.DataFrame,
        answered: frozenset[str] = frozenset(),
    ) -> None:
        self._answered = answered
        self.names = names
        self.explanations = explanations
        self._findings = {row["finding_id"]: row for row in found.findings.iter_rows(named=True)}
        rates = found.findings.filter(pl.col("kind").is_in(RATE_KINDS)).select("finding_id")
        self._items = _grouped(found.items.join(rates, on="finding_id", how="anti", maintain_order="left"))
        self._behind_rates = _by_stay(found.items.join(rates, on="finding_id", how="semi"), contacts)
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
        rate, small, ids = overall(case.rates), with_small_rest(case.rates), self.rule_ids(case)
        telling = [one for one in case.rates if one.observed or one.is_flagged or one.measure in ids]
        return CasePage(
            case_id=case.case_id,
            title=title,
            unit=case.unit_id,
            period=period_words(case.first_period, case.last_period),
            kinds=", ".join(KIND_WORDS[language].get(kind, kind) for kind in case.kinds),
            severity=case.severity,
            against=AGAINST_WORDS[language][case.against],
            lead=lead_words(rate, language, hides_judged=rate is not None and rate.measure in small),
            letter=letter_purpose(case) or "",
            no_letter=NO_LETTER_WORDS[language][case.deviation],
            n_findings=case.n_findings,
            n_contacts=case.n_contacts,
            n_stays=case.n_stays,
            n_subjects=case.n_subjects,
            n_to_open=sum(stay in self._chosen for stay in case.openings["stay_id"].to_list()),
            expected_right="–"
            if case.expected_right is None
            else plain_number(case.expected_right, language, 1),
            amount=recovery_range_words(case.amount_low_nok, case.amount_high_nok, language),
            expected=recovery_words(case.expected_nok, language),
            rate_amount=""
            if case.rate_low_nok is None
            else recovery_range_words(case.rate_low_nok, case.rate_high_nok, language),
            priced=f"{count_words(case.n_priced)} / {count_words(case.openings.height)}",
            rules=self._rules(case, language),
            rates=tuple(self._rate(one, language, hides_judged=one.measure in small) for one in telling),
            silent=tuple(
                dict.fromkeys(self._rate_title(one, language) for one in case.rates if one not in telling)
            ),
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
            probability=chance_words(row["probability"], language),
            amount=recovery_range_words(row["amount_low_nok"], row["amount_high_nok"], language),
            expected=recovery_words(row["expected_nok"], language),
            hours=plain_number(row["hours"], language, 1),
            verdict=opening_words(row, language),
            drawn=self._chosen.get(row["stay_id"], ""),
            findings=tuple(
                self._finding(finding_id, row["stay_id"], language) for finding_id in row["finding_ids"]
            ),
        )

    def _finding(self, finding_id: str, stay_id: int, language: Language) -> FindingLine:
        """A finding as it stands at one stay; of a rate, what is behind it there, without its money."""
        row = self._findings[finding_id]
        is_rate = row["kind"] in RATE_KINDS
        items = (
            self._behind_rates.get((finding_id, stay_id), []) if is_rate else self._items.get(finding_id, [])
        )
        title = self.names.title(row["rule_id"], row["title"] or "", of_rates=is_rate)
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
            probability=chance_words(row["probability"], language),
            amount="–"
            if is_rate
            else recovery_range_words(row["amount_low_nok"], row["amount_high_nok"], language),
            reasons=tuple(
                self._translated(reason["text"], row["rule_id"], language)
                for reason in reasons
                if reason["text"]
            ),
            holding=tuple(
                getattr(self._innocent(name).title, language) for name in row["innocent_explanations"] or ()
            ),
        )

    def _translated(self, text: str, rule_id: str, language: Language) -> str:
        """A reason, with what the rule itself says in the language."""
        says = self.names.says.get(rule_id)
        return text.replace(says.en, says.nb) if says and says.nb and language == "nb" else text

    def code_words(self, code: str) -> str:
        """A code with what the Norwegian list calls it."""
        if code not in self._code_words:
            label = self.names.code_title(code).nb
            written = parts(code)[1] if "//" in code else code
            self._code_words[code] = written if label == written else f"{written} {label}"
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

    def _rate_title(self, rate: CaseRate, language: Language) -> str:
        title = self.names.title(rate.measure, rate.measure, of_rates=rate.against == "expected")
        return str(getattr(title, language))

    def _rate(self, rate: CaseRate, language: Language, *, hides_judged: bool) -> RateLine:
        hidden = HIDDEN if language == "en" else "skjult"
        has_ratio = rate.ratio is not None and (rate.expected or 0.0) >= HARDLY_ANY
        return RateLine(
            measure=rate.measure,
            title=self._rate_title(rate, language),
            period=rate.period,
            n=hidden if hides_judged else count_words(rate.n),
            observed=figure_words(rate.observed, language),
            expected="–" if rate.expected is None else plain_number(rate.expected, language, 1),
            ratio=plain_number(rate.ratio, language, 2) if has_ratio and rate.ratio is not None else "–",
            limits=limits_words(rate, language),
            against=AGAINST_WORDS[language][rate.against],
            verdict="" if rate.expected is None else DIRECTION_WORDS[language][direction(rate)],
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


def _by_stay(items: pl.DataFrame, contacts: pl.DataFrame) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """(finding_id, stay_id) -> the items of that finding in that stay."""
    placed = items.join(
        contacts.select("contact_id", "stay_id"), on="contact_id", how="inner", maintain_order="left"
    )
    grouped: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in placed.iter_rows(named=True):
        grouped.setdefault((row["finding_id"], row["stay_id"]), []).append(row)
    return grouped


def _grouped(rows: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        grouped.setdefault(row["finding_id"], []).append(row)
    return grouped
