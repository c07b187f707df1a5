"""Definitions in plain English; the expected sentences were written by hand from the criteria."""

from __future__ import annotations

import pytest

from phenotype.definitions.sentences import explain_definition
from phenotype.definitions.text import load_definitions, read_definitions

HEAD = 'version: "1"\nsources: [a]\nreview: b\ndefinitions:\n'


@pytest.mark.parametrize(
    ("criterion", "sentence"),
    [
        (
            "events: {in: laboratory/creatinine, value: {at_least: 353.6, unit: umol/L}, during: stay}",
            "creatinine in plasma or serum at least 353.6 umol/L in a stay",
        ),
        ("events: {codes: [A//1, B//*], role: main}", "code A//1 or code B//* as main code"),
        (
            "all: [{events: {codes: A}}, {events: {codes: B}}, {not: {events: {codes: C}}}]",
            "code A and code B, in one stay, without code C",
        ),
        (
            "near: {of: {events: {codes: A}}, other: {events: {codes: B}}, from_hours: -24, to_hours: 72}",
            "code A with code B from 24 hours before to 3 days after",
        ),
        (
            "near: {of: {events: {codes: A}}, other: {events: {codes: B}}, to_hours: 0, absent: true}",
            "code A without code B at any time before",
        ),
        (
            "at_least: {n: 2, of: {events: {codes: A}}, within_hours: 48, same: text}",
            "at least 2 of (code A) at different times of the same text within 48 hours",
        ),
        (
            "worst: {of: {events: {codes: A}}, is: min, window_hours: 24, value: {below: 3}}",
            "code A whose lowest of 24 hours is below 3",
        ),
        (
            "rise: {of: {events: {codes: A}}, within_hours: 168, ratio: 1.5}",
            "a rise of code A to 1.5 times or more within 7 days",
        ),
        ("score: {name: SOFA, part: kidneys, at_least: 3}", "SOFA kidneys of 3 or more"),
        (
            "score: {name: SOFA, rise: 2, around: {events: {codes: A}}}",
            "a rise of SOFA by 2 or more, from 48 hours before to 24 hours after code A",
        ),
        (
            "stay: {overnight: true, died: false, length_days: {above: 14}}",
            "a stay (overnight, not ending in death, lasting above 14 days)",
        ),
        ("first: {contact: {care_level: icu, at: start}}", "the first start of a contact (icu) of each stay"),
        (
            "measure: {of: {stay: {}}, is: sum_days, look_back_days: 365}",
            "the days in all of stay in the 365 days before the stay",
        ),
    ],
)
def test_each_kind_of_criterion_is_a_phrase(tmp_path, criterion, sentence):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{HEAD}  - {{name: a, title: t, confirmed: {{{criterion}}}}}\n", "utf-8")
    assert explain_definition(read_definitions([file])[0]) == f"Confirmed: {sentence}. All marks are kept."


def test_every_shipped_definition_can_be_told():
    for definition in load_definitions():
        told = explain_definition(definition)
        assert told.startswith("Confirmed: ")
        assert told.endswith(" kept.")
