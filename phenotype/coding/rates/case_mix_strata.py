"""What is expected of units by indirect standardisation in strata: thousands of measures in one pass.

Of each row the finest stratum counts in which other units have enough patients of the same year; a unit's own
patients are left out of what is expected of it. With S strata, C cells (units x years) and M measures the
sums are products of sparse matrices: counts (M, S) with weights (S, C).

**Source:** indirect standardisation: Breslow and Day, Statistical Methods in Cancer Research II, IARC 1987,
2.3; the noise of expectations that come from few: Przyborowski and Wilenski, Biometrika 1940;31:313-323, doi
10.1093/biomet/31.3-4.313, in the form of the negative binomial.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from phenotype.coding.rates.case_mix import numbered

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
_ROUNDING = 1e-9
SMALLEST_DISPERSION, MANY_ROWS = 0.2, 200
"""Numbers that vary less than a Poisson count are believed to, down to this, where so many rows show it."""
MOST_CELLS = 1_500_000
"""Measures x cells that are held at once."""
LARGEST_SHARE = 0.99
"""Of yes and no the variance is taken as a binomial's of at most this share, so that it never vanishes."""


@dataclass(frozen=True)
class Block:
    """Measures that share rows and the way they are adjusted.

    Attributes:
        measure_ids: (M,) their names.
        measure_group: (M,) the group of rows that is each one's denominator.
        n_groups: how many groups there are.
        group: (R,) the group of each row; a stay that is in several has several rows.
        unit: (R,) number of its unit.
        period: (R,) number of its year.
        subject: (R,) number of its patient.
        levels: (R,) strata, the finest first, numbered from 0.
        n_units: how many there are.
        n_periods: likewise.
        measure: (P,) the measure of each count.
        row: (P,) its row.
        value: (P,) 1, or the number counted.
        place: (R,) where each row stands among all rows of its kind.
        is_count: whether values are numbers.
    """

    measure_ids: tuple[str, ...]
    measure_group: Ints
    n_groups: int
    group: Ints
    unit: Ints
    period: Ints
    subject: Ints
    levels: tuple[Ints, ...]
    n_units: int
    n_periods: int
    measure: Ints
    row: Ints
    value: Floats
    place: Ints
    is_count: bool = False

    @property
    def cell(self) -> Ints:
        """(R,) unit and year as one number."""
        return self.unit * self.n_periods + self.period

    @property
    def n_cells(self) -> int:
        """Units x years."""
        return self.n_units * self.n_periods


@dataclass(frozen=True)
class Cells:
    """What was counted and what is expected, (M, C) each.

    Attributes:
        n: rows.
        observed: what they count.
        expected: the same from other units' rates; nan where nobody is there to compare with.
        variance: of observed less expected.
        weight: how much one event of the others adds to the expectation.
    """

    n: Floats
    observed: Floats
    expected: Floats
    variance: Floats
    weight: Floats

    @classmethod
    def stacked(cls, parts: list[Cells]) -> Cells:
        """The measures of several parts, one below the other."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class _Level:
    """One level of strata.

    Attributes:
        stratum: (R,) number of each row's.
        own: (R,) number of its stratum and cell together.
        n_stratum: (G,) rows.
        stratum_of: (K,) the stratum of each stratum-and-cell.
        cell_of: (K,) its cell.
        weight: (K,) rows that are judged here / rows of other units here; 0 where none are judged.
        judged: (K,) rows that are judged here.
    """

    stratum: Ints
    own: Ints
    n_stratum: Floats
    stratum_of: Ints
    cell_of: Ints
    weight: Floats
    judged: Floats


def expect(block: Block, *, smallest: int, smallest_share: float) -> Cells:
    """What is counted and expected of every measure in every cell.

    Args:
        block: the measures and their rows.
        smallest: rows of other units that a stratum must have.
        smallest_share: and so many for each row of the unit in it. The last level does not ask for that.
    """
    parts = expect_in_parts(block, smallest=smallest, smallest_share=smallest_share)
    return Cells.stacked([cells for _, cells in parts])


def expect_in_parts(
    block: Block, *, smallest: int, smallest_share: float
) -> Iterator[tuple[tuple[int, int], Cells]]:
    """As `expect`, some measures at a time, so that memory does not grow with their number.

    Yields:
        The first measure and the one after the last, with their cells.
    """
    levels, row_weight = _weights(block, smallest, smallest_share)
    at_once = max(MOST_CELLS // max(block.n_cells, 1), 1)
    order = np.argsort(block.measure, kind="stable")
    starts = np.searchsorted(block.measure[order], np.arange(0, len(block.measure_ids) + at_once, at_once))
    for number, first in enumerate(range(0, len(block.measure_ids), at_once)):
        span = first, min(first + at_once, len(block.measure_ids))
        yield span, _part(block, levels, row_weight, span, order[starts[number] : starts[number + 1]])


def _weights(block: Block, smallest: int, smallest_share: float) -> tuple[list[_Level], Floats]:
    """The levels, and for each row the weight of one event of the others."""
    n_rows, cell = len(block.group), block.cell
    is_open = np.ones(n_rows, dtype=np.bool_)
    row_weight = np.full(n_rows, np.nan)
    found: list[_Level] = []
    for number, level in enumerate(block.levels):
        top = int(level.max(initial=0)) + 1
        stratum, n_strata = numbered((block.group * block.n_periods + block.period) * top + level)
        own, n_own = numbered(stratum * block.n_cells + cell)
        n_stratum = np.bincount(stratum, minlength=n_strata).astype(np.float64)
        n_own_rows = np.bincount(own, minlength=n_own).astype(np.float64)
        stratum_of, cell_of = np.zeros(n_own, dtype=np.int64), np.zeros(n_own, dtype=np.int64)
        stratum_of[own], cell_of[own] = stratum, cell
        others = n_stratum[stratum_of] - n_own_rows
        is_last = number == len(block.levels) - 1
        is_enough = others >= (smallest if is_last else np.maximum(smallest, smallest_share * n_own_rows))
        here = is_open & is_enough[own]
        judged = np.bincount(own[here], minlength=n_own).astype(np.float64)
        weight = np.where(judged > 0, judged / np.maximum(others, 1), 0.0)
        row_weight[here] = weight[own[here]]
        is_open &= ~here
        found.append(_Level(stratum, own, n_stratum, stratum_of, cell_of, weight, judged))
    return found, row_weight


def _part(
    block: Block, levels: list[_Level], row_weight: Floats, span: tuple[int, int], pairs: Ints
) -> Cells:
    """The measures from span[0] to span[1]."""
    first, n_measures = span[0], span[1] - span[0]
    shape = (n_measures, block.n_cells)
    measure, row, value = block.measure[pairs] - first, block.row[pairs], block.value[pairs]
    place = measure * block.n_cells + block.cell[row]

    def summed(weights: Floats) -> Floats:
        summed_up = np.bincount(place, weights=weights, minlength=shape[0] * shape[1])
        return summed_up.astype(np.float64).reshape(shape)

    expected, noise = np.zeros(shape), np.zeros(shape)
    for level in levels:
        used = level.weight > 0
        if not used.any():
            continue
        counts = _sparse(value, measure, level.stratum[row], (n_measures, len(level.n_stratum)))
        weights = _sparse(
            level.weight[used], level.stratum_of[used], level.cell_of[used], (counts.shape[1], shape[1])
        )
        own = level.weight[level.own[row]]
        expected += (counts @ weights).toarray() - summed(own * value)
        noise += (counts @ weights.power(2)).toarray() - summed(own**2 * value)
    n_group = np.bincount(block.group * block.n_cells + block.cell, minlength=block.n_groups * block.n_cells)
    n = n_group.reshape(block.n_groups, block.n_cells)[block.measure_group[first : span[1]]].astype(
        np.float64
    )
    typical = _mean_weight(block, row_weight)[block.measure_group[first : span[1]]]
    dispersion = _dispersion(block, (measure, row, value), span)
    expected = np.where(np.isnan(typical), np.nan, _whole(expected))
    noise = _whole(noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        one_more = np.fmax(np.where(expected > 0, noise / expected, 0.0), typical)
    variance = dispersion * (expected + np.fmax(noise, typical * expected))
    if not block.is_count:
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = variance * (1 - np.clip(expected / n, 0, LARGEST_SHARE))
    return Cells(n, summed(value), expected, variance, one_more)


def _whole(sums: Floats) -> Floats:
    """Sums without what is left of rounding where a unit's own counts were all there were."""
    return np.where(sums < _ROUNDING, 0.0, sums)


def _mean_weight(block: Block, row_weight: Floats) -> Floats:
    """(n_groups, C) mean weight of the rows; nan where nobody is there to compare with, or no row is."""
    place = block.group * block.n_cells + block.cell
    size = block.n_groups * block.n_cells
    known = ~np.isnan(row_weight)
    total = np.bincount(place[known], weights=row_weight[known], minlength=size)
    count = np.bincount(place[known], minlength=size)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(count > 0, total / count, np.nan)).reshape(block.n_groups, block.n_cells)


def _dispersion(block: Block, pairs: tuple[Ints, Ints, Floats], span: tuple[int, int]) -> Floats:
    """(M, 1) variance to mean beyond that of single stays: who comes again brings the same codes.

    At least 1, but for numbers that many rows tell. Of yes and no it is relative to the binomial's variance,
    which is put in later; of numbers to the mean.
    """
    (measure, row, value), groups = pairs, block.measure_group[span[0] : span[1]]
    n_measures = len(groups)
    cluster, n_clusters = numbered(
        (block.group * block.n_cells + block.cell) * (int(block.subject.max(initial=0)) + 1) + block.subject
    )
    size = np.bincount(cluster, minlength=n_clusters).astype(np.float64)
    group_of = np.zeros(n_clusters, dtype=np.int64)
    group_of[cluster] = block.group
    squares = np.bincount(group_of, weights=size**2, minlength=block.n_groups)[groups]
    n_rows = np.bincount(block.group, minlength=block.n_groups)[groups]
    key, n_keys = numbered(measure * np.int64(max(n_clusters, 1)) + cluster[row])
    sums = np.bincount(key, weights=value, minlength=n_keys)
    of_measure = np.zeros(n_keys, dtype=np.int64)
    of_measure[key] = measure
    observed = np.bincount(of_measure, weights=sums**2, minlength=n_measures)
    mean = np.bincount(measure, weights=value, minlength=n_measures) / np.maximum(n_rows, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (observed - mean**2 * squares) / (n_rows * mean)
        found = found if block.is_count else found / np.maximum(1 - mean, 1 - LARGEST_SHARE)
    found = np.where(np.isfinite(found), found, 1.0)
    lowest = np.where(n_rows >= MANY_ROWS, SMALLEST_DISPERSION, 1.0) if block.is_count else 1.0
    return np.asarray(np.maximum(found, lowest))[:, None]


def _sparse(value: Floats, row: Ints, column: Ints, shape: tuple[int, int]) -> csr_array:
    from scipy.sparse import coo_array

    return coo_array((value, (row, column)), shape=shape).tocsr()


def expect_rows(block: Block, measure: int, *, smallest: int, smallest_share: float) -> Floats:
    """What is expected of each row: the mean of other units' rows in its stratum; nan where there are none.

    Args:
        block: the measures and their rows.
        measure: number of the one asked about.
        smallest: as for `expect`.
        smallest_share: likewise.

    Returns:
        (R,); the sum over a cell is its `Cells.expected`.
    """
    levels, _ = _weights(block, smallest, smallest_share)
    is_mine = block.measure == measure
    value = np.bincount(block.row[is_mine], weights=block.value[is_mine], minlength=len(block.group))
    found = np.full(len(block.group), np.nan)
    for level in levels:
        here = (level.judged[level.own] > 0) & np.isnan(found)
        total = np.bincount(level.stratum, weights=value, minlength=len(level.n_stratum))
        own = np.bincount(level.own, weights=value, minlength=len(level.stratum_of))
        n_own = np.bincount(level.own, minlength=len(level.stratum_of))
        others = level.n_stratum[level.stratum_of] - n_own
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (total[level.stratum_of] - own) / others
        found[here] = mean[level.own[here]]
    return found
