"""What the blood shows: the value of every analyte, from the state of the body at the moment it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from pipelines.simulate.analytes import ANALYTE_NAMES, ANALYTES
from pipelines.simulate.disease import DISEASES


@dataclass(frozen=True)
class BodyState:
    """What decides a value at a moment, (k,) each unless said otherwise.

    Attributes:
        age: years.
        is_female: bool.
        severity: of chronic diseases, (k, len(DISEASES)).
        weakness: loss of physiological reserve.
        neutropenia: depth, 0 to 1.
        setpoints: personal usual levels, (k, 12).
        ill: acuity in its course; -1.2 is the resting state.
        sepsis: signature of sepsis; `slow` as it shows in what answers slowly.
        infected: infection as the inflammatory markers show it.
    """

    age: np.ndarray
    is_female: np.ndarray
    severity: np.ndarray
    weakness: np.ndarray
    neutropenia: np.ndarray
    setpoints: np.ndarray
    ill: np.ndarray
    sepsis: np.ndarray
    slow: np.ndarray
    infected: np.ndarray

    def factors(self) -> dict[str, np.ndarray]:
        """All that values answer to, by name, (k,) each."""
        inflamed = self.infected + 1.5 * self.slow
        return {
            **dict(zip(DISEASES, self.severity.T, strict=True)),
            "weak": self.weakness,
            "ill": np.maximum(self.ill + 1.2, 0.0),
            "septic": self.sepsis,
            "slow": self.slow,
            "inflamed": inflamed,
            "alarmed": np.tanh(inflamed),
            "marrow_failure": -np.log(1.0 - 0.85 * self.neutropenia),
            "female": self.is_female.astype(np.float64),
            "decades": (self.age - 70.0) / 10.0,
        }


@dataclass(frozen=True)
class Response:
    """How one analyte answers: its level, effects, the person's own level and noise, maybe on a log scale.

    Attributes:
        level: value (on the log scale its exponential) of a rested, healthy 70-year-old man.
        effects: by name of a factor of `BodyState.factors`.
        noise: standard deviation from sample to sample.
        own: standard deviation between people; `setpoint` is the column that it reads.
        is_log: effects and noise multiply rather than add.
        low, high: the limits of what is reported.
    """

    level: float
    effects: dict[str, float] = field(default_factory=dict)
    noise: float = 0.1
    own: float = 0.0
    setpoint: int = 4
    is_log: bool = True
    low: float = 0.0
    high: float = np.inf


RESPONSES = {
    "crp": Response(
        2.5, {"weak": 0.40, "ill": 0.35, "alarmed": 2.8, "inflamed": 0.30}, 0.45, low=1.0, high=560.0
    ),
    "leukocytes": Response(
        6.5, {"ill": 0.08, "inflamed": 0.25, "marrow_failure": -1.0}, 0.13, 0.18, setpoint=5, low=0.1
    ),
    "neutrophils": Response(
        3.9, {"ill": 0.13, "inflamed": 0.32, "marrow_failure": -1.3}, 0.16, 0.22, setpoint=5, low=0.0
    ),
    "lymphocytes": Response(
        1.75,
        {"weak": -0.13, "immunosuppression": -0.16, "ill": -0.10, "septic": -0.22, "marrow_failure": -0.45},
        0.20,
    ),
    "haemoglobin": Response(
        13.9,
        {"female": -0.9, "weak": -0.55, "ckd": -0.45, "cancer": -0.35, "ill": -0.12},
        0.35,
        0.6,
        setpoint=6,
        is_log=False,
        low=5.0,
        high=19.0,
    ),
    "platelets": Response(
        255.0,
        {"liver": -0.22, "septic": -0.30, "inflamed": 0.06, "marrow_failure": -0.30},
        0.08,
        0.18,
        setpoint=7,
        low=5.0,
    ),
    "creatinine": Response(
        78.0, {"ckd": 0.33, "ill": 0.05, "septic": 0.28, "decades": 0.04, "female": -0.16}, 0.06, 0.10
    ),
    "urea": Response(
        6.0, {"ckd": 0.33, "ill": 0.05, "septic": 0.28, "decades": 0.04, "weak": 0.06}, 0.12, 0.10
    ),
    "sodium": Response(
        140.0, {"weak": -0.8, "ill": -0.5, "heart_failure": -0.8}, 1.7, is_log=False, low=112.0, high=165.0
    ),
    "potassium": Response(4.15, {"ckd": 0.12, "septic": 0.05}, 0.32, is_log=False, low=2.2, high=7.5),
    "albumin": Response(
        41.0, {"weak": -2.7, "ill": -0.6, "slow": -2.2, "liver": -1.3}, 1.5, is_log=False, low=15.0, high=50.0
    ),
    "bilirubin": Response(10.0, {"liver": 0.38, "septic": 0.26}, 0.22, 0.25, setpoint=8, low=2.0),
    "alat": Response(25.0, {"liver": 0.22, "septic": 0.15}, 0.35, 0.30, setpoint=9, low=5.0),
    "glucose": Response(5.9, {"diabetes": 0.22, "ill": 0.05, "septic": 0.10}, 0.13, low=2.0),
    "inr": Response(1.08, {"liver": 0.14, "septic": 0.10}, 0.05, low=0.8),
    "lactate": Response(1.15, {"ill": 0.13, "septic": 0.55}, 0.22, low=0.3),
    "procalcitonin": Response(0.06, {"inflamed": 0.7, "slow": 1.5, "ill": 0.22}, 0.45, low=0.02, high=100.0),
    "troponin_t": Response(11.0, {"heart_failure": 0.35, "ill": 0.30, "septic": 0.40}, 0.55, low=3.0),
    "nt_probnp": Response(
        140.0, {"heart_failure": 0.85, "ckd": 0.3, "decades": 0.35, "weak": 0.2}, 0.45, low=5.0
    ),
    "hba1c": Response(37.0, {"diabetes": 9.0}, 2.5, 3.0, setpoint=10, is_log=False, low=20.0),
}
"""What each analyte answers to. The directions are textbook physiology, the sizes our assumption."""


def measure(state: BodyState, rng: np.random.Generator) -> np.ndarray:
    """The values of all analytes at all draws, (k, len(ANALYTES)), rounded as they are reported."""
    noise = rng.standard_normal((len(state.age), len(ANALYTES)))
    factors = state.factors()
    values = [
        _value(RESPONSES[analyte.name], factors, state.setpoints, noise[:, column])
        for column, analyte in enumerate(ANALYTES)
    ]
    white, neutrophils = ANALYTE_NAMES.index("leukocytes"), ANALYTE_NAMES.index("neutrophils")
    values[neutrophils] = np.minimum(values[neutrophils], 0.96 * values[white])
    return np.column_stack(
        [np.round(value, item.decimals) for value, item in zip(values, ANALYTES, strict=True)]
    )


def _value(
    response: Response, factors: dict[str, np.ndarray], setpoints: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    moved = response.own * setpoints[:, response.setpoint] + response.noise * noise
    for name, effect in response.effects.items():
        moved = moved + effect * factors[name]
    value = response.level * np.exp(moved) if response.is_log else response.level + moved
    return np.asarray(np.clip(value, response.low, response.high))
