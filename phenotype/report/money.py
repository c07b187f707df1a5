"""Money and numbers as each language writes them: NOK 37 241 720.77 and 37 241 720,77 kr."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from phenotype.explain.wording import FIXED_SPACE, MINUS, NARROW_SPACE

Language = Literal["en", "nb"]
MONTHS_NB = (
    "januar",
    "februar",
    "mars",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "desember",
)


def nok_words(amount: float | None, language: Language = "en", decimals: int = 0) -> str:
    """An amount in kroner, a dash where none is known.

    Args:
        amount: in kroner.
        language: en: NOK 37 241 720.77; nb: 37 241 720,77 kr, with spaces that never break.
        decimals: 0 for what is estimated, 2 for what is settled.
    """
    if amount is None:
        return "–"
    figure = plain_number(amount, language, decimals)
    return f"NOK{FIXED_SPACE}{figure}" if language == "en" else f"{figure}{FIXED_SPACE}kr"


def nok_range_words(low: float | None, high: float | None, language: Language = "en") -> str:
    """Two ends of an amount, one of them where they are equal in whole kroner."""
    if low is None or high is None or round(low) == round(high):
        return nok_words(low if low is not None else high, language)
    ends = sorted((low, high))
    joint = " to " if language == "en" else "–" if ends[0] >= 0 else " til "
    first, last = (plain_number(end, language, 0) for end in ends)
    if language == "en":
        return f"NOK{FIXED_SPACE}{first}{joint}{last}"
    return f"{first}{joint}{last}{FIXED_SPACE}kr"


_FAVOUR = {"en": " in the hospital's favour", "nb": " i sykehusets favør"}


def recovery_words(amount: float | None, language: Language = "en") -> str:
    """What the payer would recover; an amount that goes the other way says so in words, without a minus."""
    return recovery_range_words(amount, amount, language)


def recovery_range_words(low: float | None, high: float | None, language: Language = "en") -> str:
    """What the payer would recover, as a range; the part in the hospital's favour says so in words."""
    ends = [round(end) for end in (low, high) if end is not None]
    if not ends or min(ends) >= 0:
        return nok_range_words(low, high, language)
    least, most = min(ends), max(ends)
    favour = _FAVOUR[language]
    if most <= 0:
        return nok_range_words(-most, -least, language) + favour
    owed, back = nok_words(-least, language), nok_words(most, language)
    if language == "en":
        return f"from {owed}{favour} to {back} in the payer's"
    return f"fra {owed}{favour} til {back} i statens favør"


def plain_number(value: float, language: Language = "en", decimals: int = 0) -> str:
    """A number with thin spaces between thousands, in Norwegian a decimal comma; minus nothing is nothing."""
    text = f"{abs(value):,.{decimals}f}".replace(",", NARROW_SPACE)
    if language == "nb":
        text = text.replace(".", ",")
    is_zero = not any(sign in "123456789" for sign in text)
    return text if value >= 0 or is_zero else f"{MINUS}{text}"


def share_words(share: float, language: Language = "en") -> str:
    """A share in percent with one decimal: 8.3%, 8,3 %."""
    text = plain_number(100 * share, language, 1)
    return f"{text}%" if language == "en" else f"{text}{FIXED_SPACE}%"


def day_words(day: dt.date, language: Language = "en") -> str:
    """A day in full: 22 November 2026, 22. november 2026."""
    if language == "en":
        return f"{day.day} {day:%B} {day.year}"
    return f"{day.day}. {MONTHS_NB[day.month - 1]} {day.year}"


def period_words(first: str, last: str) -> str:
    """A period: 2024, 2022–2024."""
    return first if first == last else f"{first}–{last}"
