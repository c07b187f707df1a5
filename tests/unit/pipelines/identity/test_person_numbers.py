"""Person numbers: which texts are one, what they say, and which of them name one person in every source."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from pipelines.identity.person_numbers import birth_dates, person_key, person_keys, read_person_number

TENOR = [
    ("17912099997", "57912075186", date(2020, 11, 17), "male"),
    ("29822099635", "69822075096", date(2020, 2, 29), "female"),
    ("05840399895", "45840375084", date(2003, 4, 5), "female"),
    ("12829499914", "52829400197", date(1994, 2, 12), "male"),
    ("12905299938", "52905200100", date(1952, 10, 12), "male"),
    ("21883649874", "61883600222", date(1936, 8, 21), "female"),
    ("21929774873", "61929750062", date(1897, 12, 21), "female"),
]
"""Fødselsnummer and D-number of synthetic persons of Skatteetaten's test register (Tenor), with the birth
date and sex that navikt/fnrvalidator issue 116 states beside them."""
NAV = [
    ("15507600333", "55507608360", date(1976, 10, 15), "male"),
    ("29422059278", "69422056629", date(2020, 2, 29), "female"),
    ("05440355678", "45440356293", date(2003, 4, 5), "female"),
    ("21528704651", "61528703428", date(1987, 12, 21), "female"),
]
"""The same, of NAV's test register (month + 40); of the last, whose year is 87, the issue writes 1897."""
DUF = ["200112345609", "201017238203", "200816832910", "199201426900"]
"""Valid numbers of the tests of two public validators."""


@pytest.mark.parametrize(("number", "d_number", "born", "sex"), TENOR)
def test_numbers_of_the_test_register_tell_birth_and_sex(
    number: str, d_number: str, born: date, sex: str
) -> None:
    for text, kind, system in ((number, "birth_number", 1), (d_number, "d_number", 2)):
        read = read_person_number(text)
        assert read is not None
        assert (read.kind, read.test_register, read.birth_date, read.sex) == (kind, "Tenor", born, sex)
        assert person_key(text) == f"urn:oid:2.16.578.1.12.4.1.4.{system}|{text}"


@pytest.mark.parametrize(("number", "d_number", "born", "sex"), NAV)
def test_a_local_help_number_is_known_but_names_nobody_elsewhere(
    number: str, d_number: str, born: date, sex: str
) -> None:
    for text in (number, d_number):
        read = read_person_number(text)
        assert read is not None
        assert (read.kind, read.birth_date, read.sex) == ("local_help_number", born, sex)
        assert person_key(text) is None


@pytest.mark.parametrize("text", DUF)
def test_duf_numbers_are_read(text: str) -> None:
    assert person_key(text) == f"urn:oid:2.16.578.1.12.4.1.4.5|{text}"
    assert person_key(f"{text[:4]} {text[4:10]} {text[10:]}") == person_key(text)
    assert person_key(text[:-1] + str((int(text[-1]) + 1) % 10)) is None


def test_a_shared_help_number_begins_with_eight_or_nine_and_has_both_controls() -> None:
    # 8 0 0 0 0 0 0 0 0: 3*8 = 24, 24 + 9 = 33 = 3*11, so the first control digit is 9; 5*8 + 2*9 = 58,
    # 58 + 8 = 66 = 6*11, so the second is 8.
    assert person_key("80000000098") == "urn:oid:2.16.578.1.12.4.1.4.3|80000000098"
    assert person_key("80000000099") is None


def test_numbers_of_2032_may_leave_one_to_three() -> None:
    # 010132 00000: the first sum without its control digit is 7*1 + 1*1 + 8*3 + 9*2 = 50 = 4*11 + 6, so the
    # control digit is 5 today, and 6, 7 or 8 as well from 2032. Second sums: 4*1 + 2*1 + 7*3 + 6*2 = 39, plus
    # twice the first digit: 49, 51, 53, 55: what is missing to a multiple of 11 is 6, 4, 2, 0.
    for number, is_new in (("01013200056", False), ("01013200064", True), ("01013200072", True)):
        read = read_person_number(number)
        assert read is not None
        assert read.is_of_2032 is is_new
        assert (read.birth_date is None) is is_new
    assert read_person_number("01013200080") is not None
    assert read_person_number("01013200098") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "3112995671",
        "311299567150",
        "31129956716",
        "00000000000",
        "30829312345",
        "31129956715x",
        "٣١١٢٩٩٥٦٧١٥",
    ],
)
def test_other_texts_are_no_numbers(text: str) -> None:
    assert read_person_number(text) is None
    assert person_key(text) is None


@pytest.mark.parametrize(
    "text", ["311299 56715", "311299-56715", " 31129956715 ", "311299.56715", "311299\u00a056715"]
)
def test_one_number_has_one_key_however_it_is_spaced(text: str) -> None:
    # 31129956715: the worked example of fnrinfo.no, Beregning av kontrollsiffer
    assert person_key(text) == "urn:oid:2.16.578.1.12.4.1.4.1|31129956715"


def test_a_key_is_its_own_key_and_other_systems_are_not_read() -> None:
    key = "urn:oid:2.16.578.1.12.4.1.4.1|31129956715"
    assert person_key(key) == key
    assert person_key("urn:oid:1.2.3|31129956715") is None


def test_a_column_is_read_as_its_texts_are_one_by_one() -> None:
    texts = [
        *(text for row in TENOR for text in row[:2]),
        *(row[0] for row in NAV),
        *DUF,
        "x",
        None,
        "80000000098",
    ]
    assert person_keys(pl.Series("p", texts)).to_list() == [person_key(text) for text in texts]
    assert person_keys(pl.Series("p", [None], dtype=pl.String)).to_list() == [None]


def test_birth_dates_of_a_column_are_those_of_its_numbers() -> None:
    numbers = (
        [row[0] for row in TENOR]
        + [row[1] for row in NAV]
        + ["01013200064", "80000000098", "x", None, DUF[0]]
    )
    expected = [row[2] for row in TENOR] + [row[2] for row in NAV] + [None] * 5
    assert birth_dates(pl.Series("p", numbers)).to_list() == expected
    assert birth_dates(pl.Series("p", [person_key(TENOR[0][0])])).item() == TENOR[0][2]
