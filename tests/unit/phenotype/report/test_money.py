"""Money and numbers as Norwegians and English readers write them."""

from __future__ import annotations

import datetime as dt

import pytest

from phenotype.report.money import (
    day_words,
    nok_range_words,
    nok_words,
    period_words,
    plain_number,
    share_words,
)

SPACE = "\u00a0"


def test_a_settled_amount_is_written_to_the_oere():
    # Case 17/28390 of the settlement committee.
    assert nok_words(37241720.77, "nb", 2) == "37 241 720,77 kr".replace(" ", SPACE)
    assert nok_words(37241720.77, "en", 2) == f"NOK{SPACE}37,241,720.77"


@pytest.mark.parametrize(
    ("amount", "english", "norwegian"),
    [(0.0, "NOK 0", "0 kr"), (-0.3, "NOK 0", "0 kr"), (-1234.5, "NOK −1,234", "−1 234 kr"), (None, "–", "–")],
)
def test_amounts_in_whole_kroner(amount, english, norwegian):
    assert nok_words(amount).replace(SPACE, " ") == english
    assert nok_words(amount, "nb").replace(SPACE, " ") == norwegian


def test_a_range_has_two_ends_or_one():
    assert nok_range_words(0.0, 293425.4).replace(SPACE, " ") == "NOK 0 to 293,425"
    assert nok_range_words(0.0, 293425.4, "nb").replace(SPACE, " ") == "0–293 425 kr"
    assert nok_range_words(1463.0, -86941.0, "nb").replace(SPACE, " ") == "−86 941 til 1 463 kr"
    assert nok_range_words(99.6, 100.4).replace(SPACE, " ") == "NOK 100"
    assert nok_range_words(None, None) == "–"


def test_shares_numbers_days_and_periods():
    assert (share_words(0.0834), share_words(0.0834, "nb")) == ("8.3%", f"8,3{SPACE}%")
    assert plain_number(1234.56, "nb", 1) == f"1{SPACE}234,6"
    assert day_words(dt.date(2026, 11, 2)) == "2 November 2026"
    assert day_words(dt.date(2026, 5, 17), "nb") == "17. mai 2026"
    assert (period_words("2024", "2024"), period_words("2022", "2024")) == ("2024", "2022–2024")
