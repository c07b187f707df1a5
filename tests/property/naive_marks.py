"""Marks in plain Python: merging, order, aggregates. Instants are microseconds."""

from __future__ import annotations

import math
from collections import namedtuple

HOUR = 3_600_000_000
DAY = 24 * HOUR
Mark = namedtuple("Mark", "subject start end value stay contact known evidence")


def order(mark):
    return tuple((x is not None, x) for x in mark[:6])


def merged(marks):
    found = {}
    for m in marks:
        known, evidence = found.get(m[:6], (None, frozenset()))
        known = m.known if known is None else known if m.known is None else min(known, m.known)
        found[m[:6]] = (known, evidence | m.evidence)
    return sorted((Mark(*key, *rest) for key, rest in found.items()), key=order)


def late(*times):
    return None if None in times else max(times)


def union(marks):
    return frozenset().union(*(m.evidence for m in marks))


def of_unit(mark, per):
    return getattr(mark, per)


def within(number, bounds):
    b = bounds or {}
    return (
        number > b.get("above", -math.inf)
        and number >= b.get("at_least", -math.inf)
        and number < b.get("below", math.inf)
        and number <= b.get("at_most", math.inf)
    )


def aggregate(marks, how):
    values = [m.value for m in marks if m.value is not None]
    if how == "count":
        return float(len(marks))
    if not values:
        return None
    made = {"max": max, "min": min, "sum": math.fsum, "first": lambda v: v[0], "last": lambda v: v[-1]}
    number = math.fsum(values) / len(values) if how == "mean" else made[how](values)
    return round(number, 6) if how in {"sum", "mean"} else number


def bearers(marks, number, how):
    """The marks that an aggregate rests on."""
    if how in {"sum", "mean", "count"}:
        return marks
    bearing = [m for m in marks if m.value == number]
    return [bearing[-1] if how == "last" else bearing[0]]
