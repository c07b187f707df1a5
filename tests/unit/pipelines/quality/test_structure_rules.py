"""Form: columns, keys, references, order and lineage, each with a sound, a broken and an absent case."""

from __future__ import annotations

import polars as pl

ALL = (None, None, None)


def event(subject: int, time: str | None, code: str = "X//y", **others: object) -> dict[str, object]:
    return {"subject_id": subject, "time": time, "code": code, **others}


def test_columns_that_lack_or_have_another_type_are_counted_by_table(write, ask):
    dataset = write([event(1, "2020-01-01T00:00")], contacts=[{"contact_id": 1, "subject_id": 1}])
    # Nine columns of events, twelve of contacts.
    assert ask(dataset, type="columns") == {("contacts", None, None): (12, 0), ("events", None, None): (9, 0)}
    contacts = pl.read_parquet(dataset.path / "contacts.parquet")
    wrong = contacts.drop("urgency").with_columns(pl.col("contact_id").cast(pl.Int32))
    wrong.write_parquet(dataset.path / "contacts.parquet")
    assert ask(dataset, type="columns")[("contacts", None, None)] == (12, 2)


def test_a_repeated_key_is_wrong_once_for_each_repetition(write, ask, state):
    contacts = [{"contact_id": number, "subject_id": 1} for number in (1, 2, 2, 2)]
    dataset = write([event(1, "2020-01-01T00:00")], contacts=contacts)
    rule = {"type": "unique", "table": "contacts", "columns": ["contact_id"]}
    assert ask(dataset, **rule) == {ALL: (4, 2)}
    assert ask(dataset, **(rule | {"columns": ["contact_id", "unit_id"]})) == {ALL: (4, 2)}
    assert ask(write([event(1, None)], contacts=contacts[:2]), **rule) == {ALL: (2, 0)}
    assert state(write([event(1, None)]), **rule) == ("not applicable", "no contacts")
    assert (
        state(write([event(1, None)]), type="unique", table="codes", columns=["code"])[0] == "not applicable"
    )
    listed = write([event(1, None)], codes=["A", "B", "A"])
    assert ask(listed, type="unique", table="codes", columns=["code"]) == {ALL: (3, 1)}


def test_a_name_that_leads_nowhere_is_wrong_and_a_null_names_nothing(write, ask, state):
    contacts = [
        {"contact_id": 1, "subject_id": 1, "stay_id": 1},
        {"contact_id": 2, "subject_id": 1, "stay_id": 9},
        {"contact_id": 3, "subject_id": 1, "stay_id": None},
    ]
    rule = {
        "type": "reference",
        "table": "contacts",
        "column": "stay_id",
        "target": "contacts",
        "target_column": "contact_id",
    }
    assert ask(write([event(1, None)], contacts=contacts), **rule) == {ALL: (2, 1)}
    assert ask(write([event(1, None)], contacts=contacts[:1]), **rule) == {ALL: (1, 0)}
    assert state(write([event(1, None)], contacts=contacts[2:]), **rule)[0] == "not applicable"


def test_rows_out_of_time_late_static_facts_and_torn_subjects_are_out_of_order(write, ask):
    early, late = "2020-01-01T00:00", "2020-01-02T00:00"
    sound = [event(1, None), event(1, early), event(1, late), event(2, early)]
    assert ask(write(sound), type="sorted") == {ALL: (4, 0)}
    # One goes back in time; one static fact comes after a dated one; subject 1 comes again after subject 2.
    assert ask(write([event(1, late), event(1, early)]), type="sorted") == {ALL: (2, 1)}
    assert ask(write([event(1, late), event(1, None)]), type="sorted") == {ALL: (2, 1)}
    assert ask(write([event(1, early), event(2, early), event(1, late)]), type="sorted") == {ALL: (3, 1)}
    assert ask(write(files=[sound, [event(3, late), event(3, early)]]), type="sorted") == {ALL: (6, 1)}


def test_a_subject_in_two_files_is_wrong(write, ask):
    time = "2020-01-01T00:00"
    assert ask(write(files=[[event(1, time)], [event(2, time)]]), type="one_shard") == {ALL: (2, 0)}
    both = write(files=[[event(1, time), event(2, time)], [event(2, time), event(2, time)]])
    assert ask(both, type="one_shard") == {ALL: (2, 1)}


def test_a_lineage_that_is_not_there_is_wrong_and_none_is_not_asked(write, ask, state):
    rows = [event(1, None, lineage_id=number) for number in (0, 1, 5, None)]
    lineage = [{"lineage_id": 0}, {"lineage_id": 1}, {"lineage_id": 1}]
    assert ask(write(rows, lineage=lineage), type="lineage_complete") == {ALL: (3, 1)}
    assert ask(write(rows[:2], lineage=lineage), type="lineage_complete") == {ALL: (2, 0)}
    assert state(write(rows[3:], lineage=lineage), type="lineage_complete")[0] == "not applicable"
    assert ask(write(rows[:3], lineage=[]), type="lineage_complete") == {ALL: (3, 3)}
