"""Which candidate rows a task may ask about, and the first reason to leave each of the others out."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from phenotype.contacts import OVERNIGHT_LEVELS
from phenotype.follow_up import with_age
from phenotype.task_parts import AfterStart
from phenotype.tasks import Task
from phenotype.trajectory import Dataset

REASONS = {
    "no_end": "the stay or contact has no recorded end, so the time of prediction cannot be told",
    "other_care_level": "the stay is at none of the care levels that the task asks about",
    "not_overnight": "the stay is not known to have lasted over midnight",
    "died_in_stay": "the patient died in the stay",
    "not_in_selected_cohort": "the patient never has any of the codes that select the cohort",
    "age_unknown": "the age at the prediction is not known",
    "too_young": "the patient is younger than the task asks about",
    "not_observed": "no observation window covers the time of the prediction",
    "dead": "the patient is dead at the prediction",
    "left": "the patient left, or died, before the time of the prediction",
    "in_hospital": "the patient is in hospital at the time of a prediction for life outside",
    "not_as_asked_before": "a window before the prediction is not as the ACES task asks",
    "no_time_of_prediction": "the event that gives the ACES task its time of prediction is not recorded",
    "same_time": "another contact, or trigger, gives the same patient the same time of prediction",
}
"""The reasons of eligibility in the order in which they are applied."""
_WHOLE_DAY = timedelta(days=1)


def with_exclusions(
    task: Task,
    rows: pl.DataFrame,
    *,
    dataset: Dataset,
    stay_rows: pl.DataFrame,
    periods: pl.DataFrame,
    deaths: pl.DataFrame,
) -> pl.DataFrame:
    """Candidates with what follow-up needs to know of each, and the first reason to leave it out.

    Args:
        task: whose population and index rule decide.
        rows: columns of CANDIDATES.
        dataset: for ages and selecting codes.
        stay_rows: columns of STAYS, for who is in hospital.
        periods: subject_id, observed_from, observed_until, end_reason.
        deaths: subject_id, death_time.

    Returns:
        The candidates, sorted by (subject_id, prediction_time, contact_id), with death_time, observed_until
        (end of the observation that covers the index; null where none does) and exclusion_reason (a key of
        REASONS, or null).
    """
    known = rows.join(deaths, on="subject_id", how="left")
    known = _with_observation(known, periods)
    known = _with_hospital(known, stay_rows) if _is_outside(task) else known
    known = with_age(known, dataset) if task.population.min_age_years > 0 else known
    known = _with_selection(known, dataset, task.population.ever_codes)
    known = known.sort("subject_id", "prediction_time", "contact_id")
    conditions = {name: holds.fill_null(value=False) for name, holds in _conditions(task).items()}
    reason = pl.coalesce(pl.when(holds).then(pl.lit(name)) for name, holds in conditions.items())
    eligible = known.with_columns(exclusion_reason=reason)
    is_again = pl.col("exclusion_reason").is_null() & (
        pl.col("exclusion_reason").is_null().cum_sum().over("subject_id", "prediction_time") > 1
    )
    return eligible.with_columns(
        exclusion_reason=pl.when(is_again).then(pl.lit("same_time")).otherwise("exclusion_reason")
    )


def reasons_of(task: Task) -> list[str]:
    """The reasons of eligibility that this task can have, in the order in which they are applied."""
    return [*_conditions(task), "same_time"]


def _is_outside(task: Task) -> bool:
    return task.index.kind in {"after_discharge", "new_year"}


def _conditions(task: Task) -> dict[str, pl.Expr]:
    """By reason in the order of REASONS, when a row is left out; only the reasons that the task knows."""
    population, kind = task.population, task.index.kind
    conditions: dict[str, pl.Expr] = {}
    if kind in {"hourly", "discharge", "after_discharge"}:
        conditions["no_end"] = pl.col("prediction_time").is_null()
    if kind != "new_year":
        levels = list(population.care_levels)
        conditions["other_care_level"] = ~pl.col("care_level").is_in(levels).fill_null(value=False)
    if population.is_overnight:
        conditions["not_overnight"] = ~pl.col("is_overnight").fill_null(value=False)
    if kind in {"discharge", "after_discharge"}:
        conditions["died_in_stay"] = pl.col("is_dead")
    if population.ever_codes:
        conditions["not_in_selected_cohort"] = ~pl.col("is_selected")
    if population.min_age_years > 0:
        conditions["age_unknown"] = pl.col("age_years").is_null()
        conditions["too_young"] = pl.col("age_years") < population.min_age_years
    if task.needs_observation:
        conditions["not_observed"] = pl.col("observed_until").is_null()
        conditions["dead"] = pl.col("death_time") <= pl.col("prediction_time")
    if isinstance(task.index, AfterStart):
        conditions["left"] = _has_left()
    if _is_outside(task):
        conditions["in_hospital"] = pl.col("is_in_hospital")
    return conditions


def _has_left() -> pl.Expr:
    """Whether a stay ended before its prediction.

    A stay from midnight to midnight comes from a source that counts whole days, rounded down: one of "2 days"
    may have lasted up to 72 hours.
    """
    is_by_day = _is_midnight("start_time") & _is_midnight("end_time")
    ended = pl.col("end_time") <= pl.col("prediction_time")
    return (
        pl.when(is_by_day).then(pl.col("end_time") + _WHOLE_DAY < pl.col("prediction_time")).otherwise(ended)
    )


def _is_midnight(column: str) -> pl.Expr:
    return pl.col(column).dt.truncate("1d") == pl.col(column)


def _with_observation(rows: pl.DataFrame, periods: pl.DataFrame) -> pl.DataFrame:
    """Rows with observed_until, where a period of observation covers index_time."""
    covering = rows.sort("index_time").join_asof(
        periods.sort("observed_from"),
        left_on="index_time",
        right_on="observed_from",
        by="subject_id",
        strategy="backward",
        check_sortedness=False,
    )
    is_inside = pl.col("observed_until") >= pl.col("index_time")
    until = pl.when(is_inside).then("observed_until").alias("observed_until")
    is_death = pl.col("end_reason").str.to_lowercase() == "death"
    last = (
        pl.when(is_death).then(pl.max_horizontal("observed_until", "death_time")).otherwise("observed_until")
    )
    return covering.with_columns(until).with_columns(observed_until=last).drop("observed_from", "end_reason")


def _with_hospital(rows: pl.DataFrame, stay_rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with is_in_hospital: whether a stay with a bed has begun and not ended at the prediction."""
    beds = stay_rows.filter(pl.col("care_level").is_in(OVERNIGHT_LEVELS)).select(
        "subject_id",
        _in=pl.col("start_time"),
        _out=pl.col("end_time"),
    )
    inside = rows.sort("index_time").join_asof(
        beds.sort("_in"),
        left_on="index_time",
        right_on="_in",
        by="subject_id",
        strategy="backward",
        check_sortedness=False,
    )
    is_there = pl.col("_in").is_not_null() & (
        pl.col("_out").is_null() | (pl.col("_out") > pl.col("index_time"))
    )
    return inside.with_columns(is_in_hospital=is_there).drop("_in", "_out")


def _with_selection(rows: pl.DataFrame, dataset: Dataset, codes: tuple[str, ...]) -> pl.DataFrame:
    """Rows with is_selected: whether the subject has any code that begins as given, at any time."""
    if not codes:
        return rows
    selected = (
        dataset.events()
        .filter(pl.any_horizontal([pl.col("code").str.starts_with(code) for code in codes]))
        .select("subject_id")
        .unique()
        .collect()
    )
    return rows.with_columns(is_selected=pl.col("subject_id").is_in(selected["subject_id"].implode()))
