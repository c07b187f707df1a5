"""What may be known of a stay's own codes: nothing until it has ended; of the rest of it, all."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl

from phenotype.coding.expected.view import JUDGED, held_back_prefixes, hold_back
from phenotype.trajectory import CODINGS, EVENTS

START, END = datetime(2024, 5, 1), datetime(2024, 5, 4)
STAYS = pl.DataFrame(
    [(1, 7, START, END), (2, 7, END + timedelta(days=30), END + timedelta(days=31))], JUDGED, orient="row"
)
OWNERS = pl.DataFrame({"contact_id": [10, 20], "stay_id": [1, 2]})
PREFIXES = ("DRG//", "ICD10-NO//")


def known(
    time: datetime | None, code: str, known_time: datetime | None, contact: int | None
) -> datetime | None:
    events = pl.DataFrame([(7, time, code, None, None, known_time, None, contact, 1)], EVENTS, orient="row")
    told = hold_back(events, OWNERS, STAYS, PREFIXES)
    assert told.columns == EVENTS.names()
    return told["known_time"][0] if told.height else None


def test_a_stay_s_codes_are_known_after_it_alone() -> None:
    just_after = END + timedelta(microseconds=1)
    for code in ("ICD10-NO//E11.9", "DRG//88"):
        for time in (START, END):
            assert known(time, code, None, 10) == just_after
            assert known(time, code, time, 10) == just_after
    later = END + timedelta(days=9)
    assert known(END, "ICD10-NO//E11.9", later, 10) == later


def test_codes_without_a_contact_belong_to_the_stay_that_they_fall_in() -> None:
    assert known(START + timedelta(days=1), "ICD10-NO//E11.9", None, None) == END + timedelta(microseconds=1)
    between = END + timedelta(days=5)
    assert known(between, "ICD10-NO//E11.9", None, None) == between


def test_undated_codes_are_left_out_and_undated_facts_are_not() -> None:
    events = pl.DataFrame(
        [(7, None, code, None, None, None, None, None, 1) for code in ("ICD10-NO//E11.9", "SEX//male")],
        EVENTS,
        orient="row",
    )
    assert hold_back(events, OWNERS, STAYS, PREFIXES)["code"].to_list() == ["SEX//male"]


def test_answers_of_the_stay_that_came_later_are_known_at_its_end() -> None:
    assert known(START, "LAB//crp", END + timedelta(days=2), 10) == END
    assert known(START, "LAB//crp", START + timedelta(hours=2), 10) == START + timedelta(hours=2)
    assert known(START, "LAB//crp", END + timedelta(days=2), None) == END + timedelta(days=2)


def test_systems_of_diagnoses_are_held_back_and_those_of_procedures_are_not() -> None:
    rows = [("main", "ICD10-NO"), ("other", "ICD9CM"), ("procedure", "NCSP")]
    codings = pl.DataFrame(
        [(1, 1, 1, role, system, None, "X", None, None, 1) for role, system in rows], CODINGS, orient="row"
    )
    assert held_back_prefixes(codings, ("DRG//",)) == ("DRG//", "ICD10-NO//", "ICD9CM//")
