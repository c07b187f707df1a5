"""Which findings a reader is shown first."""

from __future__ import annotations

import polars as pl

from phenotype.coding.expected.reasons import BACKGROUND, CHANCE, OTHER_STAYS, UNIT
from phenotype.coding.expected.strongest import carried_by_events, strongest
from phenotype.coding.findings import FINDING_ITEMS, FINDING_REASONS, FINDINGS, Found

Reasons = list[tuple[str, float | None, bool]]


def found_of(findings: dict[str, tuple[str, str, float | None, int, Reasons]]) -> Found:
    """Findings of finding_id -> kind, group, probability, contact, (concept, contribution, has events)."""
    rows, items, reasons = [], [], []
    for finding_id, (kind, group, probability, contact, told) in findings.items():
        row = {"finding_id": finding_id, "rule_id": group, "kind": kind, "probability": probability}
        rows.append(row)
        items.append({"finding_id": finding_id, "contact_id": contact})
        reasons += [
            {
                "finding_id": finding_id,
                "concept": concept,
                "contribution": size,
                "evidence": [1] * has_events,
            }
            for concept, size, has_events in told
        ]
    frames = zip((rows, items, reasons), (FINDINGS, FINDING_ITEMS, FINDING_REASONS), strict=True)
    return Found(*(pl.DataFrame(some, schema=schema) for some, schema in frames))


EVENTS: Reasons = [("LAB//x", 1.0, True)]


def test_age_alone_the_unit_alone_and_what_is_absent_carry_nothing() -> None:
    found = found_of(
        {
            "events": ("missing", "a", 0.5, 1, [("LAB//x", 0.5, True), (BACKGROUND, 0.4, False)]),
            "others": ("missing", "b", 0.5, 2, [(OTHER_STAYS, 2.0, True)]),
            "age": ("missing", "c", 0.9, 3, [("LAB//x", 0.5, True), (BACKGROUND, 0.6, False)]),
            "chance": (
                "missing",
                "h",
                0.9,
                8,
                [("LAB//x", 0.5, True), (BACKGROUND, 0.3, False), (CHANCE, 0.3, False)],
            ),
            "unit": ("missing", "d", 0.9, 4, [(UNIT, 2.0, False)]),
            "absent": ("missing", "e", 0.9, 5, [("LAB//x", 2.0, False)]),
            "many small ones": ("missing", "i", 0.9, 9, [(f"LAB//{n}", 0.15, True) for n in range(9)]),
            "next to nothing": ("missing", "f", 0.9, 6, [("LAB//x", 0.1, True)]),
            "against": ("missing", "g", 0.9, 7, [("LAB//x", 0.5, True), ("LAB//y", -0.5, True)]),
        }
    )
    told = carried_by_events(found)
    assert dict(told.iter_rows()) == {"events": 0.5, "others": 2.0}


def test_what_is_coded_and_improbable_is_carried_by_what_speaks_against_the_group() -> None:
    found = found_of(
        {
            "normal": ("unsupported", "a", 0.5, 1, [("LAB//x", -0.5, True), (BACKGROUND, 0.6, False)]),
            "high": ("unsupported", "a", 0.5, 2, [("LAB//x", 0.5, True)]),
            "young": ("unsupported", "a", 0.5, 3, [("LAB//x", -0.5, True), (BACKGROUND, -0.6, False)]),
        }
    )
    assert dict(carried_by_events(found).iter_rows()) == {"normal": 0.5}


def test_kinds_share_the_places_and_a_group_stands_once_while_others_are_left() -> None:
    found = found_of(
        {
            "1": ("missing", "a", 0.9, 1, EVENTS),
            "2": ("missing", "a", 0.8, 2, EVENTS),
            "3": ("missing", "b", 0.7, 3, EVENTS),
            "4": ("missing", "c", 0.6, 4, EVENTS),
            "5": ("main_condition", "d", 0.3, 5, EVENTS),
            "6": ("main_condition", "e", 0.2, 5, EVENTS),
        }
    )
    assert strongest(found, 3)["finding_id"].to_list() == ["1", "3", "5"]
    assert strongest(found, 4)["finding_id"].to_list() == ["1", "3", "4", "5"]
    assert strongest(found, 5)["finding_id"].to_list() == ["1", "2", "3", "4", "5"]


def test_a_contact_stands_once_and_fewer_are_told_where_there_are_fewer() -> None:
    found = found_of(
        {"1": ("missing", "a", 0.9, 1, EVENTS), "2": ("missing", "b", 0.8, 1, EVENTS)},
    )
    assert strongest(found, 5)["finding_id"].to_list() == ["1"]
    assert strongest(Found.nothing(), 5).height == 0


def test_of_equally_probable_ones_what_events_say_most_of_stands_first() -> None:
    found = found_of(
        {
            "1": ("missing", "a", 0.9001, 1, [("LAB//x", 0.5, True)]),
            "2": ("missing", "b", 0.9, 2, [("LAB//x", 0.9, True)]),
        },
    )
    assert strongest(found, 2)["finding_id"].to_list() == ["2", "1"]


def test_what_has_no_probability_stands_last() -> None:
    found = found_of(
        {
            "1": ("missing", "a", None, 1, EVENTS),
            "2": ("missing", "b", float("nan"), 2, EVENTS),
            "3": ("missing", "c", 0.3, 3, EVENTS),
        }
    )
    assert strongest(found, 3)["finding_id"].to_list() == ["3", "1", "2"]
    assert strongest(found, 1)["finding_id"].to_list() == ["3"]


def test_reasons_that_say_nothing_carry_nothing_and_take_nothing_away() -> None:
    nothing: Reasons = [("LAB//y", float("nan"), True), (BACKGROUND, float("nan"), False)]
    found = found_of(
        {
            "silent": ("missing", "a", 0.5, 1, nothing),
            "unknown": ("missing", "b", 0.5, 2, [("LAB//x", None, True)]),
            "events": ("missing", "c", 0.5, 3, [*EVENTS, *nothing]),
            "no reasons": ("missing", "d", 0.5, 4, []),
        }
    )
    assert dict(carried_by_events(found).iter_rows()) == {"events": 1.0}
