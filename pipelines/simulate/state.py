"""The latent state of a person at a moment: what decides why they fall ill, how badly, and if they die."""

from __future__ import annotations

import numpy as np

from pipelines.simulate.disease import DISEASES, Body
from pipelines.simulate.joint import Patients
from pipelines.simulate.population import Population

MEMORY_DAYS = 150.0
KIDNEY_FAILURE_FROM = 2.6
RESERVE_WEIGHT, DRIFT_WEIGHT, DECADE_WEIGHT = 1.05, 2.1, 0.126
_CKD = DISEASES.index("ckd")


def weakness_of(population: Population, body: Body, people: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Loss of reserve, standardised: low reserve, reserve on its way down, and age."""
    decades = (population.age(people, days) - 75.0) / 10.0
    falling = RESERVE_WEIGHT * body.reserve_at(people, days) + DRIFT_WEIGHT * body.drift_at(people, days)
    return np.asarray(DECADE_WEIGHT * decades - falling)


def state_of(
    population: Population,
    body: Body,
    people: np.ndarray,
    days: np.ndarray,
    *,
    planned: np.ndarray,
    infected: np.ndarray,
    insult: np.ndarray,
    infection_log_odds: float,
) -> Patients:
    """The latent state of some people at their days.

    Args:
        population: everybody.
        body: their slow processes.
        people: whose state, (k,).
        days: when, (k,).
        planned: whether it is for a planned admission, (k,) bool.
        infected: the day of the last sepsis or serious infection, -inf without one, (k,).
        insult: reserve that earlier stays took, at most 0, (k,).
        infection_log_odds: the scenario's shift of the log odds of sepsis.
    """
    severity = body.severity(people, days)
    decades = (population.age(people, days) - 75.0) / 10.0
    neutropenia = body.neutropenia(people, days)
    weakness = weakness_of(population, body, people, days) - RESERVE_WEIGHT * insult
    named = dict(zip(DISEASES, severity.T, strict=True))
    immune = (
        0.50 * named["immunosuppression"]
        + 1.3 * neutropenia
        + 0.22 * named["diabetes"]
        + 0.40 * named["liver"]
        + 0.22 * named["ckd"]
        + 0.18 * named["cancer"]
    )
    mortal = (
        0.30 * decades
        + 0.40 * named["cancer"]
        + 0.28 * named["dementia"]
        + 0.22 * named["heart_failure"]
        + 0.18 * named["copd"]
        + 0.35 * named["liver"]
        + 0.12 * named["ckd"]
    )
    kidney_failure = (severity[:, _CKD] >= KIDNEY_FAILURE_FROM).astype(float)
    is_female = population.is_female[people].astype(float)
    return Patients(
        drivers=np.column_stack([severity, weakness, neutropenia, kidney_failure, is_female, decades]),
        weakness=weakness,
        immune=immune,
        memory=np.exp(-(days - infected) / MEMORY_DAYS),
        mortal=mortal,
        is_planned=planned,
        infection_log_odds=infection_log_odds,
    )
