"""Facts of one subject against each other: repeated, contradicting, in the wrong order."""

from __future__ import annotations

ALL = (None, None, None)
NLK = ("NLK", None, None)


def result(value: float | None, time: str = "2020-01-01T10:00", code: str = "NLK//A", **others: object):
    return {"subject_id": 1, "time": time, "code": code, "numeric_value": value, "unit": "g", **others}


def test_a_fact_that_is_there_three_times_is_wrong_twice(write, ask, state):
    # The fourth differs in unit, the fifth in subject; the last has no time and is not asked.
    rows = [result(1.0)] * 3 + [result(1.0, unit="mg"), result(1.0, subject_id=2), result(1.0, time=None)]
    dataset = write(rows)
    assert ask(dataset, type="duplicates") == {ALL: (5, 2)}
    assert ask(dataset, type="duplicates", by=["system"]) == {NLK: (5, 2)}
    assert ask(write(rows[2:5]), type="duplicates") == {ALL: (3, 0)}
    assert state(dataset, type="duplicates", systems=["ATC"])[0] == "not applicable"
    assert ask(write([result(None)] * 2), type="duplicates") == {ALL: (2, 1)}
    # The lineage says where a fact is from, not what it is.
    assert ask(write([result(1.0, lineage_id=1), result(1.0, lineage_id=2)]), type="duplicates") == {
        ALL: (2, 1)
    }


def test_two_values_of_one_sample_contradict_each_other(write, ask, state):
    # Two instants of A: one with 1 and 2, one with 3 twice; B at the first instant is another code.
    rows = [result(1.0), result(2.0), result(3.0, "2020-01-02T10:00"), result(3.0, "2020-01-02T10:00")]
    rows += [result(9.0, code="NLK//B")]
    assert ask(write(rows), type="contradictions") == {NLK: (3, 1)}
    assert ask(write(rows[2:]), type="contradictions") == {NLK: (2, 0)}
    assert state(write([result(None)]), type="contradictions")[0] == "not applicable"


def test_a_lower_pressure_at_or_above_the_higher_is_wrong(write, ask, state):
    def pair(day: int, lower: float, higher: float):
        time = f"2020-01-{day:02}T10:00"
        return [result(lower, time, "V//low"), result(higher, time, "V//high")]

    rule = {"type": "pair_order", "lower": "V//low", "higher": "V//high"}
    rows = pair(1, 80, 120) + pair(2, 120, 120) + pair(3, 130, 120)
    assert ask(write(rows), **rule) == {ALL: (3, 2)}
    assert ask(write(rows[:2]), **rule) == {ALL: (1, 0)}
    # An instant with two lower values is no pair.
    assert state(write([*rows[:2], rows[0]]), **rule) == (
        "not applicable",
        "never V//low and V//high at one instant",
    )
