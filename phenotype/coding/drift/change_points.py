"""Change points of a standardised series: pruned exact search with a penalty that noise seldom exceeds.

**Source:** Killick, Fearnhead, Eckley 2012, JASA 107:1590, doi 10.1080/01621459.2012.737745 (PELT), as in
ruptures (Truong, Oudre, Vayatis 2020, Signal Processing 167:107299, doi 10.1016/j.sigpro.2019.107299).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_N_SERIES = 2000


def change_points(scores: Floats, *, false_alarm_rate: float, seed: int, least_periods: int = 3) -> list[int]:
    """Where the mean of a series of unit variance changes.

    Args:
        scores: (M,) standardised differences by period, in time order.
        false_alarm_rate: the chance that independent normal noise of this length has any change point.
        seed: of the simulation that chooses the penalty.
        least_periods: between changes.

    Returns:
        The numbers of the first periods after each change, ascending; none where the series is too short.
    """
    if len(scores) < 2 * least_periods:
        return []
    import ruptures

    penalty = _penalty(len(scores), least_periods, false_alarm_rate, seed)
    search = ruptures.Pelt(model="l2", min_size=least_periods, jump=1).fit(scores.reshape(-1, 1))
    return [int(end) for end in search.predict(pen=penalty)[:-1]]


@lru_cache(maxsize=256)
def _penalty(n_periods: int, least_periods: int, false_alarm_rate: float, seed: int) -> float:
    """The quantile of what the best single split of noise gains in squared error."""
    noise = np.random.default_rng([seed, n_periods]).standard_normal((_N_SERIES, n_periods))
    total = noise.cumsum(axis=1)
    ends = np.arange(least_periods, n_periods - least_periods + 1)
    before, whole = total[:, ends - 1], total[:, -1:]
    gain = before**2 / ends + (whole - before) ** 2 / (n_periods - ends) - whole**2 / n_periods
    return float(np.quantile(gain.max(axis=1), 1.0 - false_alarm_rate, method="higher"))
