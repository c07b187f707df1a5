"""Who was under observation, and until when; when subjects were born and died.

No record is not the same as no disease: a question can be answered only while the subject is observed.
"""

from __future__ import annotations

import polars as pl

from phenotype.contacts import DEATH
from phenotype.trajectory import BIRTH_CODE, DEATH_CODE, INSTANT, Dataset

AGE_CODE = "AGE"
HOURS_OF_YEAR = 365.25 * 24


def observed_periods(observation: pl.DataFrame) -> pl.DataFrame:
    """Each subject's unbroken periods of observation: overlapping and touching windows of all sources joined.

    A window without an end is taken to end with the latest window end in the data.

    Args:
        observation: columns of OBSERVATION.

    Returns:
        subject_id, observed_from, observed_until, end_reason (of the window that ends last), sorted by
        (subject_id, observed_from); periods of one subject neither overlap nor touch.
    """
    until = pl.col("end_time").fill_null(pl.col("end_time").max()).alias("observed_until")
    windows = (
        observation.with_columns(until, observed_from=pl.col("start_time"))
        .filter(pl.col("observed_until") >= pl.col("observed_from"))
        .sort("subject_id", "observed_from", "observed_until", "end_reason")
    )
    reached = pl.col("observed_until").cum_max().shift(1).over("subject_id")
    return (
        windows.with_columns(_is_new=reached.is_null() | (pl.col("observed_from") > reached))
        .with_columns(_period=pl.col("_is_new").cum_sum().over("subject_id"))
        .group_by("subject_id", "_period")
        .agg(
            pl.col("observed_from").min(),
            pl.col("observed_until").max(),
            pl.col("end_reason").sort_by("observed_until", "end_reason", nulls_last=False).last(),
        )
        .drop("_period")
        .sort("subject_id", "observed_from")
    )


def death_times(dataset: Dataset, contacts: pl.DataFrame) -> pl.DataFrame:
    """When each subject who died did so.

    A death in hospital is timed by the contact's end where the recorded death falls on the same day, as
    recorded deaths are often dates only; else the recorded death counts.

    Args:
        dataset: whose MEDS_DEATH events count; the earliest where there are several.
        contacts: columns of CONTACTS; those discharged to "death" count.

    Returns:
        subject_id, death_time: one row a dead subject, sorted.
    """
    recorded = (
        dataset.events()
        .filter((pl.col("code") == DEATH_CODE) & pl.col("time").is_not_null())
        .group_by("subject_id")
        .agg(_recorded=pl.col("time").min())
        .collect()
    )
    in_hospital = (
        contacts.filter((pl.col("discharged_to") == DEATH) & pl.col("end_time").is_not_null())
        .group_by("subject_id")
        .agg(_left=pl.col("end_time").max())
    )
    is_same_day = pl.col("_recorded").dt.date() == pl.col("_left").dt.date()
    return (
        recorded.join(in_hospital, on="subject_id", how="full", coalesce=True)
        .select(
            "subject_id",
            pl.when(is_same_day)
            .then("_left")
            .otherwise(pl.coalesce("_recorded", "_left"))
            .cast(INSTANT)
            .alias("death_time"),
        )
        .sort("subject_id")
    )


def with_age(rows: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """Rows with age_years at the prediction: from the birth event, else from a static AGE, else null.

    Args:
        rows: subject_id and prediction_time among others.
        dataset: whose MEDS_BIRTH and AGE events count.
    """
    ages = (
        dataset.events()
        .filter(pl.col("code").is_in([BIRTH_CODE, AGE_CODE]))
        .group_by("subject_id")
        .agg(
            _birth=pl.col("time").filter(pl.col("code") == BIRTH_CODE).min(),
            _age=pl.col("numeric_value").filter(pl.col("code") == AGE_CODE).min().cast(pl.Float64),
        )
        .collect()
    )
    lived = (pl.col("prediction_time") - pl.col("_birth")).dt.total_microseconds() / 3_600_000_000
    return (
        rows.join(ages, on="subject_id", how="left", maintain_order="left")
        .with_columns(age_years=pl.coalesce(lived / HOURS_OF_YEAR, "_age"))
        .drop("_birth", "_age")
    )


def with_recorded_deaths(stay_rows: pl.DataFrame, deaths: pl.DataFrame) -> pl.DataFrame:
    """Stays with is_dead also where the discharge is silent and the recorded death falls within the stay.

    Args:
        stay_rows: columns of STAYS.
        deaths: subject_id, death_time.
    """
    is_within = (pl.col("death_time") >= pl.col("start_time")) & (pl.col("death_time") <= pl.col("end_time"))
    is_silent = pl.col("discharged_to").is_null()
    return (
        stay_rows.join(deaths, on="subject_id", how="left", maintain_order="left")
        .with_columns(is_dead=pl.col("is_dead") | (is_silent & is_within).fill_null(value=False))
        .drop("death_time")
    )
