"""The joint probability of what happens in a stay: reason, acuity, trend, sepsis, death; by enumeration.

Shapes: K admissions, R reasons, A acuity levels, B trends. The latent state at admission (`Patients`) decides
the probability of every cell; sepsis is early (within 24 hours), late (30 hours or later) or none; a stay
without early sepsis may be short (under 24 hours). Death within 31 days depends on the cell and the sepsis
class. Where the risk of death is already fixed (a readmission inside an old window), the cells are reweighted
by Bayes' rule: the odds of death in every cell are multiplied by one number. So each risk is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.reasons import DRIVERS, IS_INFECTION, IS_PLANNED, column

ACUITY = np.array([-1.5, -0.5, 0.5, 1.5, 2.5])
TREND = np.array([-1.0, 0.0, 1.0])
ACUITY_SPREAD = 0.85
LATE_FROM_DAYS = 30.0 / 24.0
"""Late sepsis starts 30 hours after admission or later: the 24-hour task plus its 6 blanked hours."""
_REASON, _EARLY, _LATE, _DEATH = column("weight"), column("early"), column("late"), column("death")
_ACUITY_MEAN = column("acuity")


@dataclass(frozen=True)
class Patients:
    """The latent state of K patients at admission; what they have, not what is recorded.

    Attributes:
        drivers: diseases, weakness, neutropenia, kidney failure, sex, decades above 75, (K, STATE_NAMES).
        weakness: loss of reserve, standardised, (K,).
        immune: loss of defence against infection, 0 upwards, (K,).
        memory: trace of an earlier sepsis or serious infection, 1 just after it, (K,).
        mortal: what chronic disease and age add to the log odds of death, (K,).
        is_planned: planned admission, (K,) bool.
        infection_log_odds: the scenario's shift of the log odds of sepsis.
    """

    drivers: np.ndarray
    weakness: np.ndarray
    immune: np.ndarray
    memory: np.ndarray
    mortal: np.ndarray
    is_planned: np.ndarray
    infection_log_odds: float = 0.0


@dataclass(frozen=True)
class Joint:
    """Probabilities of every cell, (K, R, A, B), and what follows in it.

    Attributes:
        cell: P(reason, acuity, trend).
        early: P(early sepsis | cell).
        short: P(stay under 24 hours | cell, no early sepsis).
        late: P(late sepsis | cell, no early sepsis, not short).
        death_early, death_short, death_late, death_none: P(death in 31 days | cell, class), without an
            older window.
    """

    cell: np.ndarray
    early: np.ndarray
    short: np.ndarray
    late: np.ndarray
    death_early: np.ndarray
    death_short: np.ndarray
    death_late: np.ndarray
    death_none: np.ndarray

    def marginal_death(self) -> np.ndarray:
        """P(death in 31 days) of a fresh admission, (K,)."""
        staying = (1 - self.short) * (self.late * self.death_late + (1 - self.late) * self.death_none)
        each = self.early * self.death_early + (1 - self.early) * (self.short * self.death_short + staying)
        return np.asarray((self.cell * each).sum(axis=(1, 2, 3)))


def joint_of(patients: Patients) -> Joint:
    """All cell probabilities of K admissions."""
    acuity, trend = ACUITY[None, None, :, None], TREND[None, None, None, :]
    weakness, immune, memory, mortal = (
        value[:, None, None, None]
        for value in (patients.weakness, patients.immune, patients.memory, patients.mortal)
    )
    shift = patients.infection_log_odds
    frail_defence = np.maximum(immune - 0.4, 0.0) * np.maximum(weakness, 0.0)
    early = _expit(
        _EARLY[None, :, None, None]
        + (
            0.65 * acuity
            + 0.35 * trend
            + 0.55 * immune
            + 0.30 * weakness
            + 0.6 * memory
            + 0.30 * frail_defence
        )
        + shift
    )
    smouldering = np.where((acuity >= 0.5) & (trend > 0), 0.7, 0.0)
    late = _expit(
        _LATE[None, :, None, None]
        + (0.40 * acuity + 0.95 * trend + smouldering + 0.75 * immune + 0.75 * weakness + 0.8 * memory)
        + 0.45 * frail_defence
        + shift
    )
    base = _DEATH[None, :, None, None] + 0.60 * acuity + 0.60 * trend + 0.85 * weakness + mortal
    return Joint(
        cell=_cells(patients),
        early=early,
        short=_expit(
            -1.4 - 1.1 * acuity - 0.3 * trend - 1.0 * IS_INFECTION[None, :, None, None] - 0.3 * weakness
        ),
        late=late,
        death_early=_expit(base + 0.85),
        death_short=_expit(base - 0.9),
        death_late=_expit(base + 1.35),
        death_none=_expit(base),
    )


def _cells(patients: Patients) -> np.ndarray:
    """P(reason | state) * P(acuity | reason, state) * P(trend | acuity, state), (K, R, A, B)."""
    score = _REASON + patients.drivers @ DRIVERS.T
    score = np.where(patients.is_planned[:, None] == IS_PLANNED[None, :], score, -np.inf)
    reason = np.exp(score - score.max(axis=1, keepdims=True))
    reason /= reason.sum(axis=1, keepdims=True)
    middle = _ACUITY_MEAN[None, :] + 0.22 * patients.weakness[:, None] + 0.10 * patients.immune[:, None]
    acuity = np.exp(-0.5 * ((ACUITY - middle[:, :, None]) / ACUITY_SPREAD) ** 2)
    acuity /= acuity.sum(axis=2, keepdims=True)
    pull = 0.30 * patients.weakness[:, None] + 0.15 * ACUITY[None, :]
    trend = np.exp(np.stack([0.6 - pull, np.full_like(pull, 0.9), -0.5 + pull], axis=2))
    trend /= trend.sum(axis=2, keepdims=True)
    return np.asarray(reason[:, :, None, None] * acuity[:, :, :, None] * trend[:, None, :, :])


def _expit(logit: np.ndarray) -> np.ndarray:
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))
