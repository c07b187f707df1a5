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
    def of(cls, p: Floats, coded: Bools, unit: Ints, config: NoiseConfig) -> Anchors:
        """The anchors of one group.

        Args:
            p: (m,) expectations of the stays that are asked, out of fold.
            coded: (m,) whether they are coded.
            unit: (m,) number of each stay's unit.
            config: which stays are anchors.
        """
        order, n = np.argsort(p, kind="stable"), len(p)
        n_coded = int(coded.sum())
        n_high = min(n, max(config.min_anchors, int(config.high_share * n_coded)))
        share = (n_coded + 0.5) / (n + 1)
        high = order[n - n_high :]
        low = _least_expected(p, unit, config.largest_false * share, config)
        return cls(n_high, float(coded[high].sum()), len(low), float(coded[low].sum()), share)

    def tells_sensitivity(self, config: NoiseConfig) -> bool:
        """Whether the models are sure enough for what is left out to be the coder's doing, not theirs."""
        return self.high >= config.least_sensitivity * self.n_high

    def tells_false_share(self, config: NoiseConfig) -> bool:
        """Whether they are sure enough for what is coded to be wrong, and not their doing."""
        return self.low <= config.largest_false * self.share * self.n_low


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


def usual_sensitivity(anchors: Sequence[Anchors], config: NoiseConfig) -> float:
    """The sensitivity over all groups whose many anchors tell it; the configured one where none do."""
    told = [one for one in anchors if one.tells_sensitivity(config) and one.n_high >= config.many_anchors]
    if not told:
        return config.complete_prior
    return sum(one.high for one in told) / sum(one.n_high for one in told)


def anchored(anchors: Anchors, usual: float, config: NoiseConfig) -> Noise:
    """Sensitivity and false share of one group; shrunk to what is usual, and that where anchors do not tell.

    Args:
        anchors: of the group.
        usual: of `usual_sensitivity`.
        config: how much the usual weighs.
    """
    weight, prior = config.usual_stays, config.false_prior * anchors.share
    sensitivity, false_share = usual, prior
    if anchors.tells_sensitivity(config):
        sensitivity = (anchors.high + usual * weight) / (anchors.n_high + weight)
    if anchors.tells_false_share(config):
        n = anchors.n_low + config.min_anchors
        false_share = _bound(anchors.low + prior * config.min_anchors, n, 1 - config.certainty)
    return _apart(sensitivity, false_share)


def levelled(p: Floats, coded: Bools) -> Floats:
    """Expectations as the shares that stays of like expectation are coded in, never falling, (m,).

    At both ends, where most doubts are, models promise more than they hold.

    **Source:** isotonic regression, see `phenotype.calibration.fit_isotonic_calibrator`.
    """
    return fit_isotonic_calibrator(p, coded).apply(p)


def _bound(n_coded: float, n: int, certainty: float) -> float:
    """The end of Jeffreys' interval of a share: few anchors tell of no carelessness.

    **Source:** Brown, Cai and DasGupta 2001, doi:10.1214/ss/1009213286.
    """
    from scipy.stats import beta

    return float(beta.ppf(certainty, n_coded + 0.5, max(n - n_coded, 0.0) + 0.5))


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


@dataclass(frozen=True)
class UnitNoise:
    """How many times as often as all units each stay's unit leaves out, and adds, (n, K) each."""

    left_out: Floats
    added: Floats


def unit_noise(  # noqa: PLR0917 what was found, and where
    q: Floats, coded: Bools, asked: Bools, noise: list[Noise], cells: list[Ints], prior: float
) -> UnitNoise:
    """Ratios of what is left out and added, by ever smaller cells, each shrunk towards the one around it.

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
    ratio = np.ones((2, *q.shape))
    for cell in cells:
        ratio = _shrunk(observed.sum(2), expected.sum(2), ratio[:, :, 0], cell, prior)[:, :, None]
    ratio = np.broadcast_to(ratio, (2, *q.shape))
    smallest = cells[-1]
    by_group = np.empty((2, *q.shape))
    for group in range(q.shape[1]):
        by_group[:, :, group] = _shrunk(
            observed[:, :, group], expected[:, :, group], ratio[:, :, group], smallest, prior
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
