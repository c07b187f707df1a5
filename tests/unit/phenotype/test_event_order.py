"""The fast order of events is that of a plain sort by all keys, nulls first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phenotype.event_order import in_event_order
from phenotype.trajectory import EVENT_ORDER, EVENTS

START = datetime(2020, 1, 1)
STEPS = {
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
    "milliseconds": timedelta(milliseconds=1),
    "microseconds": timedelta(microseconds=1),
    "millennia of microseconds": timedelta(days=400_000, microseconds=1),
}
ROWS = st.lists(
    st.tuples(
        st.sampled_from([-(2**62), 0, 7, 2**62]),
        st.one_of(st.none(), st.integers(-3, 2)),
        st.sampled_from(["B", "A", "Å"]),
        st.one_of(st.none(), st.sampled_from([1.0, -1.0])),
        st.one_of(st.none(), st.sampled_from(["x", "y"])),
    ),
    max_size=25,
)


def events(rows: list[tuple[Any, ...]], step: timedelta) -> pl.DataFrame:
    """Events whose lineage_id is the row's place; a time is so many steps after the start."""
    content = [
        {
            "subject_id": subject,
            "time": None if n_steps is None else START + n_steps * step,
            "code": code,
            "numeric_value": number,
            "text_value": text,
            "lineage_id": place,
        }
        for place, (subject, n_steps, code, number, text) in enumerate(rows)
    ]
    return pl.DataFrame(content, schema=EVENTS)


def in_plain_order(given_events: pl.DataFrame) -> pl.DataFrame:
    return given_events.sort([*EVENT_ORDER, "lineage_id"], nulls_last=False)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(sorted(set(STEPS) - {"millennia of microseconds"})))
def test_the_order_is_that_of_a_plain_sort_by_all_keys(rows: list[tuple[Any, ...]], step: str) -> None:
    given_events = events(rows, STEPS[step])
    assert in_event_order(given_events).equals(in_plain_order(given_events))


@pytest.mark.parametrize("n_codes", [2, 3_000])
def test_subjects_times_and_codes_too_many_for_one_number_are_sorted_all_the_same(n_codes: int) -> None:
    """2,000 subjects (11 bits), microseconds over 2,200 years (57 bits) and some codes: more than 63 bits."""
    rows = [
        ((place * 7919) % 2_000, (place * 31) % 3 - 1, f"C{(place * 17) % n_codes}", None, None)
        for place in range(6_000)
    ]
    given_events = events(rows, STEPS["millennia of microseconds"])
    assert in_event_order(given_events).equals(in_plain_order(given_events))
