"""The stays as they were: when, why, how ill, what came of them, and the risks that were true."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from pipelines.simulate.joint import ACUITY


@dataclass(frozen=True)
class Stays:
    """One row a stay, ordered by person and admission; days count from 1 January 2016.

    Attributes:
        person: index into the population.
        admitted, ended: days; ended is discharge or death in hospital.
        is_planned, died_here: bool.
        reason, acuity, trend: latent cell, indices.
        stay_class: EARLY, SHORT, LATE or NONE, as drawn.
        onset: day of sepsis onset, NaN without sepsis.
        weakness, immune, memory, neutropenia: latent state at admission.
        sepsis_at_admission, death_at_admission, sepsis_at_24h, death_at_24h: true risks.
        death: day of death of the person if it comes within 31 days of the admission, else inf.
    """

    person: np.ndarray
    admitted: np.ndarray
    ended: np.ndarray
    is_planned: np.ndarray
    died_here: np.ndarray
    reason: np.ndarray
    acuity: np.ndarray
    trend: np.ndarray
    stay_class: np.ndarray
    onset: np.ndarray
    weakness: np.ndarray
    immune: np.ndarray
    memory: np.ndarray
    neutropenia: np.ndarray
    sepsis_at_admission: np.ndarray
    death_at_admission: np.ndarray
    sepsis_at_24h: np.ndarray
    death_at_24h: np.ndarray
    death: np.ndarray

    def take(self, rows: np.ndarray) -> Stays:
        """Some of the stays, by index or mask."""
        return Stays(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def level(self) -> np.ndarray:
        """Acuity as a number, 0 = average."""
        return np.asarray(ACUITY[self.acuity])
