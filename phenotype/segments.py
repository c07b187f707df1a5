"""Aggregates of segments [lower, upper) of ordered events: the ten aggregations and their numerics.

Sums run in float64 over the events of the segment alone. sd and slope are centred on the first value and the
first time of their own segment: the shift is a member of the sample, so cancellation costs a factor of n at
most, and a constant segment has sd and slope exactly zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]


OF_ALL_EVENTS = ("count", "time_since")
"""Aggregations that an event without a value takes part in."""
MICROSECONDS_AN_HOUR = 3_600_000_000
EVENTS_A_CHUNK = 1 << 19


@dataclass(frozen=True)
class Segments:
    """Windows that hold at least one event.

    Attributes:
        lower: (M,) number of the first event.
        upper: (M,) one past the last event.
        prediction_time: (M,) microseconds.
    """

    lower: Ints
    upper: Ints
    prediction_time: Ints


def aggregate_segments(
    time: Ints, value: Floats, segments: Segments, aggregations: tuple[str, ...]
) -> Floats:
    """One row a segment and one column an aggregation; NaN where an aggregate does not exist.

    Args:
        time: (N,) microseconds, ascending within each segment.
        value: (N,) NaN where an event has no value.
        segments: which events belong together.
        aggregations: names of AGGREGATIONS, in the order of the columns.
    """
    cells = np.full((len(segments.lower), len(aggregations)), np.nan, dtype=np.float32)
    if "count" in aggregations:
        cells[:, aggregations.index("count")] = segments.upper - segments.lower
    if "time_since" in aggregations:
        microseconds = segments.prediction_time - time[segments.upper - 1]
        cells[:, aggregations.index("time_since")] = microseconds / MICROSECONDS_AN_HOUR
    wanted = [name for name in aggregations if name not in OF_ALL_EVENTS]
    has_value = ~np.isnan(value)
    n_before = np.concatenate([[0], np.cumsum(has_value)])
    lower, upper = n_before[segments.lower], n_before[segments.upper]
    filled = np.flatnonzero(upper > lower)
    values = value[has_value].astype(np.float64)
    found = _value_aggregates(time[has_value], values, lower[filled], upper[filled], wanted)
    with np.errstate(over="ignore"):
        for name in wanted:
            cells[filled, aggregations.index(name)] = found[name]
    return cells


def _value_aggregates(
    time: Ints, value: Doubles, lower: Ints, upper: Ints, wanted: list[str]
) -> dict[str, Doubles]:
    """The wanted aggregates, and perhaps others that came with them."""
    found: dict[str, Doubles] = {}
    n = upper - lower
    if "sum" in wanted or "mean" in wanted:
        found["sum"] = _reduce(np.add, value, lower, upper)
        found["mean"] = found["sum"] / n
    if "min" in wanted:
        found["min"] = _reduce(np.minimum, value, lower, upper)
    if "max" in wanted:
        found["max"] = _reduce(np.maximum, value, lower, upper)
    if "first" in wanted:
        found["first"] = value[lower]
    if "last" in wanted:
        found["last"] = value[upper - 1]
    if "change" in wanted:
        found["change"] = np.where(n > 1, value[upper - 1] - value[upper - 2], np.nan)
    if "sd" in wanted or "slope" in wanted:
        found["sd"], found["slope"] = _spread(time, value, lower, upper)
    return found


def _reduce(operation: np.ufunc, value: Doubles, lower: Ints, upper: Ints) -> Doubles:
    """The operation over value[lower:upper] for each segment."""
    borders = np.empty(2 * len(lower), dtype=np.int64)
    borders[0::2], borders[1::2] = lower, upper
    reduced: Doubles = operation.reduceat(np.append(value, 0.0), borders)[0::2]
    return reduced


def _spread(time: Ints, value: Doubles, lower: Ints, upper: Ints) -> tuple[Doubles, Doubles]:
    """The sd (ddof 1) and least-squares slope per hour; NaN for one value, slope also for one instant."""
    sd, slope = np.full(len(lower), np.nan), np.full(len(lower), np.nan)
    several = np.flatnonzero(upper - lower > 1)
    lengths = (upper - lower)[several]
    chunk = np.cumsum(lengths) // EVENTS_A_CHUNK
    for part in np.split(several, np.flatnonzero(np.diff(chunk)) + 1):
        sd[part], slope[part] = _spread_of_chunk(time, value, lower[part], upper[part])
    return sd, slope


def _spread_of_chunk(time: Ints, value: Doubles, lower: Ints, upper: Ints) -> tuple[Doubles, Doubles]:
    if not len(lower):
        return np.empty(0), np.empty(0)
    n = upper - lower
    starts = np.cumsum(n) - n
    member = np.arange(int(n.sum())) + np.repeat(lower - starts, n)
    x = (time[member] - np.repeat(time[lower], n)) / MICROSECONDS_AN_HOUR
    y = value[member] - np.repeat(value[lower], n)
    sum_x, sum_y = np.add.reduceat(x, starts), np.add.reduceat(y, starts)
    spread_y = np.maximum(np.add.reduceat(y * y, starts) - sum_y * sum_y / n, 0.0)
    spread_x = np.add.reduceat(x * x, starts) - sum_x * sum_x / n
    together = np.add.reduceat(x * y, starts) - sum_x * sum_y / n
    one_instant = time[lower] == time[upper - 1]
    slope = np.where(one_instant, np.nan, together / np.where(one_instant, 1.0, spread_x))
    return np.sqrt(spread_y / (n - 1)), slope
