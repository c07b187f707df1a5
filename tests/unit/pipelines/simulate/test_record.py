"""What the record shows at a time is what was known then, counted by hand on small tables."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from pipelines.simulate.record import age_years, fading_admissions, has_code, latest_two

QUESTIONS = pl.DataFrame(
    {
        "row": [0, 1, 2],
        "patient_id": [1, 1, 2],
        "asked_time": [datetime(2024, 3, 1, 12), datetime(2024, 3, 5, 12), datetime(2024, 3, 1, 12)],
    }
)


def test_a_result_counts_once_it_is_answered_and_while_it_is_fresh() -> None:
    laboratory = pl.DataFrame(
        {
            "patient_id": [1, 1, 1, 1, 2],
            "nlk": ["A", "A", "A", "B", "A"],
            "value": [5.0, 7.0, 9.0, 99.0, 3.0],
            "sampled_time": [
                datetime(2024, 2, 28),
                datetime(2024, 3, 1, 11),
                datetime(2024, 3, 1, 11, 59),
                datetime(2024, 3, 1, 11),
                datetime(2024, 1, 1),
            ],
            "answered_time": [
                datetime(2024, 2, 28, 1),
                datetime(2024, 3, 1, 12),
                datetime(2024, 3, 1, 12, 1),
                datetime(2024, 3, 1, 11),
                datetime(2024, 1, 1),
            ],
        }
    )
    found = latest_two(laboratory, QUESTIONS, "A", within_days=30)
    np.testing.assert_array_equal(found, [[7, 5], [9, 7], [np.nan, np.nan]])


def test_inpatient_contacts_fade_by_their_half_life() -> None:
    contacts = pl.DataFrame(
        {
            "patient_id": [1, 1, 1, 1],
            "innDatoTid": [
                datetime(2024, 2, 20, 12),
                datetime(2024, 3, 1, 12),
                datetime(2024, 3, 1, 13),
                datetime(2024, 2, 25, 12),
            ],
            "omsorgsniva": [1, 1, 1, 3],
        }
    )
    # Row 0: one 10 days old (one half life), one now. Row 1: 14 days, 4 days and 3 days 23 hours old.
    expected = [0.5 + 1.0, 2**-1.4 + 2**-0.4 + 2 ** -((4 - 1 / 24) / 10), 0.0]
    assert fading_admissions(contacts, QUESTIONS, half_life_days=10) == pytest.approx(expected)


def test_a_diagnosis_counts_from_when_it_was_coded() -> None:
    conditions = pl.DataFrame(
        {
            "patient_id": [1, 1, 2],
            "kodeVerdi": ["E119", "I10", "J449"],
            "kodet_tid": [datetime(2024, 3, 2), datetime(2024, 1, 1), datetime(2024, 3, 1, 12)],
        }
    )
    assert has_code(conditions, QUESTIONS, ("E11", "J44")).tolist() == [False, True, True]


def test_age_is_counted_to_the_time_of_the_question() -> None:
    patients = pl.DataFrame(
        {"patient_id": [1, 2], "birth_date": [date(1954, 3, 1), date(2024, 3, 1)], "kjonn": [1, 2]}
    )
    expected = [(365 * 70 + 18 + 0.5) / 365.25, (365 * 70 + 18 + 4.5) / 365.25, 0.5 / 365.25]
    assert age_years(patients, QUESTIONS) == pytest.approx(expected)
