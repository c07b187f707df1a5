"""What happens in a stay, drawn from its joint probability, and its true risks at both prediction times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.joint import Joint

EARLY, SHORT, LATE, NONE = 0, 1, 2, 3
"""Classes of a stay: sepsis within 24 hours; under 24 hours without; sepsis after 30 hours; neither."""


@dataclass(frozen=True)
class Timing:
    """P(death by some time after admission | death in the window), (K,) each.

    Attributes:
        day_1: by 24 hours.
        late_from: by the first time at which late sepsis may start.
        day_30: by 30 days.
    """

    day_1: np.ndarray
    late_from: np.ndarray
    day_30: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """The cell and class of each of K stays, and the risks that are true at the two prediction times.

    Attributes:
        reason, acuity, trend: indices of the cell, (K,).
        stay_class: EARLY, SHORT, LATE or NONE, (K,).
        sepsis_at_admission: P(sepsis in the stay | state at admission).
        death_at_admission: P(death within 30 days | state at admission).
        sepsis_at_24h: P(sepsis from 30 hours on | cell, in hospital at 24 hours without sepsis).
        death_at_24h: P(death within the next 30 days | cell, early sepsis or not, in hospital at 24 hours).
        death_in_window: P(death within 31 days | everything drawn here), for the memory of the process.
    """

    reason: np.ndarray
    acuity: np.ndarray
    trend: np.ndarray
    stay_class: np.ndarray
    sepsis_at_admission: np.ndarray
    death_at_admission: np.ndarray
    sepsis_at_24h: np.ndarray
    death_at_24h: np.ndarray
    death_in_window: np.ndarray


def tilt_of(risk: np.ndarray, marginal: np.ndarray) -> np.ndarray:
    """What Bayes' rule multiplies the odds of death in every cell with, given the risk of the admission."""
    return np.asarray(risk / (1 - risk) * (1 - marginal) / marginal)


def draw_outcomes(
    joint: Joint,
    risk: np.ndarray,
    marginal: np.ndarray,
    *,
    dies: np.ndarray,
    timing: Timing,
    uniform: np.ndarray,
) -> Drawn:
    """Draw cell and class given whether the window ends in death, and work out the true risks.

    Args:
        joint: probabilities of the cells.
        risk: risk of death within 31 days at admission, (K,).
        marginal: the risk that the joint gives by itself, (K,).
        dies: whether the window ends in death, (K,) bool, drawn with `risk`.
        timing: when death comes, given that it comes.
        uniform: one uniform draw a stay, (K,).
    """
    odds = tilt_of(risk, marginal)
    chosen = _draw_cells(joint, dies, uniform)
    n_rows, n_reasons, n_acuity, n_trends = joint.cell.shape
    stay_class, reason, acuity, trend = np.unravel_index(chosen, (4, n_reasons, n_acuity, n_trends))
    rows = np.arange(n_rows)
    at = (rows, reason, acuity, trend)
    sepsis_24h, death_24h, in_window = _risks_in_cell(joint, at, stay_class, odds, timing)
    return Drawn(
        reason=reason,
        acuity=acuity,
        trend=trend,
        stay_class=stay_class,
        sepsis_at_admission=_sepsis_at_admission(joint, odds, timing),
        death_at_admission=risk * timing.day_30,
        sepsis_at_24h=sepsis_24h,
        death_at_24h=death_24h,
        death_in_window=in_window,
    )


def _draw_cells(joint: Joint, dies: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Flat index of (class, reason, acuity, trend), drawn from P(. | death or survival)."""
    staying = (1 - joint.early) * (1 - joint.short)
    shares = (joint.early, (1 - joint.early) * joint.short, staying * joint.late, staying * (1 - joint.late))
    deaths = (joint.death_early, joint.death_short, joint.death_late, joint.death_none)
    fatal = dies[:, None, None, None]
    weights = np.stack(
        [
            joint.cell * share * np.where(fatal, death, 1 - death)
            for share, death in zip(shares, deaths, strict=True)
        ],
        axis=1,
    ).reshape(len(dies), -1)
    cumulative = np.cumsum(weights, axis=1)
    target = uniform * cumulative[:, -1]
    return np.asarray(np.minimum((cumulative < target[:, None]).sum(axis=1), weights.shape[1] - 1))


def _sepsis_at_admission(joint: Joint, odds: np.ndarray, timing: Timing) -> np.ndarray:
    """P(early sepsis, or late sepsis before death comes), all cells weighed by the tilted odds of death."""
    tilt = odds[:, None, None, None]
    lives = (1 - timing.late_from)[:, None, None, None]
    staying = (1 - joint.early) * (1 - joint.short)
    axes = (1, 2, 3)
    total = (
        joint.early * (tilt * joint.death_early + 1 - joint.death_early)
        + (1 - joint.early) * joint.short * (tilt * joint.death_short + 1 - joint.death_short)
        + staying * joint.late * (tilt * joint.death_late + 1 - joint.death_late)
        + staying * (1 - joint.late) * (tilt * joint.death_none + 1 - joint.death_none)
    )
    sepsis = joint.early * (tilt * joint.death_early + 1 - joint.death_early) + staying * joint.late * (
        tilt * lives * joint.death_late + 1 - joint.death_late
    )
    return np.asarray((joint.cell * sepsis).sum(axis=axes) / (joint.cell * total).sum(axis=axes))


def _risks_in_cell(
    joint: Joint,
    at: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    stay_class: np.ndarray,
    odds: np.ndarray,
    timing: Timing,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Risks once the cell is known: sepsis and death at 24 hours, death in the window once all is known."""
    late, early_death = joint.late[at], joint.death_early[at]
    late_death, none_death = joint.death_late[at], joint.death_none[at]
    alive = 1 - timing.day_1
    dead_weight = odds * (late * late_death + (1 - late) * none_death)
    live_weight = late * (1 - late_death) + (1 - late) * (1 - none_death)
    sepsis = late * (odds * (1 - timing.late_from) * late_death + 1 - late_death)
    sepsis_24h = sepsis / (alive * dead_weight + live_weight)
    is_early = stay_class == EARLY
    dead_weight = np.where(is_early, odds * early_death, dead_weight)
    live_weight = np.where(is_early, 1 - early_death, live_weight)
    death_24h = alive * dead_weight / (alive * dead_weight + live_weight)
    final = np.choose(stay_class, [early_death, joint.death_short[at], late_death, none_death])
    in_window = odds * final / (odds * final + 1 - final)
    return sepsis_24h, death_24h, in_window
