"""Stays: the 8-hour rule against a slow reading of it, what a stay is, readmissions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from phenotype.contacts import join_stays, readmissions, stays
from phenotype.trajectory import CONTACTS

ZERO = datetime(2020, 1, 1)


def contact(contact_id: int, start: float | None, end: float | None, **fields: Any) -> dict[str, Any]:
    """A contact of subject 1, its times in hours after ZERO."""
    times = {
        "start_time": None if start is None else ZERO + timedelta(hours=start),
        "end_time": None if end is None else ZERO + timedelta(hours=end),
    }
    given = {"contact_id": contact_id, "subject_id": 1, "care_level": "inpatient", **times, **fields}
    return {name: given.get(name) for name in CONTACTS}


def table(*contacts: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(contacts), schema=CONTACTS)


@st.composite
def contacts_of_some(draw: st.DrawFn) -> pl.DataFrame:
    """Up to 25 contacts of three subjects, times in half hours so that gaps of just 8 hours occur."""
    rows = []
    for number in range(draw(st.integers(1, 25))):
        start = draw(st.one_of(st.none(), st.integers(0, 200)))
        length = draw(st.one_of(st.none(), st.integers(0, 60)))
        end = None if start is None or length is None else (start + length) / 2
        subject = draw(st.integers(1, 3))
        rows.append(contact(number, None if start is None else start / 2, end, subject_id=subject))
    return table(*rows)


def slow_stays(contacts: pl.DataFrame) -> dict[int, frozenset[int]]:
    """Each contact's stay as the set of its contacts: a chain goes on while the next begins in 8 hours."""
    found: dict[int, frozenset[int]] = {}
    for subject in set(contacts["subject_id"]):
        mine = contacts.filter(pl.col("subject_id") == subject).rows(named=True)
        dated = sorted((row for row in mine if row["start_time"]), key=lambda row: row["start_time"])
        for row in mine:
            if not row["start_time"]:
                found[row["contact_id"]] = frozenset({row["contact_id"]})
        chain: list[dict[str, Any]] = []
        for row in dated:
            reach = max(((other["end_time"] or other["start_time"]) for other in chain), default=None)
            if reach is not None and row["start_time"] > reach + timedelta(hours=8):
                found.update(
                    dict.fromkeys([c["contact_id"] for c in chain], frozenset(c["contact_id"] for c in chain))
                )
                chain = []
            chain.append(row)
        found.update(
            dict.fromkeys([c["contact_id"] for c in chain], frozenset(c["contact_id"] for c in chain))
        )
    return found


@settings(max_examples=150, deadline=None)
@given(contacts=contacts_of_some(), seed=st.integers(0, 1000))
def test_contacts_join_as_the_rule_says_in_any_order(contacts: pl.DataFrame, seed: int) -> None:
    joined = join_stays(contacts)
    sets = joined.group_by("stay_id").agg("contact_id").rows()
    mine = {one: frozenset(members) for _, members in sets for one in members}
    assert mine == slow_stays(contacts)
    assert all(stay in members for stay, members in sets)
    shuffled = join_stays(contacts.sample(fraction=1, shuffle=True, seed=seed))
    assert_frame_equal(shuffled, joined)
    assert_frame_equal(stays(shuffled), stays(contacts))


def test_eight_hours_join_and_a_second_more_does_not() -> None:
    just = join_stays(table(contact(1, 0, 10), contact(2, 18, 20)))
    beyond = join_stays(table(contact(1, 0, 10), contact(2, 18 + 1 / 3600, 20)))
    assert just["stay_id"].to_list() == [1, 1]
    assert beyond["stay_id"].to_list() == [1, 2]


def test_a_stay_is_as_intensive_urgent_and_bad_as_its_worst_contact() -> None:
    ward = contact(2, 2, 50, urgency="planned", discharged_to="home", hospital_id="B")
    rows = stays(
        table(
            contact(1, 0, 1, care_level="emergency", urgency="acute", hospital_id="A"),
            ward,
            contact(3, 50, 60, care_level="icu", discharged_to="death", hospital_id="B"),
            contact(4, 60, 61, care_level="outpatient"),
        )
    )
    stay = rows.row(0, named=True)
    assert rows.height == 1
    assert stay["stay_id"] == 1
    assert (stay["care_level"], stay["urgency"], stay["is_acute"]) == ("icu", "acute", True)
    assert (stay["is_dead"], stay["discharged_to"], stay["hospital_id"]) == (True, "death", "A")
    assert (stay["length_hours"], stay["is_overnight"], stay["n_contacts"]) == (61.0, True, 4)


def test_a_stay_is_overnight_only_with_a_bed_over_midnight() -> None:
    rows = stays(
        table(
            contact(1, 8, 20),
            contact(2, 100, 130, care_level="day"),
            contact(3, 200, 217),
            contact(4, 300, None),
        )
    )
    assert rows["is_overnight"].to_list() == [False, False, True, None]
    assert rows["length_hours"].to_list() == [12.0, 30.0, 17.0, None]


def test_an_earlier_open_contact_does_not_leave_the_stay_open() -> None:
    rows = stays(table(contact(1, 0, None), contact(2, 3, 20), contact(3, 22, 30)))
    assert rows["end_time"].to_list() == [ZERO + timedelta(hours=30)]
    still_there = stays(table(contact(1, 0, 40), contact(2, 3, None)))
    assert still_there["end_time"].to_list() == [None]


def test_urgency_is_planned_only_where_no_contact_is_acute() -> None:
    rows = stays(
        table(
            contact(1, 0, 1, urgency="planned"), contact(2, 100, 101), contact(3, 200, 201, urgency="acute")
        )
    )
    assert rows["urgency"].to_list() == ["planned", None, "acute"]
    assert rows["is_acute"].to_list() == [False, False, True]


def test_readmissions_are_acute_overnight_and_within_thirty_days() -> None:
    day = 24.0
    rows = stays(
        table(
            contact(1, 0, 48),
            contact(2, 48 + 5 * day, 48 + 7 * day, urgency="planned"),
            contact(3, 48 + 10 * day, 48 + 10 * day + 2, urgency="acute"),
            contact(4, 48 + 20 * day, 48 + 22 * day, urgency="acute"),
            contact(5, 48 + 52 * day, 48 + 53 * day, urgency="acute"),
        )
    )
    found = readmissions(rows)
    # 5 follows 4 by exactly 30 days, which is not less than 30; 3 is not overnight; 2 is planned.
    assert found.select("stay_id", "readmission_stay_id", "readmission_hours").rows() == [
        (1, 4, 480.0),
        (2, 4, 312.0),
        (4, None, None),
        (5, None, None),
    ]


def test_no_contacts_are_no_stays() -> None:
    assert stays(table()).height == 0
    assert readmissions(stays(table())).height == 0
