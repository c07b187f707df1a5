"""What the record shows of a patient at a time: latest results, trends, admissions, codes, age.

Everything is read from the extract's own tables and counts only if it was known at or before the time.
Questions are a frame of row (0 .. n - 1), patient_id and asked_time.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import polars as pl

DAY_SECONDS = 86400.0


def latest_two(
    laboratory: pl.DataFrame, questions: pl.DataFrame, code: str, within_days: float
) -> np.ndarray:
    """The latest result of an NLK code and the one before it, by the time of the sample; NaN where none is.

    Args:
        laboratory: patient_id, nlk, value, sampled_time, answered_time.
        questions: row, patient_id, asked_time.
        code: the NLK code.
        within_days: how old a sample may be.

    Returns:
        (n, 2) float64.
    """
    asked = pl.col("asked_time")
    known = (
        laboratory.filter(nlk=code)
        .select("patient_id", "value", "sampled_time", "answered_time")
        .join(questions, on="patient_id")
        .filter(
            pl.col("answered_time") <= asked,
            pl.col("sampled_time") >= asked - timedelta(days=within_days),
        )
        .sort("row", "sampled_time", "answered_time", "value", descending=[False, True, True, True])
        .group_by("row", maintain_order=True)
        .agg(pl.col("value").first().alias("last"), pl.col("value").get(1, null_on_oob=True).alias("before"))
    )
    found = np.full((questions.height, 2), np.nan)
    found[known["row"].to_numpy()] = known.select("last", "before").cast(pl.Float64).to_numpy()
    return found


def fading_admissions(contacts: pl.DataFrame, questions: pl.DataFrame, half_life_days: float) -> np.ndarray:
    """The inpatient contacts begun so far, each counting 2^(-days since / half life), (n,).

    Args:
        contacts: patient_id, innDatoTid, omsorgsniva.
        questions: row, patient_id, asked_time.
        half_life_days: after which a contact counts half.
    """
    begun = (
        contacts.filter(omsorgsniva=1)
        .select("patient_id", "innDatoTid")
        .join(questions, on="patient_id")
        .filter(pl.col("innDatoTid") <= pl.col("asked_time"))
        .sort("row", "innDatoTid")
    )
    days = (begun["asked_time"] - begun["innDatoTid"]).dt.total_seconds().to_numpy() / DAY_SECONDS
    weight = np.exp2(-days / half_life_days)
    return np.bincount(begun["row"].to_numpy(), weights=weight, minlength=questions.height)


def has_code(conditions: pl.DataFrame, questions: pl.DataFrame, codes: tuple[str, ...]) -> np.ndarray:
    """Whether a diagnosis with one of these beginnings was coded so far, (n,) bool.

    Args:
        conditions: patient_id, kodeVerdi, kodet_tid.
        questions: row, patient_id, asked_time.
        codes: beginnings of codes without the dot.
    """
    is_one = pl.any_horizontal(pl.col("kodeVerdi").str.starts_with(code) for code in codes)
    first = conditions.filter(is_one).group_by("patient_id").agg(pl.col("kodet_tid").min())
    rows = questions.join(first, on="patient_id").filter(pl.col("kodet_tid") <= pl.col("asked_time"))
    found = np.zeros(questions.height, dtype=bool)
    found[rows["row"].to_numpy()] = True
    return found


def age_years(patients: pl.DataFrame, questions: pl.DataFrame) -> np.ndarray:
    """Age in years of 365.25 days, (n,).

    Args:
        patients: patient_id, birth_date.
        questions: row, patient_id, asked_time.
    """
    born = questions.join(patients, on="patient_id", how="left", maintain_order="left")
    lived = born["asked_time"] - born["birth_date"].cast(pl.Datetime("us"))
    return lived.dt.total_seconds().to_numpy() / (365.25 * DAY_SECONDS)
