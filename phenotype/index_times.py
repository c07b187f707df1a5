"""When a task predicts: one candidate row for each stay, contact, hour or landmark that its index rule names.

Candidates are not yet eligible: `phenotype.eligibility` says which are left out, and why. A candidate whose
prediction time cannot be told (a stay without an end, where the end is the index) has none.

Prediction times are inclusive for predictors (known_time <= prediction_time). A prediction at admission from
history only is therefore placed one microsecond, the finest step of an instant, before the stay begins.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.contacts import hours_between
from phenotype.task_parts import Admission, AfterDischarge, AfterStart, Hourly, NewYear
from phenotype.tasks import Task
from phenotype.trajectory import INSTANT, NOT_PREDICTORS, Dataset

FINEST_STEP = timedelta(microseconds=1)
NOT_OBSERVATIONS = (*NOT_PREDICTORS, "CONTACT//", "CONTACT_END//")

CANDIDATES = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": INSTANT,
        "index_time": INSTANT,
        "contact_id": pl.Int64(),
        "stay_id": pl.Int64(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "care_level": pl.String(),
        "is_overnight": pl.Boolean(),
        "is_dead": pl.Boolean(),
        "discharged_to": pl.String(),
    }
)
"""index_time is when the question arises, prediction_time the last instant that predictors may know;
start_time and end_time are the stay's, but start_time is the intensive care contact's for its tasks."""


def candidates(
    task: Task, dataset: Dataset, contacts: pl.DataFrame, stay_rows: pl.DataFrame, periods: pl.DataFrame
) -> pl.DataFrame:
    """The rows that a task might ask about.

    Args:
        task: whose index rule is followed.
        dataset: whose events say when the record of a contact begins, for hourly tasks.
        contacts: columns of CONTACTS, with stay_id.
        stay_rows: columns of STAYS.
        periods: as `observed_periods` gives them.

    Returns:
        Columns of CANDIDATES, in no particular order.
    """
    index = task.index
    match index:
        case Admission():
            rows = _of_stays(stay_rows, pl.col("start_time") - FINEST_STEP, pl.col("start_time"))
        case AfterStart(of="stay"):
            rows = _of_stays(stay_rows, pl.col("start_time") + _hours(index.hours))
        case AfterStart():
            first = _intensive_care(contacts, stay_rows).unique("stay_id", keep="first", maintain_order=True)
            rows = _of_stays(first, pl.col("start_time") + _hours(index.hours))
        case Hourly():
            rows = _hourly(_intensive_care(contacts, stay_rows), dataset)
        case AfterDischarge():
            rows = _of_stays(stay_rows, pl.col("end_time") + _hours(24 * index.days))
        case NewYear():
            rows = _new_years(periods)
        case _:
            rows = _of_stays(stay_rows, pl.col("end_time"))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in CANDIDATES.items())


def check_calendar(task: Task, dataset: Dataset) -> None:
    """Refuse a calendar task on a dataset whose dates are not true dates.

    Raises:
        ConfigurationError: the task needs a calendar and the dataset has a nominal anchor or shifted dates.
    """
    if task.needs_calendar and dataset.untrue_dates:
        raise ConfigurationError(
            Problem(
                f"task {task.name} asks at dates of the calendar, which this dataset does not have",
                where="metadata/dataset.json",
                found=dataset.untrue_dates,
                allowed="tasks whose index is relative to a stay",
                next_step="leave this task out of the run for this dataset",
            )
        )


def _hours(hours: float) -> timedelta:
    return timedelta(hours=hours)


def _of_stays(
    stay_rows: pl.DataFrame, prediction_time: pl.Expr, index_time: pl.Expr | None = None
) -> pl.DataFrame:
    """One candidate a stay; contact_id is the stay's first contact unless the rows say otherwise."""
    contact = pl.col("contact_id") if "contact_id" in stay_rows.columns else pl.col("stay_id")
    when = prediction_time if index_time is None else index_time
    return stay_rows.with_columns(prediction_time=prediction_time, index_time=when, contact_id=contact)


def _intensive_care(contacts: pl.DataFrame, stay_rows: pl.DataFrame) -> pl.DataFrame:
    """Intensive care contacts with their stay's end and outcome; contact_end_time is their own end."""
    of_stay = stay_rows.drop("subject_id", "start_time")
    return (
        contacts.filter((pl.col("care_level") == "icu") & pl.col("start_time").is_not_null())
        .select("contact_id", "subject_id", "stay_id", "start_time", contact_end_time=pl.col("end_time"))
        .join(of_stay, on="stay_id", how="left")
        .sort("subject_id", "start_time", "contact_id")
    )


def _hourly(intensive_care: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Each full hour of each contact; one row without a prediction time where the contact has no end.

    Hours before the contact's first event are not asked about: nothing is recorded yet.
    """
    recorded = intensive_care.join(_first_events(dataset, intensive_care), on="contact_id", how="left")
    began = hours_between("start_time", "_first_event").ceil().cast(pl.Int64).fill_null(1)
    ended = hours_between("start_time", "contact_end_time").floor().cast(pl.Int64)
    steps = pl.int_ranges(pl.max_horizontal(began, 1), ended + 1, dtype=pl.Int64)
    hourly = recorded.with_columns(_hour=steps).explode("_hour", empty_as_null=False, keep_nulls=True)
    return _of_stays(hourly, pl.col("start_time") + pl.duration(hours="_hour"))


def _first_events(dataset: Dataset, contacts: pl.DataFrame) -> pl.DataFrame:
    """contact_id and the time of its first event that observes the patient."""
    observes = ~pl.any_horizontal([pl.col("code").str.starts_with(prefix) for prefix in NOT_OBSERVATIONS])
    return (
        dataset.events()
        .filter(pl.col("contact_id").is_not_null() & pl.col("time").is_not_null() & observes)
        .group_by("contact_id")
        .agg(_first_event=pl.col("time").min())
        .collect()
        .join(contacts.select("contact_id"), on="contact_id", how="semi")
    )


def _new_years(periods: pl.DataFrame) -> pl.DataFrame:
    """Each 1 January 00:00 from the beginning to the end of each period of observation."""
    opening = pl.col("observed_from").dt.truncate("1y")
    first = pl.when(opening == pl.col("observed_from")).then(opening).otherwise(opening.dt.offset_by("1y"))
    landmarks = (
        periods.with_columns(_first=first)
        .filter(pl.col("_first") <= pl.col("observed_until"))
        .select("subject_id", prediction_time=pl.datetime_ranges("_first", "observed_until", "1y"))
        .explode("prediction_time")
    )
    unknown = [name for name in CANDIDATES if name not in {"subject_id", "prediction_time", "index_time"}]
    nothing = [pl.lit(None).alias(name) for name in unknown]
    return landmarks.with_columns(*nothing, index_time=pl.col("prediction_time"))
