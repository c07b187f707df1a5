"""What a run demands of the quality of its dataset: checks that must hold, and checks that need not."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class QualityDemand(BaseModel):
    """The quality that a run demands before it begins.

    Attributes:
        demand: ids of quality checks, or severities (`fatal`, `convention`, `characterization`) that stand
            for all checks of theirs; empty demands nothing. A check that is demanded by its id must be
            applicable; of a severity, those count that are.
        allow: ids of checks that need not hold although they were demanded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    demand: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is demanded."""
        return not self.demand
