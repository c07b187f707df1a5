"""Blood cultures: when they are taken, what grows, what contaminates them, and when the answer comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import END_DAYS, on_minute
from pipelines.simulate.course import Course
from pipelines.simulate.reasons import IS_INFECTION, NAMES

ORGANISMS = {
    "Escherichia coli": ("A41.5", "B96.2"),
    "Staphylococcus aureus": ("A41.0", "B95.6"),
    "Klebsiella pneumoniae": ("A41.5", "B96.1"),
    "Streptococcus pneumoniae": ("A40.3", "B95.3"),
    "Enterococcus faecalis": ("A40.2", "B95.2"),
    "Streptococcus dysgalactiae": ("A40.8", "B95.4"),
    "Pseudomonas aeruginosa": ("A41.5", "B96.5"),
    "Bacteroides fragilis": ("A41.4", "B96.8"),
    "Candida albicans": ("B37.7", ""),
    "Staphylococcus epidermidis": ("A41.1", "B95.7"),
}
"""Organism -> the sepsis code and the organism code that name it; empty where there is none in use."""
NAMES_OF_ORGANISMS = tuple(ORGANISMS)
CONTAMINANTS = (
    "Staphylococcus epidermidis",
    "Staphylococcus hominis",
    "Cutibacterium acnes",
    "Micrococcus luteus",
)
_GENERAL = (0.34, 0.15, 0.10, 0.09, 0.10, 0.05, 0.04, 0.05, 0.03, 0.05)
_BY_REASON = {
    "pneumonia": (0.06, 0.16, 0.10, 0.48, 0.04, 0.06, 0.05, 0.01, 0.01, 0.03),
    "urinary_infection": (0.64, 0.03, 0.14, 0.01, 0.10, 0.01, 0.06, 0.00, 0.01, 0.00),
    "abdominal_infection": (0.42, 0.02, 0.16, 0.01, 0.15, 0.02, 0.03, 0.16, 0.03, 0.00),
    "skin_infection": (0.03, 0.42, 0.02, 0.02, 0.02, 0.44, 0.02, 0.01, 0.00, 0.02),
    "device_or_neutropenic_infection": (0.22, 0.22, 0.09, 0.02, 0.06, 0.04, 0.09, 0.01, 0.06, 0.19),
}
_CUMULATIVE = np.cumsum([_BY_REASON.get(name, _GENERAL) for name in NAMES], axis=1)
TAKEN_IN_SEPSIS, TAKEN_IN_INFECTION, TAKEN_OTHERWISE = 0.86, 0.48, 0.05
GROWTH_IN_SEPSIS = 0.45
CONTAMINATED_SHARE = 0.025
TWO_SETS_SHARE, SETS_APART_DAYS = 0.8, 0.005
EXTRA_PER_DAY = 0.020
NO_GROWTH_AFTER_DAYS = 5.0
"""A culture is called negative after five days; growth is answered when it shows, mostly within two."""


@dataclass(frozen=True)
class Cultures:
    """One row a blood culture; two sets are taken on most occasions.

    Attributes:
        stay: row of the stay.
        collected, answered: days.
        organism: name, "" without growth.
        is_true: growth of what was in the blood, rather than of the skin.
    """

    stay: np.ndarray
    collected: np.ndarray
    answered: np.ndarray
    organism: np.ndarray
    is_true: np.ndarray


def true_organism(course: Course, rng: np.random.Generator) -> np.ndarray:
    """Index into NAMES_OF_ORGANISMS of what causes each stay's sepsis, or would, (n_stays,)."""
    limits = _CUMULATIVE[course.stays.reason]
    uniform = rng.random(len(limits))
    return np.asarray(np.minimum((limits < uniform[:, None]).sum(axis=1), len(NAMES_OF_ORGANISMS) - 1))


def take_cultures(
    course: Course, organism: np.ndarray, factor: np.ndarray, rng: np.random.Generator
) -> Cultures:
    """All blood cultures of the stays.

    Args:
        course: the stays.
        organism: what causes each stay's sepsis, index into NAMES_OF_ORGANISMS.
        factor: on the odds that cultures are taken, (n_stays,).
        rng: the source of chance.
    """
    stays = course.stays
    n_stays = len(stays.person)
    length = np.minimum(stays.ended, END_DAYS) - stays.admitted
    septic = np.isfinite(stays.onset)
    blood_grows = septic & (rng.random(n_stays) < GROWTH_IN_SEPSIS)
    infection = IS_INFECTION[stays.reason]
    share = np.where(infection, TAKEN_IN_INFECTION + 0.06 * stays.level, TAKEN_OTHERWISE)
    at_door = _chance(np.where(stays.is_planned, 0.01, np.clip(share, 0.02, 0.9)), factor, rng)
    at_onset = septic & _chance(np.full(n_stays, TAKEN_IN_SEPSIS), factor, rng)
    early_onset = septic & (stays.onset <= stays.admitted)
    door_time = rng.uniform(0.01, 0.15, n_stays)
    since_onset = np.where(septic, stays.onset - stays.admitted, 0.0)
    onset_time = np.where(early_onset, door_time, since_onset + rng.uniform(-0.02, 0.20, n_stays))
    first_day = np.where(stays.onset > stays.admitted + 1.0, 1.01, 0.01)
    onset_time = np.maximum(onset_time, first_day)
    extra_time = 1.02 + rng.random(n_stays) * (length - 1.02)
    extra = _chance(np.clip(EXTRA_PER_DAY * length, 0.001, 0.5), factor, rng) & (length > 1.5)
    two_sets = rng.random((3, n_stays)) < TWO_SETS_SHARE
    masks = np.stack([at_onset, at_door & ~(at_onset & early_onset), extra])
    times = np.stack([onset_time, door_time, extra_time])
    masks &= times < length
    twice = masks & two_sets
    rows = np.concatenate([np.nonzero(masks)[1], np.nonzero(twice)[1]])
    after = np.concatenate([times[masks], times[twice] + SETS_APART_DAYS])
    return _incubate(course, rows, after, organism=organism, blood_grows=blood_grows, rng=rng)


def _incubate(
    course: Course,
    rows: np.ndarray,
    after: np.ndarray,
    *,
    organism: np.ndarray,
    blood_grows: np.ndarray,
    rng: np.random.Generator,
) -> Cultures:
    order = np.lexsort((after, rows))
    rows, after = rows[order], after[order]
    collected = on_minute(course.stays.admitted[rows] + after)
    near_onset = np.abs(collected - course.stays.onset[rows]) < 2.0
    near_onset |= (course.stays.onset[rows] < course.stays.admitted[rows]) & (after < 1.0)
    grows = blood_grows[rows] & near_onset & (rng.random(len(rows)) < 0.9)
    grows &= collected >= course.stays.onset[rows] - 0.05
    dirty = ~grows & (rng.random(len(rows)) < CONTAMINATED_SHARE)
    skin = np.array(CONTAMINANTS)[np.minimum(rng.geometric(0.6, len(rows)) - 1, len(CONTAMINANTS) - 1)]
    name = np.where(grows, np.array(NAMES_OF_ORGANISMS)[organism[rows]], np.where(dirty, skin, ""))
    hours = np.where(dirty, 30.0, 18.0) * np.exp(0.45 * rng.standard_normal(len(rows)))
    shows = np.minimum(hours / 24.0, NO_GROWTH_AFTER_DAYS - 0.1)
    answered = np.where(name != "", collected + shows, collected + NO_GROWTH_AFTER_DAYS)
    return Cultures(rows, collected, on_minute(answered), name, grows)


def _chance(share: np.ndarray, factor: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bernoulli draws with the odds of `share` times `factor`."""
    odds = share / (1 - share) * factor
    return np.asarray(rng.random(len(share)) < odds / (1 + odds))
