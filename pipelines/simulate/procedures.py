"""Procedures: operations that belong to the reason of a stay, chemotherapy, treatment of the very ill.

When they are done in the first 24 hours does not depend on how long the stay will be.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import on_minute
from pipelines.simulate.contacts import INTENSIVE_UNIT, Contacts
from pipelines.simulate.course import Course
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.reasons import NAMES, REASONS

OPERATED_SHARE = 0.9
CHEMOTHERAPY, VENTILATOR, MASK_VENTILATION = "WBOC05", "GXAV01", "GXAV20"
CENTRAL_LINE, TRANSFUSION, ACUTE_DIALYSIS = "PHX15", "REGG00", "KAGD47"
MEDICAL = frozenset({CHEMOTHERAPY, VENTILATOR, MASK_VENTILATION, TRANSFUSION, ACUTE_DIALYSIS})
"""NCMP codes; the others are NCSP."""


@dataclass(frozen=True)
class Procedures:
    """One row a procedure: the contact's index, the day, and the code."""

    contact: np.ndarray
    day: np.ndarray
    code: np.ndarray


def do_procedures(course: Course, contacts: Contacts, rng: np.random.Generator) -> Procedures:
    """All procedures, ordered by contact, time and code."""
    parts = [*_operations(course, contacts, rng), *_others(course, contacts, rng)]
    parts += _intensive(course, contacts, rng)
    visits = np.flatnonzero((contacts.visit >= 0) & (contacts.level == 2))
    parts.append((visits, contacts.start[visits] + 0.04, np.full(len(visits), CHEMOTHERAPY)))
    contact, day, code = (np.concatenate([part[index] for part in parts]) for index in range(3))
    order = np.lexsort((code, day, contact))
    return Procedures(contact[order], on_minute(day)[order], code[order])


Part = tuple[np.ndarray, np.ndarray, np.ndarray]


def _in_stay(contacts: Contacts, rows: np.ndarray, days: np.ndarray, code: np.ndarray) -> Part:
    return contacts.at(rows, days), days, code


def _operations(course: Course, contacts: Contacts, rng: np.random.Generator) -> list[Part]:
    stays, parts = course.stays, []
    length = stays.ended - stays.admitted
    wait = np.where(
        stays.is_planned, rng.uniform(0.05, 0.25, len(length)), rng.uniform(0.3, 1.0, len(length))
    )
    wait = np.where(length < 1.0, 0.6 * length * wait, wait)
    done, uniform = rng.random(len(length)) < OPERATED_SHARE, rng.random(len(length))
    for index, reason in enumerate(REASONS):
        if reason.procedures:
            rows = np.flatnonzero((stays.reason == index) & done)
            choice = (uniform[rows] * len(reason.procedures)).astype(int)
            code = np.array(reason.procedures)[choice]
            parts.append(_in_stay(contacts, rows, stays.admitted[rows] + wait[rows], code))
    return parts


def _intensive(course: Course, contacts: Contacts, rng: np.random.Generator) -> list[Part]:
    here = np.flatnonzero(contacts.unit == INTENSIVE_UNIT)
    hard = course.force[contacts.stay[here]]
    ventilated = rng.random(len(here)) < np.clip(0.2 + 0.25 * (hard - 1.0), 0.05, 0.8)
    lined = rng.random(len(here)) < 0.6
    dialysed = rng.random(len(here)) < 0.08 + 0.1 * (
        course.severity[contacts.stay[here], DISEASES.index("ckd")] > 1
    )
    chosen = [(ventilated, VENTILATOR, 0.04), (lined, CENTRAL_LINE, 0.02), (dialysed, ACUTE_DIALYSIS, 0.3)]
    return [
        (
            here[mask],
            np.minimum(contacts.start[here] + after, contacts.end[here])[mask],
            np.full(int(mask.sum()), code),
        )
        for mask, code, after in chosen
    ]


def _others(course: Course, contacts: Contacts, rng: np.random.Generator) -> list[Part]:
    stays = course.stays
    bleeding = stays.reason == NAMES.index("gastrointestinal_bleeding")
    anaemic = (stays.weakness > 1.2) & ~stays.is_planned
    transfused = rng.random(len(stays.person)) < 0.45 * bleeding + 0.08 * anaemic
    lungs = stays.reason == NAMES.index("copd_exacerbation")
    masked = lungs & (stays.level > 0) & (rng.random(len(stays.person)) < 0.4)
    parts = []
    for mask, code in ((transfused, TRANSFUSION), (masked, MASK_VENTILATION)):
        rows = np.flatnonzero(mask)
        after, length = rng.uniform(0.05, 0.9, len(rows)), (stays.ended - stays.admitted)[rows]
        after = np.where(length < 1.0, 0.8 * length * after, after)
        parts.append(_in_stay(contacts, rows, stays.admitted[rows] + after, np.full(len(rows), code)))
    return parts
