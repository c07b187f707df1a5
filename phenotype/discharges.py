"""Discharge alive as what came first, for tasks that ask until the stay's end.

Where the stay's end is the horizon, whoever leaves alive can no longer meet the outcome in it: leaving
competes with it, as death does, and when it came is in the contacts. It does not compete where the question
goes on after the stay (death within 30 days, readmission), nor with an onset that a source labels, whose
labels may outlast the contact, nor in a task of ACES' language, whose windows alone say what ends it.
"""

from __future__ import annotations

import polars as pl

from phenotype.contacts import hours_between, join_stays, stays
from phenotype.follow_up import death_times, with_recorded_deaths
from phenotype.tasks import Task
from phenotype.trajectory import Dataset

DISCHARGE = "discharge"


def with_discharges(outcomes: pl.DataFrame, task: Task, dataset: Dataset) -> pl.DataFrame:
    """Outcomes in which a labelled row that nothing befell until its stay's end was discharged then.

    Args:
        outcomes: columns of OUTCOMES, thresholds applied.
        task: the question; where its horizon is not the stay's end the outcomes are as they were.
        dataset: whose contacts tell the ends of stays and who left them alive.

    Returns:
        The same rows; event "discharge" with event_hours, which are null where the stay's end has no time and
        0 where it lies, on paper, before the prediction. Rows of a stay that ended in death are as they were.
    """
    if not task.ends_with_stay:
        return outcomes
    contacts = join_stays(dataset.contacts())
    stay_rows = with_recorded_deaths(stays(contacts), death_times(dataset, contacts))
    ends = (
        contacts.select("contact_id", "stay_id")
        .unique("contact_id", keep="first", maintain_order=True)
        .join(stay_rows.select("stay_id", _end="end_time", _is_dead="is_dead"), on="stay_id", how="inner")
        .drop("stay_id")
    )
    rows = outcomes.join(ends, on="contact_id", how="left", maintain_order="left")
    is_labelled = pl.col("exclusion_reason").is_null() & pl.col("event").is_null()
    has_left = is_labelled & (~pl.col("_is_dead")).fill_null(value=False)
    hours = hours_between("prediction_time", "_end").clip(lower_bound=0.0)
    return rows.with_columns(
        event=pl.when(has_left).then(pl.lit(DISCHARGE)).otherwise("event"),
        event_hours=pl.when(has_left).then(hours).otherwise("event_hours"),
    ).select(outcomes.columns)
