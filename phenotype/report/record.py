"""The model's own record for a patient like this: what became of those who were given a similar risk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from phenotype.explain.wording import percent_words
from phenotype.report.suppression import MIN_CELL, is_small
from phenotype.task_parts import Frozen

N_NEAREST = 100
MIN_NEAREST = 20
REACH = 0.1
NORMAL_97_5 = 1.959963984540054


class BandRecord(Frozen):
    """What happened to held-out patients who were given a similar risk.

    Attributes:
        lowest: the lowest of their risks.
        highest: the highest.
        observed: the share with the outcome.
        low: lower end of its 95% interval.
        high: upper end.
        n_subjects: how many patients.
    """

    lowest: float
    highest: float
    observed: float
    low: float
    high: float
    n_subjects: int

    @property
    def is_hidden(self) -> bool:
        """Whether so few had the outcome that neither share nor interval is shown."""
        return is_small(round(self.observed * self.n_subjects))

    @property
    def words(self) -> str:
        """How many had the outcome, with its interval; a count from 1 to 4 is not shown."""
        if self.is_hidden:
            return f"fewer than {MIN_CELL} had the outcome"
        if self.observed == 0:
            return f"none had the outcome (95% interval up to {percent_words(self.high)})"
        interval = f"{percent_words(self.low)} to {percent_words(self.high)}"
        return f"{percent_words(self.observed)} had the outcome (95% interval {interval})"


class GroupRecord(Frozen):
    """How well the model did in a group of this patient's; auroc is null where too few were seen."""

    group: str
    n_subjects: int | None
    auroc: float | None
    low: float | None
    high: float | None
    note: str


def band_record(risk: float, subject_id: int, predictions: pl.DataFrame) -> BandRecord | None:
    """The outcomes of the other patients whose risk came nearest to this one.

    Args:
        risk: this patient's.
        subject_id: this patient, who does not count.
        predictions: subject_id, prediction_time, risk and boolean_value of held-out rows. Each other patient
            counts once, with the prediction that came nearest.

    Returns:
        The record of the N_NEAREST nearest within REACH, or null where there are fewer than MIN_NEAREST.
    """
    distance = (pl.col("risk") - risk).abs()
    nearest = (
        predictions.filter(pl.col("subject_id") != subject_id)
        .with_columns(distance.alias("distance"))
        .filter(pl.col("distance") <= REACH)
        .sort("distance", "subject_id", "prediction_time")
        .unique("subject_id", keep="first", maintain_order=True)
        .head(N_NEAREST)
    )
    if nearest.height < MIN_NEAREST:
        return None
    n_positive = int(nearest["boolean_value"].sum())
    low, high = wilson_interval(n_positive, nearest.height)
    return BandRecord(
        lowest=float(nearest["risk"].to_numpy().min()),
        highest=float(nearest["risk"].to_numpy().max()),
        observed=n_positive / nearest.height,
        low=low,
        high=high,
        n_subjects=nearest.height,
    )


def wilson_interval(n_positive: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share.

    **Source:** Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    share, z_squared = n_positive / n, NORMAL_97_5**2
    middle = (share + z_squared / (2 * n)) / (1 + z_squared / n)
    half = NORMAL_97_5 * (share * (1 - share) / n + z_squared / (4 * n * n)) ** 0.5 / (1 + z_squared / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def group_records(facts: Mapping[str, Any], metrics: Mapping[str, Any]) -> tuple[GroupRecord, ...]:
    """The model's record by sex, age and site for the groups that a patient is in.

    Args:
        facts: sex, age and hospital_id of the patient; values may be null.
        metrics: the model's part of metrics.json.
    """
    return tuple(_group(group) for group in metrics.get("subgroups", []) if _is_in(group, facts))


def _group(subgroup: Mapping[str, Any]) -> GroupRecord:
    interval = (subgroup.get("intervals") or {}).get("auroc") or {}
    is_shown = not subgroup.get("is_suppressed") and subgroup.get("auroc") is not None
    return GroupRecord(
        group=group_words(subgroup["by"], subgroup["group"]),
        n_subjects=subgroup["n_subjects"] if is_shown else None,
        auroc=subgroup["auroc"] if is_shown else None,
        low=interval.get("low") if is_shown else None,
        high=interval.get("high") if is_shown else None,
        note="" if is_shown else str(subgroup.get("reason") or "too few to tell"),
    )


def group_words(by: str, group: object) -> str:
    """A subgroup in words: female, 65-79 years, hospital H1."""
    words = {"sex": str(group), "age": f"{group} years", "hospital_id": f"hospital {group}"}
    return words.get(by, f"{by.replace('_', ' ')} {group}")


def _is_in(subgroup: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether a patient belongs to a subgroup of the evaluation."""
    by, group = subgroup["by"], str(subgroup["group"])
    if by != "age":
        return facts.get(by) is not None and str(facts[by]) == group
    age = facts.get("age")
    low, _, high = group.removeprefix("<").rstrip("+").partition("-")
    if age is None or not low.isdigit():
        return False
    if group.startswith("<"):
        return bool(age < int(low))
    return bool(age >= int(low) and (not high or age < int(high) + 1))
