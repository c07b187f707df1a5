"""Drugs given in stays: antibiotics for infection and sepsis, vasopressors, what chronic disease needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import END_DAYS, on_minute
from pipelines.simulate.course import Course
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.outcomes import SHORT
from pipelines.simulate.reasons import IS_INFECTION, NAMES


@dataclass(frozen=True)
class Drug:
    """One drug: its ATC code, dose, unit of dose, and hours between doses."""

    atc: str
    dose: float
    unit: str
    every_hours: float = 24.0


BENZYLPENICILLIN = Drug("J01CE01", 1.2, "g", 6)
CEFOTAXIME = Drug("J01DD01", 2.0, "g", 8)
PIPERACILLIN = Drug("J01CR05", 4.0, "g", 8)
GENTAMICIN = Drug("J01GB03", 400.0, "mg", 24)
CLOXACILLIN = Drug("J01CF02", 2.0, "g", 6)
METRONIDAZOLE = Drug("J01XD01", 1.0, "g", 24)
PIVMECILLINAM = Drug("J01CA08", 400.0, "mg", 8)
MEROPENEM = Drug("J01DH02", 1.0, "g", 8)
NORADRENALINE = Drug("C01CA03", 0.1, "ug/kg/min", 6)
DALTEPARIN = Drug("B01AB04", 5000.0, "IU", 24)
PARACETAMOL = Drug("N02BE01", 1.0, "g", 24)
FIRST_CHOICE = {
    "pneumonia": BENZYLPENICILLIN,
    "urinary_infection": CEFOTAXIME,
    "abdominal_infection": PIPERACILLIN,
    "skin_infection": CLOXACILLIN,
    "device_or_neutropenic_infection": PIPERACILLIN,
}
CHRONIC = {
    "diabetes": (Drug("A10BA02", 1000.0, "mg"), Drug("A10AE04", 20.0, "IU")),
    "copd": (Drug("R03BB04", 18.0, "ug"), Drug("R03AC02", 0.2, "mg")),
    "heart_failure": (Drug("C03CA01", 40.0, "mg"), Drug("C07AB02", 50.0, "mg"), Drug("C09AA05", 5.0, "mg")),
    "cancer": (Drug("N02AA01", 10.0, "mg"),),
    "dementia": (Drug("N06DA02", 10.0, "mg"),),
    "immunosuppression": (Drug("H02AB06", 7.5, "mg"), Drug("L04AX03", 15.0, "mg")),
    "liver": (Drug("C03DA01", 100.0, "mg"),),
}
GENERAL = (Drug("C10AA05", 20.0, "mg"), Drug("B01AC06", 75.0, "mg"), Drug("B01AF02", 5.0, "mg"))
LONGEST_COURSE_DAYS = 7.0


@dataclass(frozen=True)
class Doses:
    """One row a dose: row of the stay, day, ATC code, dose and its unit."""

    stay: np.ndarray
    day: np.ndarray
    atc: np.ndarray
    dose: np.ndarray
    unit: np.ndarray


def give_drugs(course: Course, delay_factor: np.ndarray, rng: np.random.Generator) -> Doses:
    """All doses of the stays, ordered by stay and time.

    Args:
        course: the stays.
        delay_factor: on the time to the first dose in sepsis, (n_stays,).
        rng: the source of chance.
    """
    parts = [
        *_for_infection(course, rng),
        *_for_sepsis(course, delay_factor, rng),
        *_for_the_rest(course, rng),
    ]
    stay, day = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    drugs = [part[2] for part in parts]
    n_each = [len(part[0]) for part in parts]
    day, atc = on_minute(day), np.repeat([drug.atc for drug in drugs], n_each)
    order = np.lexsort((atc, day, stay))
    twice = np.zeros(len(order), dtype=bool)
    twice[1:] = (np.diff(stay[order]) == 0) & (np.diff(day[order]) == 0) & (atc[order][1:] == atc[order][:-1])
    order = order[~twice]
    return Doses(
        stay=stay[order],
        day=day[order],
        atc=atc[order],
        dose=np.repeat([drug.dose for drug in drugs], n_each)[order],
        unit=np.repeat([drug.unit for drug in drugs], n_each)[order],
    )


Part = tuple[np.ndarray, np.ndarray, Drug]


def _length(course: Course) -> np.ndarray:
    return np.asarray(np.minimum(course.stays.ended, END_DAYS) - course.stays.admitted)


def _course_of(
    course: Course, mask: np.ndarray, start: np.ndarray, drug: Drug, longest: float = LONGEST_COURSE_DAYS
) -> Part:
    """Regular doses from a start (days after admission) until discharge or the end of the course."""
    rows = np.flatnonzero(mask)
    every = drug.every_hours / 24.0
    until = np.minimum(_length(course)[rows], start[rows] + longest)
    n_doses = np.maximum(np.ceil((until - start[rows]) / every), 0).astype(int)
    row = np.repeat(rows, n_doses)
    number = np.arange(n_doses.sum()) - np.repeat(np.cumsum(n_doses) - n_doses, n_doses)
    return row, course.stays.admitted[row] + start[row] + number * every, drug


def _for_infection(course: Course, rng: np.random.Generator) -> list[Part]:
    """The first choice for the focus, from a few hours after admission."""
    stays = course.stays
    treated = IS_INFECTION[stays.reason] & (rng.random(len(stays.person)) < 0.93)
    start = rng.gamma(2.0, 0.07, len(stays.person)) + 0.02
    parts = []
    for name, drug in FIRST_CHOICE.items():
        mask = treated & (stays.reason == NAMES.index(name))
        parts.append(_course_of(course, mask, start, drug))
        if name == "abdominal_infection":
            parts.append(_course_of(course, mask, start, METRONIDAZOLE))
    other = ~IS_INFECTION[stays.reason] & ~stays.is_planned & (rng.random(len(stays.person)) < 0.07)
    parts.append(_course_of(course, other, rng.uniform(0.1, 1.5, len(start)), PIVMECILLINAM, 3.0))
    return parts


def _for_sepsis(course: Course, delay_factor: np.ndarray, rng: np.random.Generator) -> list[Part]:
    """Broader treatment after onset, noradrenaline in the worst."""
    stays = course.stays
    n_stays = len(stays.person)
    septic = np.isfinite(stays.onset)
    since = np.where(septic, np.maximum(stays.onset - stays.admitted, 0.0), 0.0)
    start = since + delay_factor * np.exp(0.7 * rng.standard_normal(n_stays)) * 2.5 / 24.0
    choice, worst = rng.random(n_stays), septic & (course.force > 1.45)
    shock_start = since + rng.uniform(0.05, 0.3, n_stays)
    return [
        _course_of(course, septic & (choice < 0.45), start, PIPERACILLIN),
        _course_of(course, septic & (choice >= 0.45) & (choice < 0.85), start, CEFOTAXIME),
        _course_of(course, septic & (choice >= 0.85), start, MEROPENEM),
        _course_of(course, septic & (choice >= 0.3) & (choice < 0.7), start, GENTAMICIN, 2.0),
        _course_of(course, worst & (rng.random(n_stays) < 0.7), shock_start, NORADRENALINE, 2.5),
    ]


def _for_the_rest(course: Course, rng: np.random.Generator) -> list[Part]:
    """One recorded dose a stay of each chronic drug; prophylaxis and pain relief in longer stays."""
    stays = course.stays
    n_stays, length = len(stays.person), _length(course)
    start = np.minimum(rng.uniform(0.1, 0.8, n_stays), 0.8 * length)
    parts: list[Part] = []
    for name, drugs in CHRONIC.items():
        severity = course.severity[:, DISEASES.index(name)]
        for number, drug in enumerate(drugs):
            uses = (severity > 0.5 + 0.5 * number) & (rng.random(n_stays) < 0.75)
            parts.append(_course_of(course, uses, start, drug, 0.01))
    for number, drug in enumerate(GENERAL):
        uses = (course.setpoints[:, 11] + 0.03 * (course.age - 70) > 0.4 + 0.3 * number) & (
            rng.random(n_stays) < 0.85
        )
        parts.append(_course_of(course, uses, start, drug, 0.01))
    parts.append(
        _course_of(course, (stays.stay_class != SHORT) & (rng.random(n_stays) < 0.55), start, DALTEPARIN, 4.0)
    )
    parts.append(_course_of(course, rng.random(n_stays) < 0.6, start, PARACETAMOL, 3.0))
    return parts
