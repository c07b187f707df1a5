"""Rows of a measure made ready to judge practice over time: what can be judged, each unit's baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import read_config
from phenotype.coding.drift.cusum import Floats, own_level, shifted
from phenotype.coding.drift.known_changes import KnownChange

Times = npt.NDArray[np.datetime64]
NO_UNIT, NO_TIME = "unit not told", "time not told"
NOT_OBSERVED, NOT_EXPECTED = "not judged by the measure", "nothing expected: nobody to compare with"
COUNTED, NO_CODE = "a number is counted, not yes or no", "the code did not exist then"
NO_BASELINE, TOO_FEW = (
    "the unit has too few stays for a baseline",
    "the unit has too few stays after its baseline",
)
_LEAST_RISK = 1e-4


class DriftSettings(BaseModel):
    """How practice over time is judged; see configs/coding/drift.yaml.

    Attributes:
        odds_ratio: what the CUSUM looks for, and its inverse.
        false_alarm_rate: of a line without any change, both directions together.
        baseline_days: from the measure's first stay.
        baseline_cases: that must be expected in a baseline; it is longer where they are not.
        lag_days: after the baseline, a unit's level is learnt from stays so long ago and longer.
        least_stays: after the baseline.
        shared_false_alarm_rate: of a change that units share, where there is none.
        shared_z: how clear a shared change must be without any one of the units.
        look_back_days: a change that units share so soon after the record's first stay is explained by that
        start:
            earlier stays, by which patients are compared, are not known yet.
        known_within_days: how far a known cause may lie from the change that it explains.
        seed: of the simulations that choose limits.
        draw: which lines of units have months and change points: those that signal, or all that are watched.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    odds_ratio: float = Field(default=2.0, gt=1.0)
    false_alarm_rate: float = Field(default=0.01, gt=0.0, lt=1.0)
    baseline_days: int = Field(default=365, ge=1)
    baseline_cases: float = Field(default=10.0, gt=0.0)
    lag_days: int = Field(default=365, ge=0)
    least_stays: int = Field(default=100, ge=2)
    shared_false_alarm_rate: float = Field(default=0.01, gt=0.0, lt=1.0)
    shared_z: float = Field(default=2.5, gt=0.0)
    look_back_days: int = Field(default=730, ge=0)
    known_within_days: int = Field(default=92, ge=0)
    seed: int = 20161
    draw: Literal["signals", "watched"] = "signals"

    @classmethod
    def load(cls, path: str | Path = "drift") -> DriftSettings:
        """The shipped settings, or those of a file of the same form.

        Raises:
            ConfigurationError: every fault of the file.
        """
        return read_config(cls, "coding", path)


@dataclass(frozen=True)
class MeasureSeries:
    """One measure over time.

    Attributes:
        measure: its id.
        title: what it says.
        rows: unit, time, observed (0 or 1, null where not judged), expected (the probability by case-mix
        alone,
            the same at all times, null where there is nobody to compare with), and contact_id where it is
            known; one row a stay, in any order.
        codes: beginnings of the codes that it counts; none: not about codes.
    """

    measure: str
    title: str
    rows: pl.DataFrame
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UnitSeries:
    """The stays of one unit in time order, N of them, the first n_baseline of which are its baseline.

    Attributes:
        unit: its name.
        time: (N,).
        observed: 0 or 1, (N,).
        expected: probabilities by case-mix, (N,).
        contact_id: (N,), -1 where it is not told.
        subject: whose stays, numbered, (N,).
        n_baseline: how many stays the baseline has; N where the unit cannot be watched.
        why: why it cannot be watched.
    """

    unit: str
    time: Times
    observed: Floats
    expected: Floats
    contact_id: npt.NDArray[np.int64]
    subject: npt.NDArray[np.int64]
    n_baseline: int
    why: str | None

    @cached_property
    def own(self) -> Floats:
        """Probabilities by case-mix and the unit's level over its whole line, (N,)."""
        return shifted(self.expected, own_level(self.observed, self.expected))

    @property
    def months(self) -> npt.NDArray[np.int64]:
        """The month of each stay, counted from January 1970, (N,)."""
        return self.time.astype("datetime64[M]").astype(np.int64)


def judgeable(
    series: MeasureSeries, causes: tuple[KnownChange, ...]
) -> tuple[pl.DataFrame, Mapping[str, Mapping[str, int]]]:
    """The rows that can be judged, sorted by unit and time; how many cannot, by unit and reason.

    Args:
        series: the measure.
        causes: known changes; stays outside the life of all of the measure's codes are not judged.
    """
    rows = series.rows
    for name in ("contact_id", "subject_id"):
        if name not in rows.columns:
            rows = rows.with_columns(pl.lit(None, pl.Int64).alias(name))
    born, dead = _life(series.codes, causes)
    day = pl.col("time").dt.date()
    is_alive = (day >= born if born else pl.lit(value=True)) & (day < dead if dead else pl.lit(value=True))
    why = (
        pl.when(pl.col("unit").is_null())
        .then(pl.lit(NO_UNIT))
        .when(pl.col("time").is_null())
        .then(pl.lit(NO_TIME))
        .when(pl.col("observed").is_null())
        .then(pl.lit(NOT_OBSERVED))
        .when(~pl.col("observed").cast(pl.Float64).is_in([0.0, 1.0]))
        .then(pl.lit(COUNTED))
        .when(~is_alive)
        .then(pl.lit(NO_CODE))
        .when(~pl.col("expected").is_between(0, 1).fill_null(value=False))
        .then(pl.lit(NOT_EXPECTED))
    )
    judged = rows.with_columns(pl.col("observed", "expected").cast(pl.Float64), why=why)
    left_out: dict[str, dict[str, int]] = {}
    lost = judged.filter(pl.col("why").is_not_null()).group_by("unit", "why").len().sort("unit", "why")
    for unit, reason, n in lost.iter_rows():
        left_out.setdefault(unit or "?", {})[reason] = n
    kept = judged.filter(pl.col("why").is_null()).drop("why")
    return kept.sort("unit", "time", "contact_id", "observed", "expected", nulls_last=True), left_out


def unit_series(rows: pl.DataFrame, settings: DriftSettings) -> list[UnitSeries]:
    """The stays of each unit with its baseline.

    Args:
        rows: as `judgeable` gives them.
        settings: how long a baseline is.
    """
    if rows.is_empty():
        return []
    first: Any = rows["time"].min()
    until = np.datetime64(first) + np.timedelta64(settings.baseline_days, "D")
    return [
        _unit_series(str(unit), group, until, settings)
        for (unit,), group in rows.group_by("unit", maintain_order=True)
    ]


def _unit_series(unit: str, rows: pl.DataFrame, until: np.datetime64, settings: DriftSettings) -> UnitSeries:
    time = rows["time"].to_numpy()
    observed = rows["observed"].to_numpy()
    expected = np.clip(rows["expected"].to_numpy(), _LEAST_RISK, 1.0 - _LEAST_RISK)
    enough = np.searchsorted(np.cumsum(expected), settings.baseline_cases)
    n_baseline = max(int(np.searchsorted(time, until)), int(enough) + 1)
    why = None
    if n_baseline > len(time):
        n_baseline, why = len(time), NO_BASELINE
    elif len(time) - n_baseline < settings.least_stays:
        why = TOO_FEW
    contact_id = rows["contact_id"].fill_null(-1).to_numpy()
    return UnitSeries(
        unit,
        time=time,
        observed=observed,
        expected=expected,
        contact_id=contact_id,
        subject=_numbered(rows["subject_id"]),
        n_baseline=n_baseline,
        why=why,
    )


def dispersion_of(units: Sequence[UnitSeries]) -> float:
    """How many times more the stays of a measure vary than if they were independent; at least 1.

    Stays of one patient are alike: what is coded at one visit is coded at the next. The variance of the sums
    of observed - expected over patients is set against that of independent stays.

    **Source:** the variance of clustered sums, Liang and Zeger 1986, Biometrika 73:13, doi
    10.1093/biomet/73.1.13; that the score is divided by it is quasi-likelihood, our choice.
    """
    found = independent = 0.0
    for unit in units:
        _, number = np.unique(unit.subject, return_inverse=True)
        found += float((np.bincount(number, unit.observed - unit.own) ** 2).sum())
        independent += float((unit.own * (1.0 - unit.own)).sum())
    return max(found / independent, 1.0) if independent else 1.0


def _numbered(subjects: pl.Series) -> npt.NDArray[np.int64]:
    """Subjects as numbers; a stay of nobody known is one's own."""
    own = -1 - np.arange(len(subjects))
    return np.where(subjects.is_null().to_numpy(), own, subjects.fill_null(0).to_numpy())


def _life(codes: tuple[str, ...], causes: tuple[KnownChange, ...]) -> tuple[Any, Any]:
    """The first day on which any of a measure's codes existed, and the first on which none does; or null."""
    ends: list[Any] = []
    for kind, chosen in (("code_birth", min), ("code_death", max)):
        days = [
            next(
                (
                    one.date
                    for one in causes
                    if one.kind == kind and any(code.startswith(c) for c in one.codes)
                ),
                None,
            )
            for code in codes
        ]
        told = [day for day in days if day is not None]
        ends.append(chosen(told) if told and len(told) == len(days) else None)
    return ends[0], ends[1]
