"""Expectations turned into probabilities that the coding is wrong, kind by kind, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.confusion import unit_ratios
from phenotype.coding.expected_config import NoiseConfig
from phenotype.coding.expected_grid import Grid
from phenotype.coding.expected_noise import (
    Noise,
    anchored,
    bounded,
    confident,
    label_issues,
    presence,
    together,
    unit_noise,
    wrong,
)
from phenotype.link import logit, sigmoid

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
MIN_ASKED = 20
"""Groups with fewer asked stays, or fewer of either answer than MIN_ANSWERS, are not judged."""
MIN_ANSWERS = 5


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
        asked: (n, K) stays of which it is asked.
        cells: see `expected_noise.unit_noise`.
        config: how noisy coding is taken to be.
    """
    n, size = p.shape
    noise: list[Noise | None] = []
    q, issues = np.zeros((n, size)), np.zeros((n, size), dtype=bool)
    for group in range(size):
        some = asked[:, group]
        n_coded = int(coded[some, group].sum())
        if some.sum() < MIN_ASKED or min(n_coded, int(some.sum()) - n_coded) < MIN_ANSWERS:
            noise.append(None)
            continue
        ps, answers = p[some, group], coded[some, group]
        own = anchored(ps, answers, config)
        one = together(own, confident(ps, answers), config.confident_weight)
        one = bounded(one, n_coded / len(ps), config)
        noise.append(one)
        q[:, group] = presence(p[:, group], one)
        issues[some, group] = label_issues(ps, answers)
    is_judged = np.array([one is not None for one in noise])
    known = [one or Noise(0.5, 0.5) for one in noise]
    asked = asked & is_judged
    units = unit_noise(q, coded, asked, known, cells, config.unit_prior)
    sensitivity = np.array([one.sensitivity for one in known])
    false_share = np.array([one.false_share for one in known])
    found = wrong(
        q,
        coded,
        1 - np.clip((1 - sensitivity) * units.left_out, 1e-3, 0.9),
        np.clip(false_share * units.added, 1e-6, 0.5),
    )
    return Errors(
        np.where(asked, found, np.nan), issues, noise, np.asarray(units.left_out), np.asarray(units.added)
    )


def cells_of(grid: Grid) -> list[Ints]:
    """The cells that units are told in: hospital; hospital and unit; these and the year."""
    hospital = pl.col("unit").str.split("/").list.first()
    year = pl.col("year").cast(pl.String).fill_null("?")
    keys = [hospital, pl.col("unit"), pl.concat_str("unit", year, separator="/")]
    return [
        grid.stays.select(key.fill_null("?").rank("dense")).to_series().to_numpy().astype(np.int64) - 1
        for key in keys
    ]


def all_errors(grid: Grid, config: NoiseConfig) -> dict[str, Errors]:
    """Errors by kind: other (missing where not coded, unsupported where coded), main_condition, unspecific."""
    cells = cells_of(grid)
    other = errors_of(grid.hindsight, grid.is_other, ~grid.is_main, cells, config)
    factor = confusion_factor(grid, config)
    held = np.minimum(sigmoid(logit(np.nan_to_num(other.wrong)) + np.log(factor)), config.max_probability)
    judged = np.where(np.isnan(other.wrong), np.nan, held)
    main = errors_of(grid.main, grid.is_main, np.ones_like(grid.is_main), cells, config)
    specific = errors_of(grid.specific, grid.is_specific, grid.is_coded, cells, config)
    return {
        "other": Errors(judged, other.is_label_issue, other.noise, other.left_out, other.added),
        "main_condition": _held(main, config),
        "unspecific": _held(specific, config),
    }


def confusion_factor(grid: Grid, config: NoiseConfig) -> Floats:
    """By how much the odds of an error change, since the unit confuses codes of this stay, (n, K).

    A group that is not coded is doubted more where another one stands unexpectedly that the unit codes instead of
    it more often than by chance; a coded one where it stands instead of a group that is expected.
    """
    largest = config.largest_pair_ratio
    _, ratios = unit_ratios(grid, config.pair_prior)
    factor = np.ones(grid.is_coded.shape)
    p = 1 - (1 - grid.main) * (1 - grid.other)
    unexpected, left_out = grid.is_coded * (1 - p), ~grid.is_coded * p
    units = grid.stays["unit"].cast(pl.String)
    for unit, ratio in ratios.items():
        rows = np.flatnonzero((units == unit).to_numpy())
        instead = np.clip(np.log(ratio[0]), 0, np.log(largest))
        for row in rows:
            stands, lacks = unexpected[row], left_out[row]
            some, others = np.flatnonzero(stands > 0.5), np.flatnonzero(lacks > 0.5)
            if len(some):
                missing = (instead[:, some] * stands[some]).max(1)
                factor[row] *= np.where(~grid.is_coded[row], np.exp(missing), 1)
            if len(others):
                added = (instead[others] * lacks[others, None]).max(0)
                factor[row] *= np.where(grid.is_coded[row], np.exp(added), 1)
    return factor


def _held(errors: Errors, config: NoiseConfig) -> Errors:
    held = np.minimum(errors.wrong, config.max_probability)
    return Errors(held, errors.is_label_issue, errors.noise, errors.left_out, errors.added)
