"""Who lives in the catchment: birth, sex, frailty, home, and the windows of time in which they live there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import END_DAYS, YEAR_DAYS
from pipelines.simulate.scenario import Scenario

AGE_GROUPS = ((18.0, 45.0, 0.12), (45.0, 67.0, 0.27))
"""Ages at the start of 2016 as (from, to, share); the rest is 67 years and older (our assumption)."""
OLD_AGE_MEAN, OLD_AGE_SD, OLDEST = 77.0, 7.5, 97.0
MOVED_IN_SHARE, MOVED_OUT_SHARE, RETURN_SHARE = 0.08, 0.07, 0.25
FEMALE_SHARE = 0.49


@dataclass(frozen=True)
class Population:
    """One row a person; days are counted from 1 January 2016.

    Attributes:
        birth: day of birth, (n,) negative.
        is_female: (n,) bool.
        hospital: index into the scenario's hospitals, (n,).
        municipality: four-digit municipality number, (n,) str.
        frailty: latent, standard normal, (n,).
        residence: start and end of up to two windows of residence, (n, 2, 2); NaN where there is no second.
    """

    birth: np.ndarray
    is_female: np.ndarray
    hospital: np.ndarray
    municipality: np.ndarray
    frailty: np.ndarray
    residence: np.ndarray

    def age(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Age in years of some people at their days."""
        return np.asarray((days - self.birth[people]) / YEAR_DAYS)

    def lives_here(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Whether some people live in the catchment at their days."""
        windows = self.residence[people]
        inside = (windows[:, :, 0] <= days[:, None]) & (days[:, None] < windows[:, :, 1])
        return np.asarray(inside.any(axis=1))


def draw_population(n_people: int, scenario: Scenario, rng: np.random.Generator) -> Population:
    """An elderly-heavy population, as the patients of a hospital are."""
    shares = np.array([hospital.share for hospital in scenario.hospitals])
    hospital = rng.choice(len(shares), n_people, p=shares / shares.sum())
    shift = np.array([h.age_shift_years for h in scenario.hospitals])[hospital]
    age = np.clip(_draw_ages(n_people, rng) + shift, 18.0, OLDEST)
    return Population(
        birth=np.floor(-age * YEAR_DAYS),
        is_female=rng.random(n_people) < FEMALE_SHARE,
        hospital=hospital,
        municipality=_draw_municipalities(hospital, scenario, rng),
        frailty=rng.standard_normal(n_people),
        residence=_draw_residence(n_people, rng),
    )


def _draw_ages(n_people: int, rng: np.random.Generator) -> np.ndarray:
    group = rng.random(n_people)
    age = np.clip(rng.normal(OLD_AGE_MEAN, OLD_AGE_SD, n_people), AGE_GROUPS[-1][1], OLDEST)
    uniform = rng.random(n_people)
    reached = 0.0
    for low, high, share in AGE_GROUPS:
        inside = (group >= reached) & (group < reached + share)
        age[inside] = low + (high - low) * uniform[inside]
        reached += share
    return age


def _draw_municipalities(hospital: np.ndarray, scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    chosen = np.empty(len(hospital), dtype="<U4")
    uniform = rng.random(len(hospital))
    for index, place in enumerate(scenario.hospitals):
        here = hospital == index
        names = np.array(place.municipalities)
        chosen[here] = names[(uniform[here] * len(names)).astype(int)]
    return chosen


def _draw_residence(n_people: int, rng: np.random.Generator) -> np.ndarray:
    kind = rng.random(n_people)
    day = np.floor(rng.uniform(200.0, END_DAYS - 400.0, n_people))
    away = np.floor(rng.uniform(120.0, 900.0, n_people))
    returns = rng.random(n_people) < RETURN_SHARE
    residence = np.full((n_people, 2, 2), np.nan)
    residence[:, 0, 0], residence[:, 0, 1] = 0.0, END_DAYS
    moved_in = kind < MOVED_IN_SHARE
    residence[moved_in, 0, 0] = day[moved_in]
    moved_out = (kind >= MOVED_IN_SHARE) & (kind < MOVED_IN_SHARE + MOVED_OUT_SHARE)
    residence[moved_out, 0, 1] = day[moved_out]
    back = moved_out & returns & (day + away < END_DAYS - 30.0)
    residence[back, 1, 0] = (day + away)[back]
    residence[back, 1, 1] = END_DAYS
    return residence
