"""Risk-adjusted CUSUM of yes-or-no practice against a unit's own baseline, with limits chosen by simulation.

Shape legend: S simulated series, N stays.

**Source:** Steiner, Cook, Farewell, Treasure 2000, Biostatistics 1:441, doi 10.1093/biostatistics/1.4.441:
the log-likelihood ratio of an odds ratio against 1 at each patient's own risk. That the baseline's
uncertainty and the length of the series are simulated with it is our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, floor, log

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PRIOR_SD = 1.0
"""Of a unit's own log odds ratio against what its patients lead to expect (our choice): keeps a baseline
without a single case from minus infinity."""
_LEAST_SIMULATED_RISK = 0.02
_GRID = 1.25
_N_SERIES = 2000
_MOST_STEPS = 600
_BETWEEN_STEPS = 0.583
"""How far a sum of normal steps rises above what is seen of it, in standard deviations of a step (Siegmund
1985, Sequential Analysis, section 10): corrects for several stays being simulated at once."""


@dataclass(frozen=True)
class Signal:
    """Where a CUSUM crossed its limit.

    Attributes:
        direction: 1 more often, -1 more seldom.
        start: number of the first stay after the estimated change: where the sum last left zero.
        at: number of the stay that raised it over the limit.
    """

    direction: int
    start: int
    at: int


@dataclass(frozen=True)
class Limit:
    """The limit of a CUSUM.

    Attributes:
        height: a signal is a sum of at least this.
        false_alarm_rate: the chance that a series of this length without any change signals, either way.
        average_run_length: stays until a false alarm, on average, were the series to go on.
    """

    height: float
    false_alarm_rate: float
    average_run_length: float


def score_weights(observed: Floats, expected: Floats, odds_ratio: float) -> Floats:
    """The log-likelihood ratio of an odds ratio against 1 for each stay, (N,).

    Args:
        observed: 0 or 1.
        expected: probabilities.
        odds_ratio: what is looked for; below 1: more seldom.
    """
    scale = 1.0 - expected + odds_ratio * expected
    return np.asarray(observed * log(odds_ratio) - np.log(scale))


def sums(weights: Floats) -> Floats:
    """The CUSUM without reset, max(0, sum + weight) along the last axis: the sum above its own minimum."""
    total = np.cumsum(weights, axis=-1)
    return np.asarray(total - np.minimum(np.minimum.accumulate(total, axis=-1), 0.0))


def sums_with_reset(weights: Floats, height: float) -> Floats:
    """The CUSUM that begins anew after each signal, (N,); at a signal it shows the sum that signalled."""
    found, start = np.empty(len(weights)), 0
    while start < len(weights):
        part = sums(weights[start:])
        crossed = np.flatnonzero(part >= height)
        end = start + (int(crossed[0]) + 1 if len(crossed) else len(part))
        found[start:end] = part[: end - start]
        start = end
    return found


def signals(weights: Floats, height: float, direction: int) -> list[Signal]:
    """Every signal of a series that begins anew after each.

    Args:
        weights: (N,).
        height: the limit.
        direction: noted in the signals.
    """
    found, start = [], 0
    while start < len(weights):
        total = np.cumsum(weights[start:])
        lowest = np.minimum(np.minimum.accumulate(total), 0.0)
        crossed = np.flatnonzero(total - lowest >= height)
        if not len(crossed):
            break
        at = int(crossed[0])
        before = np.flatnonzero(total[:at] <= lowest[at])
        found.append(Signal(direction, start + (int(before[-1]) + 1 if len(before) else 0), start + at))
        start += at + 1
    return found


def own_level(observed: Floats, expected: Floats) -> float:
    """A unit's log odds ratio against what is expected, with a normal prior of PRIOR_SD.

    Args:
        observed: 0 or 1, (N,).
        expected: probabilities above 0 and below 1, (N,).
    """
    logit = np.log(expected) - np.log1p(-expected)
    level = 0.0
    for _ in range(50):
        risk = 1.0 / (1.0 + np.exp(-(logit + level)))
        slope = float((risk * (1.0 - risk)).sum()) + 1.0 / PRIOR_SD**2
        step = (float((observed - risk).sum()) - level / PRIOR_SD**2) / slope
        level += min(max(step, -1.0), 1.0)
        if abs(step) < 1e-9:
            break
    return level


def shifted(expected: Floats, level: float | Floats) -> Floats:
    """Probabilities whose log odds are moved by a level."""
    odds = expected / (1.0 - expected) * np.exp(level)
    return np.asarray(odds / (1.0 + odds))


def limit_for(
    baseline: Floats, monitored: Floats, *, odds_ratio: float, false_alarm_rate: float, seed: int
) -> Limit:
    """The limit at which a series without change signals with the stated chance.

    Series are simulated with their baseline: each estimates its own level from as much as the unit had, and
    is then watched, up and down, for as long as the unit was. Lengths are rounded up and the risk is
    rounded on a grid, so that units of about the same size share one simulation; rare events are simulated
    at a risk of 0.02 with as much information, and of long series several stays at once.

    Args:
        baseline: expected probabilities of the baseline's stays.
        monitored: those of the stays that are watched.
        odds_ratio: what the CUSUM looks for (and its inverse).
        false_alarm_rate: of the whole series, both directions together.
        seed: of the simulation.
    """
    information = [float((p * (1.0 - p)).sum()) for p in (baseline, monitored)]
    mean = sum(information) / max(len(baseline) + len(monitored), 1)
    risk = (1.0 - (1.0 - 4.0 * min(mean, 0.25)) ** 0.5) / 2.0
    step = floor(log(max(risk, _LEAST_SIMULATED_RISK)) / log(_GRID) + 0.5)
    simulated = min(exp(step * log(_GRID)), 0.5)
    a_stay = simulated * (1.0 - simulated)
    n_before = _on_grid(information[0] / a_stay, up=False)
    n_after = _on_grid(information[1] / a_stay, up=True)
    height = _height(
        n_before, n_after, simulated, odds_ratio=odds_ratio, false_alarm_rate=false_alarm_rate, seed=seed
    )
    return Limit(height, false_alarm_rate, len(monitored) / -log(1.0 - false_alarm_rate))


def _on_grid(number: float, *, up: bool) -> int:
    """A number of stays on the grid of lengths: a baseline down and a series up, never to the good."""
    step = log(max(number, 1.0)) / log(_GRID)
    return max(1, ceil(exp((ceil(step - 1e-9) if up else floor(step + 1e-9)) * log(_GRID)) - 1e-9))


@lru_cache(maxsize=4096)
def _height(
    n_before: int, n_after: int, risk: float, *, odds_ratio: float, false_alarm_rate: float, seed: int
) -> float:
    """The quantile of the largest sum, either way, of simulated series without change."""
    random = np.random.default_rng([seed, n_before, n_after, round(risk * 1e6)])
    levels = _levels(random.binomial(n_before, risk, _N_SERIES), n_before, risk)[:, None]
    at_once = ceil(n_after / _MOST_STEPS)
    cases = random.binomial(at_once, risk, (_N_SERIES, ceil(n_after / at_once)))
    believed = shifted(np.full_like(levels, risk), levels)
    up = (cases * log(odds_ratio) - at_once * np.log(1 + (odds_ratio - 1) * believed)).cumsum(axis=1)
    down = (-cases * log(odds_ratio) - at_once * np.log(1 + (1 / odds_ratio - 1) * believed)).cumsum(axis=1)
    largest = np.maximum(_largest_rise(up), _largest_rise(down))
    a_stay = abs(log(odds_ratio)) * (risk * (1 - risk)) ** 0.5
    unseen = _BETWEEN_STEPS * a_stay * (at_once**0.5 - 1.0)
    return float(np.quantile(largest, 1.0 - false_alarm_rate, method="higher") + unseen)


def _largest_rise(total: Floats) -> Floats:
    """How far each sum ever rises above its lowest point before, or above 0, (S,)."""
    lowest = np.minimum(np.minimum.accumulate(total, axis=1), 0.0)
    return np.asarray((total - lowest).max(axis=1))


def _levels(cases: npt.NDArray[np.int64], n: int, risk: float) -> Floats:
    """`own_level` of many baselines of one risk, (S,)."""
    level, logit = np.zeros(len(cases)), log(risk / (1.0 - risk))
    for _ in range(50):
        now = 1.0 / (1.0 + np.exp(-(logit + level)))
        slope = n * now * (1.0 - now) + 1.0 / PRIOR_SD**2
        level += np.clip((cases - n * now - level / PRIOR_SD**2) / slope, -1.0, 1.0)
    return np.asarray(level)
