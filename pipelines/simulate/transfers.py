"""Transfers between departments within a stay, above all to and from intensive care.

Transfers in the first 24 hours follow from what the true risks at 24 hours are conditioned on (acuity and
early sepsis), never from how long the stay will be or what comes later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.course import Course
from pipelines.simulate.outcomes import EARLY, SHORT

INTENSIVE_SHARE, INTENSIVE_ACUITY, INTENSIVE_FORCE, TRANSFER_SHARE = 0.55, 4, 1.3, 0.14
MEAN_GAP_HOURS, LONGEST_GAP_HOURS = 0.4, 4.0
"""Hours from one department to the next, always inside the eight hours that join contacts to one stay."""
SECOND_DAY = 1.05


@dataclass(frozen=True)
class Transfers:
    """The parts of each stay, (n_stays,) each unless said otherwise.

    Attributes:
        n_parts: 1, 2 or 3 department contacts.
        cuts: days after admission at which the first and the second part end, (n_stays, 2).
        gaps: days between a part and the next, (n_stays, 2).
        is_intensive: the second part is in intensive care rather than in another ward.
    """

    n_parts: np.ndarray
    cuts: np.ndarray
    gaps: np.ndarray
    is_intensive: np.ndarray


def draw_transfers(course: Course, rng: np.random.Generator) -> Transfers:
    """Who is moved when."""
    stays, force = course.stays, course.force
    uniform = rng.random((6, len(force)))
    length, onset = stays.ended - stays.admitted, stays.onset - stays.admitted
    grave = (stays.acuity >= INTENSIVE_ACUITY) | ((stays.stay_class == EARLY) & (force > INTENSIVE_FORCE))
    chosen = (stays.stay_class != SHORT) & (uniform[0] < INTENSIVE_SHARE)
    first_hours = 0.12 + 0.3 * uniform[2]
    at_once = chosen & grave & (length > first_hours + 0.1)
    later = chosen & ~at_once & (onset > 1.0) & (force > INTENSIVE_FORCE) & (length > onset + 0.4)
    moved = ~at_once & ~later & (length > SECOND_DAY + 0.5) & (uniform[1] < TRANSFER_SHARE)
    somewhere = SECOND_DAY + (length - SECOND_DAY) * (0.2 + 0.5 * uniform[2])
    first = np.select([at_once, later, moved], [first_hours, onset + 0.1, somewhere], length)
    from_here = np.maximum(first, SECOND_DAY)
    second = from_here + (length - from_here) * (0.2 + 0.4 * uniform[3])
    back = (at_once | later) & (length > from_here + 0.25)
    gaps = np.minimum(-MEAN_GAP_HOURS * np.log1p(-uniform[4:]), LONGEST_GAP_HOURS) / 24.0
    return Transfers(
        n_parts=1 + (at_once | later | moved) + back,
        cuts=np.column_stack([first, np.where(back, second, length)]),
        gaps=gaps.T,
        is_intensive=at_once | later,
    )
