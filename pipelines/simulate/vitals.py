"""Vital signs: rounds on the ward, and what each round reads from the course of the stay."""

from __future__ import annotations

import numpy as np
import polars as pl

from pipelines.simulate.clock import END_DAYS, on_minute, to_instants
from pipelines.simulate.course import Course
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.reasons import IS_INFECTION

SIGNS = (
    "heart_rate",
    "respiratory_rate",
    "spo2",
    "systolic_bp",
    "diastolic_bp",
    "temperature",
    "consciousness",
    "oxygen_flow",
)
_MISSING = np.array([0.06, 0.22, 0.10, 0.07, 0.07, 0.18, 0.12, 0.0])
"""Share of rounds in which each sign is not recorded (our assumption); oxygen is written only when given."""
_COPD, _HEART, _DEMENTIA = (DISEASES.index(name) for name in ("copd", "heart_failure", "dementia"))
_DAY_ONE_HOURS = np.array([8.0, 6.0, 5.0, 3.5, 2.5])
_LATER_HOURS = np.array([12.0, 12.0, 10.0, 8.0, 6.0])


def take_rounds(
    course: Course, factor: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """When vital signs are taken: stay row and day of each round, ordered.

    Args:
        course: the stays.
        factor: on the number of rounds, (n_stays,).
        rng: the source of chance.
    """
    stays = course.stays
    length = np.minimum(stays.ended, END_DAYS) - stays.admitted
    noise = rng.normal(0.0, 0.8, len(length))
    seen = np.clip(np.round(stays.acuity + noise), 0, 4).astype(int)
    first = _DAY_ONE_HOURS[seen] / 24.0 / factor
    later = _LATER_HOURS[seen] / 24.0 / factor
    n_first = np.ceil(np.minimum(length, 1.0) / first).astype(int)
    n_later = np.ceil(np.maximum(np.minimum(length, 8.0) - 1.0, 0.0) / later).astype(int)
    n_last = np.ceil(np.maximum(length - 8.0, 0.0)).astype(int)
    rows = np.repeat(np.arange(len(length)), n_first + n_later + n_last)
    number = np.arange(len(rows)) - np.repeat(
        np.cumsum(n_first + n_later + n_last) - n_first - n_later - n_last, n_first + n_later + n_last
    )
    in_first, in_later = number < n_first[rows], number < (n_first + n_later)[rows]
    day = np.where(
        in_first,
        number * first[rows],
        np.where(
            in_later, 1.0 + (number - n_first[rows]) * later[rows], 8.0 + number - (n_first + n_later)[rows]
        ),
    )
    day += rng.uniform(0.005, 0.05, len(rows))
    keep = day < length[rows]
    return rows[keep], on_minute(stays.admitted[rows] + day)[keep]


def read_signs(course: Course, rows: np.ndarray, days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What the rounds read, (n_rounds, len(SIGNS)); NaN where a sign was not recorded."""
    ill, sepsis = course.illness(rows, days), course.signature(rows, days)
    fever = sepsis * course.response[rows]
    infected = IS_INFECTION[course.stays.reason[rows]] * np.exp(-(days - course.stays.admitted[rows]) / 2.0)
    infected = infected * course.response[rows]
    severity, set_points = course.severity[rows], course.setpoints[rows]
    noise = rng.standard_normal((len(rows), len(SIGNS)))
    heart = (
        80
        + 7 * set_points[:, 0]
        + 5.0 * ill
        + 17 * sepsis
        + 6 * infected
        + 3 * severity[:, _HEART]
        + 7 * noise[:, 0]
    )
    breath = (
        17 + 1.0 * set_points[:, 1] + 1.5 * ill + 5.0 * sepsis + 1.2 * severity[:, _COPD] + 1.8 * noise[:, 1]
    )
    oxygen = np.maximum(0.9 * ill + 1.6 * sepsis + 0.5 * severity[:, _COPD] - 1.6 + 0.6 * noise[:, 7], 0.0)
    spo2 = (
        96.6 - 0.8 * ill - 1.8 * sepsis - 1.6 * severity[:, _COPD] + 1.1 * np.sqrt(oxygen) + 1.3 * noise[:, 2]
    )
    systolic = (
        136 + 12 * set_points[:, 2] - 5.5 * ill - 21 * sepsis - 3 * severity[:, _HEART] + 10 * noise[:, 3]
    )
    diastolic = 74 + 6 * set_points[:, 2] - 3.0 * ill - 11 * sepsis + 7 * noise[:, 4]
    temperature = (
        36.8 + 0.2 * set_points[:, 3] + 1.05 * fever + 0.55 * infected + 0.06 * ill + 0.3 * noise[:, 5]
    )
    dull = -4.6 + 0.9 * ill + 1.6 * sepsis + 0.7 * severity[:, _DEMENTIA]
    consciousness = (noise[:, 6] < _probit(dull)).astype(float)
    values = np.column_stack(
        [
            np.round(np.clip(heart, 35, 190)),
            np.round(np.clip(breath, 8, 48)),
            np.round(np.clip(spo2, 70, 100)),
            np.round(np.clip(systolic, 55, 220)),
            np.round(np.clip(np.minimum(diastolic, systolic - 15), 30, 130)),
            np.round(np.clip(temperature, 34.0, 41.5), 1),
            consciousness,
            np.round(2 * np.clip(oxygen, 0, 15)) / 2,
        ]
    )
    missing = rng.random(values.shape) < _MISSING * np.exp(-0.3 * np.clip(ill, -1, 2))[:, None]
    values[missing] = np.nan
    values[values[:, 7] == 0, 7] = np.nan
    return np.asarray(values)


def vitals_table(
    stays_contact: np.ndarray, patient: np.ndarray, days: np.ndarray, values: np.ndarray
) -> pl.DataFrame:
    """The table as written: kontakt_id, patient_id, measured_time and one column a sign."""
    columns = {
        "kontakt_id": stays_contact,
        "patient_id": patient,
        "measured_time": to_instants(days),
    }
    signs = {name: pl.Series(values[:, index]).fill_nan(None) for index, name in enumerate(SIGNS)}
    whole = [name for name in SIGNS if name not in {"temperature", "oxygen_flow"}]
    return pl.DataFrame({**columns, **signs}).with_columns(pl.col(whole).cast(pl.Int16))


def _probit(logit: np.ndarray) -> np.ndarray:
    """The standard normal quantile of expit(logit), by its usual logistic approximation."""
    return np.asarray(logit / 1.702)
