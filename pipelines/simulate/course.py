"""How ill a patient is at each moment of a stay: the latent course that vital signs and tests show.

Before 24 hours the course depends on nothing but the cell of the stay (reason, acuity, trend), the state at
admission and early sepsis, all of which the true risks at 24 hours are conditioned on. What announces later
sepsis or death shows after 24 hours only, in values as in what is done (transfers, procedures, drugs,
cultures). That is what makes these risks the best that any model can do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.disease import DISEASES, Body
from pipelines.simulate.joint import TREND
from pipelines.simulate.population import Population
from pipelines.simulate.stays import Stays

PRODROME_DAYS, RISE_DAYS, PLATEAU_DAYS, RECOVERY_DAYS = 0.55, 0.25, 0.9, 2.4
TERMINAL_DAYS = 2.0
BLUNTED_AGE = 82.0


@dataclass(frozen=True)
class Course:
    """What the stays look like from inside; (n_stays,) each unless said otherwise.

    Attributes:
        stays: the stays.
        severity: of chronic diseases at admission, (n_stays, len(DISEASES)).
        age: years at admission.
        response: how strongly fever, CRP and leukocytes answer an infection; low where blunted.
        force: how strong the signature of sepsis is in this stay.
        setpoints: personal usual levels, (n_stays, 12).
    """

    stays: Stays
    severity: np.ndarray
    age: np.ndarray
    response: np.ndarray
    force: np.ndarray
    setpoints: np.ndarray

    def illness(self, rows: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Acuity in its course: follows the trend for a day, then heals; rises again before death."""
        since = np.maximum(days - self.stays.admitted[rows], 0.0)
        trend = TREND[self.stays.trend[rows]]
        first_day = self.stays.level[rows] + 1.1 * trend * (np.minimum(since, 1.0) - 0.35)
        healing = np.exp(-np.maximum(since - 1.0, 0.0) / 5.0)
        resting = -1.2 + 0.3 * self.stays.weakness[rows]
        ill = resting + (first_day - resting) * healing
        return np.asarray(ill + 2.2 * self._dying(rows, days))

    def signature(self, rows: np.ndarray, days: np.ndarray, lag_days: float = 0.0) -> np.ndarray:
        """Sepsis as it shows at a time, 0 without; `lag_days` for what answers slowly."""
        onset = self.stays.onset[rows]
        since = days - onset - lag_days
        begin = np.maximum(
            onset - PRODROME_DAYS, np.where(self._is_late(rows), self.stays.admitted[rows] + 1.0, -np.inf)
        )
        rising = np.clip((days - lag_days - begin) / np.maximum(onset + RISE_DAYS - begin, 1e-6), 0.0, 1.0)
        falling = np.exp(-np.maximum(since - PLATEAU_DAYS, 0.0) / RECOVERY_DAYS)
        return np.asarray(np.where(np.isfinite(onset), self.force[rows] * rising * falling, 0.0))

    def _is_late(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(self.stays.onset[rows] > self.stays.admitted[rows] + 1.0)

    def _dying(self, rows: np.ndarray, days: np.ndarray) -> np.ndarray:
        died = self.stays.died_here[rows]
        ended, first = self.stays.ended[rows], self.stays.admitted[rows] + 1.0
        begin = np.maximum(ended - TERMINAL_DAYS, first)
        ramp = np.clip((days - begin) / np.maximum(ended - begin, 1e-6), 0.0, 1.0)
        return np.asarray(np.where(died & (ended > first), ramp, 0.0))


def follow(stays: Stays, population: Population, body: Body, rng: np.random.Generator) -> Course:
    """The course of all stays."""
    n_stays = len(stays.person)
    age = population.age(stays.person, stays.admitted)
    severity = body.severity(stays.person, stays.admitted)
    immune = severity[:, DISEASES.index("immunosuppression")]
    blunted = (age > BLUNTED_AGE).astype(float) * 0.35 + 0.22 * immune + 0.45 * stays.neutropenia
    response = np.clip(1.1 - blunted + 0.25 * rng.standard_normal(n_stays), 0.1, 1.8)
    return Course(
        stays=stays,
        severity=severity,
        age=age,
        response=response,
        force=rng.gamma(6.0, 1.0 / 6.0, n_stays) + 0.25,
        setpoints=body.setpoints[stays.person],
    )
