"""Units against expectations given case by case, such as a score's risks: exact Poisson-binomial tails."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.findings import UNITS
from phenotype.coding.rates.funnels import (
    lower_tail,
    over_dispersion,
    poisson_binomial_tails,
    ratio_interval,
    standardised,
    two_sided,
    upper_tail,
)
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.unit_judging import with_flags

Floats = npt.NDArray[np.float64]
NOT_EXPECTED = "nothing is expected of the case, or its outcome is not told"


def judge_given(
    cases: pl.DataFrame, *, measure: str, settings: UnitSettings | None = None, direction: int = 0
) -> pl.DataFrame:
    """The rates of units whose cases come with a chance each.

    Args:
        cases: unit_id, period, observed (0 or 1; null = not told) and expected (a chance, 0 to 1; null = not
            told).
        measure: name of the measure.
        settings: None: those that come with Pesta.
        direction: 1 flags units above their expectation, -1 below, 0 both.

    Returns:
        Columns of UNITS, p, smallest_p and reason (why a unit could not be judged), sorted by period and
        unit. n counts the cases that could be judged; a unit without any is there with n 0. p is exact; where
        units differ beyond chance it is that of a count with the same mean and the wider variance, if larger.

    **Source:** the tails: the distribution of the number of independent events with unlike chances, built
    case by case; z, tau2: as `phenotype.coding.rates.funnels`.
    """
    chosen = settings or UnitSettings.load()
    known = pl.col("observed").is_not_null() & pl.col("expected").is_not_null()
    grouped = (
        cases.group_by("unit_id", "period")
        .agg(
            n=known.sum().cast(pl.Int64),
            observed=pl.col("observed").filter(known).sum().cast(pl.Float64),
            expected=pl.col("expected").filter(known).sum(),
            variance=(pl.col("expected") * (1 - pl.col("expected"))).filter(known).sum(),
            chances=pl.col("expected").filter(known).sort(),
        )
        .sort("period", "unit_id")
    )
    parts = [_judged(part, chosen) for part in grouped.partition_by("period", maintain_order=True)]
    judged = pl.concat(parts).with_columns(measure=pl.lit(measure), side=pl.lit(direction))
    flagged = with_flags(judged, chosen).with_columns(
        reason=pl.when(pl.col("n") == 0).then(pl.lit(NOT_EXPECTED)).otherwise("reason")
    )
    typed = flagged.with_columns(pl.col(name).cast(dtype) for name, dtype in UNITS.items())
    return typed.select(*UNITS.names(), "p", "smallest_p", "reason")


def _judged(units: pl.DataFrame, settings: UnitSettings) -> pl.DataFrame:
    """The units of one period with z, tau2, p and the interval of the ratio."""
    observed, expected, variance = (units[name].to_numpy() for name in ("observed", "expected", "variance"))
    is_there = (expected > 0) & (variance > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation, spread = standardised(observed, np.where(is_there, expected, np.nan), variance)
        counts = is_there & (expected >= settings.dispersion_expected)
        tau2 = float(
            over_dispersion(
                np.where(counts, deviation, np.nan)[None, :],
                spread[None, :],
                share=settings.winsorised,
                smallest=settings.dispersion_units,
            )[0]
        )
        z = deviation / np.sqrt(spread**2 + tau2)
    p, smallest = np.full(len(observed), np.nan), np.zeros(len(observed))
    low, high = np.full(len(observed), np.nan), np.full(len(observed), np.nan)
    at = np.flatnonzero(is_there)
    for index in at:
        chances = np.array(units["chances"][int(index)])
        p[index] = two_sided(*_arrays(poisson_binomial_tails(chances, int(observed[index]))))[0]
        none, every = poisson_binomial_tails(chances, 0)[0], poisson_binomial_tails(chances, len(chances))[1]
        smallest[index] = 2 * min(none, every)
    wide = variance[at] + 4 * tau2 * expected[at] ** 2
    if tau2 > 0:
        tails = (tail(observed[at], expected[at], wide) for tail in (lower_tail, upper_tail))
        p[at] = np.maximum(p[at], two_sided(*tails))
    low[at], high[at] = ratio_interval(observed[at], expected[at], wide)
    found = {
        "ratio": observed / np.where(is_there, expected, np.nan),
        "z": z,
        "p": p,
        "low": low,
        "high": high,
    }
    return units.select("unit_id", "period", "n", "observed", "expected").with_columns(
        **{name: pl.Series(values).fill_nan(None) for name, values in found.items()},
        tau2=pl.lit(tau2),
        smallest_p=pl.Series(smallest),
    )


def _arrays(tails: tuple[float, float]) -> tuple[Floats, Floats]:
    return np.array([tails[0]]), np.array([tails[1]])
