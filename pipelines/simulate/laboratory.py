"""Blood tests: what is drawn when, which analytes are ordered, and when they are answered."""

from __future__ import annotations

import numpy as np

from pipelines.simulate.analytes import ANALYTE_INDEX, ANALYTES
from pipelines.simulate.blood import BodyState
from pipelines.simulate.clock import END_DAYS, on_minute
from pipelines.simulate.course import Course
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.reasons import IS_INFECTION


def draw_times(course: Course, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """When blood is drawn in stays: stay row and day of each draw, ordered by both."""
    stays = course.stays
    n_stays = len(stays.person)
    length = np.minimum(stays.ended, END_DAYS) - stays.admitted
    rows, days = [], []

    def add(mask: np.ndarray, after: np.ndarray) -> None:
        """Keep the drawn times that lie within the stay."""
        mask &= (after > 0.0) & (after < length)
        rows.append(np.flatnonzero(mask))
        days.append(after[mask])

    add(rng.random(n_stays) < np.where(stays.is_planned, 0.55, 0.96), rng.uniform(0.01, 0.08, n_stays))
    again = rng.random(n_stays) < np.clip(0.62 + 0.07 * stays.level, 0.2, 0.95)
    add(again, rng.uniform(0.72, 0.97, n_stays))
    morning = np.ceil(stays.admitted + 1.0) - stays.admitted + 7.0 / 24.0
    for day in range(1, 31):
        share = 0.55 if day <= 7 else 0.35
        add(rng.random(n_stays) < share, morning + day - 1.0 + rng.uniform(0.0, 0.04, n_stays))
    septic = np.isfinite(stays.onset) & (stays.onset > stays.admitted + 0.03)
    after_onset = np.where(septic, stays.onset - stays.admitted, -1.0) + rng.uniform(0.01, 0.12, n_stays)
    add(septic & (rng.random(n_stays) < 0.85), after_onset)
    row, after = np.concatenate(rows), np.concatenate(days)
    order = np.lexsort((after, row))
    return row[order], on_minute(stays.admitted[row] + after)[order]


def stay_states(course: Course, is_female: np.ndarray, rows: np.ndarray, days: np.ndarray) -> BodyState:
    """The body at draws in stays."""
    stays = course.stays
    since = np.maximum(days - stays.admitted[rows], 0.0)
    response = course.response[rows]
    infection = IS_INFECTION[stays.reason[rows]] * (1.05 + 0.22 * stays.level[rows]) * np.exp(-since / 3.5)
    return BodyState(
        age=course.age[rows],
        is_female=is_female[rows],
        severity=course.severity[rows],
        weakness=stays.weakness[rows],
        neutropenia=stays.neutropenia[rows],
        setpoints=course.setpoints[rows],
        ill=course.illness(rows, days),
        sepsis=course.signature(rows, days),
        slow=course.signature(rows, days, lag_days=0.35) * response,
        infected=infection * response,
    )


def order_analytes(
    state: BodyState, is_troponin: np.ndarray, factor: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Which analytes are ordered at each draw in hospital, (k, len(ANALYTES)) bool: more if it looks bad."""
    share = np.array([analyte.ordered for analyte in ANALYTES])
    look = 0.35 * np.clip(state.ill, -1.5, 3.0) + 0.7 * state.sepsis
    log_odds = np.log(share / (1 - share))[None, :] + np.log(factor)[:, None]
    for name, weight in (
        ("lactate", 1.0),
        ("procalcitonin", 0.8),
        ("albumin", 0.4),
        ("bilirubin", 0.4),
        ("inr", 0.4),
    ):
        log_odds[:, ANALYTE_INDEX[name]] += weight * look
    log_odds[:, ANALYTE_INDEX["troponin_t"]] += np.where(is_troponin, 3.0, 0.0)
    log_odds[:, ANALYTE_INDEX["nt_probnp"]] += 1.0 * state.severity[:, DISEASES.index("heart_failure")]
    log_odds[:, ANALYTE_INDEX["hba1c"]] += 1.0 * state.severity[:, DISEASES.index("diabetes")]
    return np.asarray(rng.random(log_odds.shape) < 1.0 / (1.0 + np.exp(-log_odds)))


def answer_days(analyte: np.ndarray, days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """When each result is answered."""
    hours = np.array([item.answer_hours for item in ANALYTES])[analyte]
    return on_minute(days + hours * np.exp(0.35 * rng.standard_normal(len(days))) / 24.0)
