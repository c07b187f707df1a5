"""How models are judged, and what an evaluation needs to know of a task: light to import."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator


class EvaluationConfig(BaseModel):
    """How models are judged.

    Attributes:
        n_bootstrap: resamples of the patients for intervals; 0 for none.
        seed: of the resampling.
        alert_rates: shares of predictions that may alert; null takes the task's own.
        age_bands: years at which subgroups by age begin.
        net_benefit_thresholds: where decision curves are computed.
        utility: score tasks that have it by the challenge 2019 utility.
        utility_prevalence: the alarm threshold of the utility is chosen as if patients with the outcome were
            so many times as frequent as among the tuning patients. Below 1: for another hospital, where the
            outcome may be rarer; too many alarms cost more there than too few.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_bootstrap: int = Field(1000, ge=0)
    seed: int = 0
    alert_rates: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    age_bands: tuple[float, ...] = Field((0, 18, 45, 65, 80), min_length=1)
    net_benefit_thresholds: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (
        0.001,
        0.002,
        0.005,
        *(round(0.01 * step, 2) for step in range(1, 61)),
    )
    utility: bool = True
    utility_prevalence: float = Field(1.0, gt=0)

    @field_validator("age_bands")
    @classmethod
    def _rising(cls, bands: tuple[float, ...]) -> tuple[float, ...]:
        if list(bands) != sorted(set(bands)):
            raise ValueError("age bands must rise")
        return bands


class TaskInfo(BaseModel):
    """What an evaluation needs to know of a task.

    Attributes:
        name: the task's.
        alert_rates: shares of predictions that may alert.
        cadence_hours: how often each patient is predicted; null where once a stay, or at landmarks.
        has_utility: rows are hourly and labelled as in the challenge of 2019.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    alert_rates: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)
    cadence_hours: float | None = None
    has_utility: bool = False
