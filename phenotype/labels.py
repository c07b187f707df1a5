"""Tasks -> outcomes -> labels: who is asked about and when, what happened, and what each exclusion cost.

Labels use time, never known_time, and only rows whose outcome the record determines become labels. Nothing
here depends on the order of rows or on the shards of a dataset.
"""

from __future__ import annotations

import logging

import polars as pl

from ontology.errors import Problem, TaskError
from phenotype.aces.outcomes import aces_outcomes
from phenotype.attrition import attrition
from phenotype.contacts import join_stays, stays
from phenotype.eligibility import with_exclusions
from phenotype.follow_up import death_times, observed_periods, with_recorded_deaths
from phenotype.index_times import candidates, check_calendar
from phenotype.outcomes import CENSORED, outcomes_of
from phenotype.task_parts import AcesTriggers, AfterStart, ProlongedStay
from phenotype.tasks import Task
from phenotype.trajectory import INSTANT, Dataset

LABELS = pl.Schema({"subject_id": pl.Int64(), "prediction_time": INSTANT, "boolean_value": pl.Boolean()})
KEYS = ["subject_id", "prediction_time"]
logger = logging.getLogger(__name__)


def find_outcomes(dataset: Dataset, task: Task) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every row that a task might ask about, with its outcome or the reason why it has none.

    Args:
        dataset: whose contacts, events and observation windows count.
        task: the question.

    Returns:
        outcomes: columns of OUTCOMES, sorted by (subject_id, prediction_time, contact_id). event is the
            task's event, a competing event, "censored", or null (nothing within the horizon); event_hours
            and censored_hours count from the prediction; a row with an exclusion_reason gets no label. Rows
            whose prediction time cannot be told are counted in the attrition only.
        attrition: columns of ATTRITION.

    Raises:
        ConfigurationError: the task asks at calendar dates and the dataset has a nominal anchor.
        TaskError: the index rule names no row at all.
    """
    if isinstance(task.index, AcesTriggers):
        return _told(task, aces_outcomes(dataset, task.index.task, task.event))
    check_calendar(task, dataset)
    contacts = join_stays(dataset.contacts())
    deaths = death_times(dataset, contacts)
    stay_rows = with_recorded_deaths(stays(contacts), deaths)
    periods = observed_periods(dataset.observation())
    rows = candidates(task, dataset, contacts, stay_rows, periods)
    if rows.is_empty():
        raise _no_rows(task)
    eligible = with_exclusions(
        task, rows, dataset=dataset, stay_rows=stay_rows, periods=periods, deaths=deaths
    )
    return _told(task, outcomes_of(task, eligible, dataset=dataset, contacts=contacts, stay_rows=stay_rows))


def _told(task: Task, outcomes: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Outcomes in order with their attrition.

    Raises:
        TaskError: there is no row at all.
    """
    if outcomes.is_empty():
        raise _no_rows(task)
    steps = attrition(outcomes)
    logger.info("%s: %d of %d rows labelled", task.name, steps["n_rows"][-1], steps["n_rows"][0])
    return outcomes.filter(pl.col("prediction_time").is_not_null()).sort(*KEYS, "contact_id"), steps


def fit_threshold(train_outcomes: pl.DataFrame, task: Task) -> float | None:
    """The length in hours above which a stay is prolonged; null for tasks that need no threshold.

    The percentile is taken over the stays of known length, deaths among them, by linear interpolation.

    Args:
        train_outcomes: columns of OUTCOMES, training rows only, without tuning and held-out rows.
        task: whose outcome names a percentile or a number of days.

    Raises:
        TaskError: no training row has a known length.
    """
    outcome = task.outcome
    if not isinstance(outcome, ProlongedStay):
        return None
    if outcome.days is not None:
        return 24.0 * outcome.days
    lengths = train_outcomes.filter(pl.col("exclusion_reason").is_null())["stay_hours"].drop_nulls()
    threshold = lengths.quantile(outcome.percentile or 0.75, interpolation="linear")
    if threshold is None:
        raise TaskError(
            Problem(
                f"task {task.name}: no training stay has a known length, so no threshold can be fitted",
                found=f"{train_outcomes.height} training rows",
                next_step="check that contacts have end times, or use the task with a fixed number of days",
            )
        )
    return threshold


def apply_threshold(outcomes: pl.DataFrame, task: Task, threshold: float | None) -> pl.DataFrame:
    """Outcomes of a prolonged stay with event and event_hours set by the threshold; other tasks' unchanged.

    A stay longer than the threshold is prolonged however it ended, also where the record ends before the
    stay; a stay that ended in death before is "death"; one whose record ends before the threshold stays
    censored.

    Args:
        outcomes: columns of OUTCOMES, as `find_outcomes` gives them.
        task: the question.
        threshold: hours, as `fit_threshold` gives it.
    """
    if threshold is None:
        return outcomes
    elapsed = task.index.hours if isinstance(task.index, AfterStart) else 0.0
    is_labelled = pl.col("exclusion_reason").is_null() | (pl.col("exclusion_reason") == CENSORED)
    is_long = (is_labelled & (pl.col("stay_hours") > threshold)).fill_null(value=False)
    return outcomes.with_columns(
        event=pl.when(is_long).then(pl.lit(task.event)).otherwise("event"),
        event_hours=pl.when(is_long).then(max(threshold - elapsed, 0.0)).otherwise("event_hours"),
        censored_hours=pl.when(~is_long).then("censored_hours"),
        exclusion_reason=pl.when(~is_long).then("exclusion_reason"),
    )


def to_labels(outcomes: pl.DataFrame, task: Task, threshold: float | None = None) -> pl.DataFrame:
    """The rows whose outcome is determined, as MEDS labels: True where the task's own event came.

    A competing event is a negative, since the outcome can no longer come; a censored row has no label.

    Args:
        outcomes: columns of OUTCOMES.
        task: the question.
        threshold: hours, for a prolonged stay.

    Returns:
        Columns of LABELS, sorted by (subject_id, prediction_time).

    Raises:
        TaskError: a prolonged stay without a threshold.
    """
    if isinstance(task.outcome, ProlongedStay) and threshold is None:
        raise TaskError(
            Problem(
                f"task {task.name} needs a threshold", next_step="fit one on training rows: fit_threshold"
            )
        )
    resolved = apply_threshold(outcomes, task, threshold)
    is_positive = (pl.col("event") == task.event).fill_null(value=False)
    return (
        resolved.filter(pl.col("exclusion_reason").is_null())
        .select(*KEYS, boolean_value=is_positive)
        .sort(KEYS)
        .select(pl.col(name).cast(dtype) for name, dtype in LABELS.items())
    )


def check_labels(train_labels: pl.DataFrame, task: Task) -> list[str]:
    """Warnings about training labels that can be learnt from; an error about those that cannot.

    Args:
        train_labels: columns of LABELS, training rows only.
        task: whose min_events counts.

    Returns:
        One sentence where positives or negatives are fewer than the task's min_events, else nothing.

    Raises:
        TaskError: no rows, not a single positive, or not a single negative.
    """
    n_positive = int(train_labels["boolean_value"].sum())
    n_negative = train_labels.height - n_positive
    scarce, kind = min((n_positive, "positive"), (n_negative, "negative"))
    if not scarce:
        raise TaskError(
            Problem(
                f"task {task.name} has not a single {kind} training row",
                found=f"{train_labels.height} labelled training rows, {n_positive} of them positive",
                allowed=f"at least one of either; the task warns below {task.min_events}",
                next_step="see the task's attrition, use more data, or leave the task out of the run",
            )
        )
    if scarce >= task.min_events:
        return []
    few = f"{scarce} {kind} training rows, fewer than the {task.min_events} that the task asks for"
    return [f"{task.name}: {few}, so its figures are uncertain"]


def _no_rows(task: Task) -> TaskError:
    is_aces = isinstance(task.index, AcesTriggers)
    return TaskError(
        Problem(
            f"task {task.name} finds nothing to ask about in this dataset",
            where="the events" if is_aces else "contacts.parquet and observation.parquet",
            found=f"no row for index rule {task.index.kind}",
            next_step="check that the predicates name codes that the dataset has"
            if is_aces
            else "check that the source maps contacts (care_level, start, end) and observation windows",
        )
    )
