"""Phenotypes on a report: small counts hidden, and nothing that could not be known at the prediction."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from phenotype.phenotypes import PHENOTYPES
from phenotype.report.phenotypes import patient_phenotypes, phenotype_counts

DEFINITIONS = {
    name: {"title": title, "version": "1", "is_shown": is_shown}
    for name, title, is_shown in (
        ("sepsis_3", "Sepsis-3", True),
        ("aki", "Acute kidney injury", True),
        ("never", "Met by nobody", True),
        ("variant", "A variant of Sepsis-3", False),
    )
}


def day(n: int) -> datetime:
    return datetime(2024, 5, n)


def rows(*found: tuple[int, str, int, str, int | None]) -> pl.DataFrame:
    """Phenotypes from (subject, phenotype, start day, state, day from which it could be known)."""
    return pl.DataFrame(
        [
            {
                "subject_id": subject,
                "phenotype": name,
                "version": "1",
                "start_time": day(start),
                "end_time": day(start),
                "state": state,
                "known_time": None if known is None else day(known),
                "evidence": [start],
            }
            for subject, name, start, state, known in found
        ],
        schema=PHENOTYPES,
    )


def test_patients_are_counted_by_state_and_counts_below_five_are_hidden() -> None:
    many = [(subject, "sepsis_3", 1, "confirmed", 1) for subject in range(6)]
    again = [(0, "sepsis_3", 3, "confirmed", 3), (1, "sepsis_3", 2, "suspected", 2)]
    counts = phenotype_counts(rows(*many, *again), DEFINITIONS)
    assert [one.name for one in counts] == ["sepsis_3", "aki", "never", "variant"]
    assert counts[0].patients == {"confirmed": "6", "suspected": "< 5"}
    assert counts[2].patients == {}


def test_the_number_of_rows_does_not_give_a_small_count_away() -> None:
    many = [(subject, "sepsis_3", 1, "confirmed", 1) for subject in range(6)]
    one_more = (7, "sepsis_3", 2, "suspected", 2)
    assert phenotype_counts(rows(*many, one_more), DEFINITIONS)[0].rows == "hidden"  # 7 less 6 is 1
    assert phenotype_counts(rows(*many, (0, "sepsis_3", 3, "confirmed", 3)), DEFINITIONS)[0].rows == "7"


def test_a_patient_is_shown_what_could_be_known_by_then_the_latest_first() -> None:
    held = rows(
        (1, "sepsis_3", 2, "suspected", 2),
        (1, "sepsis_3", 4, "confirmed", 4),
        (1, "sepsis_3", 5, "confirmed", 9),  # its answer comes after the prediction
        (1, "aki", 3, "confirmed", 3),
        (1, "variant", 3, "confirmed", 3),
        (1, "never", 3, "confirmed", None),  # never known within the record
    )
    told = patient_phenotypes(held, day(6), DEFINITIONS)
    assert [(one.title, one.state, one.since, one.n_times) for one in told] == [
        ("Sepsis-3", "confirmed", day(4), 1),
        ("Acute kidney injury", "confirmed", day(3), 1),
    ]
    assert [one.state for one in patient_phenotypes(held, day(3), DEFINITIONS)] == ["confirmed", "suspected"]
    assert patient_phenotypes(held, day(1), DEFINITIONS) == ()
