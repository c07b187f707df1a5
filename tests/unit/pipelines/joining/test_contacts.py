"""Contacts of two sources: one where ids or times and places agree, with what each of them knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from phenotype.trajectory import CONTACTS
from pipelines.joining.contacts import join_contacts
from pipelines.joining.rule import ContactRule

RULE = ContactRule(tolerance_minutes=15)


def contacts(*rows: dict[str, Any]) -> pl.DataFrame:
    filled = [{**dict.fromkeys(CONTACTS.names()), "subject_id": 1, **row} for row in rows]
    return pl.DataFrame(filled, schema=CONTACTS)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2024, 3, day, hour, minute)


def test_contacts_of_one_id_are_one_with_the_first_word_of_each() -> None:
    ours = contacts({"contact_id": 7, "start_time": at(1, 8), "end_time": at(3, 12), "unit_id": "medicine"})
    theirs = contacts(
        {"contact_id": 7, "start_time": at(1, 7), "end_time": at(3, 12), "unit_id": "MED", "urgency": "acute"}
    )
    joined = join_contacts([("a", ours), ("b", theirs)], RULE)
    row = joined.contacts.row(0, named=True)
    assert (row["start_time"], row["unit_id"], row["urgency"]) == (at(1, 7), "medicine", "acute")
    assert joined.n_same == 1
    assert joined.conflicts["kind"].to_list() == ["contact times"]  # an hour apart


def test_contacts_of_other_ids_are_one_where_times_are_near_and_places_do_not_differ() -> None:
    ours = contacts(
        {"contact_id": 1, "start_time": at(1, 8), "end_time": at(3, 12), "unit_id": "medicine"},
        {"contact_id": 2, "start_time": at(5, 8), "end_time": at(6, 12), "unit_id": "medicine"},
        {"contact_id": 3, "start_time": at(9, 8), "end_time": at(9, 9)},
    )
    theirs = contacts(
        {"contact_id": 11, "start_time": at(1, 8, 14), "end_time": at(3, 12, 10), "care_level": "inpatient"},
        {"contact_id": 12, "start_time": at(5, 8), "end_time": at(6, 12), "unit_id": "surgery"},
        {"contact_id": 13, "start_time": at(9, 8, 16), "end_time": at(9, 9)},
    )
    joined = join_contacts([("a", ours), ("b", theirs)], RULE)
    assert joined.n_same == 1
    assert joined.ids.rows() == [(1, 11, 1)]
    assert sorted(joined.contacts["contact_id"]) == [1, 2, 3, 12, 13]
    assert not joined.conflicts.height


def test_the_nearest_of_several_is_taken() -> None:
    ours = contacts({"contact_id": 1, "start_time": at(1, 8)}, {"contact_id": 2, "start_time": at(1, 8, 10)})
    theirs = contacts({"contact_id": 11, "start_time": at(1, 8, 9)})
    assert join_contacts([("a", ours), ("b", theirs)], RULE).ids.rows() == [(1, 11, 2)]


def test_an_id_that_is_another_subjects_is_left_out_and_told() -> None:
    ours = contacts({"contact_id": 1, "start_time": at(1, 8)})
    theirs = contacts({"contact_id": 1, "subject_id": 2, "start_time": at(1, 8)})
    joined = join_contacts([("a", ours), ("b", theirs)], RULE)
    assert joined.contacts.height == joined.n_left_out == 1
    assert joined.conflicts["kind"].to_list() == ["contact of two subjects"]


def test_stays_are_joined_over_all_sources() -> None:
    # out at 12 in one hospital, in at 18 in another: six hours, so one stay (8-hour rule)
    ours = contacts({"contact_id": 1, "start_time": at(1, 8), "end_time": at(3, 12)})
    theirs = contacts({"contact_id": 2, "start_time": at(3, 18), "end_time": at(4, 9)})
    joined = join_contacts([("a", ours), ("b", theirs)], RULE)
    assert joined.contacts["stay_id"].to_list() == [1, 1]


def test_a_contact_goes_where_an_earlier_sources_contact_of_its_id_went() -> None:
    ours = contacts({"contact_id": 1, "start_time": at(1, 8), "end_time": at(3, 12)})
    theirs = contacts({"contact_id": 2, "start_time": at(1, 8, 10), "end_time": at(3, 12)})
    third = contacts({"contact_id": 2, "start_time": at(1, 9), "end_time": at(3, 12)})  # too late to be near
    joined = join_contacts([("a", ours), ("b", theirs), ("c", third)], RULE)
    assert joined.contacts["contact_id"].to_list() == [1]
    assert joined.ids.sort("part").rows() == [(1, 2, 1), (2, 2, 1)]
    # A source that knows both ids keeps its two contacts apart.
    both = pl.concat([contacts({"contact_id": 1, "start_time": at(1, 8), "end_time": at(3, 12)}), third])
    apart = join_contacts([("a", ours), ("b", theirs), ("c", both)], RULE)
    assert apart.contacts["contact_id"].to_list() == [1, 2]
