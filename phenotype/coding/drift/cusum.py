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
HABIT_SD = 0.5
"""How far units differ from what their patients lead to expect, in log odds (our choice). Limits are made
with it, since the prior draws a level towards what others do."""
_LEAST_SIMULATED_RISK = 0.02
_GRID = 1.3
_N_SERIES = 2000
_MOST_STEPS = 400
_STEPS_A_LEVEL = 10
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


def own_level(observed: Floats, expected: Floats, start: float = 0.0) -> float:
    """A unit's log odds ratio against what is expected, with a normal prior of PRIOR_SD.

    Args:
        observed: 0 or 1, (N,).
        expected: probabilities above 0 and below 1, (N,).
        start: where the search begins.
    """
    logit = np.log(expected) - np.log1p(-expected)
    level = start
    for _ in range(50):
        risk = 1.0 / (1.0 + np.exp(-(logit + level)))
        slope = float((risk * (1.0 - risk)).sum()) + 1.0 / PRIOR_SD**2
        step = (float((observed - risk).sum()) - level / PRIOR_SD**2) / slope
        level += min(max(step, -1.0), 1.0)
        if abs(step) < 1e-7:
            break
    return level


def shifted(expected: Floats, level: float | Floats) -> Floats:
    """Probabilities whose log odds are moved by a level."""
    odds = expected / (1.0 - expected) * np.exp(level)
    return np.asarray(odds / (1.0 + odds))


def limit_for(
    baseline: Floats,
    monitored: Floats,
    *,
    lag: int,
    odds_ratio: float,
    false_alarm_rate: float,
    seed: int,
    dispersion: float = 1.0,
) -> Limit:
    """The limit at which a series without change signals with the stated chance.

    Series are simulated with what the unit does not know: each learns its own level from as many stays as the
    unit could, first from its baseline, then also from what lies `lag` stays back, and is watched, up and
    down, for as long as the unit was. Lengths and the risk are rounded on a grid, so that units of about
    the same size share one simulation; rare events are simulated at a risk of 0.02 with as much
    information, and of long series several stays at once.

    Args:
        baseline: expected probabilities of the baseline's stays.
        monitored: those of the stays that are watched.
        lag: how many stays back the level is learnt.
        odds_ratio: what the CUSUM looks for (and its inverse).
        false_alarm_rate: of the whole series, both directions together.
        seed: of the simulation.
        dispersion: how many times more the stays vary than independent ones; the weights are divided by it,
            and as many times fewer stays are simulated.
    """
    information = [float((p * (1.0 - p)).sum()) / dispersion for p in (baseline, monitored)]
    mean = sum(information) * dispersion / max(len(baseline) + len(monitored), 1)
    risk = (1.0 - (1.0 - 4.0 * min(mean, 0.25)) ** 0.5) / 2.0
    step = floor(log(max(risk, _LEAST_SIMULATED_RISK)) / log(_GRID) + 0.5)
    simulated = min(exp(step * log(_GRID)), 0.5)
    a_stay = simulated * (1.0 - simulated)
    height = _height(
        _on_grid(information[0] / a_stay, up=False),
        _on_grid(information[1] / a_stay, up=True),
        _on_grid(information[1] / a_stay * lag / max(len(monitored), 1), up=True),
        risk=simulated,
        odds_ratio=odds_ratio,
        false_alarm_rate=false_alarm_rate,
        seed=seed,
    )
    return Limit(height, false_alarm_rate, len(monitored) / -log(1.0 - false_alarm_rate))


def _on_grid(number: float, *, up: bool) -> int:
    """A number of stays on the grid of lengths: a baseline down and a series up, never to the good."""
    step = log(max(number, 1.0)) / log(_GRID)
    return max(1, ceil(exp((ceil(step - 1e-9) if up else floor(step + 1e-9)) * log(_GRID)) - 1e-9))


@lru_cache(maxsize=4096)
def _height(
    n_before: int,
    n_after: int,
    lag: int,
    *,
    risk: float,
    odds_ratio: float,
    false_alarm_rate: float,
    seed: int,
) -> float:
    """The quantile of the largest sum, either way, of simulated series without change."""
    random = np.random.default_rng([seed, n_before, n_after, lag, round(risk * 1e6)])
    at_once = ceil(n_after / _MOST_STEPS)
    cases = random.binomial(at_once, risk, (_N_SERIES, ceil(n_after / at_once)))
    known, n_back = np.zeros_like(cases), ceil(lag / at_once)
    known[:, n_back + 1 :] = cases.cumsum(axis=1)[:, : -n_back - 1]
    known += random.binomial(n_before, risk, (_N_SERIES, 1))
    renewed = np.arange(0, cases.shape[1], _STEPS_A_LEVEL)
    n_known = n_before + at_once * np.maximum(renewed - n_back, 0)
    compared = shifted(np.array(risk), random.normal(0.0, HABIT_SD, (_N_SERIES, 1)))
    believed = shifted(compared, _levels(known[:, renewed], n_known, compared))
    more, fewer = (
        np.repeat(at_once * np.log1p((ratio - 1.0) * believed), _STEPS_A_LEVEL, axis=1)[:, : cases.shape[1]]
        for ratio in (odds_ratio, 1.0 / odds_ratio)
    )
    up = (cases * log(odds_ratio) - more).cumsum(axis=1)
    down = (-cases * log(odds_ratio) - fewer).cumsum(axis=1)
    largest = np.maximum(_largest_rise(up), _largest_rise(down))
    a_stay = abs(log(odds_ratio)) * (risk * (1 - risk)) ** 0.5
    unseen = _BETWEEN_STEPS * a_stay * (at_once**0.5 - 1.0)
    return float(np.quantile(largest, 1.0 - false_alarm_rate, method="higher") + unseen)


def _largest_rise(total: Floats) -> Floats:
    """How far each sum ever rises above its lowest point before, or above 0, (S,)."""
    lowest = np.minimum(np.minimum.accumulate(total, axis=1), 0.0)
    return np.asarray((total - lowest).max(axis=1))


def _levels(cases: npt.NDArray[np.int64], n: npt.NDArray[np.int64], risk: Floats) -> Floats:
    """`own_level` of n stays of one risk with so many cases, any shape."""
    logit = np.log(risk / (1.0 - risk))
    level = np.log((cases + 0.5) / (n - cases + 0.5)) - logit
    for _ in range(4):
        now = 1.0 / (1.0 + np.exp(-(logit + level)))
        slope = n * now * (1.0 - now) + 1.0 / PRIOR_SD**2
        level += np.clip((cases - n * now - level / PRIOR_SD**2) / slope, -1.0, 1.0)
    return np.asarray(level)
