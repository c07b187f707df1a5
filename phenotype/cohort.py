"""The risks that a patient's risk is compared with: quantiles of everybody's and of each large unit's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

LEVELS = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
MIN_SUBJECTS = 20
"""A unit with fewer patients has no range of its own: it would be unstable, and could point at a patient."""


class RiskRange(BaseModel):
    """How risks are spread in one group of prediction rows.

    Attributes:
        n_rows: prediction rows.
        n_subjects: patients.
        quantiles: risk at each of LEVELS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_rows: int
    n_subjects: int
    quantiles: tuple[float, ...]

    def quantile(self, level: float) -> float:
        """The risk that a share `level` of rows lies below, interpolated between the kept quantiles."""
        return float(np.interp(level, LEVELS, self.quantiles))

    def share_below(self, risk: float) -> float:
        """The share of rows with a lower risk, interpolated between the kept quantiles, in [0.01, 0.99]."""
        return float(np.interp(risk, self.quantiles, LEVELS))


class RiskCohort(BaseModel):
    """The usual range of risks, for everybody and for each unit with MIN_SUBJECTS patients or more.

    Attributes:
        everybody: all rows.
        units: unit_id -> the rows whose contact was at that unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    everybody: RiskRange
    units: Mapping[str, RiskRange] = {}

    def of_unit(self, unit_id: str | None) -> RiskRange:
        """The unit's own range, or everybody's where the unit is unknown or small."""
        return self.units.get(unit_id or "", self.everybody)

    @classmethod
    def of_risks(cls, risks: pl.DataFrame) -> Self:
        """The cohort of calibrated risks.

        Args:
            risks: subject_id, risk, and unit_id (String, null where unknown) if units shall have their own.
        """
        if "unit_id" not in risks.columns:
            return cls(everybody=_risk_range(risks))
        by_unit = (
            risks.drop_nulls("unit_id")
            .sort("unit_id")
            .partition_by("unit_id", as_dict=True, maintain_order=True)
        )
        units = {str(key[0]): _risk_range(rows) for key, rows in by_unit.items()}
        large = {unit: spread for unit, spread in units.items() if spread.n_subjects >= MIN_SUBJECTS}
        return cls(everybody=_risk_range(risks), units=large)


def _risk_range(risks: pl.DataFrame) -> RiskRange:
    values: npt.NDArray[np.float64] = risks["risk"].to_numpy()
    quantiles = np.quantile(values, LEVELS) if len(values) else np.full(len(LEVELS), np.nan)
    return RiskRange(
        n_rows=risks.height, n_subjects=risks["subject_id"].n_unique(), quantiles=tuple(quantiles.tolist())
    )
