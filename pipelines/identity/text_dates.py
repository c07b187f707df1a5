"""Dates within texts: as ISO 8601 and people in Norway write them."""

from __future__ import annotations

import polars as pl

_YEAR = "(?:1[89]|20)[0-9]{2}"
_MONTH, _DAY = "(?:0?[1-9]|1[0-2])", "(?:0?[1-9]|[12][0-9]|3[01])"
_TWO_DIGIT_MONTH, _TWO_DIGIT_DAY = "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[T ][0-9]{2}[:.]?[0-9]{2}(?:[:.]?[0-9]{2}(?:[.,][0-9]+)?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?"
_MONTH_NAME = (
    "(?:jan(?:uary?)?|feb(?:ruary?)?|mars|mar(?:ch)?|apr(?:il)?|mai|may|jun[ie]?|jul[iy]?|aug(?:ust)?"
    "|sept?(?:ember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cs](?:ember)?)"
)
_FORMS = (
    rf"{_YEAR}[-./]{_MONTH}[-./]{_DAY}{_CLOCK}",
    rf"{_YEAR}{_TWO_DIGIT_MONTH}{_TWO_DIGIT_DAY}(?:[0-9]{{2}}(?:[0-9]{{2}}){{0,2}}\b|T[0-9]{{2,6}}\b|\b)",
    rf"{_DAY}\s?[-./]\s?{_MONTH}\s?[-./]\s?{_YEAR}\b",
    rf"{_DAY}[./]\s?{_MONTH}[-./]\s?[0-9]{{2}}\b",
    rf"{_TWO_DIGIT_DAY}{_TWO_DIGIT_MONTH}{_YEAR}\b",
    rf"{_YEAR}-{_TWO_DIGIT_MONTH}\b",
    rf"(?:{_DAY}\.?\s*)?\b{_MONTH_NAME}\b\.?\s*(?:{_DAY},\s*)?{_YEAR}\b",
)
"""ISO dates with or without time, eight digits, 1.2.2024, 1-2-2024, 1.2.24, 1/2-24, ddmmyyyy, 2024-03,
1. februar 2024, feb. 2024, February 1, 2024."""
_DATES = "(?i)(^|[^0-9])(?:" + "|".join(_FORMS) + ")"


def without_dates(texts: pl.Expr, mark: str) -> pl.Expr:
    """Texts with a mark in place of each date.

    Args:
        texts: String columns.
        mark: what to write.
    """
    return texts.str.replace_all(_DATES, f"${{1}}{mark}")
