"""A task in ACES' language over a whole dataset at once: which triggers are asked about, when, the answer.

Each trigger is a row; each step of the task's tree of windows moves all rows at once, by bisection over the
instants of their subjects, and counts between two places by differences of cumulative sums.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotype.aces.reading import read_instants
from phenotype.aces.text import AcesTask
from phenotype.aces.tree import Step, index_place, label_step, steps_of
from phenotype.aces.walk import NEVER, Walk
from phenotype.trajectory import INSTANT, Dataset

TRIGGERS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "trigger_time": INSTANT,
        "prediction_time": INSTANT,
        "boolean_value": pl.Boolean(),
        "label_time": INSTANT,
        "window": pl.String(),
        "exclusion_reason": pl.String(),
        "known_time": INSTANT,
    }
)
"""label_time is the first instant of the label in its window; window is the one that left the trigger out and
known_time when that is known (null for an event that never comes)."""
_ANSWERS = ("boolean_value", "label_time")


def aces_labels(dataset: Dataset, task: AcesTask) -> pl.DataFrame:
    """The labels of a task, as ACES gives them.

    Args:
        dataset: whose events count.
        task: in ACES' language.

    Returns:
        subject_id, prediction_time (null where no window has the index_timestamp), boolean_value (null
        where no window has a label), sorted; one row a trigger that keeps every window's rules, so that
        two triggers may give the same row twice.
    """
    kept = find_triggers(dataset, task).filter(pl.col("exclusion_reason").is_null())
    return kept.select("subject_id", "prediction_time", "boolean_value").sort(pl.all())


def find_triggers(dataset: Dataset, task: AcesTask) -> pl.DataFrame:
    """Every trigger of a task, with its answer or with what leaves it out.

    Returns:
        Columns of TRIGGERS, sorted by (subject_id, trigger_time). A trigger is left out by a window
        without the end that it asks for (window_open) or with too few or too many of what it must hold
        (window_differs), by the one that is known first where there are several; its answer is null then.
    """
    instants = read_instants(dataset, task)
    triggers = np.flatnonzero(instants.of(task.trigger) > 0)
    walk = Walk(instants, triggers)
    steps = {step.name: step for step in steps_of(task)}
    for step in steps.values():
        walk.take(step)
    columns = {
        "subject_id": pl.Series(instants.subject_id[triggers]),
        "trigger_time": pl.Series(instants.time[triggers]),
        **_exits(walk),
        **_prediction(walk, index_place(task)),
    }
    labelled = label_step(task)
    if labelled and task.label:
        columns |= _answers(walk, steps[labelled], task.label)
    found = pl.DataFrame(columns, nan_to_null=False)
    absent = [pl.lit(None).alias(name) for name in TRIGGERS if name not in found.columns]
    is_kept = pl.col("exclusion_reason").is_null()
    return found.with_columns(absent).select(
        (pl.when(is_kept).then(name) if name in _ANSWERS else pl.col(name)).cast(dtype).alias(name)
        for name, dtype in TRIGGERS.items()
    )


def _exits(walk: Walk) -> dict[str, pl.Series]:
    """window, exclusion_reason and known_time of each trigger."""
    reasons, windows = zip(*walk.exits, strict=True) if walk.exits else ((), ())
    number = np.where(walk.exit < 0, len(walk.exits), walk.exit)
    known = pl.Series(walk.known)
    return {
        "window": pl.Series([*windows, None], dtype=pl.String).gather(number),
        "exclusion_reason": pl.Series([*reasons, None], dtype=pl.String).gather(number),
        "known_time": known.set(known == NEVER, None),
    }


def _prediction(walk: Walk, place: str | None) -> dict[str, pl.Series]:
    """prediction_time of each trigger, null where the event that gives it does not come."""
    if place is None:
        return {}
    times = pl.Series(walk.times(place))
    return {"prediction_time": times.set(pl.Series(~walk.places[place].is_there), None)}


def _answers(walk: Walk, step: Step, label: str) -> dict[str, pl.Series]:
    """boolean_value and label_time of each trigger."""
    first = walk.first_on_the_way(step, label)
    if not first.size:
        return {}
    is_there = pl.Series(first >= 0)
    times = pl.Series(walk.instants.time[np.maximum(first, 0)])
    return {"boolean_value": is_there, "label_time": times.set(~is_there, None)}
