"""The probability that the coding is wrong, from what was expected, what was coded, and how noisy coding is.

A group is truly there (z = 1) or not; coding tells it with sensitivity s and tells it falsely with share f.
With q = P(z = 1 | record) the expectation is p = s q + f (1 - q), so q = (p - f) / (s - f), and

    P(z = 1 | not coded) = q (1 - s) / (1 - p)      the group is missing
    P(z = 0 | coded)     = (1 - q) f / p            the group is unsupported

s and f are read off anchors, stays of which the record leaves no doubt, and off the confident joint; then
they are told unit by unit and year by year, shrunk towards the whole.

**Source:** class-conditional label noise: Natarajan et al. 2013, "Learning with noisy labels" (NeurIPS);
anchor
points: Liu and Tao 2016, doi:10.1109/TPAMI.2015.2456899; confident joint: Northcutt et al. 2021,
doi:10.1613/jair.1.12125; a coder's sensitivity and specificity without a reviewed truth: Dawid and Skene
1979, doi:10.2307/2346806; shrinkage: Clayton and Kaldor 1987, doi:10.2307/2532003.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phenotype.calibration import fit_isotonic_calibrator
from phenotype.coding.expected.config import NoiseConfig
from phenotype.link import logit, sigmoid

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
LOWEST, HIGHEST = 1e-6, 1 - 1e-6
LEAST_GAP = 0.05
"""Sensitivity is taken to lie at least this far above the false share."""


@dataclass(frozen=True)
class Noise:
    """How a group is coded where it is there, and where it is not.

    Attributes:
        sensitivity: share of the stays with the group that are coded with it.
        false_share: share of the stays without it that are.
    """

    sensitivity: float
    false_share: float


@dataclass(frozen=True)
class Anchors:
    """What the stays that a group is most, and least, expected of were coded with.

    Attributes:
        n_high, n_low: how many they are.
        high, low: how many of them are coded.
        share: of all asked stays that are coded.
    """

    n_high: int
    high: float
    n_low: int
    low: float
    share: float

    @classmethod
    def of(cls, p: Floats, coded: Bools, unit: Ints, unit_year: Ints, config: NoiseConfig) -> Anchors:
        """The anchors of one group.

        Args:
            p: (m,) expectations of the stays that are asked, out of fold.
            coded: (m,) whether they are coded.
            unit: (m,) number of each stay's unit.
            unit_year: (m,) number of each stay's unit and year.
            config: which stays are anchors.
        """
        share = (int(coded.sum()) + 0.5) / (len(p) + 1)
        high = _most_expected(p, coded, unit_year, config)
        low = _least_expected(p, unit, config.largest_false * share, config)
        return cls(len(high), float(coded[high].sum()), len(low), float(coded[low].sum()), share)

    def tells_sensitivity(self, config: NoiseConfig) -> bool:
        """Whether the models are sure enough for what is left out to be the coder's doing, not theirs."""
        return self.high >= config.least_sensitivity * self.n_high

    def tells_false_share(self, config: NoiseConfig) -> bool:
        """Whether they are sure enough for what is coded to be wrong, and not their doing."""
        return self.low <= config.largest_false * self.share * self.n_low


def _most_expected(p: Floats, coded: Bools, unit_year: Ints, config: NoiseConfig) -> Ints:
    """Numbers of the stays that a group is most expected of, in every unit and year a share of those coded.

    Taken over all they would come from the units and years that leave out least: the models know them.
    """
    order = np.lexsort((-p, unit_year))
    size = np.bincount(unit_year)
    rank = np.arange(len(p)) - np.repeat(np.cumsum(size) - size, size)
    n_coded = np.bincount(unit_year, weights=coded)
    sure = order[rank < np.floor(config.high_share * n_coded[unit_year[order]])]
    return sure if len(sure) >= config.min_anchors else np.argsort(-p, kind="stable")[: config.min_anchors]


def _least_expected(p: Floats, unit: Ints, at_most: float, config: NoiseConfig) -> Ints:
    """Numbers of the stays that a group is least expected of, in every unit a share of its own stays.

    Taken over all units they would come from those that never code the group, and say of the others that
    they never code it falsely. Stays that it is expected of by more than `at_most` are none.
    """
    order = np.lexsort((p, unit))
    size = np.bincount(unit)
    rank = np.arange(len(p)) - np.repeat(np.cumsum(size) - size, size)
    chosen = order[rank < np.ceil(config.low_share * size[unit[order]])]
    sure = chosen[p[chosen] <= at_most]
    return sure if len(sure) >= config.min_anchors else np.argsort(p, kind="stable")[: config.min_anchors]


def usual_noise(anchors: Sequence[Anchors], config: NoiseConfig) -> Noise:
    """What is usual over all groups whose anchors tell it, each stay counting; the configured where none do.

    A rare group that is often coded falsely cannot tell so itself: too large a part of its coding is false.
    Those who add codes falsely add rare and common ones, so what the others tell is what to start from.
    """
    told = [one for one in anchors if one.tells_sensitivity(config) and one.n_high >= config.many_anchors]
    sensitivity = config.complete_prior
    if told:
        sensitivity = sum(one.high for one in told) / sum(one.n_high for one in told)
    told = [one for one in anchors if one.tells_false_share(config) and one.n_low >= config.min_anchors]
    if told:
        return Noise(sensitivity, sum(one.low for one in told) / sum(one.n_low for one in told))
    mean = sum(one.share for one in anchors) / max(len(anchors), 1)
    return Noise(sensitivity, config.false_prior * mean)


def anchored(anchors: Anchors, usual: Noise, config: NoiseConfig) -> Noise:
    """Sensitivity and false share of one group; shrunk to what is usual, and that where anchors do not tell.

    Args:
        anchors: of the group.
        usual: of `usual_noise`.
        config: how much the usual weighs.
    """
    weight, low_weight = config.usual_stays, config.usual_low_stays
    sensitivity = usual.sensitivity
    false_share = min(usual.false_share, config.largest_usual * anchors.share)
    if anchors.tells_sensitivity(config):
        sensitivity = (anchors.high + sensitivity * weight) / (anchors.n_high + weight)
    if anchors.tells_false_share(config):
        false_share = (anchors.low + false_share * low_weight) / (anchors.n_low + low_weight)
    return _apart(sensitivity, false_share)


def levelled(p: Floats, coded: Bools, least: int) -> Floats:
    """Expectations as the shares that stays of like expectation are coded in, never falling, (m,).

    At both ends, where most doubts are, models promise more than they hold, and single stays would tell
    otherwise: the highest and the lowest share rest on many.

    Args:
        p: (m,) expectations.
        coded: (m,) answers.
        least: on at least so many stays, or a fiftieth of all where that is fewer.

    **Source:** isotonic regression, see `phenotype.calibration.fit_isotonic_calibrator`.
    """
    least = min(least, len(p) // 50)
    if least:
        ordered = np.sort(p)
        p = np.clip(p, ordered[least - 1], ordered[-least])
    return fit_isotonic_calibrator(p, coded).apply(p)


def confident(p: Floats, coded: Bools) -> Noise | None:
    """The same by confident learning; None where one of the two answers has no confident stay."""
    from cleanlab.count import compute_confident_joint

    if coded.all() or not coded.any():
        return None
    joint = compute_confident_joint(
        coded.astype(np.int64), np.column_stack([1 - p, p]), calibrate=True
    ).astype(np.float64)
    if (joint.sum(axis=0) <= 0).any():
        return None
    false_share, sensitivity = joint[1] / joint.sum(axis=0)
    return _apart(float(sensitivity), float(false_share))


def label_issues(p: Floats, coded: Bools) -> Bools:
    """Stays whose answer confident learning holds for wrong, (m,)."""
    from cleanlab.filter import find_label_issues

    if coded.all() or not coded.any():
        return np.zeros(len(p), dtype=bool)
    found = find_label_issues(
        coded.astype(np.int64), np.column_stack([1 - p, p]), filter_by="prune_by_noise_rate", n_jobs=1
    )
    return np.asarray(found, dtype=bool)


def together(one: Noise, other: Noise | None, anchors: Anchors, config: NoiseConfig) -> Noise:
    """The anchors' estimate and confident learning's as one, on the scale of log odds, where anchors tell."""
    if other is None:
        return one
    weights = (
        config.confident_weight * anchors.tells_sensitivity(config),
        config.confident_weight_false * anchors.tells_false_share(config),
    )
    pairs = [
        (one.sensitivity, other.sensitivity, weights[0]),
        (one.false_share, other.false_share, weights[1]),
    ]
    means = [
        sigmoid((1 - weight) * logit(np.array([a])) + weight * logit(np.array([b]))) for a, b, weight in pairs
    ]
    return _apart(float(means[0][0]), float(means[1][0]))


def presence(p: Floats, noise: Noise) -> Floats:
    """Q = P(z = 1 | record) from the expectation of being coded."""
    q = (p - noise.false_share) / (noise.sensitivity - noise.false_share)
    return np.clip(q, LOWEST, HIGHEST)


def wrong(q: Floats, coded: Bools, sensitivity: Floats, false_share: Floats) -> Floats:
    """P(z differs from what is coded), (m,)."""
    told = sensitivity * q + false_share * (1 - q)
    missing = q * (1 - sensitivity) / np.clip(1 - told, LOWEST, 1)
    unsupported = (1 - q) * false_share / np.clip(told, LOWEST, 1)
    return np.clip(np.where(coded, unsupported, missing), LOWEST, HIGHEST)


def held_below(p: Floats, most: float) -> Floats:
    """Probabilities that stay below `most`: those far below it as they are, those near it drawn in."""
    return np.asarray(most * (1 + (most / np.clip(p, LOWEST, 1)) ** 4) ** -0.25)


@dataclass(frozen=True)
class UnitNoise:
    """How many times as often as all units each stay's unit leaves out, and adds, (n, K) each."""

    left_out: Floats
    added: Floats

    def wrong(self, q: Floats, coded: Bools, noise: list[Noise]) -> Floats:
        """P(z differs from what is coded) where each unit errs in its own way, (n, K)."""
        left_out = (1 - np.array([one.sensitivity for one in noise])) * self.left_out
        added = np.array([one.false_share for one in noise]) * self.added
        return wrong(q, coded, 1 - np.clip(left_out, 1e-3, 0.9), np.clip(added, 1e-6, 0.5))


def unit_noise(  # noqa: PLR0917 what was found, and where
    q: Floats, coded: Bools, asked: Bools, noise: list[Noise], cells: list[Ints], prior: float
) -> UnitNoise:
    """Ratios of what is left out and added, by ever smaller cells, each shrunk towards the one around it.

    What is left out, and added, in all counts as expected: a ratio tells one unit from all.

    Args:
        q: (n, K) presence.
        coded: (n, K).
        asked: (n, K) stays of which the answer is asked; the others tell nothing.
        noise: of each group.
        cells: of each level (hospital, unit, unit and year) the number of each stay's cell, (n,).
        prior: expected codes that the surrounding cell's ratio weighs.

    Returns:
        The ratios of the smallest cell, group by group.
    """
    sensitivity = np.array([one.sensitivity for one in noise])
    false_share = np.array([one.false_share for one in noise])
    expected = np.stack([q * (1 - sensitivity), (1 - q) * false_share]) * asked
    doubt = wrong(q, coded, sensitivity[None], false_share[None]) * asked
    observed = np.stack([doubt * ~coded, doubt * coded])
    observed *= (expected.sum((1, 2)) / np.maximum(observed.sum((1, 2)), LOWEST))[:, None, None]
    around = np.ones((2, len(q)))
    for cell in cells:
        around = _shrunk(observed.sum(2), expected.sum(2), around, cell, prior)
    by_group = np.empty_like(observed)
    for group in range(q.shape[1]):
        by_group[:, :, group] = _shrunk(
            observed[:, :, group], expected[:, :, group], around, cells[-1], prior
        )
    return UnitNoise(by_group[0], by_group[1])


def _shrunk(observed: Floats, expected: Floats, parent: Floats, cell: Ints, prior: float) -> Floats:
    """(2, n) sums over each stay's cell -> (2, n) ratios shrunk towards the parent's."""
    sums = [
        np.stack([np.bincount(cell, weights=row) for row in rows])[:, cell] for rows in (observed, expected)
    ]
    return np.asarray((sums[0] + prior * parent) / (sums[1] + prior))


def _apart(sensitivity: float, false_share: float) -> Noise:
    """Within (0, 1), and the one above the other."""
    false_share = min(max(false_share, LOWEST), 0.5)
    return Noise(min(max(sensitivity, false_share + LEAST_GAP), 1 - 1e-3), false_share)
