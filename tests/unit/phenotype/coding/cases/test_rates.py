"""What a case says first of its rates: every year that could be compared, also where others had none."""

from __future__ import annotations

import pytest

from phenotype.coding.cases.rates import CaseRate, direction, overall


def rate(period: str, n: int, observed: float, expected: float | None, **more: object) -> CaseRate:
    told = {
        "measure": "spine",
        "ratio": observed / expected if expected else None,
        "low": None,
        "high": None,
        "is_flagged": None,
        "q_value": None,
        "against": "wards",
    } | more
    return CaseRate(period=period, n=n, observed=observed, expected=expected, **told)  # type: ignore[arg-type]


def test_a_year_in_which_the_others_had_none_counts_in_the_sum():
    told = overall([rate("2024", 21, 9, 9.5), rate("2025", 19, 6, 0.0)])
    assert told is not None
    assert (told.period, told.n, told.observed, told.expected) == ("2024–2025", 40, 15, 9.5)
    assert told.ratio == pytest.approx(15 / 9.5)


def test_a_year_without_anybody_to_compare_with_is_left_out():
    told = overall([rate("2024", 21, 9, 9.5), rate("2025", 19, 6, None)])
    assert told is not None
    assert (told.period, told.n) == ("2024", 21)


def test_what_nobody_else_does_is_told_first_and_without_a_ratio():
    told = overall([rate("2024", 21, 9, 0.0), rate("2025", 19, 6, 0.0)])
    assert told is not None
    assert (told.n, told.observed, told.expected, told.ratio) == (40, 15, 0.0, None)
    assert direction(told) == "more"
    # four more than nobody are beyond chance where one might have been expected, three are not
    assert [direction(rate("2024", 21, n, 0.0)) for n in (0, 3, 4)] == ["within", "within", "more"]
    assert overall([rate("2024", 21, 0, 0.0)]) is None
    assert overall([rate("2024", 21, 9, 0.0, against="expected")]) is not None
