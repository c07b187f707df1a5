"""Spans of calendar years, and what is in several of them together: union, both, one without the other."""

from __future__ import annotations

from collections.abc import Iterable

Spans = tuple[tuple[int, int], ...]
"""Half-open spans of years, in order, apart from each other; FIRST and LAST stand for no bound."""

FIRST, LAST = 0, 10_000
ALWAYS: Spans = ((FIRST, LAST),)


def years(from_year: int | None, to_year: int | None) -> Spans:
    """The span from the beginning of one year to the end of another; None is no bound."""
    return ((FIRST if from_year is None else from_year, LAST if to_year is None else to_year + 1),)


def either(*spans: Spans) -> Spans:
    """Years that lie in at least one."""
    joined: list[tuple[int, int]] = []
    for begin, end in sorted(span for each in spans for span in each):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


def both(one: Spans, other: Spans) -> Spans:
    """Years that lie in both."""
    return either(_apart((max(a, c), min(b, d)) for a, b in one for c, d in other))


def without(one: Spans, other: Spans) -> Spans:
    """Years that lie in the first and not in the second."""
    left = one
    for begin, end in other:
        left = both(left, _apart([(FIRST, begin), (end, LAST)]))
    return left


def _apart(spans: Iterable[tuple[int, int]]) -> Spans:
    return tuple((begin, end) for begin, end in spans if begin < end)
