"""Changes that units make together: found in all units' stays, and only where no single unit makes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from phenotype.coding.drift.change_points import change_points
from phenotype.coding.drift.cusum import Floats, own_level
from phenotype.coding.drift.known_changes import KnownChange
from phenotype.coding.drift.lines import SharedChange
from phenotype.coding.drift.series import DriftSettings, Times, UnitSeries

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


def standardised(
    units: Sequence[UnitSeries],
    expected: Sequence[Floats],
    *,
    first: int,
    length: int,
    dispersion: float,
) -> Floats:
    """(observed - expected) / standard deviation by period, of units together; 0 where there are no stays."""
    difference, variance = _moments(units, expected, first, length)
    variance = variance * dispersion
    safe = np.where(variance > 0, variance, 1.0)
    return np.asarray(np.where(variance > 0, difference / np.sqrt(safe), 0.0))


def shared_changes(
    units: Sequence[UnitSeries], causes: Sequence[KnownChange], settings: DriftSettings, dispersion: float
) -> tuple[SharedChange, ...]:
    """The changes that units made together, in time order.

    A change point of all units' stays counts where its z, first differences of log odds ratios, stays above
    `shared_z` and of one sign when any one unit is left out.

    Args:
        units: those of one measure.
        causes: known causes that concern the measure.
        settings: limits.
        dispersion: of the measure, see `dispersion_of`.
    """
    if len(units) < 2:
        return ()
    first, length = periods(units)
    expected = [unit.own for unit in units]
    scores = standardised(units, expected, first=first, length=length, dispersion=dispersion)
    points = change_points(scores, false_alarm_rate=settings.shared_false_alarm_rate, seed=settings.seed)
    moments = np.stack([_moments([unit], [unit.own], first, length, len(scores)) for unit in units])
    found: list[SharedChange] = []
    edges = [0, *points, len(scores)]
    for before, at, after in zip(edges, edges[1:], edges[2:], strict=False):
        clear = _steps_without_each(moments, before, at, after) / dispersion**0.5
        least = float(clear[np.argmin(np.abs(clear))])
        if abs(least) < settings.shared_z or len(np.unique(clear > 0)) > 1:
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


@dataclass(frozen=True)
class Moves:
    """How far each of U units has moved in each of the K + 1 spans between K shared changes.

    Attributes:
        edges: the times of the changes, (K,).
        levels: in log odds, against the unit's whole line, (U, K + 1).
        weights: how much each tells, (U, K + 1); 0 where it has no stay.
    """

    edges: Times
    levels: Floats
    weights: Floats

    def of_others(self, at: int, time: Times) -> Floats:
        """How far the units but one have moved, together, at times of it, (N,).

        Zero where units made no change together; else the median of the others' moves in the span, weighted
        by how much each tells, so that one unit of its own mind moves nobody.
        """
        found = np.zeros(len(time))
        if not len(self.edges):
            return found
        span = np.searchsorted(self.edges, time, "right")
        for number in range(len(self.edges) + 1):
            there = self.weights[:, number] > 0
            there[at] = False
            if there.any():
                move = _weighted_median(self.levels[there, number], self.weights[there, number])
                found[span == number] = move
        return found


def moves(units: Sequence[UnitSeries], changes: Sequence[SharedChange]) -> Moves:
    """How far each unit has moved between the changes that units made together."""
    edges = np.array([change.date for change in changes], dtype="datetime64[us]")
    levels = np.zeros((len(units), len(edges) + 1))
    weights = np.zeros_like(levels)
    if len(edges):
        for row, unit in enumerate(units):
            ends = np.searchsorted(unit.time, edges, "left")
            for number, (start, end) in enumerate(pairwise([0, *ends, len(unit.time)])):
                if start < end:
                    own = unit.own[start:end]
                    levels[row, number] = own_level(unit.observed[start:end], own)
                    weights[row, number] = float((own * (1.0 - own)).sum())
    return Moves(edges, levels, weights)


def _weighted_median(values: Floats, weights: Floats) -> float:
    """The value at half of the weight, on the line between the middles of the sorted values' weights."""
    order = np.argsort(values)
    weight = weights[order]
    middle = (np.cumsum(weight) - weight / 2.0) / weight.sum()
    return float(np.interp(0.5, middle, values[order]))


def _moments(
    units: Sequence[UnitSeries], expected: Sequence[Floats], first: int, length: int, n_periods: int = 0
) -> Floats:
    """Observed - expected, and its variance, by period, (2, P)."""
    period = np.concatenate([(unit.months - first) // length for unit in units])
    risk = np.concatenate(list(expected))
    observed = np.concatenate([unit.observed for unit in units])
    weights = (observed - risk, risk * (1.0 - risk))
    return np.stack([np.bincount(period, weight, n_periods) for weight in weights]).astype(np.float64)


def _steps_without_each(moments: Floats, before: int, at: int, after: int) -> Floats:
    """The z of the first-order change of the log odds ratio at a change point, with each unit left out, (U,).

    Args:
        moments: (U, 2, P).
        before: the first period of the span before the change.
        at: the first after it.
        after: the end of the span after it.
    """
    sums = np.stack([moments[:, :, before:at].sum(axis=2), moments[:, :, at:after].sum(axis=2)])
    rest = sums.sum(axis=1, keepdims=True) - sums
    difference, variance = rest[:, :, 0], rest[:, :, 1]
    is_told = variance.min(axis=0) > 0
    safe = np.where(variance > 0, variance, 1.0)
    effect = difference[1] / safe[1] - difference[0] / safe[0]
    return np.asarray(np.where(is_told, effect / np.sqrt(1.0 / safe[0] + 1.0 / safe[1]), 0.0))


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
