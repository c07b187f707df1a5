"""One unit watched over time: its level learnt as it goes, its sums, the first change in each direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phenotype.coding.drift.cusum import (
    Floats,
    Limit,
    Signal,
    limit_for,
    own_level,
    score_weights,
    shifted,
    signals,
    sums_with_reset,
)
from phenotype.coding.drift.series import DriftSettings, UnitSeries


@dataclass(frozen=True)
class Watched:
    """What watching a unit of N stays came to.

    Attributes:
        expected: probabilities by case-mix, by what other units did, and by the level that the unit had
        learnt;
            from a change on, by its level before the change, (N,).
        up: the sum for more often, NaN in the baseline, (N,).
        down: the sum for more seldom.
        limit: of the sums; None where the unit was not watched.
        signals: at most one of each direction, in time order; start is the likeliest first stay of the
        change.
    """

    expected: Floats
    up: Floats
    down: Floats
    limit: Limit | None
    signals: tuple[Signal, ...]


def unwatched(unit: UnitSeries, moved: Floats) -> Watched:
    """A unit that cannot be watched: what its whole line leads to expect, and no sums."""
    by_others = shifted(unit.expected, moved)
    expected = shifted(by_others, own_level(unit.observed, by_others))
    nothing = np.full(len(unit.time), np.nan)
    return Watched(expected, nothing, nothing, None, ())


def watch(unit: UnitSeries, moved: Floats, settings: DriftSettings, *, dispersion: float = 1.0) -> Watched:
    """A unit watched for more and for less often than it used to.

    Its level is learnt from the baseline, then also from all stays that lie lag_days back, so that early
    chance is forgotten and a change is not learnt before it can be seen. From the first change on the level
    is that before it.

    Args:
        unit: its stays.
        moved: how far other units have moved at each stay, in log odds, (N,).
        settings: limits.
        dispersion: of the measure, see `dispersion_of`.
    """
    first = unit.n_baseline
    by_others = shifted(unit.expected, moved)
    expected = shifted(by_others, learnt_levels(unit, by_others, settings))
    days = (unit.time[-1] - unit.time[first]) / np.timedelta64(1, "D")
    lag = int(np.ceil((len(unit.time) - first) * settings.lag_days / max(days, 1.0)))
    limit = limit_for(
        expected[:first], expected[first:], lag=lag, odds_ratio=settings.odds_ratio,
        false_alarm_rate=settings.false_alarm_rate, seed=settings.seed, dispersion=dispersion,
    )  # fmt: skip
    found = _first_signals(unit, _weights(unit, expected, settings, dispersion), expected, limit)
    if found:
        earliest = min(found, key=lambda signal: signal.at)
        before = own_level(unit.observed[: earliest.start], by_others[: earliest.start])
        expected = np.append(expected[: earliest.start], shifted(by_others[earliest.start :], before))
        later = [
            one
            for one in _first_signals(unit, _weights(unit, expected, settings, dispersion), expected, limit)
            if one.at > earliest.at
        ]
        found = [earliest, *(one for one in later if one.direction != earliest.direction)]
    up, down = (
        np.append(np.full(first, np.nan), sums_with_reset(weights, limit.height))
        for weights in _weights(unit, expected, settings, dispersion)
    )
    return Watched(expected, up, down, limit, tuple(found))


def learnt_levels(unit: UnitSeries, by_others: Floats, settings: DriftSettings) -> Floats:
    """The unit's own level that was known at each stay, renewed every month, (N,)."""
    level = own_level(unit.observed[: unit.n_baseline], by_others[: unit.n_baseline])
    levels = np.full(len(unit.time), level)
    months, begins = np.unique(unit.months, return_index=True)
    known = np.searchsorted(
        unit.time, months.astype("datetime64[M]") - np.timedelta64(settings.lag_days, "D")
    )
    for begin, n_known in zip(begins, known, strict=True):
        if n_known > unit.n_baseline:
            level = own_level(unit.observed[:n_known], by_others[:n_known], level)
            levels[begin:] = level
    return levels


def _weights(unit: UnitSeries, expected: Floats, settings: DriftSettings, dispersion: float) -> list[Floats]:
    first = unit.n_baseline
    return [
        score_weights(unit.observed[first:], expected[first:], ratio) / dispersion
        for ratio in (settings.odds_ratio, 1.0 / settings.odds_ratio)
    ]


def _first_signals(
    unit: UnitSeries, both_ways: Sequence[Floats], expected: Floats, limit: Limit
) -> list[Signal]:
    """The first signal of each direction, numbered in the whole line, with the likeliest start."""
    found = []
    for weights, direction in zip(both_ways, (1, -1), strict=True):
        if several := signals(weights, limit.height, direction):
            at = unit.n_baseline + several[0].at
            found.append(Signal(direction, _likeliest_start(unit, expected, at, direction), at))
    return found


def _likeliest_start(unit: UnitSeries, expected: Floats, at: int, direction: int) -> int:
    """The first stay of the change: from which on, to the end of the line, the difference is clearest."""
    first = unit.n_baseline
    difference = (unit.observed[first:] - expected[first:])[::-1].cumsum()[::-1]
    variance = (expected[first:] * (1.0 - expected[first:]))[::-1].cumsum()[::-1]
    score = direction * difference / np.sqrt(variance)
    return first + int(np.argmax(score[: at - first + 1]))
