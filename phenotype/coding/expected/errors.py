"""Expectations turned into probabilities that the coding is wrong, kind by kind, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.expected.config import NoiseConfig
from phenotype.coding.expected.confusion import NO_UNIT, unit_ratios, units_of
from phenotype.coding.expected.grid import Grid
from phenotype.coding.expected.noise import (
    Anchors,
    Noise,
    anchored,
    confident,
    held_below,
    label_issues,
    levelled,
    presence,
    together,
    unit_noise,
    usual_noise,
)
from phenotype.link import logit, sigmoid

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
UNIT = 1
"""The place of hospital and unit among the cells."""
MIN_ASKED = 20
"""Groups with fewer asked stays, or fewer of either answer than MIN_ANSWERS, are not judged."""
MIN_ANSWERS = 5
NOT_EXPECTED, EXPECTED_FROM = 0.8, 0.1
"""A coded group expected less than the one may stand for a group that is not coded and expected more than the
other."""


@dataclass(frozen=True)
class Errors:
    """How probable it is that what is coded of a group is wrong.

    Attributes:
        wrong: (n, K), NaN where nothing can be said.
        is_label_issue: (n, K) whether confident learning holds it for wrong.
        noise: of each group; None where it is not judged.
        left_out: (n, K) how many times as often as all units the stay's unit leaves the group out.
        added: (n, K) how many times as often it adds it.
    """

    wrong: Floats
    is_label_issue: Bools
    noise: list[Noise | None]
    left_out: Floats
    added: Floats


def errors_of(p: Floats, coded: Bools, asked: Bools, cells: list[Ints], config: NoiseConfig) -> Errors:
    """The errors of one question (is it another condition, is it the main one, is it specific).

    Args:
        p: (n, K) expectations, out of fold and calibrated.
        coded: (n, K) answers.
        asked: (n, K) stays of which it is asked; of those without an expectation nothing can be said.
        cells: see `phenotype.coding.expected.noise.unit_noise`.
        config: how noisy coding is taken to be.
    """
    n, size = p.shape
    asked = asked & ~np.isnan(p)
    is_asked = [_is_enough(coded[asked[:, group], group]) for group in range(size)]
    even, anchors = np.zeros((n, size)), {}
    for group in np.flatnonzero(is_asked):
        some = asked[:, group]
        even[some, group] = levelled(p[some, group], coded[some, group], config.min_anchors)
        anchors[int(group)] = Anchors.of(
            p[some, group], coded[some, group], cells[UNIT][some], cells[-1][some], config
        )
    usual = usual_noise([*anchors.values()], config)
    noise: list[Noise | None] = [None] * size
    q, issues = np.zeros((n, size)), np.zeros((n, size), dtype=bool)
    for number, told in anchors.items():
        some = asked[:, number]
        ps, answers = even[some, number], coded[some, number]
        one = together(anchored(told, usual, config), confident(ps, answers), told, config)
        noise[number] = one
        q[some, number] = presence(ps, one)
        issues[some, number] = label_issues(ps, answers)
    is_judged = np.array([one is not None for one in noise])
    known = [one or Noise(0.5, 0.5) for one in noise]
    asked = asked & is_judged
    units = unit_noise(q, coded, asked, known, cells, config.unit_prior)
    found = units.wrong(q, coded, known)
    return Errors(
        np.where(asked, found, np.nan), issues, noise, np.asarray(units.left_out), np.asarray(units.added)
    )


def _is_enough(coded: Bools) -> bool:
    """Whether these answers of one group can be judged."""
    n_coded = int(coded.sum())
    return len(coded) >= MIN_ASKED and min(n_coded, len(coded) - n_coded) >= MIN_ANSWERS


def cells_of(grid: Grid) -> list[Ints]:
    """The cells that units are told in: hospital; hospital and unit; these and the year."""
    unit, year = pl.col("unit").fill_null(NO_UNIT), pl.col("year").cast(pl.String).fill_null("?")
    keys = [unit.str.split("/").list.first(), unit, pl.concat_str(unit, year, separator="/")]
    return [grid.stays.select(key.rank("dense")).to_series().to_numpy().astype(np.int64) - 1 for key in keys]


def all_errors(grid: Grid, config: NoiseConfig) -> dict[str, Errors]:
    """Errors of other conditions (missing or unsupported), main_condition and unspecific."""
    cells = cells_of(grid)
    other = errors_of(grid.hindsight, grid.is_other, ~grid.is_main, cells, config)
    factor = confusion_factor(grid, config)
    held = sigmoid(logit(np.nan_to_num(other.wrong)) + np.log(factor)) * config.max_probability
    held = np.where(grid.is_other, held_below(held, config.max_unsupported), held)
    judged = np.where(np.isnan(other.wrong), np.nan, held)
    main = errors_of(grid.main, grid.is_main, np.ones_like(grid.is_main), cells, config)
    specific = errors_of(grid.specific, grid.is_specific, grid.is_coded, cells, config)
    return {
        "other": Errors(judged, other.is_label_issue, other.noise, other.left_out, other.added),
        "main_condition": _held(main, config),
        "unspecific": _held(specific, config),
    }


def confusion_factor(grid: Grid, config: NoiseConfig) -> Floats:
    """By how much the odds of an error change, since codes of the stay stand for one another, (n, K).

    Where a group is expected and left out, and another one stands unexpectedly that all units code in its
    place more often than by chance, they are two names of one thing: both are doubted less. Where the
    stay's unit does so more often than all units, it confuses them: both are doubted more.
    """
    total, ratios = unit_ratios(grid, config.pair_prior)
    alternative = np.clip(np.log(total[0]), 0, np.log(config.largest_alternative))
    change = np.zeros(grid.is_coded.shape)
    p = 1 - (1 - grid.main) * (1 - grid.other)
    stands, lacks = grid.is_coded & (p < NOT_EXPECTED), ~grid.is_coded & (p > EXPECTED_FROM)
    units = units_of(grid)
    for unit, ratio in ratios.items():
        largest = np.log(config.largest_pair_ratio)
        excess = np.clip(np.log(ratio[0] / total[0]), 0, largest) - alternative
        for row in np.flatnonzero((units == unit) & stands.any(1) & lacks.any(1)):
            some, others = np.flatnonzero(stands[row]), np.flatnonzero(lacks[row])
            pairs = excess[np.ix_(others, some)]
            change[row, others] = _furthest(pairs, 1)
            change[row, some] = _furthest(pairs, 0)
    return np.asarray(np.exp(change))


def _furthest(pairs: Floats, axis: int) -> Floats:
    """Of each line the number furthest from 0."""
    place = np.abs(pairs).argmax(axis=axis)
    return np.asarray(np.take_along_axis(pairs, np.expand_dims(place, axis), axis).squeeze(axis))


def _held(errors: Errors, config: NoiseConfig) -> Errors:
    held = errors.wrong * config.max_probability
    return Errors(held, errors.is_label_issue, errors.noise, errors.left_out, errors.added)
