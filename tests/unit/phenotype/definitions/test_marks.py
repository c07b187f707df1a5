"""Marks: one order, equal ones merged, numbers at the digits that were stored."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from phenotype.definitions.mark_windows import line_of
from phenotype.definitions.marks import MARKS, NEVER, as_instants, as_lists, as_marks, as_stored

START = datetime(2024, 1, 1)


def marks_of(*rows):
    """(subject, hours, value, stay, known hours, evidence) as marks."""
    made = [
        {
            "subject_id": subject,
            "start_time": START + timedelta(hours=at),
            "end_time": START + timedelta(hours=at),
            "value": value,
            "stay_id": stay,
            "contact_id": None,
            "known_time": None if known is None else START + timedelta(hours=known),
            "evidence": evidence,
        }
        for subject, at, value, stay, known, evidence in rows
    ]
    return pl.DataFrame(made, schema=MARKS)


def test_equal_marks_are_one_with_the_evidence_of_all_known_as_soon_as_one_is():
    marks = as_marks(
        marks_of(
            (1, 5, 2.0, 7, 9, [4, 3]),
            (1, 5, 2.0, 7, 8, [3]),
            (1, 5, 2.0, 7, None, [1]),
            (1, 5, 2.0, None, 9, [9]),
        )
    )
    assert marks["stay_id"].to_list() == [None, 7]
    assert marks["evidence"].to_list() == [[9], [1, 3, 4]]
    assert marks["known_time"].to_list() == [START + timedelta(hours=9), START + timedelta(hours=8)]


def test_the_order_has_nulls_first_and_does_not_depend_on_the_order_of_rows():
    rows = [(2, 1, None, 1, 1, [1]), (1, 3, 5.0, 1, 1, [2]), (1, 3, None, 1, 1, [3]), (1, 2, 9.0, 1, 1, [4])]
    expected = [[4], [3], [2], [1]]
    for seed in range(5):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert as_marks(marks_of(*shuffled))["evidence"].to_list() == expected


@pytest.mark.parametrize(
    "number", [38.3, 0.1, 0.21, 113.3, 1000.1, 16777.21, 1e-5, 5.0, 0.0, -3.7, 1234567.0]
)
def test_a_32_bit_float_is_read_as_the_decimal_that_was_written(number):
    stored = np.array([number], dtype=np.float32).astype(np.float64)
    assert as_stored(stored)[0] == number


def test_lists_and_instants_from_numbers():
    assert as_lists(np.array([1, 2, 3]), np.array([2, 0, 1])).to_list() == [[1, 2], [], [3]]
    assert as_instants(np.array([0, NEVER])).to_list() == [datetime(1970, 1, 1), None]


def test_a_place_on_a_line_is_what_counting_gives():
    rng = random.Random(3)
    rows = [(rng.randint(1, 4), rng.randint(0, 9), float(n), 1, 1, [n]) for n in range(60)]
    line = line_of(as_marks(marks_of(*rows)), "subject")
    for subject in range(6):
        before = sum(group < subject for group in line.group) if subject in set(line.group) else 0
        for at in range(-1, 11):
            instant = (START + timedelta(hours=at) - datetime(1970, 1, 1)) // timedelta(microseconds=1)
            own = line.start[line.group == subject]
            asked = np.array([subject]), np.array([instant])
            assert line.place(*asked)[0] - before == (own < instant).sum()
            assert line.place(*asked, after_ties=True)[0] - before == (own <= instant).sum()
