"""What happened after each prediction: the outcome, what came instead, or how far the record reaches.

Every finder gives event_time (the outcome) for each row, and what it alone knows: exclusion reasons, the
stay's length, a stratum to report apart. `_resolve` then decides what came first within the horizon.
"""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from phenotype.contacts import OVERNIGHT_LEVELS, hours_between, readmissions
from phenotype.infections import infections
from phenotype.task_parts import (
    DeathInStay,
    InfectionAdmission,
    InfectionInStay,
    LabelledOnset,
    ProlongedStay,
    Readmission,
)
from phenotype.tasks import Task
from phenotype.trajectory import INSTANT, Dataset

CENSORED = "censored"
OUTCOME_REASONS = {
    "onset_before_index": "the outcome had begun at the prediction",
    "onset_in_blanking": "the outcome began within the blanking window after the prediction",
    "unknown_outcome": "the source does not tell how, or when, the stay ended",
    "not_as_asked_after": "a window after the prediction is not as the ACES task asks, or has no end",
    CENSORED: "the record ends before the horizon, without the outcome",
}
"""The reasons for which an eligible row has no label, in the order in which they are applied."""

OUTCOMES = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": INSTANT,
        "contact_id": pl.Int64(),
        "event": pl.String(),
        "event_hours": pl.Float64(),
        "censored_hours": pl.Float64(),
        "exclusion_reason": pl.String(),
        "stay_hours": pl.Float64(),
        "stratum": pl.String(),
    }
)
"""stay_hours is the stay's length from its start, or how long it had lasted when the record ended (event
"censored"), for tasks on length only; stratum names rows to report apart."""


def outcomes_of(
    task: Task, rows: pl.DataFrame, *, dataset: Dataset, contacts: pl.DataFrame, stay_rows: pl.DataFrame
) -> pl.DataFrame:
    """The rows with their outcome.

    Args:
        task: what is asked.
        rows: as `phenotype.eligibility.with_exclusions` gives them.
        dataset: whose events count.
        contacts: columns of CONTACTS, with stay_id.
        stay_rows: columns of STAYS.

    Returns:
        Columns of OUTCOMES, in the order of rows; rows that were excluded before have no event.
    """
    match task.outcome:
        case ProlongedStay():
            found = _stay_lengths(task, rows)
        case DeathInStay():
            found = _resolve(task, _death_in_stay(task, rows))
        case LabelledOnset():
            found = _resolve(task, _labelled_onsets(task.outcome, rows, dataset))
        case InfectionInStay():
            in_stays = infections(dataset, contacts, stay_rows, task.outcome)
            found = _resolve(task, _infection_in_stay(task, task.outcome, rows, in_stays))
        case InfectionAdmission():
            in_stays = infections(dataset, contacts, stay_rows, task.outcome)
            found = _resolve(task, _infected_admissions(rows, stay_rows, in_stays))
        case Readmission():
            found = _resolve(task, _readmissions(task, rows, stay_rows))
        case _:
            found = _resolve(task, rows.with_columns(event_time=pl.col("death_time")))
    is_out = pl.col("exclusion_reason").is_not_null() & (pl.col("exclusion_reason") != CENSORED)
    blank = ["event", "event_hours", "censored_hours", "stay_hours", "stratum"]
    missing = [pl.lit(None).alias(name) for name in OUTCOMES if name not in found.columns]
    return (
        found.with_columns(*missing)
        .with_columns(pl.when(~is_out).then(pl.col(name)).alias(name) for name in blank)
        .select(pl.col(name).cast(dtype) for name, dtype in OUTCOMES.items())
    )


def _resolve(task: Task, rows: pl.DataFrame) -> pl.DataFrame:
    """Which came first of outcome, competing event and the record's end, within the horizon.

    Args:
        task: whose horizon, competing events and blanking count.
        rows: eligible and excluded rows with event_time, death_time, observed_until, exclusion_reason, and
            horizon_time for tasks that end with the stay.
    """
    if "horizon_time" not in rows.columns:
        horizon = timedelta(hours=task.horizon_hours or 0)
        rows = rows.with_columns(horizon_time=pl.col("prediction_time") + horizon)
    follow_up = pl.col("observed_until") if task.needs_observation else pl.lit(None, dtype=INSTANT)
    end = pl.min_horizontal(pl.col("horizon_time"), follow_up)
    death = pl.col("death_time") if "death" in task.competing else pl.lit(None, dtype=INSTANT)
    is_event = pl.col("event_time").is_not_null() & (end.is_null() | (pl.col("event_time") <= end))
    is_event &= death.is_null() | (pl.col("event_time") <= death)
    is_competing = death.is_not_null() & (end.is_null() | (death <= end))
    is_complete = pl.col("horizon_time").is_not_null() & (
        follow_up.is_null() | (pl.col("horizon_time") <= follow_up)
    )
    name = (
        pl.when(is_event)
        .then(pl.lit(task.event))
        .when(is_competing)
        .then(pl.lit("death"))
        .when(~is_complete)
        .then(pl.lit(CENSORED))
    )
    when = pl.when(is_event).then("event_time").when(is_competing).then(death)
    return (
        rows.with_columns(event=name, _when=when, _until=follow_up)
        .with_columns(
            event_hours=hours_between("prediction_time", "_when"),
            censored_hours=pl.when(pl.col("event") == CENSORED).then(
                hours_between("prediction_time", "_until")
            ),
        )
        .with_columns(_with_reason(_is_blanked(task), "onset_in_blanking"))
        .with_columns(_with_reason(pl.col("event") == CENSORED, CENSORED))
    )


def _is_blanked(task: Task) -> pl.Expr:
    is_soon = pl.col("event_hours") <= task.blanking_hours
    return (pl.col("event") == task.event) & is_soon & (task.blanking_hours > 0)


def _with_reason(condition: pl.Expr, reason: str) -> pl.Expr:
    """exclusion_reason, set where it is null and the condition holds."""
    is_new = pl.col("exclusion_reason").is_null() & condition.fill_null(value=False)
    return pl.when(is_new).then(pl.lit(reason)).otherwise("exclusion_reason").alias("exclusion_reason")


def _death_in_stay(task: Task, rows: pl.DataFrame) -> pl.DataFrame:
    """The stay's end is the horizon, told by its time or by where the patient went."""
    is_told = pl.col("end_time").is_not_null() | pl.col("discharged_to").is_not_null()
    # A stay counted in whole days may end, on paper, before the prediction that it outlasted.
    ended = pl.max_horizontal("end_time", "prediction_time")
    return rows.with_columns(
        event_time=pl.when("is_dead").then(ended), horizon_time=pl.when(is_told).then(ended)
    ).with_columns(_with_reason(~is_told & (not task.needs_observation), "unknown_outcome"))


def _stay_lengths(task: Task, rows: pl.DataFrame) -> pl.DataFrame:
    """The stay's length and whether it ended in death; a threshold turns them into labels."""
    record_end = pl.col("observed_until") if task.needs_observation else pl.lit(None, dtype=INSTANT)
    is_open = pl.col("end_time").is_null()
    lasted = rows.with_columns(_until=pl.coalesce("end_time", record_end))
    until = hours_between("prediction_time", "_until")
    event = pl.when(is_open).then(pl.lit(CENSORED)).when(pl.col("is_dead")).then(pl.lit("death"))
    return lasted.with_columns(
        stay_hours=hours_between("start_time", "_until"),
        event=event,
        event_hours=pl.when(~is_open & pl.col("is_dead")).then(until),
        censored_hours=pl.when(is_open).then(until),
    ).with_columns(
        exclusion_reason=pl.coalesce(
            "exclusion_reason",
            pl.when(pl.col("stay_hours").is_null()).then(pl.lit("unknown_outcome")),
            pl.when(is_open).then(pl.lit(CENSORED)),
        )
    )


def _labelled_onsets(outcome: LabelledOnset, rows: pl.DataFrame, dataset: Dataset) -> pl.DataFrame:
    """The onset that the source labels: its first label since the contact began, plus the lead."""
    first = (
        dataset.events()
        .filter(pl.col("code") == outcome.code)
        .filter(pl.col("time").is_not_null() & (pl.col("numeric_value").fill_null(1.0) != 0))
        .select("subject_id", "time")
        .unique()
        .collect()
        .sort("time")
    )
    starts = rows.select("subject_id", "contact_id", "start_time").unique().sort("start_time")
    onsets = starts.join_asof(
        first,
        left_on="start_time",
        right_on="time",
        by="subject_id",
        strategy="forward",
        check_sortedness=False,
    ).select("subject_id", "contact_id", _first_label="time")
    lead = timedelta(hours=outcome.lead_hours)
    labelled = rows.join(onsets, on=["subject_id", "contact_id"], how="left", maintain_order="left")
    first_row = pl.col("prediction_time").min().over("subject_id", "contact_id")
    return labelled.with_columns(
        event_time=pl.col("_first_label") + lead,
        stratum=pl.when(pl.col("_first_label") <= first_row).then(pl.lit("positive_at_start")),
    )


def _infection_in_stay(
    task: Task, outcome: InfectionInStay, rows: pl.DataFrame, in_stays: pl.DataFrame
) -> pl.DataFrame:
    """The onset in the row's stay, left out where before the prediction; strata by time from admission."""
    onsets = in_stays.select("stay_id", "onset_time", "basis")
    since_admission = pl.col("onset_time") - pl.col("start_time")
    is_early = since_admission <= timedelta(hours=outcome.present_on_admission_hours)
    stratum = (
        pl.when(pl.col("basis") == "code")
        .then(pl.lit("onset_unknown"))
        .when(is_early)
        .then(pl.lit("present_on_admission"))
        .when(pl.col("onset_time").is_not_null())
        .then(pl.lit("hospital_onset"))
    )
    is_before = pl.col("onset_time") <= pl.col("prediction_time")
    return (
        rows.join(onsets, on="stay_id", how="left", maintain_order="left")
        .with_columns(_with_reason(is_before, "onset_before_index"))
        .with_columns(
            stratum=stratum,
            event_time=pl.when(~is_before).then("onset_time"),
            horizon_time=pl.col("end_time"),
            # Death ends the stay: only one within it competes.
            death_time=pl.when(pl.col("is_dead")).then("end_time"),
        )
    )


def _infected_admissions(rows: pl.DataFrame, stay_rows: pl.DataFrame, in_stays: pl.DataFrame) -> pl.DataFrame:
    """The first stay after the prediction that has an infection; a stay without an end ends what is known."""
    beds = stay_rows.filter(pl.col("care_level").is_in(OVERNIGHT_LEVELS))
    infected = beds.join(in_stays.select("stay_id"), on="stay_id", how="semi")
    unfinished = beds.filter(pl.col("end_time").is_null()).join(infected, on="stay_id", how="anti")
    known = _next_start(rows, infected, "event_time")
    known = _next_start(known, unfinished, "_open_time")
    return known.with_columns(observed_until=pl.min_horizontal("observed_until", "_open_time")).drop(
        "_open_time"
    )


def _next_start(rows: pl.DataFrame, starts: pl.DataFrame, name: str) -> pl.DataFrame:
    """Rows with the first start_time after the prediction, in their order."""
    keyed = rows.with_row_index("_row").sort("prediction_time")
    return (
        keyed.join_asof(
            starts.select("subject_id", pl.col("start_time").alias(name)).sort(name),
            left_on="prediction_time",
            right_on=name,
            by="subject_id",
            strategy="forward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .sort("_row")
        .drop("_row")
    )


def _readmissions(task: Task, rows: pl.DataFrame, stay_rows: pl.DataFrame) -> pl.DataFrame:
    found = readmissions(stay_rows, within_days=(task.horizon_hours or 0) / 24)
    times = found.select("stay_id", event_time="readmission_time")
    return rows.join(times, on="stay_id", how="left", maintain_order="left")
