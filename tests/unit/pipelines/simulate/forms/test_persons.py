"""Made-up people have numbers that are valid, fit them, are nobody's, and are no two alike."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from pipelines.identity.person_numbers import read_person_number
from pipelines.simulate.forms.persons import (
    names,
    national_numbers,
    organisation_number,
    with_control_digits,
)


def people(*rows: tuple[int, date, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["patient_id", "birth_date", "kjonn"], orient="row")


def test_control_digits_are_modulus_eleven() -> None:
    # By hand: 010190 + 80 in the month = 018190, individual number 499 -> 018190499.
    # First digit: 3*0+7*1+6*8+1*1+8*9+9*0+4*4+5*9+2*9 = 207; 207 mod 11 = 9; 11 - 9 = 2.
    # Second: 5*0+4*1+3*8+2*1+7*9+6*0+5*4+4*9+3*9+2*2 = 180; 180 mod 11 = 4; 11 - 4 = 7.
    assert with_control_digits("018190499") == "01819049927"


def test_one_in_eleven_has_no_first_control_digit() -> None:
    # By hand: as above with 5 in the last place: 207 - 8 = 199 = 18 * 11 + 1 would ask for the digit 10.
    assert with_control_digits("018190495") is None


def test_numbers_fit_birth_date_and_sex_and_are_of_the_test_population() -> None:
    born = [date(1919, 2, 28), date(1940, 12, 31), date(1964, 7, 1), date(1999, 12, 31), date(2001, 3, 5)]
    rows = people(*[(100 + number, day, 1 + number % 2) for number, day in enumerate(born * 8)])
    for number, (_, day, sex) in zip(national_numbers(rows), rows.iter_rows(), strict=True):
        read = read_person_number(number)
        assert read is not None
        assert read.kind == "birth_number"
        assert read.test_register is not None
        assert read.birth_date == day
        assert read.sex == {1: "male", 2: "female"}[sex]
        assert int(number[2:4]) == day.month + 80


def test_no_two_patients_share_a_number_and_their_order_means_nothing() -> None:
    rows = people(*[(number, date(1950, 5, 17), 1 + number % 2) for number in range(300)])
    numbers = national_numbers(rows)
    assert numbers.is_unique().all()
    turned = rows.reverse()
    assert national_numbers(turned).reverse().to_list() == numbers.to_list()


def test_organisation_numbers_are_valid_synthetic_and_different() -> None:
    # Weights 3 2 7 6 5 4 3 2 (and 1 for the control digit itself): the sum is a multiple of 11, as that of
    # 974 760 673, which the business registry itself has: 27+14+28+42+30+0+18+14+3 = 176 = 16 * 11.
    numbers = [organisation_number(place) for place in range(50)]
    assert len(set(numbers)) == 50
    for number in numbers:
        weights = (3, 2, 7, 6, 5, 4, 3, 2, 1)
        assert sum(int(digit) * weight for digit, weight in zip(number, weights, strict=True)) % 11 == 0
        assert number.startswith("3")


@pytest.mark.parametrize("sex", [1, 2])
def test_names_say_that_they_are_made_up(sex: int) -> None:
    for patient_id in range(50):
        given, family = names(patient_id, sex)
        assert given.startswith("Test ")
        assert family.startswith("Syntetisk-")
