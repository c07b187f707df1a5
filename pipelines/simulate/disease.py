"""Slow processes of the body: diseases that start and worsen, drifting reserve, courses of chemotherapy.

All of it is latent. Nothing here depends on what the hospital does, so any moment of any life can be looked
up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.clock import END_DAYS, YEAR_DAYS
from pipelines.simulate.population import Population
from pipelines.simulate.scenario import Scenario

DISEASES = ("diabetes", "copd", "heart_failure", "ckd", "cancer", "dementia", "immunosuppression", "liver")
_HAZARD_AT_75 = np.array([0.26, 0.20, 0.20, 0.24, 0.26, 0.12, 0.13, 0.05])
_HAZARD_GROWTH = np.array([0.050, 0.070, 0.095, 0.085, 0.060, 0.130, 0.020, 0.030])
_YEARLY_WORSENING = np.array([0.10, 0.13, 0.16, 0.15, 0.28, 0.22, 0.12, 0.18])
_WORSENING_SPREAD = 0.7
FIRST_SEVERITY, WORST_SEVERITY = 0.4, 3.0
MONTH_DAYS = 30.4375
_N_MONTHS = int(END_DAYS / MONTH_DAYS) + 3
_BURN_IN_MONTHS = 36
CYCLE_DAYS = 21.0
NADIR_FROM_DAYS, NADIR_TO_DAYS = 5.0, 16.0
HAEMATOLOGICAL_SHARE = 0.3


@dataclass(frozen=True)
class Body:
    """The latent slow processes of all people.

    Attributes:
        onset: day on which each disease starts, (n, len(DISEASES)); far in the future for most.
        worsening: severity gained a year, (n, len(DISEASES)).
        reserve: physiological reserve by month, standardised, (n, months).
        drift: the monthly change that reserve is heading for, (n, months).
        chemotherapy: days on which chemotherapy is given, ascending, (n, cycles); NaN where there is none.
        is_haematological: the cancer, if any, is of the blood, (n,) bool.
        setpoints: personal usual levels of what is measured, standard normal, (n, 12).
    """

    onset: np.ndarray
    worsening: np.ndarray
    reserve: np.ndarray
    drift: np.ndarray
    chemotherapy: np.ndarray
    is_haematological: np.ndarray
    setpoints: np.ndarray

    def severity(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Severity of each disease, 0 before its start, at most 3; (k, len(DISEASES))."""
        years = (days[:, None] - self.onset[people]) / YEAR_DAYS
        grown = np.minimum(FIRST_SEVERITY + years * self.worsening[people], WORST_SEVERITY)
        return np.asarray(np.where(years >= 0, grown, 0.0))

    def reserve_at(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Reserve, interpolated between months."""
        return _interpolate(self.reserve, people, days)

    def drift_at(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Where reserve is heading, interpolated between months."""
        return _interpolate(self.drift, people, days)

    def neutropenia(self, people: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Depth of neutropenia after chemotherapy, 0 to 1, deepest in the middle of the nadir."""
        since = days[:, None] - self.chemotherapy[people]
        inside = (since >= NADIR_FROM_DAYS) & (since <= NADIR_TO_DAYS)
        phase = (since - NADIR_FROM_DAYS) / (NADIR_TO_DAYS - NADIR_FROM_DAYS)
        depth = np.where(inside, np.sin(np.pi * np.clip(phase, 0.0, 1.0)), 0.0)
        return np.asarray(depth.max(axis=1))


def draw_body(population: Population, scenario: Scenario, rng: np.random.Generator) -> Body:
    """Disease onsets and courses of all people."""
    n_people = len(population.birth)
    onset = _draw_onsets(population, scenario, rng)
    spread = rng.standard_normal((n_people, len(DISEASES)))
    worsening = _YEARLY_WORSENING * np.exp(_WORSENING_SPREAD * spread + 0.1 * population.frailty[:, None])
    reserve, drift = _draw_reserve(population.frailty, rng)
    return Body(
        onset=onset,
        worsening=worsening,
        reserve=reserve,
        drift=drift,
        chemotherapy=_draw_chemotherapy(onset[:, DISEASES.index("cancer")], rng),
        is_haematological=rng.random(n_people) < HAEMATOLOGICAL_SHARE,
        setpoints=rng.standard_normal((n_people, 12)),
    )


def _draw_onsets(population: Population, scenario: Scenario, rng: np.random.Generator) -> np.ndarray:
    """Onset by a Gompertz hazard of age: h75 * exp(g * (age - 75)), cumulated, reaches an exponential."""
    factor = np.ones((len(population.birth), len(DISEASES)))
    cancer = np.array([h.cancer_factor for h in scenario.hospitals])
    immune = np.array([h.immunosuppression_factor for h in scenario.hospitals])
    factor[:, DISEASES.index("cancer")] = cancer[population.hospital]
    factor[:, DISEASES.index("immunosuppression")] = immune[population.hospital]
    threshold = rng.exponential(size=factor.shape) / (factor * np.exp(0.3 * population.frailty[:, None]))
    onset_age = 75.0 + np.log(threshold / _HAZARD_AT_75) / _HAZARD_GROWTH
    return np.asarray(population.birth[:, None] + np.maximum(onset_age, 1.0) * YEAR_DAYS)


def _draw_reserve(frailty: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Reserve by month: a drift with memory moves a level that returns slowly to what frailty allows."""
    n_people = len(frailty)
    shocks = rng.standard_normal((2, _BURN_IN_MONTHS + _N_MONTHS, n_people)).astype(np.float64)
    level, drift = -0.45 * frailty, np.zeros(n_people)
    levels, drifts = np.empty((_N_MONTHS, n_people)), np.empty((_N_MONTHS, n_people))
    for month in range(_BURN_IN_MONTHS + _N_MONTHS):
        drift = 0.85 * drift + 0.055 * shocks[0, month]
        level = level + drift - 0.07 * (level + 0.45 * frailty) + 0.04 * shocks[1, month]
        if month >= _BURN_IN_MONTHS:
            levels[month - _BURN_IN_MONTHS], drifts[month - _BURN_IN_MONTHS] = level, drift
    return np.ascontiguousarray(levels.T), np.ascontiguousarray(drifts.T)


def _draw_chemotherapy(cancer_onset: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Six cycles soon after the cancer in 60 %, and eight more after a relapse in half of these."""
    n_people = len(cancer_onset)
    first = cancer_onset + rng.uniform(20.0, 70.0, n_people)
    first[rng.random(n_people) >= 0.6] = np.nan
    relapse = first + rng.uniform(300.0, 1200.0, n_people)
    relapse[rng.random(n_people) >= 0.5] = np.nan
    days = np.concatenate(
        [first[:, None] + CYCLE_DAYS * np.arange(6), relapse[:, None] + CYCLE_DAYS * np.arange(8)], axis=1
    )
    days = np.floor(days) + 10.0 / 24.0
    days[~((days >= -60.0) & (days < END_DAYS))] = np.nan
    return np.asarray(np.sort(days, axis=1))


def _interpolate(monthly: np.ndarray, people: np.ndarray, days: np.ndarray) -> np.ndarray:
    position = np.clip(days, 0.0, END_DAYS + MONTH_DAYS) / MONTH_DAYS
    month = position.astype(int)
    weight = position - month
    return np.asarray(monthly[people, month] * (1 - weight) + monthly[people, month + 1] * weight)
