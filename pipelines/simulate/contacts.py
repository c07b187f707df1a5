"""Stays as the hospital reports them: one or several department contacts in NPR's terms, and visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import on_minute
from pipelines.simulate.course import Course
from pipelines.simulate.outpatient import Visits
from pipelines.simulate.reasons import REASONS

INTENSIVE_UNIT = "INT"
INTENSIVE_SHARE, TRANSFER_SHARE, LONGEST_GAP_HOURS = 0.55, 0.14, 4.0
"""Transfers happen within hours, always inside the eight hours that join contacts to one stay."""


@dataclass(frozen=True)
class Contacts:
    """One row a contact, ordered by person and start; `stay` is -1 for planned contacts without a bed.

    Attributes:
        person, stay, visit: rows of the population, the stays and the visits (-1 where it is none).
        start, end: days; end is NaN where the extract ends first.
        level: NPR omsorgsniva (1 inpatient, 2 day, 3 outpatient).
        urgency: NPR innmateHast (1 acute, 2 within 6 hours, 3 within 24 hours, 4 planned).
        unit: ward or clinic.
        is_first, is_last: of the stay.
        referral: number of the referral period within the extract.
    """

    person: np.ndarray
    stay: np.ndarray
    visit: np.ndarray
    start: np.ndarray
    end: np.ndarray
    level: np.ndarray
    urgency: np.ndarray
    unit: np.ndarray
    is_first: np.ndarray
    is_last: np.ndarray
    referral: np.ndarray

    def at(self, stay: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Index of the contact in which something happened: the last of the stay that had begun."""
        inside = np.flatnonzero(self.stay >= 0)
        order = inside[np.lexsort((self.start[inside], self.stay[inside]))]
        keys = self.stay[order] * 1e5 + self.start[order]
        found = np.searchsorted(keys, stay * 1e5 + days + 1e-9, side="right") - 1
        first = np.searchsorted(self.stay[order], stay)
        return np.asarray(order[np.maximum(found, first)])


def report_contacts(course: Course, visits: Visits, rng: np.random.Generator) -> Contacts:
    """All contacts of stays and visits."""
    stay, start, end, unit, number, n_parts = _departments(course, rng)
    person = np.concatenate([course.stays.person[stay], visits.person])
    n_inside, n_visits = len(stay), len(visits.person)
    begin = np.concatenate([start, visits.start])
    order = np.lexsort((begin, person))
    nothing = np.full(n_visits, -1)
    haste = np.where(
        rng.random(len(course.stays.person)) < 0.8, 1, rng.integers(2, 4, len(course.stays.person))
    )
    haste = np.where(course.stays.is_planned, 4, haste)[stay]
    columns = {
        "stay": np.concatenate([stay, nothing]),
        "visit": np.concatenate([np.full(n_inside, -1), np.arange(n_visits)]),
        "end": np.concatenate([end, visits.end]),
        "level": np.concatenate([np.full(n_inside, 1), np.where(visits.is_day, 2, 3)]),
        "urgency": np.concatenate([haste, np.full(n_visits, 4)]),
        "unit": np.concatenate([unit, visits.unit]),
        "is_first": np.concatenate([number == 0, np.ones(n_visits, dtype=bool)]),
        "is_last": np.concatenate([number == n_parts - 1, np.ones(n_visits, dtype=bool)]),
    }
    ordered = {name: values[order] for name, values in columns.items()}
    return Contacts(
        person=person[order],
        start=begin[order],
        referral=_referrals(person[order], begin[order], ordered["stay"], ordered["level"]),
        **ordered,
    )


def _departments(
    course: Course, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Split stays at transfers: row of the stay, start, end, unit, number in the stay, number of parts."""
    stays = course.stays
    n_stays, length = len(stays.person), stays.ended - stays.admitted
    septic_hard = np.isfinite(stays.onset) & (course.force > 1.3)
    severe = (stays.acuity >= 4) | septic_hard
    intensive = severe & (length > 2.0) & (rng.random(n_stays) < INTENSIVE_SHARE)
    moved = ~intensive & (length > 1.5) & (rng.random(n_stays) < TRANSFER_SHARE)
    n_parts = np.where(intensive, 3, np.where(moved, 2, 1))
    late = np.isfinite(stays.onset) & (stays.onset > stays.admitted + 1.0)
    to_intensive = np.where(
        late, np.clip(stays.onset - stays.admitted + 0.1, 1.05, None), 0.12 + 0.3 * rng.random(n_stays)
    )
    first_cut = np.where(
        intensive, np.minimum(to_intensive, length - 0.7), length * rng.uniform(0.3, 0.7, n_stays)
    )
    second_cut = first_cut + (length - first_cut) * rng.uniform(0.25, 0.6, n_stays)
    stay = np.repeat(np.arange(n_stays), n_parts)
    number = np.arange(len(stay)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    gap = np.minimum(rng.exponential(0.4, len(stay)), LONGEST_GAP_HOURS) / 24.0
    begin = np.choose(number, [np.zeros(len(stay)), first_cut[stay], second_cut[stay]])
    finish = np.choose(number, [first_cut[stay], second_cut[stay], length[stay]])
    finish = np.where(number == n_parts[stay] - 1, length[stay], finish)
    begin = np.where(number > 0, np.minimum(begin + gap, finish - 0.02), begin)
    home = np.array([reason.unit for reason in REASONS])[stays.reason[stay]]
    other = np.where(home == "MED", "KIR", "MED")
    unit = np.where(
        intensive[stay] & (number == 1), INTENSIVE_UNIT, np.where(moved[stay] & (number == 1), other, home)
    )
    start = on_minute(stays.admitted[stay] + begin)
    return stay, start, on_minute(stays.admitted[stay] + finish), unit, number, n_parts[stay]


def _referrals(person: np.ndarray, start: np.ndarray, stay: np.ndarray, level: np.ndarray) -> np.ndarray:
    """A new referral period at a person's first contact, at every stay, and a year after the last visit."""
    new = np.ones(len(person), dtype=bool)
    same = person[1:] == person[:-1]
    goes_on = same & (level[1:] > 1) & (level[:-1] > 1) & (start[1:] - start[:-1] < 365.0)
    goes_on |= same & (stay[1:] >= 0) & (stay[1:] == stay[:-1])
    new[1:] = ~goes_on
    return np.asarray(np.cumsum(new))
