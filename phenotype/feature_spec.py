"""Which features are made of a trajectory: look-behind windows and aggregations, checked when read."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

AGGREGATIONS = ("count", "sum", "mean", "min", "max", "first", "last", "sd", "slope", "time_since", "change")
MICROSECONDS = {"min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
LONGEST_WINDOW_DAYS = 36_525
FULL = "full"


def window_microseconds(window: str) -> int | None:
    """The length of a window: "30min", "6h", "365d"; None for "full", all that was known before.

    Raises:
        ValueError: not a whole number of min, h or d, not positive, or longer than 100 years.
    """
    if window == FULL:
        return None
    found = re.fullmatch(r"([1-9]\d*)(min|h|d)", window)
    length = int(found[1]) * MICROSECONDS[found[2]] if found else 0
    if not 0 < length <= LONGEST_WINDOW_DAYS * MICROSECONDS["d"]:
        raise ValueError(f"{window!r} is not a window: write 30min, 6h, 365d (100 years at most) or full")
    return length


def _aggregation(name: str) -> str:
    if name not in AGGREGATIONS:
        raise ValueError(f"{name!r} is not an aggregation: choose from {', '.join(AGGREGATIONS)}")
    return name


def _window(window: str) -> str:
    window_microseconds(window)
    return window


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("each may be named once")
    return names


class RollUp(BaseModel):
    """Codes that count as a concept above them as well, or instead.

    Attributes:
        system: the code system of the concept above: ICD10, ATC, ICD9CM.
        level: the level of the concept above, as the ontology names it: chapter, block, category.
        keep_codes: whether the codes below keep their own features; where not, only the concept has them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    system: str
    level: str
    keep_codes: bool = True


class FeatureSpec(BaseModel):
    """Which features are made of a trajectory.

    Attributes:
        windows: look-behind windows, as "6h", "30d" or "full".
        aggregations: names of AGGREGATIONS.
        min_subjects: how many training subjects must hold a column before a model uses it, see
            `FeatureMatrix.frequent`; the matrix itself holds every column.
        exclude: codes with these beginnings make no features.
        static: whether facts without a time become columns.
        age: whether age at the prediction time becomes a column.
        roll_up: levels of the ontology whose concepts become features, of what happened below them.
        ontology_digest: the ontology that features were fitted with; filled in by the fit where roll_up is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    windows: Annotated[
        tuple[Annotated[str, AfterValidator(_window)], ...], Field(min_length=1), AfterValidator(_each_once)
    ] = ("24h", "7d", "30d", "365d", FULL)
    aggregations: Annotated[
        tuple[Annotated[str, AfterValidator(_aggregation)], ...],
        Field(min_length=1),
        AfterValidator(_each_once),
    ] = AGGREGATIONS[:10]
    min_subjects: Annotated[int, Field(ge=1)] = 20
    exclude: tuple[str, ...] = ("SCORE//",)
    static: bool = True
    age: bool = True
    roll_up: tuple[RollUp, ...] = ()
    ontology_digest: str | None = None
