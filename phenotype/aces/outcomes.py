"""The triggers of an ACES task as outcomes: rows for models, with what leaves the others out."""

from __future__ import annotations

import polars as pl

from phenotype.aces.text import AcesTask
from phenotype.aces.triggers import find_triggers
from phenotype.contacts import hours_between
from phenotype.outcomes import OUTCOMES
from phenotype.trajectory import Dataset

_ROW = ["subject_id", "prediction_time"]


def aces_outcomes(dataset: Dataset, task: AcesTask, event: str) -> pl.DataFrame:
    """One row a trigger.

    A trigger that a window before the prediction leaves out is not asked about at all; one that a later
    window leaves out is asked about and has no label. Of several triggers of a subject with one time of
    prediction the first that has a label counts.

    Args:
        dataset: whose events count, and whose contacts name the one that covers the prediction.
        task: with a label and an index_timestamp.
        event: what a positive row's event is called.

    Returns:
        Columns of OUTCOMES, sorted by (subject_id, trigger); event_hours is from the prediction to the first
        instant of the label in its window.
    """
    triggers = find_triggers(dataset, task).sort(*_ROW, "trigger_time")
    is_out = pl.col("exclusion_reason").is_not_null()
    is_late = pl.col("known_time").is_null() | (pl.col("known_time") > pl.col("prediction_time"))
    reason = (
        pl.when(pl.col("prediction_time").is_null())
        .then(pl.lit("no_time_of_prediction"))
        .when(is_out & is_late)
        .then(pl.lit("not_as_asked_after"))
        .when(is_out)
        .then(pl.lit("not_as_asked_before"))
    )
    is_kept = pl.col("exclusion_reason").is_null()
    is_again = is_kept & (is_kept.cum_sum().over(_ROW) > 1)
    rows = (
        triggers.with_columns(exclusion_reason=reason)
        .with_columns(
            exclusion_reason=pl.when(is_again).then(pl.lit("same_time")).otherwise("exclusion_reason")
        )
        .with_columns(
            event=pl.when(is_kept & pl.col("boolean_value")).then(pl.lit(event)),
            event_hours=pl.when(is_kept).then(hours_between("prediction_time", "label_time")),
        )
    )
    known = _with_contacts(rows, dataset.contacts())
    missing = [pl.lit(None).alias(name) for name in OUTCOMES if name not in known.columns]
    return known.with_columns(*missing).select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())


def _with_contacts(rows: pl.DataFrame, contacts: pl.DataFrame) -> pl.DataFrame:
    """Rows with the contact_id of the latest contact that had begun at the prediction and had not ended."""
    begun = contacts.drop_nulls("start_time").sort("start_time", "contact_id")
    found = (
        rows.with_row_index("_row")
        .sort("prediction_time", "_row")
        .join_asof(
            begun.select("subject_id", "contact_id", _from="start_time", _until="end_time"),
            left_on="prediction_time",
            right_on="_from",
            by="subject_id",
            strategy="backward",
            check_sortedness=False,
        )
        .sort("_row")
    )
    is_there = pl.col("_until").is_null() | (pl.col("_until") >= pl.col("prediction_time"))
    return found.with_columns(contact_id=pl.when(is_there).then("contact_id")).drop("_row", "_from", "_until")
