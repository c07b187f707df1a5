"""What the cells of a column look like: times by their format, numbers, and codes by their system."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from ontology.systems import level_by_form
from pipelines.sources.times import ISO_FORMATS

MOST_JUDGED = 400
"""Distinct values by which a column is judged."""
ENOUGH = 0.95
_FORMATS = (
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%Y%m%d%H%M%S",
    "%Y%m%d",
    "%d%b%Y:%H:%M:%S",
    "%d%b%Y",
)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d)?")
_ELAPSED = re.compile(r"\d{1,4}:[0-5]\d(:[0-5]\d)?")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_WHOLE = re.compile(r"[-+]?\d+(\.0+)?")
_COMMA = re.compile(r"[-+]?\d+,\d+")
_SHAPES = {
    "NLK": re.compile(r"(NPU|NOR)\d{5}"),
    "ATC": re.compile(r"[A-Z]\d\d[A-Z]{2}\d\d"),
    "NCMP": re.compile(r"[A-Z]{4}\d\d"),
    "NCSP": re.compile(r"[A-Z]{3}\d\d"),
    "LOINC": re.compile(r"\d{1,5}-\d"),
    "ICD10": re.compile(r"[A-TV-Z]\d[\dA-Z](\.?[\dA-Z]{1,4})?[*+]?"),
    "SCT": re.compile(r"\d{6,18}"),
    "ICD9CM": re.compile(r"(\d{3}(\.?\d{1,2})?|V\d\d(\.?\d{1,2})?|E\d{3}(\.?\d)?)"),
}
_FORM_CHECKED = {"ATC": "ATC", "NLK": "NLK", "ICD10": "ICD10-NO"}


@dataclass(frozen=True)
class Shape:
    """What a column's cells look like.

    Attributes:
        kind: empty, whole, number, time, date, clock, elapsed (hours above 23 and minutes), code, words
            (short) or text.
        formats: of times; none where ISO forms fit.
        system: the code system that its cells are codes of by their form.
        has_decimal_comma: whether numbers have one.
        n_rows, n_filled, n_distinct: of the sample.
        low, high: of numbers; null elsewhere.
        has_numbers: whether at least a third of what are words are numbers.
    """

    kind: str
    formats: tuple[str, ...] = ()
    system: str | None = None
    has_decimal_comma: bool = False
    n_rows: int = 0
    n_filled: int = 0
    n_distinct: int = 0
    low: float | None = None
    high: float | None = None
    has_numbers: bool = False

    @property
    def is_unique(self) -> bool:
        """Whether no two rows of the sample share a value and none lacks one."""
        return self.n_rows == self.n_filled == self.n_distinct

    @property
    def is_number(self) -> bool:
        """Whether its cells are numbers."""
        return self.kind in {"whole", "number"}

    @property
    def is_time(self) -> bool:
        """Whether its cells are dates or instants."""
        return self.kind in {"time", "date"}


def shape_of(cells: pl.Series) -> Shape:
    """The shape of a column of texts, judged by its most frequent distinct values."""
    counted = cells.drop_nulls().value_counts(sort=True)
    distinct: list[str] = counted[cells.name].head(MOST_JUDGED).to_list()
    size: dict[str, Any] = {
        "n_rows": cells.len(),
        "n_filled": cells.len() - cells.null_count(),
        "n_distinct": counted.height,
    }
    if not distinct:
        return Shape("empty", **size)
    told = _time(distinct) or _numeric(distinct) or _words(distinct)
    return replace(told, **size)


def _share(distinct: list[str], pattern: re.Pattern[str]) -> float:
    return sum(bool(pattern.fullmatch(cell)) for cell in distinct) / len(distinct)


def _time(distinct: list[str]) -> Shape | None:
    """Dates and instants: by ISO forms together, else by the one format that fits."""
    if _share(distinct, _CLOCK) >= ENOUGH:
        return Shape("clock")
    if _share(distinct, _ELAPSED) >= ENOUGH:
        return Shape("elapsed")
    if _share(distinct, _NUMBER) >= ENOUGH and not all(len(cell) in {8, 14} for cell in distinct):
        return None
    texts = pl.Series(distinct)
    for formats in (ISO_FORMATS, *((form,) for form in _FORMATS)):
        parsed = [_parses(texts, form) for form in formats]
        fits = pl.DataFrame(parsed).select(pl.any_horizontal(pl.all())).to_series()
        if fits.sum() >= ENOUGH * len(distinct):
            is_time = any(column.any() for column, form in zip(parsed, formats, strict=True) if "%H" in form)
            return Shape("time" if is_time else "date", formats=() if formats is ISO_FORMATS else formats)
    return None


def _parses(texts: pl.Series, form: str) -> pl.Series:
    parsed = (
        texts.str.to_datetime(form, strict=False) if "%H" in form else texts.str.to_date(form, strict=False)
    )
    years = parsed.dt.year()
    return ((years > 1800) & (years < 2400)).fill_null(value=False).alias(form)


def _numeric(distinct: list[str]) -> Shape | None:
    """Numbers; those that are codes by their form (LOINC is none, SNOMED CT is) are codes."""
    with_comma = _share(distinct, _COMMA)
    plain = [cell.replace(",", ".") for cell in distinct] if with_comma else distinct
    if _share(plain, _NUMBER) < ENOUGH:
        return None
    numbers = [float(cell) for cell in plain if _NUMBER.fullmatch(cell)]
    whole = _share(plain, _WHOLE) == 1.0
    system = "SCT" if whole and len(distinct) > 5 and _are_snomed(distinct) else None
    kind = "code" if system else "whole" if whole else "number"
    return Shape(kind, system=system, has_decimal_comma=with_comma > 0, low=min(numbers), high=max(numbers))


def _words(distinct: list[str]) -> Shape:
    """Codes of a known form, else words, else longer text."""
    for name, pattern in _SHAPES.items():
        if name != "SCT" and _share(distinct, pattern) >= ENOUGH and _fits_form(name, distinct):
            return Shape("code", system=name)
    procedures = re.compile(f"{_SHAPES['NCMP'].pattern}|{_SHAPES['NCSP'].pattern}")
    if _share(distinct, procedures) >= ENOUGH:
        return Shape("code", system="NCSP+NCMP")
    mean_length = sum(map(len, distinct)) / len(distinct)
    has_numbers = _share(distinct, _NUMBER) >= 1 / 3
    is_short = mean_length <= 40
    return Shape("words" if is_short else "text", has_numbers=is_short and has_numbers)


def _fits_form(name: str, distinct: list[str]) -> bool:
    """Whether the codes have a form that the code system itself knows, and one that is no chance."""
    if name == "LOINC":
        return all(_luhn(cell) for cell in distinct)
    if name == "ICD9CM":
        return any("." in cell or cell[0] in "VE" for cell in distinct)
    system = _FORM_CHECKED.get(name)
    return system is None or sum(
        level_by_form(system, cell) is not None for cell in distinct
    ) >= ENOUGH * len(distinct)


def looks_like_icd9(distinct: list[str]) -> bool:
    """Whether texts could be ICD-9-CM codes, with or without dots: too wide a form to be told by it alone."""
    return _share(distinct, _SHAPES["ICD9CM"]) >= 0.9


def _luhn(code: str) -> bool:
    """Whether the check digit of a LOINC code is right.

    **Source:** Regenstrief Institute, LOINC Users' Guide, appendix C: modulus 10.
    """
    digits = [int(sign) for sign in code.partition("-")[0]][::-1]
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
    return (sum(doubled) + int(code[-1])) % 10 == 0


def _are_snomed(distinct: list[str]) -> bool:
    """Whether all are SNOMED CT identifiers: their length, and Verhoeff's check digit."""
    return all(_SHAPES["SCT"].fullmatch(cell) and _verhoeff(cell) for cell in distinct)


def _verhoeff(number: str) -> bool:
    """Verhoeff's check digit: the dihedral group of ten elements.

    **Source:** SNOMED International, Release File Specification, section 6.3: check digit.
    """
    permuted = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
    state = 0
    for place, sign in enumerate(reversed(number)):
        digit = int(sign)
        for _ in range(place % 8):
            digit = permuted[digit]
        state = _dihedral(state, digit)
    return state == 0


def _dihedral(one: int, other: int) -> int:
    """The product in the dihedral group of order ten; 5 to 9 are the reflections."""
    if one < 5:
        turned = (one + other) % 5
        return turned if other < 5 else turned + 5
    turned = (one - other) % 5
    return turned + 5 if other < 5 else turned
