"""What draft letters about a case say, in Norwegian (bokmål) and English: facts, figures, what is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ontology.configuration import read_yaml, validate
from phenotype.coding.cases.cases import Case
from phenotype.coding.cases.rates import CaseRate, overall
from phenotype.explain.wording import count_words
from phenotype.report.coding_audit import betrays
from phenotype.report.coding_letter_purpose import LEFT_OUT, letter_purpose
from phenotype.report.coding_lines import CasePage
from phenotype.report.money import Language, day_words, recovery_range_words
from phenotype.report.suppression import is_small
from phenotype.task_parts import Frozen


class TableWords(Frozen):
    """The heading of a table and of its columns."""

    title: str
    heads: tuple[str, ...]


class InquiryWords(Frozen):
    """What a letter says that asks a unit about more than is expected of it."""

    subject: str
    about: str
    conclusion: str
    asks_title: str
    asks: tuple[str, ...]
    closing: tuple[str, ...]


class InformationWords(InquiryWords):
    """What a letter says that tells a unit what seems to be left out, and why it is written."""

    fewer: str
    left_out: str
    favour: str


class LetterWords(Frozen):
    """The words of letters in one language; what stands in braces is filled in from the case."""

    draft: str
    fields: Mapping[str, str]
    date: str
    rule: str
    stays: str
    no_stays: str
    few: str
    lead: str
    within: str
    money: str
    priced: str
    priced_alone: str
    money_rate: str
    money_rate_only: str
    rates: TableWords
    explanations: TableWords
    attachments_title: str
    attachments: tuple[str, ...]
    signature: tuple[str, ...]
    inquiry: InquiryWords
    information: InformationWords


class LetterTexts(BaseModel):
    """The letter in both languages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    nb: LetterWords
    en: LetterWords

    @classmethod
    def load(cls, path: Path) -> LetterTexts:
        """The letter of a YAML file.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return validate(cls, read_yaml(path), where=str(path))


class LetterTable(Frozen):
    """A small table of a letter: its heading, column heads and rows."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Letter(Frozen):
    """A draft letter, ready to be written down.

    Attributes:
        language: of the letter.
        draft: that it is a draft.
        fields: sender, recipient, references, date: name and text; placeholders stand in square brackets.
        subject: its heading.
        paragraphs: before the tables.
        tables: figures, and explanations looked at.
        asks_title: the heading of what is asked.
        asks: what is asked, in order.
        closing: after what is asked.
        attachments_title: the heading of what is sent with it.
        attachments: what is sent with it.
        signature: who signs.
    """

    language: Language
    draft: str
    fields: tuple[tuple[str, str], ...]
    subject: str
    paragraphs: tuple[str, ...]
    tables: tuple[LetterTable, ...]
    asks_title: str
    asks: tuple[str, ...]
    closing: tuple[str, ...]
    attachments_title: str
    attachments: tuple[str, ...]
    signature: tuple[str, ...]


def make_letter(
    case: Case, page: CasePage, words: LetterWords, language: Language, today: dt.date
) -> Letter | None:
    """The draft letter about a case; None where there is nothing to write about (see `letter_purpose`).

    A letter may become public: stays of fewer than five patients are written as "fewer than 5", and amounts
    and rates about them are left out.

    Args:
        case: the case.
        page: what its page says in the letter's language.
        words: of letters, in that language.
        language: of the letter.
        today: the day that it is dated.
    """
    purpose = letter_purpose(case)
    if purpose is None:
        return None
    own: InquiryWords = getattr(words, purpose)
    filled = {
        "unit": page.unit,
        "period": page.period,
        "title": page.title,
        "n_stays": words.few if is_small(case.n_subjects) else count_words(case.n_stays),
        "against": page.against,
        "case_id": page.case_id,
    }
    fields = [(name, _fill(text, filled)) for name, text in words.fields.items()]
    return Letter(
        language=language,
        draft=words.draft,
        fields=(*fields, (words.date, day_words(today, language))),
        subject=_fill(own.subject, filled),
        paragraphs=tuple(_paragraphs(case, page, words, language, filled)),
        tables=(*_rates(case, page, words.rates), *_explained(page, words.explanations)),
        asks_title=own.asks_title,
        asks=own.asks,
        closing=own.closing,
        attachments_title=words.attachments_title,
        attachments=tuple(_fill(text, filled) for text in words.attachments),
        signature=words.signature,
    )


def _fill(text: str, filled: Mapping[str, Any]) -> str:
    """The text with what stands in braces filled in, once: braces in what is filled in are left alone."""
    parts = text.split("{")
    return parts[0] + "".join(
        f"{filled[name]}{rest}" if name in filled else f"{{{part}"
        for part in parts[1:]
        for name, _, rest in (part.partition("}"),)
    )


def _paragraphs(
    case: Case, page: CasePage, words: LetterWords, language: Language, filled: Mapping[str, str]
) -> list[str]:
    own: InquiryWords = getattr(words, str(letter_purpose(case)))
    told = [_fill(own.about, filled)]
    told += [_fill(words.rule, {"says": rule.says}) for rule in page.rules]
    told.append(_fill(words.stays if case.n_stays else words.no_stays, filled))
    if not is_small(case.n_subjects):
        tells = page.lead and not betrays(overall(case.rates), case)
        told += [_fill(words.lead, {"lead": page.lead})] if tells else []
    told += [words.within] if case.deviation == "within" else []
    if isinstance(own, InformationWords):
        told += _why(case, own)
    if not is_small(case.n_subjects):
        told += _money(case, words, language)
    return [*told, own.conclusion]


def _why(case: Case, words: InformationWords) -> list[str]:
    """Why a letter for information is written."""
    told = [words.fewer] if case.deviation == "fewer" else []
    told += [words.left_out] if LEFT_OUT.intersection(case.kinds) else []
    is_owed = case.expected_nok is not None and case.expected_nok < 0
    shows_money = not is_small(case.n_subjects) and not is_small(case.n_priced_subjects)
    return told + ([words.favour] if is_owed and (shows_money or not told) else [])


def _money(case: Case, words: LetterWords, language: Language) -> list[str]:
    """What is said of money; nothing where nothing is priced, nor of a rate of few or that cuts nothing."""
    told = []
    if (case.amount_low_nok or case.amount_high_nok) and not is_small(case.n_priced_subjects):
        hides = is_small(case.n_stays - case.n_priced)
        priced = words.priced_alone if hides else _fill(words.priced, {"n": count_words(case.n_priced)})
        amount = recovery_range_words(case.amount_low_nok, case.amount_high_nok, language)
        told.append(_fill(words.money, {"amount": amount, "n_priced": priced}))
    is_few = any(rate.is_flagged and is_small(round(rate.observed)) for rate in case.rates)
    if (case.rate_low_nok or case.rate_high_nok) and case.deviation != "fewer" and not is_few:
        amount = recovery_range_words(case.rate_low_nok, case.rate_high_nok, language)
        told.append(_fill(words.money_rate if told else words.money_rate_only, {"amount": amount}))
    return told


def _rates(case: Case, page: CasePage, words: TableWords) -> tuple[LetterTable, ...]:
    """The rates of a case as a table; none of a measure of which any year is about few patients.

    Beside the stays of the whole case, the other years would give that year away. Where few are left over,
    the page's lines do not tell how many were judged.
    """
    counts: dict[str, list[CaseRate]] = {}
    for rate in case.rates:
        counts.setdefault(rate.measure, []).append(rate)
    hidden = {
        measure
        for measure, rates in counts.items()
        if any(is_small(round(rate.observed)) or is_small(rate.n) for rate in rates)
        or is_small(case.n_stays - sum(round(rate.observed) for rate in rates))
    }
    rows = tuple(
        (line.title, line.period, line.n, line.observed, line.expected, line.ratio, line.limits or "–")
        for line in page.rates
        if line.measure not in hidden
    )
    if is_small(case.n_subjects) or not rows:
        return ()
    return (LetterTable(title=words.title, heads=words.heads, rows=rows),)


def _explained(page: CasePage, words: TableWords) -> tuple[LetterTable, ...]:
    rows = tuple((one.title, one.looked_at or "–", one.verdict) for one in page.explanations)
    return (LetterTable(title=words.title, heads=words.heads, rows=rows),) if rows else ()
