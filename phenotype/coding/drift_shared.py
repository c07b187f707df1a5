"""Changes that units make together: found in all units' stays, and only where no single unit makes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from phenotype.coding.change_points import change_points
from phenotype.coding.cusum import Floats, own_level
from phenotype.coding.drift_lines import SharedChange
from phenotype.coding.drift_series import DriftSettings, UnitSeries
from phenotype.coding.known_changes import KnownChange

RECORD_BEGINS = "record_begins"
"""The cause of shared changes while earlier stays are not known yet."""
Ints = npt.NDArray[np.int64]
_LEAST_INFORMATION = 3.0
"""Of a period, in cases: below it normal limits do not hold."""


def periods(units: Sequence[UnitSeries]) -> tuple[int, int]:
    """The first month of all stays; how many months a period has: 1, 3, 6 or 12, by how common cases are."""
    months = np.concatenate([unit.months for unit in units])
    first, n_months = int(months.min()), int(months.max() - months.min() + 1)
    information = sum(float((unit.own * (1.0 - unit.own)).sum()) for unit in units)
    a_month = information / n_months
    length = next((n for n in (1, 3, 6) if a_month * n >= _LEAST_INFORMATION), 12)
    return first, length


def standardised(units: Sequence[UnitSeries], expected: Sequence[Floats], first: int, length: int) -> Floats:
    """(observed - expected) / standard deviation by period, of units together; 0 where there are no stays."""
    difference, variance = _moments(units, expected, first, length)
    return np.divide(difference, np.sqrt(variance), out=np.zeros_like(difference), where=variance > 0)


def shared_changes(
    units: Sequence[UnitSeries], causes: Sequence[KnownChange], settings: DriftSettings
) -> tuple[SharedChange, ...]:
    """The changes that units made together, in time order.

    A change point of all units' stays counts where its z, first differences of log odds ratios, stays above
    `shared_z` and of one sign when any one unit is left out.

    Args:
        units: those of one measure.
        causes: known causes that concern the measure.
        settings: limits.
    """
    if len(units) < 2:
        return ()
    first, length = periods(units)
    expected = [unit.own for unit in units]
    scores = standardised(units, expected, first, length)
    points = change_points(scores, false_alarm_rate=settings.shared_false_alarm_rate, seed=settings.seed)
    parts = [_moments([unit], [unit.own], first, length) for unit in units]
    found: list[SharedChange] = []
    edges = [0, *points, len(scores)]
    for before, at, after in zip(edges, edges[1:], edges[2:], strict=False):
        effects = [_step(parts, left_out, before, at, after) for left_out in range(len(units))]
        least = min((z for _, z in effects), key=abs)
        if abs(least) < settings.shared_z or len({z > 0 for _, z in effects}) > 1:
            continue
        ratio = _odds_ratio(units, first + np.array([before, at, after]) * length)
        day = _first_day(first + at * length)
        near = tuple(
            one.id for one in causes if one.explains and not one.units and _is_near(one, day, settings)
        )
        if (day - _first_day(first)).days <= settings.look_back_days:
            near += (RECORD_BEGINS,)
        found.append(SharedChange(date=day, odds_ratio=ratio, z=least, causes=near))
    return tuple(found)


def levels_of_others(units: Sequence[UnitSeries], at: int, changes: Sequence[SharedChange]) -> Floats:
    """How far the other units have moved, together, at each stay of a unit, in log odds, (N,).

    Zero where units made no change together. The move of each span between shared changes is the median of
    the other units' moves in it, weighted by how much each tells, so that one unit of its own mind moves
    nobody.

    Args:
        units: those of one measure.
        at: the number of the unit.
        changes: that units made together.
    """
    own = units[at]
    found = np.zeros(len(own.time))
    if not changes:
        return found
    edges = np.array([change.date for change in changes], dtype="datetime64[us]")
    others = [unit for number, unit in enumerate(units) if number != at]
    spans = [np.searchsorted(edges, unit.time, "right") for unit in others]
    own_span = np.searchsorted(edges, own.time, "right")
    for number in range(len(edges) + 1):
        levels, weights = [], []
        for unit, span in zip(others, spans, strict=True):
            there = span == number
            if there.any():
                levels.append(own_level(unit.observed[there], unit.own[there]))
                weights.append(float((unit.own[there] * (1.0 - unit.own[there])).sum()))
        found[own_span == number] = _weighted_median(levels, weights) if levels else 0.0
    return found


def _weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value at half of the weight, on the line between the middles of the sorted values' weights."""
    order = np.argsort(values)
    weight = np.array(weights)[order]
    middle = (np.cumsum(weight) - weight / 2.0) / weight.sum()
    return float(np.interp(0.5, middle, np.array(values)[order]))


def _moments(
    units: Sequence[UnitSeries], expected: Sequence[Floats], first: int, length: int
) -> tuple[Floats, Floats]:
    """Observed - expected, and its variance, by period."""
    period = np.concatenate([(unit.months - first) // length for unit in units])
    size = int(period.max()) + 1 if len(period) else 0
    risk = np.concatenate(list(expected))
    observed = np.concatenate([unit.observed for unit in units])
    return (
        np.bincount(period, observed - risk, size).astype(np.float64),
        np.bincount(period, risk * (1.0 - risk), size).astype(np.float64),
    )


def _step(
    parts: Sequence[tuple[Floats, Floats]], left_out: int, before: int, at: int, after: int
) -> tuple[float, float]:
    """The first-order change of the log odds ratio at a change point, and its z, with one unit left out."""
    kept = [part for number, part in enumerate(parts) if number != left_out]
    sums = [
        [sum(float(part[moment][start:end].sum()) for part in kept) for moment in (0, 1)]
        for start, end in ((before, at), (at, after))
    ]
    if min(sums[0][1], sums[1][1]) <= 0:
        return 0.0, 0.0
    effect = sums[1][0] / sums[1][1] - sums[0][0] / sums[0][1]
    return effect, float(effect / np.sqrt(1.0 / sums[0][1] + 1.0 / sums[1][1]))


def _odds_ratio(units: Sequence[UnitSeries], edges: Ints) -> float:
    """All units' level from the second month on against that from the first on, until the third."""
    months = np.concatenate([unit.months for unit in units])
    observed = np.concatenate([unit.observed for unit in units])
    expected = np.concatenate([unit.own for unit in units])
    before, after = (
        own_level(observed[there], expected[there])
        for there in ((months >= edges[0]) & (months < edges[1]), (months >= edges[1]) & (months < edges[2]))
    )
    return float(np.exp(after - before))


def _first_day(month: int) -> dt.date:
    return dt.date(1970 + month // 12, month % 12 + 1, 1)


def _is_near(cause: KnownChange, day: dt.date, settings: DriftSettings) -> bool:
    return abs((cause.date - day).days) <= settings.known_within_days
