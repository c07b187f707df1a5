"""Norwegian person numbers: which texts are one, whose kind it is, and what it says of birth and sex."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy as np
import polars as pl

Digits = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]
Marks = np.ndarray[Any, np.dtype[np.int64]]
NumberKind = Literal["birth_number", "d_number", "shared_help_number", "local_help_number", "duf"]

BIRTH_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.1"
D_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.2"
SHARED_HELP_NUMBER = "urn:oid:2.16.578.1.12.4.1.4.3"
DUF = "urn:oid:2.16.578.1.12.4.1.4.5"
NATIONAL_SYSTEMS = (BIRTH_NUMBER, D_NUMBER, SHARED_HELP_NUMBER, DUF)
"""**Source:** HL7 Norway, NamingSystems of no-basis: fødselsnummer .1, D-number .2, felles hjelpenummer .3,
DUF .5 under 2.16.578.1.12.4.1.4."""

FIRST_WEIGHTS = np.array([3, 7, 6, 1, 8, 9, 4, 5, 2, 1, 0])
SECOND_WEIGHTS = np.array([5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1])
"""Weights of the two control digits; the weighted sums are multiples of 11.

**Source:** Skatteetaten, fødselsnummer; ehelse.no, Identifikatorer for personer (HIS 1001:2010), which has
the same control for D-numbers and help numbers.
"""
FIRST_REMAINDERS_2032 = 3
"""Of numbers given from 1 January 2032 the first sum may also leave 1, 2 or 3; the second is as before.

**Source:** Skatteetaten, "Nye fødselsnummer og d-nummer fra 2032" and
https://skatteetaten.github.io/folkeregisteret-api-dokumentasjon/nytt-fodselsnummer-fra-2032/
"""
DUF_WEIGHTS = np.array([4, 6, 3, 2, 4, 6, 3, 2, 7, 5])
"""Weights of a DUF number's year and serial number; their sum modulo 11 is the last two digits.

**Source:** UDI, DUF-nummer (year, six digits, two control digits); weights as in the public validators
oyms/NorwegianTypes and tonneask/norsk-nummer-validering, which agree.
"""
MONTH_OFFSETS = {0: None, 80: "Tenor", 65: "NHN", 40: None}
"""What is added to the month: nothing; 80 in Skatteetaten's test register (Tenor), 65 in that of Norsk
helsenett; 40 in a help number that one institution made for itself, and in NAV's test register.

**Source:** ehelse.no, Identifikatorer for personer; Skatteetaten, syntetisk folkeregister;
navikt/fnrvalidator issue 116; bekkopen/NoCommons releases 0.15 and 0.16.
"""
LOCAL_OFFSET = 40
_LENGTHS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_SPACED = re.compile(
    r"([0-9]{6})[ \u00a0.-]?([0-9]{5})|([0-9]{4})[ \u00a0.-]?([0-9]{6})[ \u00a0.-]?([0-9]{2})"
)
NOTHING, BIRTH, D, SHARED, LOCAL = range(5)
"""What eleven digits are."""
_SYSTEM_OF = {BIRTH: BIRTH_NUMBER, D: D_NUMBER, SHARED: SHARED_HELP_NUMBER}
_KIND_OF: dict[int, NumberKind] = {
    BIRTH: "birth_number",
    D: "d_number",
    SHARED: "shared_help_number",
    LOCAL: "local_help_number",
}


@dataclass(frozen=True)
class PersonNumber:
    """What a number says of itself.

    Attributes:
        digits: the number without blanks.
        kind: what number it is.
        test_register: the register of test persons that made it, where the number tells.
        is_of_2032: whether only the control of numbers given from 2032 on holds.
        birth_date: null where the number does not tell: shared help numbers, DUF, numbers of 2032. A number
            that passes the old control may be one of 2032, too: then the date's century is a guess.
        sex: "female" or "male", null like the birth date.
    """

    digits: str
    kind: NumberKind
    test_register: str | None
    is_of_2032: bool
    birth_date: date | None
    sex: Literal["female", "male"] | None

    @property
    def key(self) -> str | None:
        """The national key text; null for a local help number, which another institution gives to another."""
        systems = {
            "birth_number": BIRTH_NUMBER,
            "d_number": D_NUMBER,
            "shared_help_number": SHARED_HELP_NUMBER,
        }
        system = DUF if self.kind == "duf" else systems.get(self.kind)
        return f"{system}|{self.digits}" if system else None


def digits_of(numbers: list[str], length: int = 11) -> Digits:
    """The digits of texts of digits, all of one length, as an array (n, length)."""
    raw = np.frombuffer("".join(numbers).encode("ascii"), dtype=np.uint8)
    return raw.reshape(-1, length).astype(np.int64) - ord("0")


def kinds_of(digits: Digits) -> Marks:
    """What each row of eleven digits is: NOTHING, BIRTH, D, SHARED or LOCAL.

    Args:
        digits: shape (n, 11).
    """
    first = digits @ FIRST_WEIGHTS % 11
    is_second_right = digits @ SECOND_WEIGHTS % 11 == 0
    day, month, _ = _date_parts(digits)
    is_d = (digits[:, 0] >= 4) & (digits[:, 0] <= 7)
    is_date = _is_date(day, month, digits[:, 4] * 10 + digits[:, 5])
    is_person = is_second_right & is_date & (first <= FIRST_REMAINDERS_2032) & (digits[:, 0] <= 7)
    kinds = np.where(is_person, np.where(is_d, D, BIRTH), NOTHING)
    kinds = np.where(is_person & (_month_offset(digits) == LOCAL_OFFSET), LOCAL, kinds)
    is_shared = is_second_right & (first == 0) & (digits[:, 0] >= 8)
    return np.where(is_shared, SHARED, kinds).astype(np.int64)


def _month_offset(digits: Digits) -> Marks:
    written = digits[:, 2] * 10 + digits[:, 3]
    conditions = [(written > offset) & (written <= offset + 12) for offset in sorted(MONTH_OFFSETS)]
    return np.select(conditions, sorted(MONTH_OFFSETS), default=-1)


def _date_parts(digits: Digits) -> tuple[Marks, Marks, Marks]:
    """Day and month of birth (0 where there is none) and what was added to the month."""
    tens = np.where((digits[:, 0] >= 4) & (digits[:, 0] <= 7), digits[:, 0] - 4, digits[:, 0])
    offset = _month_offset(digits)
    month = np.where(offset >= 0, digits[:, 2] * 10 + digits[:, 3] - offset, 0)
    return tens * 10 + digits[:, 1], month, offset


def _is_date(day: Marks, month: Marks, year_of_century: Marks) -> Truths:
    longest = _LENGTHS[np.clip(month, 0, 12)]
    is_leap_day = (month == 2) & (day == 29)
    is_date: Truths = (day >= 1) & (day <= longest) & (~is_leap_day | (year_of_century % 4 == 0))
    return is_date


def are_duf(digits: Digits) -> Truths:
    """Which rows of twelve digits are DUF numbers: a year of the last or this century, and its control."""
    year = digits[:, 0] * 10 + digits[:, 1]
    control = digits[:, 10] * 10 + digits[:, 11]
    is_duf: Truths = ((year == 19) | (year == 20)) & (digits[:, :10] @ DUF_WEIGHTS % 11 == control)
    return is_duf


def _bare(text: str) -> str:
    """The digits of a text that is a number and nothing else, maybe with its system before it; else empty."""
    system, bar, value = text.strip().partition("|")
    match = _SPACED.fullmatch(value.strip() if bar and system in NATIONAL_SYSTEMS else text.strip())
    return "".join(group for group in match.groups() if group) if match else ""


def read_person_number(text: str) -> PersonNumber | None:
    """What a text is as a person number; null where it is none.

    Args:
        text: the number, maybe with a blank, hyphen or point after the sixth digit (DUF: the fourth and
            the tenth), or a national key text.
    """
    number = _bare(text)
    if len(number) == len("YYYYnnnnnncc"):
        is_duf = bool(are_duf(digits_of([number], 12))[0])
        return PersonNumber(number, "duf", None, False, None, None) if is_duf else None  # noqa: FBT003
    if not number:
        return None
    digits = digits_of([number])
    kind = int(kinds_of(digits)[0])
    if kind == NOTHING:
        return None
    is_new = bool(digits[0] @ FIRST_WEIGHTS % 11)
    tells = kind != SHARED and not is_new
    offset = int(_month_offset(digits)[0]) if kind != SHARED else 0
    female_or_male: Literal["female", "male"] = "male" if digits[0, 8] % 2 else "female"
    return PersonNumber(
        number,
        _KIND_OF[kind],
        MONTH_OFFSETS[offset],
        is_new,
        _birth_dates(digits)[0] if tells else None,
        female_or_male if tells else None,
    )


def _birth_dates(digits: Digits) -> list[date | None]:
    """The birth dates, century by the individual number; null where the series was never given.

    **Source:** folkeregisterforskriften: 1854-1899 500-749, 1900-1999 000-499, 1940-1999 also 900-999,
    2000-2039 500-999.
    """
    day, month, _ = _date_parts(digits)
    year = digits[:, 4] * 10 + digits[:, 5]
    individual = digits[:, 6:9] @ np.array([100, 10, 1])
    series = [
        individual <= 499,
        (individual >= 500) & (individual <= 749) & (year >= 54),
        (individual >= 500) & (year <= 39),
        (individual >= 900) & (year >= 40),
    ]
    century = np.select(series, [1900, 1800, 2000, 1900], default=0)
    years = np.where(century > 0, century + year, 0)
    return [_date(*parts) for parts in zip(years.tolist(), month.tolist(), day.tolist(), strict=True)]


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def birth_dates(texts: pl.Series) -> pl.Series:
    """The birth date that each text's number tells, worked out once for each distinct text.

    Args:
        texts: String, null allowed: numbers, maybe spaced, or national key texts.

    Returns:
        Date; null where `read_person_number` gives none.
    """
    distinct = texts.unique().drop_nulls()
    bare = [_bare(text) for text in distinct.to_list()]
    places = [place for place, number in enumerate(bare) if len(number) == 11]
    told: list[date | None] = [None] * len(bare)
    if places:
        digits = digits_of([bare[place] for place in places])
        kinds = kinds_of(digits)
        tells = (kinds != NOTHING) & (kinds != SHARED) & (digits @ FIRST_WEIGHTS % 11 == 0)
        for place, is_told, born in zip(places, tells.tolist(), _birth_dates(digits), strict=True):
            told[place] = born if is_told else None
    if not distinct.len():
        return pl.repeat(None, texts.len(), dtype=pl.Date, eager=True).alias(texts.name)
    return texts.replace_strict(distinct, pl.Series(told, dtype=pl.Date), default=None, return_dtype=pl.Date)


def person_key(text: str | None) -> str | None:
    """The national key text of a valid number, "urn:oid:2.16.578.1.12.4.1.4.1|<11 digits>" and so on.

    A help number that an institution made for itself (month + 40) has none: it may be another's elsewhere.

    Args:
        text: a number, maybe spaced, or a national key text; anything else gives null.
    """
    number = read_person_number(text) if text else None
    return number.key if number else None


def person_keys(texts: pl.Series) -> pl.Series:
    """`person_key` of each text, worked out once for each distinct text.

    Args:
        texts: String, null allowed.

    Returns:
        String; null where the text is no number.
    """
    distinct = texts.unique().drop_nulls()
    bare = [_bare(text) for text in distinct.to_list()]
    keys: list[str | None] = [None] * len(bare)
    for length, systems in ((11, _systems_of_eleven), (12, _systems_of_twelve)):
        places = [place for place, number in enumerate(bare) if len(number) == length]
        if places:
            found = systems(digits_of([bare[place] for place in places], length))
            for place, system in zip(places, found, strict=True):
                keys[place] = f"{system}|{bare[place]}" if system else None
    known = pl.Series(keys, dtype=pl.String)
    if not distinct.len():
        return pl.repeat(None, texts.len(), dtype=pl.String, eager=True).alias(texts.name)
    return texts.replace_strict(distinct, known, default=None, return_dtype=pl.String)


def _systems_of_eleven(digits: Digits) -> list[str | None]:
    return [_SYSTEM_OF.get(kind) for kind in kinds_of(digits).tolist()]


def _systems_of_twelve(digits: Digits) -> list[str | None]:
    return [DUF if is_duf else None for is_duf in are_duf(digits).tolist()]
