"""What a draft letter about a case says, in Norwegian (bokmål) and English: facts, figures, what is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ontology.configuration import read_yaml, validate
from phenotype.coding.cases.cases import Case
from phenotype.coding.cases.rates import overall
from phenotype.report.coding_audit import betrays
from phenotype.report.coding_lines import CasePage
from phenotype.report.money import Language, day_words, nok_range_words, nok_words
from phenotype.report.suppression import is_small
from phenotype.task_parts import Frozen


class TableWords(Frozen):
    """The heading of a table and of its columns."""

    title: str
    heads: tuple[str, ...]


class LetterWords(Frozen):
    """The words of a letter in one language; what stands in braces is filled in from the case."""

    draft: str
    fields: Mapping[str, str]
    date: str
    subject: str
    about: str
    rule: str
    stays: str
    no_stays: str
    few: str
    lead: str
    money_back: str
    money_owed: str
    money_either: str
    money_rate: str
    money_rate_only: str
    no_conclusion: str
    rates: TableWords
    explanations: TableWords
    asks_title: str
    asks: tuple[str, ...]
    closing: tuple[str, ...]
    attachments_title: str
    attachments: tuple[str, ...]
    signature: tuple[str, ...]


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


def make_letter(case: Case, page: CasePage, words: LetterWords, language: Language, today: dt.date) -> Letter:
    """The draft letter about a case.

    A letter may become public: stays of fewer than five patients are written as "fewer than 5", and amounts
    and rates about them are left out.

    Args:
        case: the case.
        page: what its page says in the letter's language.
        words: of the letter, in its language.
        language: of the letter.
        today: the day that it is dated.
    """
    filled = {
        "unit": page.unit,
        "period": page.period,
        "title": page.title,
        "n_stays": words.few if is_small(case.n_subjects) else str(case.n_stays),
        "against": page.against,
        "case_id": page.case_id,
    }
    fields = [(name, _fill(text, filled)) for name, text in words.fields.items()]
    return Letter(
        language=language,
        draft=words.draft,
        fields=(*fields, (words.date, day_words(today, language))),
        subject=_fill(words.subject, filled),
        paragraphs=tuple(_paragraphs(case, page, words, language, filled)),
        tables=(*_rates(case, page, words.rates), *_explained(page, words.explanations)),
        asks_title=words.asks_title,
        asks=words.asks,
        closing=words.closing,
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
    told = [_fill(words.about, filled)]
    told += [_fill(words.rule, {"says": rule.says}) for rule in page.rules]
    told.append(_fill(words.stays if case.n_stays else words.no_stays, filled))
    if not is_small(case.n_subjects):
        tells = page.lead and not betrays(overall(case.rates), case)
        told += [_fill(words.lead, {"lead": page.lead})] if tells else []
        told += _money(case, words, language)
    return [*told, words.no_conclusion]


def _money(case: Case, words: LetterWords, language: Language) -> list[str]:
    """What is said of money; nothing where nothing is priced."""
    told = []
    low, high = case.amount_low_nok or 0.0, case.amount_high_nok or 0.0
    if (low or high) and not is_small(case.n_priced_subjects):
        filled = {
            "amount": nok_range_words(low, high, language),
            "owed": nok_words(-low, language),
            "back": nok_words(high, language),
            "n_priced": str(case.n_priced),
        }
        if low < 0 < high:
            told.append(_fill(words.money_either, filled))
        elif low < 0:
            filled["amount"] = nok_range_words(-high, -low, language)
            told.append(_fill(words.money_owed, filled))
        else:
            told.append(_fill(words.money_back, filled))
    if case.rate_low_nok is not None:
        amount = nok_range_words(case.rate_low_nok, case.rate_high_nok, language)
        told.append(_fill(words.money_rate if told else words.money_rate_only, {"amount": amount}))
    return told


def _rates(case: Case, page: CasePage, words: TableWords) -> tuple[LetterTable, ...]:
    """The rates of a case as a table; none of a measure of which any year is about few patients.

    Beside the stays of the whole case, the other years would give that year away.
    """
    counts: dict[str, list[int]] = {}
    for rate, line in zip(case.rates, page.rates, strict=True):
        counts.setdefault(line.title, []).append(round(rate.observed))
    hidden = {
        title
        for title, observed in counts.items()
        if any(map(is_small, observed)) or is_small(case.n_stays - sum(observed))
    }
    rows = tuple(
        (line.title, line.period, line.n, line.observed, line.expected, line.ratio, line.limits or "–")
        for rate, line in zip(case.rates, page.rates, strict=True)
        if line.title not in hidden and not is_small(rate.n)
    )
    if is_small(case.n_subjects) or not rows:
        return ()
    return (LetterTable(title=words.title, heads=words.heads, rows=rows),)


def _explained(page: CasePage, words: TableWords) -> tuple[LetterTable, ...]:
    rows = tuple((one.title, one.looked_at or "–", one.verdict) for one in page.explanations)
    return (LetterTable(title=words.title, heads=words.heads, rows=rows),) if rows else ()
