"""Counts and expectations turned into z, p, intervals and flags, with false-discovery control."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.rates.blocks import CODE, Places
from phenotype.coding.rates.case_mix_strata import Block, Cells
from phenotype.coding.rates.coverage import CELLS, is_asked_at_once
from phenotype.coding.rates.false_discovery import can_reach, q_values
from phenotype.coding.rates.funnels import (
    Z_95,
    lower_tail,
    over_dispersion,
    ratio_interval,
    standardised,
    two_sided,
    upper_tail,
)
from phenotype.coding.rates.measures import Measure
from phenotype.coding.rates.settings import UnitSettings

Floats = npt.NDArray[np.float64]
ONE_STAY = "one stay is too few to judge a unit"
TOO_FEW = "too few stays for any count to be out of limits"
ALONE = "too few patients of other units to compare with"
NORMAL_FROM = 20.0
"""Numbers that vary less than a Poisson count are judged by the normal distribution where so much is
expected, and else as a Poisson count, which is too careful."""
LEAST_EXPECTED = 1e-3
"""Where less is expected no ratio is told: a regression gives next to nothing where no other unit has any."""
SILENT_SHARE = 0.2
"""Where a larger share is expected, nothing counted of few rows may be a sign, and the row stays."""
_SIDE = {"high": 1, "low": -1, "both": 0}


def judge_cells(
    cells: Cells,
    speaks: npt.NDArray[np.bool_],
    *,
    is_count: bool,
    settings: UnitSettings,
    n_units: int,
) -> dict[str, Floats]:
    """z, tau2, p, smallest_p and interval, (M, C) each, C = units x years, years innermost.

    Args:
        cells: what was counted and expected.
        speaks: (M, C) of which cells p is wanted.
        is_count: whether numbers were counted, not yes and no.
        settings: for over-dispersion.
        n_units: how many units C has.
    """
    shape = cells.n.shape
    cube = (shape[0], n_units, shape[1] // n_units)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_there = (cells.n > 0) & ~np.isnan(cells.expected)
        expected = np.where(is_there, np.maximum(cells.expected, 1e-12), np.nan)
        variance = np.where(is_there, np.maximum(cells.variance, 1e-12), np.nan)
        deviation, spread = standardised(cells.observed, expected, variance)
        counts = is_there & (cells.expected >= settings.dispersion_expected)
        between = over_dispersion(
            np.where(counts, deviation, np.nan).reshape(cube).swapaxes(1, 2),
            spread.reshape(cube).swapaxes(1, 2),
            share=settings.winsorised,
            smallest=settings.dispersion_units,
        )
        tau2 = np.broadcast_to(between[:, None, :], cube).reshape(shape)
        z = deviation / np.sqrt(spread**2 + tau2)
        p = _tails(cells, is_there & speaks, tau2, is_count=is_count)
        ends = ratio_interval(cells.observed, expected, variance + 4 * tau2 * expected**2)
        low, high = (np.where(cells.expected >= LEAST_EXPECTED, end, np.nan) for end in ends)
    return {"z": z, "tau2": tau2, **p, "low": low, "high": high}


def _tails(
    cells: Cells, is_there: npt.NDArray[np.bool_], tau2: Floats, *, is_count: bool
) -> dict[str, Floats]:
    """Two-sided p of each cell, and the smallest that any count could have given.

    Above what is expected, the others are given one event more than they had: the conditional test of two
    counts.
    """
    from scipy.special import ndtr

    at = np.flatnonzero(is_there)
    observed, expected, variance = (
        field.ravel()[at] for field in (cells.observed, cells.expected, cells.variance)
    )
    one_more, n, between = (field.ravel()[at] for field in (cells.weight, cells.n, tau2))
    up = expected + one_more
    per_event = np.where(expected > 0, variance / np.maximum(expected, 1e-12), 1 + one_more)
    spread_up, spread = per_event * up + 4 * between * up**2, variance + 4 * between * expected**2
    mean, spread = np.maximum(expected, 1e-12), np.maximum(spread, 1e-12)
    p = np.full(cells.n.size, np.nan)
    if is_count:
        spread, spread_up = np.maximum(spread, mean), np.maximum(spread_up, up)
    p[at] = two_sided(lower_tail(observed, mean, spread), upper_tail(observed, up, spread_up))
    if is_count:
        narrow = (mean >= NORMAL_FROM) & (variance + 4 * between * expected**2 < mean)
        score = np.abs(observed - mean) / np.sqrt(np.maximum(variance + 4 * between * expected**2, 1e-12))
        p[at[narrow]] = 2 * ndtr(-score[narrow])
    smallest = np.zeros(cells.n.size)
    if not is_count:
        smallest[at] = 2 * np.minimum(
            upper_tail(n, up, spread_up), lower_tail(np.zeros_like(n), mean, spread)
        )
    return {"p": p.reshape(cells.n.shape), "smallest_p": smallest.reshape(cells.n.shape)}


@dataclass(frozen=True)
class Part:
    """Rates of some measures.

    Attributes:
        rows: columns of UNITS but the last two, p, smallest_p and side: one a measure, unit and year.
        n_silent: how many tests have no row, by family.
        silent: columns of CELLS of what has no row.
    """

    rows: pl.DataFrame
    n_silent: Mapping[str, int]
    silent: pl.DataFrame


def part_of(
    configured: tuple[Measure, ...], cells: Cells, block: Block, where: Places, settings: UnitSettings
) -> Part:
    """The rates of some measures.

    Args:
        configured: the measure of each of the cells' rows.
        cells: what was counted and expected, (M, C).
        block: names of these measures, units and years of C, and whether numbers are counted.
        where: their names.
        settings: for over-dispersion, and which rows are left out.
    """
    is_row = cells.n > 0
    speaks = (cells.observed > 0) | (cells.expected >= settings.silent_below)
    speaks |= cells.expected > SILENT_SHARE * cells.n
    speaks |= np.array([CODE not in name for name in block.measure_ids])[:, None]
    judged = judge_cells(cells, speaks, is_count=block.is_count, settings=settings, n_units=block.n_units)
    measure, cell = np.nonzero(is_row & speaks)
    side = np.array([_SIDE[one.direction] for one in configured], dtype=np.int64)
    n, observed, expected = (field[measure, cell] for field in (cells.n, cells.observed, cells.expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected >= LEAST_EXPECTED, observed / expected, np.nan)
    rows = pl.DataFrame(
        {
            "unit_id": pl.Series(where.units)[cell // block.n_periods],
            "measure": pl.Series(block.measure_ids)[measure],
            "period": pl.Series(where.periods)[cell % block.n_periods],
            "n": n.astype(np.int64),
            "observed": observed,
            "expected": expected,
            "ratio": ratio,
            **{name: values[measure, cell] for name, values in judged.items()},
            "side": side[measure],
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))
    silent = is_row & ~speaks
    is_alone, is_small = silent & np.isnan(cells.expected), silent & (cells.n < settings.smallest_n)
    found = {None: silent & ~is_alone & ~is_small, ALONE: is_alone, ONE_STAY: is_small & ~is_alone}
    return Part(rows, *_silent(configured, block.measure_ids, found, where))


def _silent(
    configured: tuple[Measure, ...],
    measure_ids: tuple[str, ...],
    silent: Mapping[str | None, npt.NDArray[np.bool_]],
    where: Places,
) -> tuple[dict[str, int], pl.DataFrame]:
    """Tests without a row by family; and which cells could and could not be judged, by the reason (M, C)."""
    has_any = np.any([found.any(axis=1) for found in silent.values()], axis=0)
    tests: Counter[str] = Counter()
    asked: dict[str, list[int]] = {}
    for number in np.flatnonzero(has_any).tolist():
        one = configured[number]
        tests[one.id] += int(silent[None][number].sum())
        asked.setdefault(one.id if is_asked_at_once(one) else measure_ids[number], []).append(number)
    frames = [pl.DataFrame(schema=CELLS)]
    for name, mine in asked.items():
        for reason, found in silent.items():
            cell = np.flatnonzero(found[mine].any(axis=0))
            frame = pl.DataFrame(
                {
                    "unit_id": pl.Series(where.units)[cell // len(where.periods)],
                    "period": pl.Series(where.periods)[cell % len(where.periods)],
                }
            ).with_columns(asked=pl.lit(name), reason=pl.lit(reason))
            frames.append(frame.select(pl.col(key).cast(dtype) for key, dtype in CELLS.items()))
    return dict(tests), pl.concat(frames)


def with_flags(
    judged: pl.DataFrame, settings: UnitSettings, n_silent: Mapping[str, int] | None = None
) -> pl.DataFrame:
    """The rows with reason, q_value and is_flagged.

    False discoveries are controlled among all measures that stand alone together, and among those of each
    template: a question that somebody asked is not drowned by those of every pair of codes.

    Args:
        judged: columns n, p, smallest_p, z, side and those of UNITS.
        settings: the level, and the smallest unit.
        n_silent: how many tests of each template have no row; they count.
    """
    reason = (
        pl.when(pl.col("p").is_null())
        .then(pl.lit(ALONE))
        .when(pl.col("n") < settings.smallest_n)
        .then(pl.lit(ONE_STAY))
        .when(~pl.Series(can_reach(judged["smallest_p"].fill_null(0.0).to_numpy(), settings.level)))
        .then(pl.lit(TOO_FEW))
    )
    told = judged.with_columns(reason=reason)
    tested = told.select(pl.when(pl.col("reason").is_null()).then("p"))["p"]
    q = _by_family(told["measure"], tested.fill_null(np.nan).to_numpy(), n_silent or {})
    is_beyond = (pl.col("z").abs() > Z_95) & ((pl.col("side") == 0) | (pl.col("z").sign() == pl.col("side")))
    return told.with_columns(q_value=q).with_columns(
        is_flagged=((pl.col("q_value") <= settings.level) & is_beyond).fill_null(value=False)
    )


def _by_family(measures: pl.Series, p: Floats, n_silent: Mapping[str, int]) -> pl.Series:
    """The q of each p within its family: a template's measures, or all that come of none (no name)."""
    is_of_template = measures.str.contains(CODE, literal=True)
    name = pl.when(is_of_template).then(measures.str.extract("^([^/]*)")).otherwise(pl.lit(""))
    families = pl.select(name.alias("family"))["family"]
    numbers = families.rank("dense").to_numpy()
    found = np.full(len(p), np.nan)
    for number in np.unique(numbers):
        mine = np.flatnonzero(numbers == number)
        found[mine] = q_values(p[mine], n_more=n_silent.get(families[int(mine[0])], 0))
    return pl.Series(found).fill_nan(None)
