"""Contacts and their codes: overlaps, codes that need a partner, births and deliveries."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import pytest

ALL = (None, None, None)
EVENTS = [{"subject_id": 1, "time": "2020-01-01T00:00", "code": "X//y"}]


def contact(number: int, start: str, end: str | None, hospital: str | None = "H", **others: object):
    return {
        "contact_id": number,
        "subject_id": 1,
        "stay_id": number,
        "start_time": f"2020-01-{start}",
        "end_time": None if end is None else f"2020-01-{end}",
        "care_level": "inpatient",
        "hospital_id": hospital,
        **others,
    }


def test_the_later_of_two_contacts_that_overlap_is_wrong_once(write, ask, state):
    # 2 lies in 1; 3 begins with the end of 1, which is no overlap; 4 is another subject's; 5 has no end.
    contacts = [
        contact(1, "01T10:00", "05T10:00"),
        contact(2, "02T10:00", "03T10:00"),
        contact(3, "05T10:00", "06T10:00"),
        contact(4, "01T10:00", "05T10:00", subject_id=2),
        contact(5, "01T12:00", None),
    ]
    rule = {"type": "overlap", "care_levels": ["inpatient"]}
    dataset = write(EVENTS, contacts=contacts)
    assert ask(dataset, **rule) == {ALL: (4, 1)}
    # They share 24 hours: asked for 24 it is found, for 25 not.
    assert ask(dataset, **rule, hours=24) == {ALL: (4, 1)}
    assert ask(dataset, **rule, hours=25) == {ALL: (4, 0)}
    assert ask(dataset, **rule, elsewhere=True) == {ALL: (4, 0)}
    elsewhere = write(EVENTS, contacts=[contacts[0], contact(2, "02T10:00", "03T10:00", "G")])
    assert ask(elsewhere, **rule, elsewhere=True) == {ALL: (2, 1)}
    assert state(dataset, type="overlap", care_levels=["day"])[0] == "not applicable"


def test_a_contact_within_two_others_is_wrong_once(write, ask):
    contacts = [
        contact(1, "01T10:00", "09T10:00"),
        contact(2, "02T10:00", "08T10:00"),
        contact(3, "03T10:00", "04T10:00"),
    ]
    assert ask(write(EVENTS, contacts=contacts), type="overlap", care_levels=["inpatient"]) == {ALL: (3, 2)}


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("hours", [0, 12])
def test_overlaps_are_those_of_every_pair(write, ask, elsewhere, hours):
    # Every pair of contacts compared, the later one by start, end, hospital and number counted once.
    chance = random.Random(7)
    drawn = []
    for number in range(120):
        start = dt.datetime(2020, 1, 1) + dt.timedelta(hours=6 * chance.randrange(100))
        end = start + dt.timedelta(hours=6 * chance.randrange(6))
        drawn.append((chance.randrange(6), start, end, chance.choice("FGH"), number))
    drawn.sort()
    later = {
        two
        for one, two in itertools.combinations(drawn, 2)
        if one[0] == two[0]
        and two[1] < one[2]
        and min(one[2], two[2]) - two[1] >= dt.timedelta(hours=hours)
        and (one[3] != two[3] or not elsewhere)
    }
    contacts = [
        contact(
            number,
            "",
            None,
            hospital,
            subject_id=subject,
            start_time=start.isoformat(),
            end_time=end.isoformat(),
        )
        for subject, start, end, hospital, number in drawn
    ]
    rule = {"type": "overlap", "care_levels": ["inpatient"], "hours": hours, "elsewhere": elsewhere}
    assert ask(write(EVENTS, contacts=contacts), **rule) == {ALL: (120, len(later))}


def test_a_subject_with_very_many_contacts_is_asked_at_once(write, ask):
    # 50 000 contacts of one day at one instant: 1 250 million pairs.
    contacts = [contact(number, "01T10:00", "02T10:00", "GH"[number % 2]) for number in range(50_000)]
    dataset = write(EVENTS, contacts=contacts)
    for elsewhere, n_wrong in ((False, 49_999), (True, 25_000)):
        found = ask(dataset, type="overlap", care_levels=["inpatient"], elsewhere=elsewhere)
        assert found == {ALL: (50_000, n_wrong)}


def coding(contact_id: int, code: str, group: int | None = 1, number: int = 1, **others: object):
    return {
        "contact_id": contact_id,
        "group_no": group,
        "code_no": number,
        "role": "main",
        "system": "ICD10-NO",
        "code": code,
        **others,
    }


def test_an_asterisk_code_needs_another_code_in_its_group(write, ask, state):
    # Contact 1: a pair in one group. 2: the two in different groups. 3: alone. 4: a pair without groups.
    codings = [
        coding(1, "E10.3"),
        coding(1, "H36.0", number=2),
        coding(2, "E10.3"),
        coding(2, "H36.0", group=2),
        coding(3, "H360"),
        coding(4, "E10.3", group=None),
        coding(4, "H36.0", group=None),
    ]
    contacts = [contact(number, "01T10:00", "02T10:00") for number in (1, 2, 3, 4)]
    rule = {"type": "partner", "system": "ICD10-NO", "pattern": "H36"}
    assert ask(write(EVENTS, contacts=contacts, codings=codings), **rule) == {ALL: (4, 2)}
    assert ask(write(EVENTS, contacts=contacts, codings=codings[:2]), **rule) == {ALL: (1, 0)}
    assert state(write(EVENTS, contacts=contacts, codings=codings[:1]), **rule) == (
        "not applicable",
        "no such codes",
    )


def test_births_and_deliveries_differ_by_what_is_missing(write, ask, state):
    # Three mothers (one has two such codes), one child.
    codings = [coding(1, "Z37.0"), coding(1, "O80"), coding(2, "O82"), coding(3, "O81"), coding(4, "Z38.0")]
    contacts = [contact(number, "01T10:00", "02T10:00") for number in (1, 2, 3, 4)]
    rule = {"type": "balance", "system": "ICD10-NO", "left": "Z38", "right": "Z37|O8[0-4]"}
    dataset = write(EVENTS, contacts=contacts, codings=codings)
    assert ask(dataset, **rule) == {(None, None, "2020"): (3, 2)}
    one_each = write(EVENTS, contacts=contacts, codings=[codings[2], codings[4]])
    assert ask(one_each, **rule) == {(None, None, "2020"): (1, 0)}
    other = write(EVENTS, contacts=contacts, codings=[coding(1, "A41.9")])
    assert state(other, **rule) == ("not applicable", "no contacts of either kind")
