"""What a population-wide phenotype model foretells: how many concepts, in which intervals; no torch."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from phenotype.task_parts import LONGEST_HOURS


class HazardsConfig(BaseModel):
    """Marked time-to-event of many concepts at once.

    Attributes:
        n_concepts: at most so many concepts (codes and what stands above them) are foretold: those that most
            patients have, and death.
        n_intervals: pieces in which a hazard is constant; the last one has no end.
        shortest_hours: end of the first piece.
        longest_hours: beginning of the last piece.
        rank: numbers by which a state and a concept meet in each piece.

    **Source:** piecewise-exponential hazards of low rank: MOTOR, Steinberg et al. 2023
    (10.48550/arXiv.2301.03150); values as marks of events: ORA (10.48550/arXiv.2602.00541).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    n_concepts: int = Field(default=256, ge=1, le=1_000_000)
    n_intervals: int = Field(default=8, ge=1, le=1000)
    shortest_hours: float = Field(default=6.0, gt=0)
    longest_hours: float = Field(default=26_298.0, gt=0, le=LONGEST_HOURS)
    rank: int = Field(default=32, ge=1, le=4096)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.n_intervals > 2 and self.longest_hours <= self.shortest_hours:
            message = f"longest_hours {self.longest_hours:g} must lie above {self.shortest_hours:g}"
            raise ValueError(message)
        return self

    @property
    def edges(self) -> npt.NDArray[np.float64]:
        """Where the pieces begin, hours, (n_intervals,): 0, then log-spaced from shortest to longest."""
        if self.n_intervals == 1:
            return np.zeros(1)
        inner = np.geomspace(self.shortest_hours, self.longest_hours, self.n_intervals - 1)
        if self.n_intervals == 2:
            inner = np.array([self.shortest_hours])
        return np.concatenate([[0.0], inner])
