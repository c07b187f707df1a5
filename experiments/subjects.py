"""Who the prediction rows are about: sex, age and site, for subgroups and the table of the cohort."""

from __future__ import annotations

import polars as pl

from phenotype.cases import Cases
from phenotype.trajectory import BIRTH_CODE

SEX_PREFIX = "SEX//"
AGE_CODE = "AGE"
DAYS_A_YEAR = 365.25


def subject_facts(cases: Cases) -> pl.DataFrame:
    """Sex, age and hospital of each prediction row.

    Args:
        cases: prediction rows over a dataset.

    Returns:
        The rows in order with subject_id, prediction_time, sex (text or null), age (years at the prediction
        time,
        or null) and hospital_id (of the contact, or null).
    """
    subjects = cases.rows.select("subject_id").unique()
    facts = (
        cases.dataset.events()
        .filter(pl.col("code").str.starts_with(SEX_PREFIX) | pl.col("code").is_in([BIRTH_CODE, AGE_CODE]))
        .join(subjects.lazy(), on="subject_id", how="semi")
        .select("subject_id", "code", "time", "numeric_value")
        .collect()
        .sort("subject_id", "code", "time", "numeric_value")
    )
    sex = _first(
        facts.filter(pl.col("code").str.starts_with(SEX_PREFIX)).with_columns(
            pl.col("code").str.strip_prefix(SEX_PREFIX).alias("sex")
        ),
        "sex",
    )
    birth = _first(facts.filter(pl.col("code") == BIRTH_CODE).rename({"time": "birth_time"}), "birth_time")
    stated = _first(
        facts.filter(pl.col("code") == AGE_CODE).rename({"numeric_value": "stated_age"}), "stated_age"
    )
    hospitals = (
        cases.dataset.contacts().select("contact_id", "hospital_id").unique("contact_id", maintain_order=True)
    )
    lived_days = (pl.col("prediction_time") - pl.col("birth_time")).dt.total_seconds() / 86_400
    rows = cases.rows
    for found in (sex, birth, stated):
        rows = rows.join(found, on="subject_id", how="left", maintain_order="left")
    return rows.join(hospitals, on="contact_id", how="left", maintain_order="left").select(
        "subject_id",
        "prediction_time",
        "sex",
        pl.coalesce(lived_days / DAYS_A_YEAR, pl.col("stated_age").cast(pl.Float64)).alias("age"),
        "hospital_id",
    )


def _first(facts: pl.DataFrame, column: str) -> pl.DataFrame:
    return facts.select("subject_id", column).unique("subject_id", keep="first", maintain_order=True)
