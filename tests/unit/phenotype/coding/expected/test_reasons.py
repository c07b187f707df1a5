"""Reasons in words: what speaks for a doubt, what against it, and what is background."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from phenotype.coding.expected.circumstances import Circumstances
from phenotype.coding.expected.naming import name_of_group, title_of
from phenotype.coding.expected.reasons import (
    AGAINST,
    BACKGROUND,
    CHANCE,
    MAX_ABSENT,
    MAX_AGAINST,
    Telling,
    hindsight_reason,
    network_reasons,
    tree_reasons,
    unit_reason,
)
from phenotype.explain.record import Record
from phenotype.trajectory import EVENTS

END = datetime(2024, 3, 10, 12)
NAMES = {f"X//{letter}": f"Test {letter}" for letter in "abcdefghij"}


def telling_of(direction: int = 1, n_reasons: int = 6, codes: str = "abcdefghij") -> Telling:
    events = [
        (1, END - timedelta(hours=3), f"X//{letter}", float(place), None, None, None, 7, 100 + place)
        for place, letter in enumerate(codes)
    ]
    static = [
        (1, datetime(1950, 1, 1), "MEDS_BIRTH", None, None, None, None, None, 1),
        (1, None, "SEX//female", None, None, None, None, None, 2),
        (1, END, "CONTACT//inpatient", None, None, None, None, 7, 3),
    ]
    record = Record(pl.DataFrame([*static, *events], schema=EVENTS, orient="row"), END)
    return Telling(record, NAMES, Circumstances.load("circumstances"), direction, n_reasons, 0.05)


def test_what_speaks_against_the_doubt_says_so_and_is_told_sparingly() -> None:
    phi = np.array([0.9, 0.8, -0.7, -0.6, -0.5, 0.4])
    codes = [f"X//{letter}" for letter in "abcdef"]
    told = tree_reasons(phi, codes, telling_of())
    assert [one.concept for one in told] == ["X//a", "X//b", "X//c", "X//d", "X//f"]
    assert [one.text.startswith(AGAINST) for one in told] == [False, False, True, True, False]
    assert sum(one.contribution < 0 for one in told) == MAX_AGAINST
    other = tree_reasons(phi, codes, telling_of(direction=-1))
    assert [one.concept for one in other if not one.text.startswith(AGAINST)] == ["X//c", "X//d", "X//e"]


def test_a_reason_names_value_and_time_and_has_its_event() -> None:
    (told,) = tree_reasons(np.array([0.3, 0.2]), ["X//b", "X//b"], telling_of())
    assert told.contribution == pytest.approx(0.5)
    assert told.text.replace("\u00a0", " ") == "Test b 1, last 3 h before the end of the stay"
    assert told.evidence == (101,)


def test_next_to_nothing_and_more_than_asked_for_are_not_told() -> None:
    phi = np.array([0.9, 0.8, 0.7, 0.04, -0.04])
    told = tree_reasons(phi, [f"X//{letter}" for letter in "abcde"], telling_of(n_reasons=2))
    assert [one.concept for one in told] == ["X//a", "X//b"]
    assert network_reasons({"X//a": 0.01, "X//b": -0.2, "MEDS_BIRTH": 3.0}, telling_of(), 3)[
        0
    ].text.startswith(f"{AGAINST}Network: Test b")
    assert len(network_reasons({"X//a": 0.01, "X//b": -0.2, "MEDS_BIRTH": 3.0}, telling_of(), 3)) == 1


def test_little_is_told_of_what_is_not_on_record() -> None:
    told = tree_reasons(
        np.array([0.9, 0.8, 0.7, 0.6]), [f"X//{one}" for one in "ghij"], telling_of(codes="j")
    )
    assert [one.concept for one in told] == ["X//g", "X//h", "X//j"]
    assert sum(not one.evidence for one in told) == MAX_ABSENT


def test_age_sex_and_the_course_of_the_stay_are_one_reason_without_events() -> None:
    codes = ["AGE", "SEX//female", "SEX//male", "CONTACT//inpatient", "X//a"]
    told = tree_reasons(np.array([1.0, 0.5, 0.25, -0.1, 0.2]), codes, telling_of())
    assert [one.concept for one in told] == ["X//a", BACKGROUND]
    assert told[1].contribution == pytest.approx(1.65)
    assert told[1].evidence == ()
    assert "Age 74 years" in told[1].text
    assert "at the end of the stay" in told[1].text


def test_what_goes_with_the_group_by_chance_is_one_reason_without_events() -> None:
    told = tree_reasons(np.array([0.2, 0.3, 0.1]), ["X//a", CHANCE, CHANCE], telling_of())
    assert [one.concept for one in told] == ["X//a", CHANCE]
    assert told[1].contribution == pytest.approx(0.4)
    assert told[1].evidence == ()


def test_the_unit_and_other_stays_point_where_the_doubt_does() -> None:
    added = unit_reason("unsupported", 2.0)
    left_out = unit_reason("missing", 2.0)
    assert added is not None
    assert left_out is not None
    assert (added.contribution, left_out.contribution) == pytest.approx((-np.log(2), np.log(2)))
    assert unit_reason("missing", 1.1) is None
    codings = pl.DataFrame({"time": [END - timedelta(days=9)], "lineage_id": [5]})
    told = hindsight_reason("ICD9CM//585", 0.0, 1.5, codings, telling_of())
    assert told.text == "In the patient's other stays Chronic kidney disease (585) is coded once earlier"
    assert told.evidence == (5,)
    assert hindsight_reason("ICD9CM//585", 0.0, 1.5, codings, telling_of(-1)).text.startswith(AGAINST)


def test_groups_have_names_where_the_ontology_has_none_of_its_own() -> None:
    nobody = SimpleNamespace(label=lambda concept: None)
    somebody = SimpleNamespace(label=lambda concept: "Fedme")
    above = SimpleNamespace(label=lambda concept: f"Other metabolic disorders ({concept[-3:]})")
    title = "278 Overweight, obesity and other hyperalimentation"
    assert title_of("ICD9CM//278", nobody) == title  # type: ignore[arg-type]
    assert title_of("ICD9CM//278", above) == title  # type: ignore[arg-type]
    assert title_of("ICD9CM//278", somebody) == "278 Fedme"  # type: ignore[arg-type]
    assert title_of("ICD9CM//279", above) == "279 (of Other metabolic disorders)"  # type: ignore[arg-type]
    assert title_of("X//279", nobody) == "279"  # type: ignore[arg-type]
    assert name_of_group("ICD9CM//278") == "Overweight, obesity and other hyperalimentation (278)"
