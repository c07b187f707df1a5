"""Laboratory results: what is drawn when, which analytes are ordered, and the values that the body gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.analytes import ANALYTE_INDEX, ANALYTES, Analyte
from pipelines.simulate.clock import END_DAYS, on_minute
from pipelines.simulate.course import Course
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.reasons import IS_INFECTION


@dataclass(frozen=True)
class BodyState:
    """What decides a value at a moment, (k,) each unless said otherwise.

    Attributes:
        age: years.
        is_female: bool.
        severity: of chronic diseases, (k, len(DISEASES)).
        reserve: physiological reserve.
        neutropenia: depth, 0 to 1.
        setpoints: personal usual levels, (k, 12).
        ill: acuity in its course; -1.2 is the resting state.
        sepsis: signature of sepsis; `slow` as it shows in what answers slowly.
        infected: infection as the inflammatory markers show it.
    """

    age: np.ndarray
    is_female: np.ndarray
    severity: np.ndarray
    reserve: np.ndarray
    neutropenia: np.ndarray
    setpoints: np.ndarray
    ill: np.ndarray
    sepsis: np.ndarray
    slow: np.ndarray
    infected: np.ndarray


def draw_times(course: Course, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """When blood is drawn in stays: stay row and day of each draw, ordered by both."""
    stays = course.stays
    n_stays = len(stays.person)
    length = np.minimum(stays.ended, END_DAYS) - stays.admitted
    rows, days = [], []

    def add(mask: np.ndarray, after: np.ndarray) -> None:
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
        reserve=course.reserve[rows],
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


def measure(state: BodyState, rng: np.random.Generator) -> np.ndarray:
    """The values of all analytes at all draws, (k, len(ANALYTES)), rounded as they are reported."""
    noise = rng.standard_normal((len(state.age), len(ANALYTES)))
    point, chronic = state.setpoints, dict(zip(DISEASES, state.severity.T, strict=True))
    ill = np.maximum(state.ill, -1.2) + 1.2
    values = dict(zip(ANALYTE_INDEX, noise.T, strict=True))
    weak, inflamed, septic = -state.reserve, state.infected + 1.5 * state.slow, state.sepsis
    marrow = 1.0 - 0.85 * state.neutropenia
    kidney = (
        0.10 * point[:, 4] + 0.33 * chronic["ckd"] + 0.05 * ill + 0.28 * septic + 0.004 * (state.age - 70)
    )
    white = (6.6 + 1.2 * point[:, 5] + 0.7 * ill + 2.6 * inflamed) * marrow
    share = np.clip(0.60 + 0.05 * ill + 0.08 * inflamed + 0.03 * values["neutrophils"], 0.3, 0.95)
    made = {
        "crp": np.exp(
            0.9 + 0.40 * weak + 0.35 * ill + 2.8 * np.tanh(inflamed) + 0.3 * inflamed + 0.45 * values["crp"]
        ),
        "leukocytes": white * np.exp(0.12 * values["leukocytes"]),
        "neutrophils": white * np.exp(0.12 * values["leukocytes"]) * share,
        "lymphocytes": 1.75
        * np.exp(
            -0.13 * weak
            - 0.16 * chronic["immunosuppression"]
            - 0.10 * ill
            - 0.22 * septic
            - 0.8 * state.neutropenia
            + 0.20 * values["lymphocytes"]
        ),
        "haemoglobin": 13.9
        - 0.9 * state.is_female
        - 0.55 * weak
        - 0.45 * chronic["ckd"]
        - 0.35 * chronic["cancer"]
        + 0.6 * point[:, 6]
        - 0.12 * ill
        + 0.35 * values["haemoglobin"],
        "platelets": 255
        * np.exp(
            0.18 * point[:, 7]
            - 0.22 * chronic["liver"]
            - 0.30 * septic
            + 0.06 * inflamed
            - 0.5 * state.neutropenia
            + 0.08 * values["platelets"]
        ),
        "creatinine": 78 * np.exp(kidney - 0.16 * state.is_female + 0.06 * values["creatinine"]),
        "urea": 6.0 * np.exp(1.0 * kidney + 0.06 * weak + 0.12 * values["urea"]),
        "sodium": 140 - 0.8 * weak - 0.5 * ill - 0.8 * chronic["heart_failure"] + 1.7 * values["sodium"],
        "potassium": 4.15 + 0.12 * chronic["ckd"] + 0.05 * septic + 0.32 * values["potassium"],
        "albumin": 41
        - 2.7 * weak
        - 0.6 * ill
        - 2.2 * state.slow
        - 1.3 * chronic["liver"]
        + 1.5 * values["albumin"],
        "bilirubin": 10
        * np.exp(0.25 * point[:, 8] + 0.38 * chronic["liver"] + 0.26 * septic + 0.22 * values["bilirubin"]),
        "alat": 25
        * np.exp(0.3 * point[:, 9] + 0.22 * chronic["liver"] + 0.15 * septic + 0.35 * values["alat"]),
        "glucose": 5.7
        + 1.5 * chronic["diabetes"]
        + 0.35 * ill
        + 0.7 * septic
        + 0.9 * np.abs(values["glucose"]),
        "inr": 1.05 + 0.16 * chronic["liver"] + 0.12 * septic + 0.06 * np.abs(values["inr"]),
        "lactate": 1.15 * np.exp(0.13 * ill + 0.55 * septic + 0.22 * values["lactate"]),
        "procalcitonin": 0.06
        * np.exp(0.7 * inflamed + 1.5 * state.slow + 0.22 * ill + 0.45 * values["procalcitonin"]),
        "troponin_t": 11
        * np.exp(0.35 * chronic["heart_failure"] + 0.30 * ill + 0.4 * septic + 0.55 * values["troponin_t"]),
        "nt_probnp": 140
        * np.exp(
            0.85 * chronic["heart_failure"]
            + 0.3 * chronic["ckd"]
            + 0.035 * (state.age - 70)
            + 0.2 * weak
            + 0.45 * values["nt_probnp"]
        ),
        "hba1c": 37 + 9.0 * chronic["diabetes"] + 3 * point[:, 10] + 2.5 * values["hba1c"],
    }
    return np.column_stack([_report(analyte, made[analyte.name]) for analyte in ANALYTES])


def answer_days(analyte: np.ndarray, days: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """When each result is answered."""
    hours = np.array([item.answer_hours for item in ANALYTES])[analyte]
    return on_minute(days + hours * np.exp(0.35 * rng.standard_normal(len(days))) / 24.0)


_FLOORS = {
    "crp": 1.0,
    "procalcitonin": 0.02,
    "troponin_t": 3.0,
    "leukocytes": 0.1,
    "neutrophils": 0.0,
    "inr": 0.8,
}


def _report(analyte: Analyte, value: np.ndarray) -> np.ndarray:
    """A value as reported: not below what the method can tell, with its decimals."""
    ceiling = {"crp": 560.0, "sodium": 165.0, "haemoglobin": 19.0, "albumin": 50.0}.get(analyte.name, np.inf)
    floor = _FLOORS.get(
        analyte.name,
        {"haemoglobin": 5.0, "albumin": 15.0, "sodium": 112.0, "potassium": 2.2}.get(analyte.name, 0.0),
    )
    return np.asarray(np.round(np.clip(value, floor, ceiling), analyte.decimals))
