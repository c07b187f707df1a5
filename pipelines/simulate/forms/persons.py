"""Who the simulated patients and hospitals are to others: national numbers, names, organisation numbers.

All of it is made up and shows that it is: months stand 80 above the calendar's, as in the test population of
the national registry, names are "Test ... Syntetisk-...", organisation numbers begin with 3 as the synthetic
ones of the business registry do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date

import polars as pl

SYNTHETIC_MONTH = 80
FEMALE = 2
_K1, _K2 = (3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
_ORGANISATION = (3, 2, 7, 6, 5, 4, 3, 2)
_INDIVIDUAL_NUMBERS = ((1854, 1899, 500, 749), (1900, 1999, 0, 499), (2000, 2039, 500, 999))
"""Years of birth and the individual numbers given out for them.

**Source:** regulation on the national registry (folkeregisterforskriften), section 2-2-1.
"""
_GIVEN = {1: ("Bjørn", "Håkon", "Ærlend", "Pål", "Sjur"), 2: ("Åse", "Bjørg", "Målfrid", "Ragnhild", "Særun")}
_FAMILY = ("Blåbær", "Grønnsæter", "Kråkås", "Østvåg", "Ræder", "Sjøli", "Fjell", "Bøe")


def national_numbers(patients: pl.DataFrame) -> pl.Series:
    """A synthetic fødselsnummer for each patient, no two alike, that fits birth date and sex.

    Args:
        patients: patient_id, birth_date and kjonn (1 man, 2 woman), one row a patient.

    Returns:
        The numbers in the order of the rows; independent of that order but for patients of one birth date.
    """
    given: Counter[tuple[date, int]] = Counter()
    numbers: dict[int, str] = {}
    for patient_id, born, sex in sorted(patients.select("patient_id", "birth_date", "kjonn").iter_rows()):
        wanted = given[born, sex]
        given[born, sex] += 1
        numbers[patient_id] = next(
            number for place, number in enumerate(_numbers_of(born, sex)) if place == wanted
        )
    return pl.Series("national_number", [numbers[key] for key in patients["patient_id"]], dtype=pl.String)


def _numbers_of(born: date, sex: int) -> Iterator[str]:
    """All numbers of a birth date and sex, the highest individual number first as they are given out."""
    low, high = next(
        (low, high) for first, last, low, high in _INDIVIDUAL_NUMBERS if first <= born.year <= last
    )
    day = f"{born.day:02}{born.month + SYNTHETIC_MONTH:02}{born.year % 100:02}"
    for individual in range(high, low - 1, -1):
        if (individual % 2 == 0) == (sex == FEMALE):
            number = with_control_digits(f"{day}{individual:03}")
            if number is not None:
                yield number


def with_control_digits(nine: str) -> str | None:
    """Nine digits with their two control digits; None where there are none, as for one in six.

    **Source:** regulation on the national registry (folkeregisterforskriften), section 2-2-1: modulus 11.
    """
    first = _control_digit(nine, _K1)
    if first is None:
        return None
    second = _control_digit(nine + first, _K2)
    return None if second is None else nine + first + second


def organisation_number(place: int) -> str:
    """A synthetic organisation number with a valid control digit, another for each place.

    **Source:** Brønnøysundregistrene, on organisation numbers: modulus 11 with weights 3 2 7 6 5 4 3 2.
    """
    found = (
        f"{eight}{digit}"
        for eight in range(31_000_000 + 100 * place, 31_000_100 + 100 * place)
        if (digit := _control_digit(str(eight), _ORGANISATION)) is not None
    )
    return next(found)


def _control_digit(digits: str, weights: Sequence[int]) -> str | None:
    rest = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True)) % 11
    return None if rest == 1 else str((11 - rest) % 11)


def names(patient_id: int, sex: int) -> tuple[str, str]:
    """Given and family name of a patient; nobody's."""
    given = _GIVEN[sex]
    return f"Test {given[patient_id % len(given)]}", f"Syntetisk-{_FAMILY[patient_id % len(_FAMILY)]}"
