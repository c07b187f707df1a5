"""What is expected of units by regression on smooth case mix, cross-fitted: no unit sets its own expectation.

Yes and no by logistic, numbers by Poisson regression with a ridge, fitted by Newton's method. Units are dealt
into parts; what is expected of each part's patients comes from a fit to the other parts.

**Source:** indirect standardisation by regression: Spiegelhalter 2005, doi 10.1136/qshc.2005.013755;
restricted cubic splines and their knots: Harrell, Regression Modeling Strategies, Springer 2001, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from phenotype.coding.rates.case_mix import CaseMix, numbered
from phenotype.coding.rates.case_mix_strata import (
    LARGEST_SHARE,
    MANY_ROWS,
    SMALLEST_DISPERSION,
    Block,
    Cells,
)
from phenotype.coding.rates.settings import Attribute, Refining
from phenotype.threads import one_algebra_thread

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
KNOTS = {
    3: (0.1, 0.5, 0.9),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.5, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.5, 0.6583, 0.8167, 0.975),
}
"""Quantiles at which the knots of a spline stand, by their number (Harrell 2001, table 2.3)."""
SMALLEST_LEVEL = 30
"""Values of an attribute that fewer rows have share one column; our assumption."""
LARGEST_INDEX = 12.0
MOST_STEPS, CLOSE = 25, 1e-7
LARGEST_LOGIT = 30.0
PATIENT: tuple[Attribute, ...] = ("sex", "urgency", "transfer")
TREATMENT: tuple[Attribute, ...] = ("care", "surgery", "main_2")


@dataclass(frozen=True)
class Fit:
    """One fitted regression.

    Attributes:
        weights: (D,).
        covariance: (D, D) of the weights.
    """

    weights: Floats
    covariance: Floats


def design(
    mix: CaseMix, age_years: Floats, block: Block, attributes: tuple[Attribute, ...], knots: int
) -> Floats:
    """The matrix of a block's rows, (R, D): intercept, spline of age, comorbidity, years and attributes.

    Args:
        mix: of all rows.
        age_years: of all rows, nan where not told.
        block: which rows, and their years.
        attributes: taken as one column a value, but for the commonest.
        knots: of the spline of age.
    """
    rows = block.place
    age = age_years[rows]
    told = ~np.isnan(age)
    years = np.where(told, age, np.median(age[told]) if told.any() else 0.0)
    index = np.minimum(mix.comorbidity[rows], LARGEST_INDEX)
    columns = [np.ones(len(rows)), *spline(years, knots).T, index, (index > 0).astype(np.float64)]
    columns += [] if told.all() else [(~told).astype(np.float64)]
    values = [block.period, *(mix.attributes[name][rows] for name in attributes)]
    return np.column_stack([*columns, *(column for value in values for column in _dummies(value))])


def spline(values: Floats, knots: int) -> Floats:
    """Restricted cubic spline: the value and knots - 2 bends, (n, knots - 1); linear beyond the ends."""
    at = np.unique(np.quantile(values, KNOTS[knots]))
    columns = [(values - values.mean()) / max(float(values.std()), 1e-9)]
    if len(at) >= 3:
        last, before = at[-1], at[-2]
        width = (last - at[0]) ** 2
        for knot in at[:-2]:
            bend = (
                np.maximum(values - knot, 0) ** 3
                - np.maximum(values - before, 0) ** 3 * (last - knot) / (last - before)
                + np.maximum(values - last, 0) ** 3 * (before - knot) / (last - before)
            )
            columns.append(bend / width / max(float(values.std()), 1e-9))
    return np.column_stack(columns)


def _dummies(values: Ints) -> list[Floats]:
    """A column for each value but the commonest; rare ones share one."""
    numbers, n = numbered(values)
    often = np.bincount(numbers, minlength=n)
    commonest = int(often.argmax()) if n else 0
    rare = [index for index in range(n) if often[index] < SMALLEST_LEVEL and index != commonest]
    own = [index for index in range(n) if index != commonest and often[index] >= SMALLEST_LEVEL]
    columns = [(numbers == index).astype(np.float64) for index in own]
    return columns + ([np.isin(numbers, rare).astype(np.float64)] if rare else [])


def fit(matrix: Floats, outcome: Floats, *, penalty: float, is_count: bool) -> Fit:
    """The ridge regression of an outcome, by Newton's method; the intercept (first column) is not penalised.

    Args:
        matrix: (n, D).
        outcome: (n,) 0 or 1, or numbers.
        penalty: on the square of each weight, halved.
        is_count: Poisson with logarithm, not logistic.
    """
    ridge = np.full(matrix.shape[1], penalty)
    ridge[0] = 1e-9
    mean = float(np.clip(outcome.mean(), 1e-9, None))
    weights = np.zeros(matrix.shape[1])
    weights[0] = np.log(mean) if is_count else np.log(mean / max(1 - mean, 1e-9))
    bend = np.diag(ridge)
    for _ in range(MOST_STEPS):
        expected = predict(matrix, weights, is_count=is_count)
        spread = np.maximum(expected if is_count else expected * (1 - expected), 1e-12)
        bend = (matrix * spread[:, None]).T @ matrix + np.diag(ridge)
        step = np.linalg.solve(bend, matrix.T @ (outcome - expected) - ridge * weights)
        weights = weights + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < CLOSE:
            break
    return Fit(weights, np.linalg.inv(bend))


def predict(matrix: Floats, weights: Floats, *, is_count: bool) -> Floats:
    """What a regression expects of each row, (n,)."""
    score = np.clip(matrix @ weights, -LARGEST_LOGIT, LARGEST_LOGIT)
    return np.asarray(np.exp(score) if is_count else 1 / (1 + np.exp(-score)))


@one_algebra_thread()
def expect_by_regression(
    block: Block,
    measure: int,
    mix: CaseMix,
    age_years: Floats,
    *,
    adjust: str,
    within: bool,
    refining: Refining,
) -> Cells:
    """What is counted and expected of one measure in every cell, (1, C) each.

    Args:
        block: the measures and their rows.
        measure: number of the one.
        mix: case mix of all rows.
        age_years: of all rows.
        adjust: patient or all, as a measure's.
        within: whether the specialty is an attribute.
        refining: folds, knots, penalty, rows.
    """
    group = block.measure_group[measure]
    chosen = np.flatnonzero(block.group == group)
    mine = _only(block, chosen)
    value = np.zeros(len(block.group))
    own = block.measure == measure
    np.add.at(value, block.row[own], block.value[own])
    outcome = value[chosen]
    attributes = (*PATIENT, *(TREATMENT if adjust == "all" else ()), *(("specialty",) if within else ()))
    matrix = design(mix, age_years, mine, attributes, refining.knots)
    fold = mine.unit % refining.folds
    expected, noise = np.zeros(len(chosen)), np.zeros(block.n_cells)
    for part in range(refining.folds):
        here = fold == part
        if not here.any() or here.all():
            expected[here] = np.nan
            continue
        others = np.flatnonzero(~here)
        taken = others[:: max(len(others) // refining.most_rows, 1)]
        fitted = fit(matrix[taken], outcome[taken], penalty=refining.penalty, is_count=block.is_count)
        expected[here] = predict(matrix[here], fitted.weights, is_count=block.is_count)
        spread = expected[here] if block.is_count else expected[here] * (1 - expected[here])
        noise += _noise(matrix[here] * spread[:, None], mine.cell[here], block.n_cells, fitted.covariance)
    return _cells(mine, outcome, expected, noise, is_count=block.is_count)


def _only(block: Block, rows: Ints) -> Block:
    """A block of these rows alone, without counts."""
    nothing = np.zeros(0, dtype=np.int64)
    return replace(
        block,
        measure_ids=(),
        measure_group=nothing,
        n_groups=1,
        group=np.zeros(len(rows), dtype=np.int64),
        unit=block.unit[rows],
        period=block.period[rows],
        subject=block.subject[rows],
        levels=(),
        measure=nothing,
        row=nothing,
        value=nothing.astype(np.float64),
        place=block.place[rows],
    )


def _noise(slopes: Floats, cell: Ints, n_cells: int, covariance: Floats) -> Floats:
    """(C,) variance of each cell's expectation from the fit's own uncertainty (delta method)."""
    from scipy.sparse import coo_array

    numbers, n = numbered(cell)
    rows = coo_array((np.ones(len(numbers)), (numbers, np.arange(len(numbers)))), shape=(n, len(numbers)))
    total = np.asarray(rows.tocsr() @ slopes)
    cells = np.zeros(n, dtype=np.int64)
    cells[numbers] = cell
    found = np.zeros(n_cells)
    found[cells] = np.einsum("cd,de,ce->c", total, covariance, total)
    return found


def _cells(block: Block, outcome: Floats, expected: Floats, noise: Floats, *, is_count: bool) -> Cells:
    def summed(values: Floats) -> Floats:
        return np.bincount(block.cell, weights=values, minlength=block.n_cells).astype(np.float64)

    spread = expected if is_count else expected * (1 - expected)
    cluster, n_clusters = numbered(block.cell * (int(block.subject.max(initial=0)) + 1) + block.subject)
    residual = np.bincount(cluster, weights=outcome - np.nan_to_num(expected), minlength=n_clusters)
    lowest = SMALLEST_DISPERSION if is_count and len(outcome) >= MANY_ROWS else 1.0
    dispersion = max(float((residual**2).sum() / max(np.nansum(spread), 1e-12)), lowest)
    n, total = summed(np.ones(len(outcome))), summed(expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.zeros_like(total) if is_count else np.clip(total / n, 0, LARGEST_SHARE)
        weight = np.where(total > 0, noise / total, 0.0)
        variance = dispersion * (total * (1 - share) + noise)
    return Cells(*(field[None, :] for field in (n, summed(outcome), total, variance, weight)))
