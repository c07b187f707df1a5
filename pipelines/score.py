"""A bundle applied to a dataset: the rows its task asks about, and one calibrated risk for each."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ontology.errors import Problem, TaskError
from phenotype.bundle import load_bundle
from phenotype.cases import ROWS, Cases
from phenotype.labels import find_outcomes
from phenotype.predictor import predict_risks
from phenotype.tasks import parse_task
from phenotype.trajectory import open_dataset


def score_dataset(bundle_folder: Path, dataset_folder: Path, out: Path) -> int:
    """Write the risks of every prediction row that a bundle's task has in a dataset.

    Args:
        bundle_folder: RUN/bundle/TASK/MODEL.
        dataset_folder: any dataset with the same codes.
        out: Parquet file: subject_id, prediction_time, risk.

    Returns:
        How many rows were written.

    Raises:
        BundleError: the folder is no whole bundle.
        TaskError: the dataset has no row that the task asks about.
    """
    from experiments.run_folder import write_frame

    bundle = load_bundle(bundle_folder)
    task = parse_task(bundle.task, where=str(bundle_folder / "task.json"))
    dataset = open_dataset(dataset_folder)
    rows = prediction_rows(dataset_outcomes=find_outcomes(dataset, task)[0])
    if rows.is_empty():
        raise TaskError(
            Problem(
                f"no prediction row for task {task.name}",
                where=str(dataset_folder),
                allowed="contacts and events that the task's index rule finds",
                next_step="see docs/tasks.md for what the task asks of a dataset",
            )
        )
    write_frame(predict_risks(bundle, Cases(dataset, rows)), out)
    return rows.height


def prediction_rows(dataset_outcomes: pl.DataFrame) -> pl.DataFrame:
    """All rows with a prediction time, whether or not their outcome is known."""
    keys = ["subject_id", "prediction_time"]
    return (
        dataset_outcomes.drop_nulls("prediction_time")
        .select(list(ROWS))
        .unique(keys, keep="first")
        .sort(keys)
    )
