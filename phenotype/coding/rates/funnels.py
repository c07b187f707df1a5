"""Funnels: exact tails of a count, z, over-dispersion, and limits to draw.

**Source:** Spiegelhalter, Funnel plots for comparing institutional performance, Stat Med 2005, doi
10.1002/sim.1970; Spiegelhalter, Handling over-dispersion of performance indicators, Qual Saf Health Care
2005, doi 10.1136/qshc.2005.013755.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from phenotype.task_parts import Frozen

Floats = npt.NDArray[np.float64]
Scale = Literal["square_root", "log"]
Z_95, Z_998 = 1.959963984540054, 3.090232306167813
WINSORISED = 0.10
"""The share of z at either end that is moved in before over-dispersion is estimated (Spiegelhalter 2005)."""
_RELATIVE = 1e-9


class FunnelPoint(Frozen):
    """One unit of a funnel.

    Attributes:
        unit_id: whose.
        n: stays (or contacts, or patient-months) that were judged.
        n_observed: how many, or how much, was counted.
        expected: the same, expected.
        value: observed / expected.
        is_flagged: whether the unit is out of limits after false-discovery control.
    """

    unit_id: str
    n: int
    n_observed: float
    expected: float
    value: float
    is_flagged: bool


class FunnelLimit(Frozen):
    """Limits at one place of the x axis, on the scale of FunnelPoint.value.

    Attributes:
        n: the place: expected events.
        low95: 2.5 % of units lie below by chance.
        high95: 2.5 % lie above.
        low998: 0.1 % lie below.
        high998: 0.1 % lie above.
    """

    n: float
    low95: float
    high95: float
    low998: float
    high998: float


class FunnelPlot(Frozen):
    """A funnel as data, ready to be drawn.

    Attributes:
        measure: its id.
        title: in words.
        period: the year.
        target: where units lie that do as expected.
        is_share: whether values are shares; else they are ratios.
        points: the units, sorted by name.
        limits: sorted by n.
        x_title: what the x axis is.
        note: how the limits came about.
    """

    measure: str
    title: str
    period: str
    target: float
    is_share: bool
    points: tuple[FunnelPoint, ...]
    limits: tuple[FunnelLimit, ...]
    x_title: str = "expected events"
    note: str = ""


def upper_tail(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X >= count) of the binomial, Poisson or negative binomial count with this mean and variance.

    A variance below the mean is a binomial's (its number of trials need not be whole), one above it a
    negative binomial's. With the variance of a sum of unlike chances the binomial stands for the Poisson
    binomial; see `poisson_binomial_tails` for the exact one.

    Args:
        count: counts, >= 0; the tail of one that is not whole is that of the next whole one.
        mean: > 0.
        variance: > 0.

    **Source:** the binomial, Poisson and negative binomial tails as incomplete beta and gamma functions:
    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5.24, 26.4.21, 26.5.26.
    """
    from scipy.special import betainc, gammainc

    k = np.ceil(count - _RELATIVE)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = mean**2 / np.abs(variance - mean)
        is_poisson = np.abs(variance - mean) <= 1e-6 * mean
        poisson = gammainc(np.maximum(k, 1), mean)
        share = np.clip(1 - variance / mean, 0, 1)
        binomial = np.where(
            k > shape + _RELATIVE, 0.0, betainc(np.maximum(k, 1), np.maximum(shape - k + 1, 1e-12), share)
        )
        wide = betainc(np.maximum(k, 1), np.maximum(shape, 1e-12), np.clip(1 - mean / variance, 0, 1))
    tail = np.where(is_poisson, poisson, np.where(variance < mean, binomial, wide))
    return np.asarray(np.where(k <= 0, 1.0, tail))


def lower_tail(count: Floats, mean: Floats, variance: Floats) -> Floats:
    """P(X <= count); as `upper_tail`."""
    return 1 - upper_tail(np.floor(count + _RELATIVE) + 1, mean, variance)


def poisson_binomial_tails(probabilities: Floats, count: int) -> tuple[float, float]:
    """P(X <= count) and P(X >= count), exactly, of the number of events of cases with unlike chances.

    Args:
        probabilities: (n,) each case's.
        count: how many happened, 0 to n.
    """
    distribution = np.zeros(len(probabilities) + 1)
    distribution[0] = 1.0
    for number, chance in enumerate(np.sort(probabilities), start=1):
        distribution[1 : number + 1] = (
            distribution[1 : number + 1] * (1 - chance) + distribution[:number] * chance
        )
        distribution[0] *= 1 - chance
    return float(distribution[: count + 1].sum()), float(distribution[count:].sum())


def two_sided(lower: Floats, upper: Floats) -> Floats:
    """Twice the smaller tail, at most 1."""
    return np.asarray(np.minimum(2 * np.minimum(lower, upper), 1.0))


def mid_p(lower: Floats, upper: Floats) -> Floats:
    """Twice the smaller tail with half of the count's own probability: near the nominal level, not below.

    Args:
        lower: P(X <= count).
        upper: P(X >= count).
    """
    own = np.clip(lower + upper - 1, 0, 1)
    return two_sided(lower - own / 2, upper - own / 2)


def standardised(
    observed: Floats, expected: Floats, variance: Floats, scale: Scale = "square_root"
) -> tuple[Floats, Floats]:
    """How far each ratio lies from 1 on a scale where its spread hardly depends on it: (y - y0, s).

    Args:
        observed: counts.
        expected: > 0.
        variance: of observed less expected; a Poisson count with a known expectation has `expected`.
        scale: square_root: sqrt(O/E) - 1, s = sqrt(V) / (2 E); log: log((O + 0.5) / (E + 0.5)), s = sqrt(V) /
            E.

    **Source:** Spiegelhalter 2005 (both papers): square root for counts against expectations; for V = E the
    square root gives z = 2 (sqrt(O) - sqrt(E)). Half an event is added under the logarithm, so that none seen
    is a number.
    """
    if scale == "log":
        return np.log((observed + 0.5) / (expected + 0.5)), np.sqrt(variance) / expected
    return np.sqrt(observed / expected) - 1, np.sqrt(variance) / (2 * expected)


def winsorised(z: Floats, share: float = WINSORISED) -> Floats:
    """Z with those below the share's quantile and above its complement's moved to them, along the last axis.

    Args:
        z: nan where there is no unit.
        share: 0 leaves z as it is.
    """
    ordered = np.sort(z, axis=-1)
    n = np.sum(~np.isnan(z), axis=-1, keepdims=True)
    low, high = (_quantile(ordered, n, at) for at in (share, 1 - share))
    return np.clip(z, low, high)


def _quantile(ordered: Floats, n: npt.NDArray[np.int_], at: float) -> Floats:
    """The quantile of each row of sorted values, nan last, between neighbours by a straight line."""
    place = np.maximum(n - 1, 0) * at
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(n - 1, 0))
    first, second = (np.take_along_axis(ordered, index, axis=-1) for index in (below, above))
    return np.asarray(first + (second - first) * (place - below))


def over_dispersion(
    deviation: Floats, spread: Floats, *, share: float = WINSORISED, smallest: int = 2
) -> Floats:
    """tau2: the variance between units beyond chance, by moments on winsorised z, along the last axis.

    tau2 = max(0, (I phi - (I - 1)) / (sum w - sum w^2 / sum w)), phi = mean of winsorised z^2, w = 1 / s^2.

    Args:
        deviation: y - y0 of each unit; nan where there is none.
        spread: s of each unit.
        share: winsorised at either end.
        smallest: with fewer units tau2 is 0: it cannot be told from the units' own deviations.

    **Source:** Spiegelhalter 2005, doi 10.1136/qshc.2005.013755: the additive random-effects model;
    DerSimonian and Laird, Control Clin Trials 1986;7:177-188, doi 10.1016/0197-2456(86)90046-2.
    """
    z = deviation / spread
    n = np.sum(~np.isnan(z), axis=-1)
    squares = np.nansum(winsorised(z, share) ** 2, axis=-1)
    weight = np.where(np.isnan(z), 0.0, 1 / spread**2)
    total = weight.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        tau2 = (squares - (n - 1)) / (total - (weight**2).sum(axis=-1) / total)
    return np.where((n >= max(smallest, 2)) & (tau2 > 0), tau2, 0.0)


def exact_limits(expected: Floats, level: float, ratio: float = 1.0) -> tuple[Floats, Floats]:
    """The largest and smallest O/E that still have `level` or more of chance to come about or beyond.

    A count below the lower or above the upper limit has a tail of less than `level`; between counts the limit
    is the count's own, so a funnel drawn with them is stepped and never flags what it should not.

    Args:
        expected: (n,) > 0.
        level: of one side, such as 0.025.
        ratio: variance to mean, from how the count was expected; 1 is Poisson.

    Returns:
        (low, high), as ratios.
    """
    low, high = np.empty_like(expected), np.empty_like(expected)
    for index, mean in enumerate(expected):
        counts = np.arange(
            0, int(np.ceil(mean + 12 * np.sqrt(mean * max(ratio, 1.0)) + 30)), dtype=np.float64
        )
        means, variances = np.full_like(counts, mean), np.full_like(counts, mean * ratio)
        inside = (lower_tail(counts, means, variances) >= level) & (
            upper_tail(counts, means, variances) >= level
        )
        held = counts[inside]
        low[index], high[index] = held[0] / mean, held[-1] / mean
    return low, high


def funnel_limits(expected: Floats, tau2: float, *, ratio: float = 1.0) -> tuple[FunnelLimit, ...]:
    """Limits at places of the x axis: the wider of the exact ones and those with over-dispersion.

    Args:
        expected: (n,) places, > 0, ascending.
        tau2: between units, on the square-root scale.
        ratio: variance to mean of counts.
    """
    sides: list[tuple[Floats, Floats]] = []
    for z, level in ((Z_95, 0.025), (Z_998, 0.001)):
        low, high = exact_limits(expected, level, ratio)
        reach = z * np.sqrt(ratio / (4 * expected) + tau2)
        sides.append((np.minimum(low, np.maximum(1 - reach, 0) ** 2), np.maximum(high, (1 + reach) ** 2)))
    (low95, high95), (low998, high998) = sides
    return tuple(
        FunnelLimit(n=float(at), low95=a, high95=b, low998=c, high998=d)
        for at, a, b, c, d in zip(
            expected, low95.tolist(), high95.tolist(), low998.tolist(), high998.tolist(), strict=True
        )
    )


def places(expected: Sequence[float] | Floats, n: int = 60) -> Floats:
    """Places of the x axis for the limits of these units: closer together where few events are expected."""
    known = np.asarray(expected, dtype=np.float64)
    highest = float(known[known > 0].max(initial=1.0)) * 1.05
    lowest = max(float(known[known > 0].min(initial=highest)) * 0.8, highest / 2000)
    return np.unique(np.geomspace(lowest, highest, n))


def ratio_interval(
    observed: Floats, expected: Floats, variance: Floats, z: float = Z_95
) -> tuple[Floats, Floats]:
    """The interval of O/E: Byar's approximation to the exact Poisson interval, at the count's own dispersion.

    Args:
        observed: counts.
        expected: > 0.
        variance: of observed less expected where observed is as expected.
        z: of the level.

    **Source:** Breslow and Day, Statistical Methods in Cancer Research II, IARC 1987, formula 2.13. With a
    variance that is c times the mean, the interval is that of a count of O / c.
    """
    dispersion = variance / expected
    count = observed / dispersion
    more = count + 1
    low = (
        count
        * np.maximum(
            1 - 1 / (9 * np.maximum(count, _RELATIVE)) - z / (3 * np.sqrt(np.maximum(count, _RELATIVE))), 0
        )
        ** 3
    )
    high = more * (1 - 1 / (9 * more) + z / (3 * np.sqrt(more))) ** 3
    scale = dispersion / expected
    return np.where(count > 0, low, 0.0) * scale, high * scale
