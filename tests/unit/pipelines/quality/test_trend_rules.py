"""Months: last digits, silence, rates and delays, counted by hand."""

from __future__ import annotations

import datetime as dt

A = ("V//A", None, None)


def value(number: float, time: str = "2020-01-05T10:00", code: str = "V//A", **others: object):
    return {"subject_id": 1, "time": time, "code": code, "numeric_value": number, "unit": "g", **others}


def test_the_most_frequent_last_digit_is_counted(write, ask, state):
    rule = {"type": "digit_preference", "systems": ["V"]}
    # 100 to 139: each last digit four times. Then ten more 120s: 0 stands 14 times of 50.
    even = [value(float(number)) for number in range(100, 140)]
    assert ask(write(even), **rule) == {A: (40, 4)}
    assert ask(write(even + [value(120.0)] * 10), **rule) == {A: (50, 14)}
    # From 100 to 129 are 29 steps only: too narrow to judge.
    assert state(write(even[:30]), **rule) == ("not applicable", "no values over a wide enough range")


def test_a_code_with_decimals_is_judged_by_its_last_decimal(write, ask):
    # 36.0, 36.1 ... 39.9: each of ten last decimals four times; whole degrees end in .0.
    rows = [value(round(36 + step / 10, 1)) for step in range(40)]
    assert ask(write(rows), type="digit_preference", systems=["V"]) == {A: (40, 4)}


def patients(month: dt.date, n: int, code: str = "V//A"):
    return [
        {"subject_id": number, "time": f"{month:%Y-%m}-10T10:00", "code": code, "contact_id": None}
        for number in range(n)
        for _ in range(2)
    ]


MONTHS = [dt.date(2020, month, 1) for month in range(1, 13)]


def test_a_month_with_less_than_a_fifth_of_its_patients_is_silent(write, ask, state):
    rule = {"type": "silence", "by": "system", "n_expected": 10}
    steady = [row for month in MONTHS for row in patients(month, 10)]
    # The first and last month are not judged: ten of twelve are.
    assert ask(write(steady), **rule) == {("V", None, None): (10, 0)}
    # June has one patient (a tenth), August two (a fifth: not below it), September none. October and November
    # are not judged (the six months before hold 10 10 1 10 2 0: the median is 6), nor March and April, which
    # have too few months before and the same median after.
    few = [row for month in MONTHS for row in patients(month, {6: 1, 8: 2, 9: 0}.get(month.month, 10))]
    assert ask(write(few), **rule) == {("V", None, None): (6, 2)}
    assert state(write(steady), **(rule | {"n_expected": 11})) == (
        "not applicable",
        "no group is large enough in any month",
    )


def test_a_system_that_stops_is_silent_until_the_others_end(write, ask):
    # B has 10 patients a month to June and none after. February to April look ahead (10; 5; 0), May and June
    # back (10); July, August and September have five, five and four tens among the months before: silent;
    # then three of six (5). Judged are February, May, June and the three that are silent.
    rows = [row for month in MONTHS for row in patients(month, 10)]
    rows += [row for month in MONTHS[:6] for row in patients(month, 10, "B//A")]
    found = ask(write(rows), type="silence", by="system", n_expected=10)
    assert found == {("B", None, None): (6, 3), ("V", None, None): (10, 0)}


def test_a_stray_date_of_long_ago_or_of_the_future_begins_no_silence(write, ask):
    rows = [row for month in MONTHS for row in patients(month, 10)]
    rows += patients(dt.date(1950, 3, 1), 3) + patients(dt.date(2031, 3, 1), 3)
    assert ask(write(rows), type="silence", by="system", n_expected=10) == {("V", None, None): (10, 0)}


def contact(number: int, month: int, unit: str = "A"):
    return {
        "contact_id": number,
        "subject_id": 1,
        "stay_id": number,
        "start_time": f"2020-{month:02}-{1 + number % 20:02}T10:00",
        "end_time": f"2020-{month:02}-{2 + number % 20:02}T10:00",
        "care_level": "inpatient",
        "unit_id": unit,
        "hospital_id": "H",
    }


def test_silence_of_a_unit_is_told_from_the_contacts_that_begin(write, ask, state):
    per_month = dict.fromkeys(range(1, 13), 10) | {5: 1}
    months = [month for month, n in per_month.items() for _ in range(n)]
    contacts = [contact(number, month) for number, month in enumerate(months)]
    rule = {"type": "silence", "by": "unit_id", "n_expected": 10}
    dataset = write([value(1.0)], contacts=contacts)
    assert ask(dataset, **rule) == {(None, "A", None): (10, 1)}
    assert ask(dataset, **(rule | {"by": "hospital_id"})) == {(None, "H", None): (10, 1)}
    assert state(write([value(1.0)]), **rule) == ("not applicable", "no such groups")


def test_a_month_with_twice_the_usual_diagnoses_and_more_is_wrong(write, ask, state):
    # Two contacts a month; one code each in January to March, three each in April: usual 1, April 3.
    contacts = [contact(number, 1 + number // 2) for number in range(8)]
    codings = [
        {"contact_id": number, "group_no": group, "role": "other", "system": "ICD10-NO", "code": f"A0{group}"}
        for number in range(8)
        for group in range(3 if number >= 6 else 1)
    ]
    rule = {"type": "monthly_rate", "rate": "diagnoses_per_contact", "n_in_month": 2}
    dataset = write([value(1.0)], contacts=contacts, codings=codings)
    assert ask(dataset, **rule) == {(None, "A", None): (4, 1)}
    assert ask(dataset, **(rule | {"factor": 3.0})) == {(None, "A", None): (4, 0)}
    assert state(dataset, **(rule | {"n_in_month": 3}))[0] == "not applicable"


def test_events_are_counted_for_the_contacts_of_their_unit(write, ask):
    # Three months of one contact: four, four and one event; half of four is two, and one is below.
    contacts = [contact(number, 1 + number) for number in range(3)]
    rows = [
        value(1.0, f"2020-{1 + number:02}-05T10:00", contact_id=number)
        for number, n in ((0, 4), (1, 4), (2, 1))
        for _ in range(n)
    ]
    rule = {"type": "monthly_rate", "rate": "events_per_contact", "n_in_month": 1}
    assert ask(write(rows, contacts=contacts), **rule) == {(None, "A", None): (3, 1)}


def test_what_is_known_later_than_the_limit_is_late(write, ask, state):
    # Known after 24 h (at the limit), after 25 h, and at once; the fourth does not say.
    rows = [
        value(1.0, "2020-01-05T10:00", known_time="2020-01-06T10:00"),
        value(1.0, "2020-01-05T10:00", known_time="2020-01-06T11:00"),
        value(1.0, "2020-02-05T10:00", known_time="2020-02-05T10:00"),
        value(1.0, "2020-02-05T10:00"),
    ]
    rule = {"type": "late_arrival", "hours": 24}
    assert ask(write(rows), **rule) == {("V", None, None): (3, 1)}
    assert ask(write(rows[2:3]), **rule) == {("V", None, None): (1, 0)}
    assert state(write(rows[3:]), **rule) == ("not applicable", "no event has a time of knowing")
