"""When sepsis starts in a stay, and when the stay is planned to end, which does not depend on death."""

from __future__ import annotations

import numpy as np

from pipelines.simulate.clock import on_minute
from pipelines.simulate.joint import ACUITY, LATE_FROM_DAYS
from pipelines.simulate.outcomes import EARLY, LATE, SHORT, Drawn
from pipelines.simulate.reasons import column

SHORTEST_DAYS, LONGEST_DAYS = 25.0 / 24.0, 75.0
SPREAD, RECOVERY_MEDIAN_DAYS, RECOVERY_SPREAD = 0.55, 6.0, 0.6
_MEDIAN_DAYS = column("length_days")


def draw_times(
    drawn: Drawn, admitted: np.ndarray, death: np.ndarray, stretch: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Onset of sepsis (NaN without) and the planned end of each stay, in days.

    As the planned end does not depend on the day of death, surviving to it says nothing that the risks have
    not counted. Where death comes first, the onset is drawn nearer, so that it comes before death.

    Args:
        drawn: what happens in the stays.
        admitted: when they begin.
        death: day of death within the window, inf without.
        stretch: practice's factor on the length.
        rng: the source of chance.
    """
    is_late, is_early = drawn.stay_class == LATE, drawn.stay_class == EARLY
    waiting = LATE_FROM_DAYS + rng.gamma(1.3, 2.3, len(admitted))
    planned_end = admitted + _lengths(drawn, waiting, stretch, rng)
    planned_end = _by_daylight(admitted, planned_end, rng.random(len(admitted)), drawn.stay_class == SHORT)
    waiting = np.minimum(waiting, planned_end - admitted - 0.25)
    dies_here = death < planned_end
    since = np.maximum(death - admitted - LATE_FROM_DAYS, 0.0)
    waiting = np.where(dies_here, np.minimum(waiting, LATE_FROM_DAYS + 0.6 * since), waiting)
    in_time = is_late & (death > admitted + LATE_FROM_DAYS)
    at_once = _early_onsets(rng.random(len(admitted)))
    at_once = np.where(dies_here, np.minimum(at_once, 0.5 * (death - admitted)), at_once)
    onset = np.where(in_time, admitted + waiting, np.where(is_early, admitted + at_once, np.nan))
    return on_minute(onset), on_minute(planned_end)


def _lengths(drawn: Drawn, waiting: np.ndarray, stretch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Planned length in days: by reason, acuity and trend; sepsis adds its recovery."""
    normal = rng.standard_normal((2, len(waiting)))
    severity = 0.22 * ACUITY[drawn.acuity] + 0.10 * (drawn.trend - 1.0)
    length = _MEDIAN_DAYS[drawn.reason] * stretch * np.exp(severity + SPREAD * normal[0])
    recovery = RECOVERY_MEDIAN_DAYS * stretch * np.exp(RECOVERY_SPREAD * normal[1])
    length = np.where(drawn.stay_class == EARLY, np.maximum(length, 1.0) + 0.6 * recovery, length)
    length = np.where(drawn.stay_class == LATE, waiting + recovery, length)
    short = (4.0 + 19.0 * rng.random(len(waiting))) / 24.0
    return np.where(drawn.stay_class == SHORT, short, np.clip(length, SHORTEST_DAYS, LONGEST_DAYS))


def _early_onsets(uniform: np.ndarray) -> np.ndarray:
    """Days from admission to an early onset: three in five up to 9 hours before it, the rest by 20 hours."""
    return np.where(uniform < 0.6, -0.36 + 0.6 * uniform, 2.1 * (uniform - 0.6))


def _by_daylight(
    admitted: np.ndarray, end: np.ndarray, uniform: np.ndarray, is_short: np.ndarray
) -> np.ndarray:
    """The end of the stay moved to between 10 and 16 o'clock, never to less than 25 hours."""
    daylight = np.floor(end) + (10.0 + 6.0 * uniform) / 24.0
    return np.where(is_short, end, np.maximum(daylight, admitted + SHORTEST_DAYS))
