"""Stays as the hospital reports them: one or several department contacts in NPR's terms, and visits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import on_minute
from pipelines.simulate.course import Course
from pipelines.simulate.outpatient import Visits
from pipelines.simulate.reasons import REASONS
from pipelines.simulate.transfers import draw_transfers

INTENSIVE_UNIT = "INT"


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
    stays, transfers = course.stays, draw_transfers(course, rng)
    n_parts, length = transfers.n_parts, stays.ended - stays.admitted
    stay = np.repeat(np.arange(len(length)), n_parts)
    number = np.arange(len(stay)) - np.repeat(np.cumsum(n_parts) - n_parts, n_parts)
    ends = np.column_stack([transfers.cuts, length])
    finish = np.where(number == n_parts[stay] - 1, length[stay], ends[stay, number])
    before = np.maximum(number - 1, 0)
    begin = np.minimum(ends[stay, before] + transfers.gaps[stay, before], finish - 0.02)
    begin = np.where(number == 0, 0.0, begin)
    home = np.array([reason.unit for reason in REASONS])[stays.reason[stay]]
    elsewhere = np.where(transfers.is_intensive[stay], INTENSIVE_UNIT, np.where(home == "MED", "KIR", "MED"))
    start, end = on_minute(stays.admitted[stay] + begin), on_minute(stays.admitted[stay] + finish)
    return stay, start, end, np.where(number == 1, elsewhere, home), number, n_parts[stay]


def _referrals(person: np.ndarray, start: np.ndarray, stay: np.ndarray, level: np.ndarray) -> np.ndarray:
    """A new referral period at a person's first contact, at every stay, and a year after the last visit."""
    new = np.ones(len(person), dtype=bool)
    same = person[1:] == person[:-1]
    goes_on = same & (level[1:] > 1) & (level[:-1] > 1) & (start[1:] - start[:-1] < 365.0)
    goes_on |= same & (stay[1:] >= 0) & (stay[1:] == stay[:-1])
    new[1:] = ~goes_on
    return np.asarray(np.cumsum(new))
