"""The account of ingestion, and identity numbers: synthetic ones of test registers, valid and not."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.quality.source_rules import holds_identity_number

EVENTS = [{"subject_id": 1, "time": "2020-01-01T00:00", "code": "X//y"}]
ACCOUNT = {
    "totals": {"events": 100, "events_without_their_contact": 3},
    "files": [
        {
            "table": "a",
            "file": "a.csv",
            "rows_read": 10,
            "rows_used": 5,
            "rows_ignored": {"no output takes it": 2},
            "rows_rejected": {"not a time": 1, "no subject": 2},
            "fields_rejected": {"not a number": 4},
        },
        {
            "table": "b",
            "file": "b.csv",
            "rows_read": 4,
            "rows_used": 3,
            "rows_ignored": {},
            "rows_rejected": {},
            "fields_rejected": {},
        },
    ],
    "files_not_read": {"*.txt": 2},
}
A, B = ("a: a.csv", None, None), ("b: b.csv", None, None)


@pytest.mark.parametrize(
    ("what", "of_a", "of_b"),
    [
        ("rows_rejected", (10, 3), (4, 0)),
        ("rows_ignored", (10, 2), (4, 0)),
        ("fields_rejected", (10, 4), (4, 0)),
        ("rows_unaccounted", (10, 0), (4, 1)),  # b: four were read, three are told
    ],
)
def test_rows_are_told_by_file_and_fate(write, ask, state, *, what, of_a, of_b):
    rule = {"type": "rejects", "what": what}
    assert ask(write(EVENTS, account=ACCOUNT), **rule) == {A: of_a, B: of_b}
    assert state(write(EVENTS), **rule) == ("not applicable", "no ingest.json")


def test_files_that_nobody_reads_and_links_that_are_lost(write, ask, state):
    dataset = write(EVENTS, account=ACCOUNT)
    # Two files are read and two are not; 3 of 100 events named a contact that is not there.
    assert ask(dataset, type="files_not_read") == {(None, None, None): (4, 2)}
    assert ask(dataset, type="lost_links") == {(None, None, None): (100, 3)}
    sound = write(EVENTS, account={**ACCOUNT, "files_not_read": {}})
    assert ask(sound, type="files_not_read") == {(None, None, None): (2, 0)}
    assert state(write(EVENTS), type="lost_links")[0] == "not applicable"
    assert state(write(EVENTS), type="files_not_read")[0] == "not applicable"


def test_a_broken_account_is_none(write, state):
    dataset = write(EVENTS, account=ACCOUNT)
    (dataset.path / "ingest.json").write_text("{", "utf-8")
    assert state(dataset, type="lost_links")[0] == "not applicable"


def number_of(nine: str) -> str | None:
    """Nine digits with their two control digits, worked as the rule is written; None where there are none."""
    digits = [int(digit) for digit in nine]
    first = (
        -sum(weight * digit for weight, digit in zip((3, 7, 6, 1, 8, 9, 4, 5, 2), digits, strict=True)) % 11
    )
    digits.append(first)
    weights = (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    second = -sum(weight * digit for weight, digit in zip(weights, digits, strict=True)) % 11
    return None if 10 in {first, second} else f"{nine}{first}{second}"


def numbers(prefix: str) -> list[str]:
    """All numbers that begin with a date and have an individual number from 100 to 119."""
    return [found for n in range(100, 120) if (found := number_of(f"{prefix}{n}"))]


def test_every_kind_of_identity_number_is_found_in_any_text():
    # Month + 80 and + 40 as test registers write them, a D-number of such a month, a help number.
    for prefix in ("158190", "154190", "558190", "818190"):
        for number in numbers(prefix):
            texts = [
                number,
                f"pas {number} kom",
                f"{number[:6]} {number[6:]}",
                f"a{number}b",
                f"{number}, {number}",
            ]
            assert holds_identity_number(pl.Series(texts)).all(), prefix


def test_numbers_with_a_wrong_control_digit_date_or_length_are_not():
    number = numbers("158190")[0]
    last = str((int(number[-1]) + 1) % 10)
    texts = [number[:-1] + last, f"9{number}"[:13] + "77", number[:10], "", "2020-01-01", "no number"]
    assert not holds_identity_number(pl.Series(texts)).any()
    impossible = [found for prefix in ("328190", "159390", "001190") for found in numbers(prefix)]
    assert not holds_identity_number(pl.Series(impossible)).any()


def test_identity_numbers_are_told_by_place_and_never_shown(write, ask, state):
    number = numbers("158190")[0]
    rule = {
        "type": "identity_numbers",
        "places": ["events.text_value", "events.code", "codings.code", "ingest.file"],
    }
    dataset = write([{**EVENTS[0], "text_value": f"see {number}"}, {**EVENTS[0], "text_value": "fine"}])
    # Of the texts one holds a number; all others count as one. Nothing is coded and no file is told.
    assert ask(dataset, **rule) == {
        ("events.text_value", None, None): (2, 1),
        ("events.code", None, None): (1, 0),
    }
    assert ask(write(EVENTS), **rule) == {("events.code", None, None): (1, 0)}
    assert state(write(EVENTS), type="identity_numbers", places=["contacts.unit_id"]) == (
        "not applicable",
        "no texts",
    )


def test_numbers_that_became_ids_are_found_also_without_their_leading_zero(write, ask):
    # Of two subjects one has a number of a day below 10 (its zero is lost), one a small id.
    with_zero = numbers("058190")[0]
    rule = {"type": "identity_numbers", "places": ["events.subject_id"]}
    dataset = write([{**EVENTS[0], "subject_id": int(with_zero)}, {**EVENTS[0], "subject_id": 7}])
    assert ask(dataset, **rule) == {("events.subject_id", None, None): (2, 1)}
    pseudonym = write([{**EVENTS[0], "subject_id": 6_023_667_851_481_127}])
    assert ask(pseudonym, **rule) == {("events.subject_id", None, None): (1, 0)}
