"""Spans of years mean the sets of years that they span."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ontology.valuesets.year_spans import ALWAYS, FIRST, LAST, Spans, both, either, without, years

BOUNDS = st.none() | st.integers(2000, 2012)


def ordered(ends: tuple[int | None, int | None]) -> Spans:
    first, last = ends
    return years(min(first, last), max(first, last)) if first and last else years(first, last)


SPAN = st.tuples(BOUNDS, BOUNDS).map(ordered)
SPANS = st.lists(SPAN, max_size=4).map(lambda parts: either(*parts))
RANGE = range(1995, 2018)


def meant(spans: Spans) -> set[int]:
    return {year for year in RANGE if any(begin <= year < end for begin, end in spans)}


@given(SPANS, SPANS)
def test_union_intersection_and_difference_are_those_of_the_years(one: Spans, other: Spans) -> None:
    assert meant(either(one, other)) == meant(one) | meant(other)
    assert meant(both(one, other)) == meant(one) & meant(other)
    assert meant(without(one, other)) == meant(one) - meant(other)


@given(SPANS, SPANS)
def test_spans_stay_in_order_and_apart(one: Spans, other: Spans) -> None:
    for spans in (either(one, other), both(one, other), without(one, other)):
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(set(edges))


def test_no_bound_is_for_ever() -> None:
    assert years(None, None) == ((FIRST, LAST),)
    assert without(ALWAYS, ALWAYS) == ()
