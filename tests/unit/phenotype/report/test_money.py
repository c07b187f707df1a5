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
    recovery_range_words,
    share_words,
)

SPACE = "\u00a0"


def spaced(text: str) -> str:
    """The text with usual spaces for those that never break."""
    return text.replace(SPACE, " ").replace("\u202f", " ")


def test_a_settled_amount_is_written_to_the_oere():
    # Case 17/28390 of the settlement committee.
    assert spaced(nok_words(37241720.77, "nb", 2)) == "37 241 720,77 kr"
    assert spaced(nok_words(37241720.77, "en", 2)) == "NOK 37 241 720.77"
    assert " " not in nok_words(37241720.77, "nb", 2) + nok_words(37241720.77, "en", 2)


@pytest.mark.parametrize(
    ("amount", "english", "norwegian"),
    [(0.0, "NOK 0", "0 kr"), (-0.3, "NOK 0", "0 kr"), (-1234.5, "NOK −1 234", "−1 234 kr"), (None, "–", "–")],
)
def test_amounts_in_whole_kroner(amount, english, norwegian):
    assert spaced(nok_words(amount)) == english
    assert spaced(nok_words(amount, "nb")) == norwegian


def test_a_range_has_two_ends_or_one():
    assert spaced(nok_range_words(0.0, 293425.4)) == "NOK 0 to 293 425"
    assert spaced(nok_range_words(0.0, 293425.4, "nb")) == "0–293 425 kr"
    assert spaced(nok_range_words(1463.0, -86941.0, "nb")) == "−86 941 til 1 463 kr"
    assert spaced(nok_range_words(99.6, 100.4)) == "NOK 100"
    assert nok_range_words(None, None) == "–"


@pytest.mark.parametrize(
    ("low", "high", "english", "norwegian"),
    [
        (0.0, 5000.0, "NOK 0 to 5 000", "0–5 000 kr"),
        (-5000.0, 0.0, "NOK 0 to 5 000 in the hospital's favour", "0–5 000 kr i sykehusets favør"),
        (-1200.0, -1200.0, "NOK 1 200 in the hospital's favour", "1 200 kr i sykehusets favør"),
        (
            -3000.0,
            8000.0,
            "from NOK 3 000 in the hospital's favour to NOK 8 000 in the payer's",
            "fra 3 000 kr i sykehusets favør til 8 000 kr i statens favør",
        ),
        (-0.4, 0.4, "NOK 0", "0 kr"),
        (None, None, "–", "–"),
    ],
)
def test_what_goes_the_other_way_says_whose_favour_it_is_in(low, high, english, norwegian):
    assert spaced(recovery_range_words(low, high)) == english
    assert spaced(recovery_range_words(low, high, "nb")) == norwegian


def test_shares_numbers_days_and_periods():
    assert (share_words(0.0834), share_words(0.0834, "nb")) == ("8.3%", f"8,3{SPACE}%")
    assert spaced(plain_number(1234.56, "nb", 1)) == "1 234,6"
    assert day_words(dt.date(2026, 11, 2)) == "2 November 2026"
    assert day_words(dt.date(2026, 5, 17), "nb") == "17. mai 2026"
    assert (period_words("2024", "2024"), period_words("2022", "2024")) == ("2024", "2022–2024")
