"""What a scenario plants of coding errors: families, how often, where and from when; look-alikes beside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.simulate.clock import END, START

Family = Literal[
    "main_swap",
    "open_endoscopic",
    "once_only",
    "place_default",
    "z03_u07_main",
    "dropped_secondary",
    "added_secondary",
    "double_sepsis",
    "retired_code",
    "asterisk_alone",
    "stay_splitting",
    "leave_equals_stay",
]
"""The kinds of errors that Norwegian cases and guidelines tell of.

**Source:** Avregningsutvalget 2024 (25/3262, 25/3263, 25/3267, 25/3268, 17/28390, 21/4753), Kodeveiledning
2023, the code changes of 2025, Tidsskr Nor Legeforen 2024 (doi 10.4045/tidsskr.23.0271).
"""
FAMILIES: tuple[Family, ...] = get_args(Family)
OF_SERVICES: frozenset[Family] = frozenset(
    {"main_swap", "open_endoscopic", "once_only", "place_default", "stay_splitting", "leave_equals_stay"}
)
"""Families that stand in care which is added to the hospital's for them; its units are theirs."""
Share = Annotated[float, Field(ge=0.0, le=0.2)]


class Part(BaseModel):
    """A frozen part of a plan that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FamilyPlanting(Part):
    """One family, how often and where. A family may be planted several times.

    Attributes:
        family: which.
        rate: errors, as a share of the stays that end in these hospitals, units and period.
        look_alike_rate: innocent look-alikes as such a share; null: `n_look_alikes` times the rate.
        hospitals: where; empty: everywhere.
        units: wards whose stays are taken; empty: all. Of families in services the unit is the service's.
        from_date: the first day.
        until_date: the day after the last; null: to the end.
    """

    family: Family
    rate: Share
    look_alike_rate: Annotated[float, Field(ge=0.0, le=0.6)] | None = None
    hospitals: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    from_date: date = START.date()
    until_date: date | None = None

    @model_validator(mode="after")
    def _check(self) -> FamilyPlanting:
        until = self.until_date or END.date()
        if not START.date() <= self.from_date < until <= END.date():
            raise ValueError(
                f"from_date before until_date, from {START.date()} until {END.date()}, is needed"
            )
        if self.units and self.family in OF_SERVICES:
            raise ValueError(f"{self.family} stands in a service with a unit of its own: leave units out")
        return self


class CodingErrors(Part):
    """What is planted.

    Attributes:
        families: the families.
        n_look_alikes: innocent look-alikes for each error.
        right_all_the_same: share of the look-alikes of families that break rules that are coded as the error
            is and right all the same, for reasons that no record tells.
        honest_under_coding: share of the other conditions that patients truly have and nobody codes, without
            a pattern.
    """

    families: tuple[FamilyPlanting, ...] = ()
    n_look_alikes: Annotated[int, Field(ge=0, le=10)] = 3
    right_all_the_same: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    honest_under_coding: Annotated[float, Field(ge=0.0, le=0.9)] = 0.0

    def strangers(self, hospitals: Iterable[str]) -> list[str]:
        """Hospitals that the families name and a scenario does not have, in order."""
        named = {hospital for planting in self.families for hospital in planting.hospitals}
        return sorted(named - set(hospitals))
