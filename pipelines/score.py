"""A bundle applied to a dataset: the rows its task asks about, and one calibrated risk for each."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ontology.errors import InputError, Problem, TaskError
from phenotype.bundle import load_bundle
from phenotype.cases import ROWS, Cases
from phenotype.codes_read import codes_found
from phenotype.eligibility import REASONS
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
        InputError: the dataset has none of the codes that the model reads.
        TaskError: the dataset has no row that the task asks about.
    """
    from experiments.run_folder import write_frame

    bundle = load_bundle(bundle_folder)
    task = parse_task(bundle.task, where=str(bundle_folder / "task.json"))
    dataset = open_dataset(dataset_folder)
    outcomes = find_outcomes(dataset, task)[0]
    rows = prediction_rows(outcomes)
    if rows.is_empty():
        reasons = outcomes["exclusion_reason"].value_counts(sort=True).iter_rows()
        raise TaskError(
            Problem(
                f"nobody in this dataset is asked about by task {task.name}",
                where=str(dataset_folder),
                found=", ".join(f"{n} rows: {REASONS.get(reason, reason)}" for reason, n in reasons),
                allowed="contacts and events that the task's index rule and population find",
                next_step="see docs/tasks.md for what the task asks of a dataset",
            )
        )
    if codes_found(bundle.model, dataset).is_empty():
        raise InputError(
            Problem(
                "this dataset has none of the codes that the model reads",
                where=str(dataset_folder),
                allowed="codes of the systems that the model was trained on",
                next_step="map the source to those systems, or train a model on this dataset",
            )
        )
    write_frame(predict_risks(bundle, Cases(dataset, rows)), out)
    return rows.height


def prediction_rows(outcomes: pl.DataFrame) -> pl.DataFrame:
    """All rows that the task asks about, whether or not their outcome is known.

    Whoever is not of its population (too young, at another care level, dead or gone by then) gets no risk:
    the model has never seen any such row. What leaves them out is known at the prediction.
    """
    keys = ["subject_id", "prediction_time"]
    is_asked = ~pl.col("exclusion_reason").is_in(list(REASONS)).fill_null(value=False)
    return (
        outcomes.filter(is_asked)
        .drop_nulls("prediction_time")
        .select(list(ROWS))
        .unique(keys, keep="first")
        .sort(keys)
    )
