"""Every cell of the features equals a slow computation, fact by fact, in exact fractions."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype import grouped_events, segments, windows
from phenotype.features import FeatureSpec, build_features
from phenotype.trajectory import EVENTS

START = datetime(2020, 2, 28)
WINDOWS = {"30min": 30, "6h": 360, "2d": 2880, "full": math.inf}
AGGREGATIONS = ("count", "sum", "mean", "min", "max", "first", "last", "sd", "slope", "time_since", "change")

MINUTES = st.integers(-12, 12).map(lambda step: step * 30) | st.integers(-4000, 4000)
VALUES = st.none() | st.integers(-3, 3).map(float) | st.floats(-1e6, 1e6, width=32)
FACTS = st.tuples(
    st.integers(1, 3), MINUTES, st.sampled_from(["A", "B", "SYSTEM//C"]), VALUES, st.none() | MINUTES
)
ROWS = st.lists(st.tuples(st.integers(1, 4), MINUTES), min_size=1, max_size=6, unique=True)

Fact = tuple[int, int, str, float | None, int | None]


def instant(minutes: int | None) -> datetime | None:
    return None if minutes is None else START + timedelta(minutes=minutes)


def frame(facts: list[Fact]) -> pl.LazyFrame:
    columns = {
        "subject_id": [fact[0] for fact in facts],
        "time": [instant(fact[1]) for fact in facts],
        "code": [fact[2] for fact in facts],
        "numeric_value": [fact[3] for fact in facts],
        "known_time": [instant(fact[4]) for fact in facts],
    }
    return pl.DataFrame(columns, schema={name: EVENTS[name] for name in columns}).lazy()


def rows_of(rows: list[tuple[int, int]]) -> pl.DataFrame:
    columns = {"subject_id": [row[0] for row in rows], "prediction_time": [instant(row[1]) for row in rows]}
    return pl.DataFrame(columns, schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")})


def slow_aggregates(known: list[tuple[int, float | None]], minutes: int) -> dict[str, float]:
    """Aggregates of (minutes, value) pairs by exact arithmetic; ties in time by value."""
    found = {"count": float(len(known)), "time_since": (minutes - max(at for at, _ in known)) / 60}
    pairs = sorted((at, Fraction(value)) for at, value in known if value is not None)
    if not pairs:
        return found
    values = [value for _, value in pairs]
    total = sum(values)
    exact = {"sum": total, "mean": total / len(values), "min": min(values), "max": max(values)}
    exact |= {"first": values[0], "last": values[-1]}
    if len(values) > 1:
        exact["change"] = values[-1] - values[-2]
        spread = sum((value - exact["mean"]) ** 2 for value in values)
        found["sd"] = math.sqrt(spread / (len(values) - 1))
        hours = [Fraction(at, 60) for at, _ in pairs]
        middle = sum(hours) / len(hours)
        if spread_of_hours := sum((hour - middle) ** 2 for hour in hours):
            together = sum((hour - middle) * value for hour, value in zip(hours, values, strict=True))
            exact["slope"] = together / spread_of_hours
    return found | {name: float(value) for name, value in exact.items()}


def slow_row(facts: list[Fact], subject: int, minutes: int) -> dict[str, float]:
    found = {}
    for code in {fact[2] for fact in facts}:
        for window, length in WINDOWS.items():
            known = [
                (at, fact[3])
                for fact in facts
                if fact[0] == subject and fact[2] == code
                for at in [fact[1] if fact[4] is None else fact[4]]
                if minutes - length < at <= minutes
            ]
            if known:
                of_window = slow_aggregates(known, minutes)
                found |= {f"{code} · {name} · {window}": value for name, value in of_window.items()}
    return found


def assert_equals_slow(facts: list[Fact], rows: list[tuple[int, int]]) -> None:
    spec = FeatureSpec(windows=tuple(WINDOWS), aggregations=AGGREGATIONS)
    matrix = build_features(frame(facts), rows_of(rows), spec)
    names = np.array(matrix.columns["name"].to_list())
    assert matrix.values.has_sorted_indices
    for number, (subject, minutes) in enumerate(rows):
        cells = slice(*matrix.values.indptr[number : number + 2])
        found = dict(zip(names[matrix.values.indices[cells]], matrix.values.data[cells], strict=True))
        expected = slow_row(facts, subject, minutes)
        assert set(found) == set(expected)
        for name, value in expected.items():
            # float32 holds 24 bits; what cancels in a slope is bounded by the size of the values
            assert found[name] == pytest.approx(value, rel=2e-7, abs=1e-9), name


@settings(max_examples=200, deadline=None)
@given(facts=st.lists(FACTS, max_size=40), rows=ROWS)
def test_every_cell_equals_the_slow_computation(facts: list[Fact], rows: list[tuple[int, int]]) -> None:
    assert_equals_slow(facts, rows)


@settings(max_examples=50, deadline=None)
@given(facts=st.lists(FACTS, max_size=40), rows=ROWS)
def test_every_cell_equals_the_slow_computation_in_the_smallest_blocks(
    facts: list[Fact], rows: list[tuple[int, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "CELLS_A_BLOCK", 1)
        patch.setattr(segments, "EVENTS_A_CHUNK", 2)
        patch.setattr(grouped_events, "EVENTS_A_PART", 1)
        assert_equals_slow(facts, rows)


@settings(max_examples=50, deadline=None)
@given(facts=st.lists(FACTS, max_size=25), years=st.integers(200, 1900), row=st.tuples(st.just(1), MINUTES))
def test_facts_centuries_old_belong_to_the_full_history_alone(
    facts: list[Fact], years: int, row: tuple[int, int]
) -> None:
    old = years * 365 * 24 * 60
    assert_equals_slow([*facts, (1, -old, "A", 7.0, None), (2, -old, "A", 1.0, None)], [row, (2, 0), (3, 60)])
