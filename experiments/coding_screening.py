"""Which features go with an answer beyond chance: where stays are few, these alone are told as reasons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def associated(
    values: npt.NDArray[np.float32], labels: Bools, is_latest: Bools, false_discovery_rate: float
) -> Bools:
    """Which columns go with an answer, (C,): two-sided rank sums, at a rate of false discoveries.

    Args:
        values: (n, C) features of the asked training stays, NaN where a stay has none.
        labels: (n,) the answer.
        is_latest: (C,) columns in which none means longer ago than all (time since the last); in the others
            it means lower than all.
        false_discovery_rate: share of the columns found that are expected to go with it by chance.

    **Source:** Mann and Whitney 1947, doi:10.1214/aoms/1177730491, with the variance of tied ranks;
    Benjamini and Hochberg 1995, doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    n, n_columns = values.shape
    n_yes = int(labels.sum())
    if not n_columns or n_yes in {0, n}:
        return np.zeros(n_columns, dtype=bool)
    filled = np.where(np.isnan(values), np.where(is_latest, np.inf, -np.inf), values)
    ranks = rankdata(filled, axis=0)
    mean = n_yes * (n + 1) / 2
    variance = n_yes * (n - n_yes) / (n * (n - 1)) * ((ranks - (n + 1) / 2) ** 2).sum(0)
    surprise = np.abs(ranks[labels].sum(0) - mean) / np.sqrt(np.where(variance > 0, variance, np.inf))
    return _discoveries(2 * norm.sf(surprise), false_discovery_rate)


def _discoveries(p_values: Floats, rate: float) -> Bools:
    """The p-values at or below the largest that lies within its share of the rate."""
    ordered = np.sort(p_values)
    within = ordered <= rate * np.arange(1, len(ordered) + 1) / len(ordered)
    if not within.any():
        return np.zeros(len(p_values), dtype=bool)
    return np.asarray(p_values <= ordered[np.flatnonzero(within)[-1]])
