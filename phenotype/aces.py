"""A task in ACES' language over a whole dataset at once: which triggers are asked about, when, the answer.

Each trigger is a row; each step of the task's tree of windows moves all rows at once, by bisection over the
instants of their subjects, and counts between two places by differences of cumulative sums.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotype.aces_reading import read_instants
from phenotype.aces_text import AcesTask
from phenotype.aces_tree import index_place, label_step, steps_of
from phenotype.aces_walk import Walk
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
    }
)
"""label_time is the first instant of the label in its window; window is the one that left the trigger out."""


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
        Columns of TRIGGERS, sorted by (subject_id, trigger_time). A trigger is left out by the first window
        of the tree without the end that it asks for (window_open) or with too few or too many of what it must
        hold (window_differs); its answer is null then.
    """
    instants = read_instants(dataset, task)
    triggers = np.flatnonzero(instants.of(task.trigger) > 0)
    walk = Walk(instants, triggers)
    steps = {step.name: step for step in steps_of(task)}
    for step in steps.values():
        walk.take(step)
    is_out = pl.col("exclusion_reason").is_not_null()
    found = pl.DataFrame(
        {
            "subject_id": instants.subject_id[triggers],
            "trigger_time": instants.time[triggers],
            "window": pl.Series(walk.left_by, dtype=pl.String),
            "exclusion_reason": pl.Series(walk.reason, dtype=pl.String),
        }
    ).with_columns(pl.col("window", "exclusion_reason").replace("", None))
    place, labelled = index_place(task), label_step(task)
    asked = pl.Series(walk.times(place)) if place else pl.lit(None)
    found = found.with_columns(prediction_time=asked)
    if labelled and task.label:
        first = walk.first_on_the_way(steps[labelled], task.label)
        times = pl.Series(instants.time[np.maximum(first, 0)]) if first.size else pl.Series(dtype=pl.Int64)
        found = found.with_columns(boolean_value=pl.Series(first >= 0), label_time=times)
        found = found.with_columns(label_time=pl.when("boolean_value").then("label_time"))
    else:
        found = found.with_columns(boolean_value=None, label_time=None)
    answers = ["prediction_time", "boolean_value", "label_time"]
    return found.with_columns(pl.when(~is_out).then(pl.col(name)).alias(name) for name in answers).select(
        pl.col(name).cast(dtype) for name, dtype in TRIGGERS.items()
    )
