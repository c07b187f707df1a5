"""False-discovery control over many measures and units, with counts that can only take whole values.

Exact tails are used as they are (never mid-p): of a discrete count they are too large rather than too small,
so the share of false flags stays at or below the level. What can never reach the level is left out of the
count of tests, by what was expected alone.

**Source:** Benjamini and Hochberg, J R Stat Soc B 1995;57:289-300, doi 10.1111/j.2517-6161.1995.tb02031.x;
leaving out tests that cannot come out: Gilbert, J R Stat Soc C 2005;54:143-158, doi
10.1111/j.1467-9876.2005.00475.x.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def q_values(p: Floats, *, n_more: int = 0) -> Floats:
    """The smallest false-discovery rate at which each test would be flagged.

    Args:
        p: (n,) p-values; nan = not tested, is not counted and stays nan.
        n_more: tests that are not among them and have larger p-values than any that matters.

    Returns:
        (n,) min over tests with the same or a larger p of p * n / rank, at most 1.
    """
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    n = len(order)
    scaled = p[order] * (n + n_more) / np.arange(1, n + 1)
    found = np.full_like(p, np.nan)
    found[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    return found


def can_reach(smallest_p: Floats, level: float) -> npt.NDArray[np.bool_]:
    """Whether a test could be flagged at all: its smallest attainable p is at most the level.

    Args:
        smallest_p: the p of the most extreme count that could have come, from expectations alone.
        level: of the test.
    """
    return np.asarray(smallest_p <= level)
