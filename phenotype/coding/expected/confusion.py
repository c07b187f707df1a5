"""Systematic confusion between codes, by unit: what is coded instead of, or together with, what was expected.

Of two groups a and b, given the record, a is left out though expected with weight p_a (1 - y_a), and b
coded though not expected with weight y_b (1 - p_b). Were the errors of codes independent given the record,
the sum over stays of the product would be that of p_a (1 - p_a) p_b (1 - p_b). The ratio of the two,
shrunk towards all units, says how many times as often as by chance b stands where a should.

**Source:** that coding errors follow the hierarchy and the habits of coders: Kim et al. 2021,
arXiv:2103.07808; shrinkage of ratios by a gamma prior: Clayton and Kaldor 1987, doi:10.2307/2532003.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.expected.grid import Grid

Floats = npt.NDArray[np.float64]
CONFUSION = pl.Schema(
    {
        "unit": pl.String(),
        "kind": pl.String(),
        "concept": pl.String(),
        "coded_concept": pl.String(),
        "observed": pl.Float64(),
        "expected": pl.Float64(),
        "ratio": pl.Float64(),
    }
)
"""unit: null = all units. kind: instead = `concept` was expected and left out where `coded_concept` stands
unexpectedly; together = both stand unexpectedly. ratio: observed over expected, shrunk."""
ALL_UNITS_PRIOR = 1.0
NO_UNIT = "?"
"""Stands for the unit of stays that name none."""


def units_of(grid: Grid) -> npt.NDArray[np.str_]:
    """The unit of each stay, (n,); those that name none are of one."""
    return np.array(grid.stays["unit"].cast(pl.String).fill_null(NO_UNIT).to_list(), dtype=np.str_)


def pair_ratios(grid: Grid, rows: npt.NDArray[np.int64], parent: Floats, prior: float) -> dict[str, Floats]:
    """Observed, expected and shrunk ratios of all pairs among some stays.

    Args:
        grid: expectations; a group without one is in no pair.
        rows: numbers of the stays.
        parent: (2, K, K) ratios that are shrunk to, instead and together.
        prior: expected pairs that the parent's ratio weighs.

    Returns:
        observed, expected, ratio: (2, K, K).
    """
    p = 1 - (1 - grid.main[rows]) * (1 - grid.other[rows])
    y = grid.is_coded[rows].astype(np.float64)
    p = np.where(np.isnan(p), y, p)
    left_out, unexpected, spread = p * (1 - y), y * (1 - p), p * (1 - p)
    observed = np.stack([left_out.T @ unexpected, unexpected.T @ unexpected])
    expected = np.stack([spread.T @ spread] * 2)
    for one in (observed, expected):
        one[:, np.arange(len(grid.concepts)), np.arange(len(grid.concepts))] = 0
    return {
        "observed": observed,
        "expected": expected,
        "ratio": (observed + prior * parent) / (expected + prior),
    }


def unit_ratios(grid: Grid, prior: float) -> tuple[Floats, dict[str, Floats]]:
    """The ratios of all units together, (2, K, K), and those of each unit, shrunk towards them."""
    size = len(grid.concepts)
    everybody = np.arange(grid.stays.height)
    total = pair_ratios(grid, everybody, np.ones((2, size, size)), ALL_UNITS_PRIOR)["ratio"]
    found = {}
    units = units_of(grid)
    for unit in np.unique(units):
        found[str(unit)] = pair_ratios(grid, np.flatnonzero(units == unit), total, prior)["ratio"]
    return total, found


def confusion(grid: Grid, prior: float, min_expected: float = 1.0) -> pl.DataFrame:
    """Pairs of groups with their ratios, for all units and each: columns of CONFUSION, the largest first.

    Args:
        grid: expectations.
        prior: expected pairs that the all-unit ratio weighs against a unit's own.
        min_expected: pairs of which fewer are expected, and seen, among the stays are not told.
    """
    size = len(grid.concepts)
    total = pair_ratios(grid, np.arange(grid.stays.height), np.ones((2, size, size)), ALL_UNITS_PRIOR)
    frames = [_told(grid, None, total, min_expected)]
    units = units_of(grid)
    for unit in np.unique(units):
        rows = np.flatnonzero(units == unit)
        frames.append(_told(grid, str(unit), pair_ratios(grid, rows, total["ratio"], prior), min_expected))
    return pl.concat(frames).sort(
        "unit", "ratio", "kind", "concept", "coded_concept", descending=[False, True, False, False, False]
    )


def _told(grid: Grid, unit: str | None, ratios: dict[str, Floats], min_expected: float) -> pl.DataFrame:
    is_told = np.maximum(ratios["observed"], ratios["expected"]) >= min_expected
    kind, expected_group, coded_group = np.nonzero(is_told)
    names = pl.Series(grid.concepts, dtype=pl.String)
    return pl.DataFrame(
        {
            "unit": pl.Series([unit] * len(kind), dtype=pl.String),
            "kind": pl.Series(["instead", "together"], dtype=pl.String).gather(kind),
            "concept": names.gather(expected_group),
            "coded_concept": names.gather(coded_group),
            "observed": ratios["observed"][is_told],
            "expected": ratios["expected"][is_told],
            "ratio": ratios["ratio"][is_told],
        },
        schema=CONFUSION,
    )
