"""Acute kidney injury by the creatinine of a stay: a condition that the record shows, coded where it does."""

from __future__ import annotations

import polars as pl

from pipelines.simulate.analytes import ANALYTE_INDEX, ANALYTES
from pipelines.simulate.coding_error_record import Groups

CONDITION, CODE = "kidney_injury", "N179"
RISE, WITHIN_DAYS = 1.5, 7
"""Creatinine at least so many times the lowest within so many days, before or after.

**Source:** KDIGO Clinical Practice Guideline for Acute Kidney Injury, Kidney Int Suppl 2012;2:1-138; the
lowest of the stay as baseline where none is known is our reading.
"""
CREATININE = ANALYTES[ANALYTE_INDEX["creatinine"]].code


def kidney_injuries(laboratory: pl.DataFrame, stays: pl.DataFrame) -> pl.DataFrame:
    """The stays whose creatinine shows acute kidney injury, as rows of `coding_error_stays.true_conditions`.

    Args:
        laboratory: the extract's table.
        stays: columns stay, patient_id, start_time, end_time.
    """
    values = (
        laboratory.filter(nlk=CREATININE)
        .select("patient_id", "value", "sampled_time")
        .join(stays.select("stay", "patient_id", "start_time", "end_time"), on="patient_id")
        .filter(pl.col("sampled_time") >= pl.col("start_time"), pl.col("sampled_time") <= pl.col("end_time"))
        .sort("stay", "sampled_time")
    )
    low = pl.col("value").min().alias("low")
    before, after = (
        values.rolling(
            "sampled_time", period=f"{WITHIN_DAYS}d", offset=offset, closed="both", group_by="stay"
        ).agg(low)
        for offset in (f"-{WITHIN_DAYS}d", "0d")
    )
    lowest = pl.min_horizontal(before["low"], after["low"])
    return (
        values.with_columns(lowest=lowest)
        .filter(pl.col("value") >= RISE * pl.col("lowest"))
        .select("stay")
        .unique()
        .sort("stay")
        .select(
            "stay",
            condition=pl.lit(CONDITION),
            severity=pl.lit(0.0),
            codes=pl.lit([CODE], dtype=pl.List(pl.String)),
            is_plantable=pl.lit(value=True),
        )
    )


def code_as_shown(groups: Groups, *, is_shown: bool) -> None:
    """Code kidney injury beside the main condition where creatinine shows it, and nowhere else."""
    groups[1:] = [group for group in groups[1:] if group != [CODE]]
    if is_shown and groups[0][0] != CODE:
        groups.append([CODE])
