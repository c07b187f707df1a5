"""What a run found, gathered from its files: metrics of every task, and the risks by horizon."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from experiments.config import RunConfig
from experiments.evaluation import FoldPredictions, evaluate_task
from experiments.run_folder import HELD_OUT, TUNING, RunFolder
from experiments.study import KEYS, task_info
from experiments.subjects import subject_facts
from phenotype.cases import Cases
from phenotype.tasks import Task

RISK = "predicted_boolean_probability"


def task_metrics(
    task: Task,
    cases: Cases,
    *,
    outcomes: pl.DataFrame,
    attrition: pl.DataFrame,
    config: RunConfig,
    folder: RunFolder,
) -> dict[str, Any]:
    """The record of one task in metrics.json.

    Args:
        task: what was asked.
        cases: its determinable rows.
        outcomes: as `find_outcomes` gives them.
        attrition: step, n_rows, n_subjects, n_excluded.
        config: the run.
        folder: where predictions and labels lie.
    """
    hours = outcomes.select(
        *KEYS, pl.when(pl.col("event") == task.event).then("event_hours").alias("event_hours")
    )
    predictions = {
        name: [_fold_predictions(task, name, fold, hours, folder) for fold in range(config.n_folds)]
        for name in config.models
    }
    labels = pl.concat([folds.held_out for folds in predictions[next(iter(predictions))]])
    kinds = {name: settings.kind for name, settings in config.models.items()}
    judged = evaluate_task(predictions, kinds, subject_facts(cases), task_info(task), config.evaluation)
    n_positive = int(labels["boolean_value"].sum())
    warnings = [
        f"{n_positive} positive held-out rows: fewer than the {task.min_events} that this task asks for"
    ] * (n_positive < task.min_events)
    return {
        "title": task.title,
        "question": task.question,
        "n_rows": labels.height,
        "n_subjects": labels["subject_id"].n_unique(),
        "n_positive": n_positive,
        "n_censored": int((outcomes["exclusion_reason"] == "censored").sum()),
        "lead_model": lead_model(predictions),
        "attrition": attrition.to_dicts(),
        **judged,
        "warnings": [*warnings, *judged.get("warnings", [])],
    }


def lead_model(predictions: dict[str, list[FoldPredictions]]) -> str:
    """The model whose reasons the report leads with: the best AUROC on tuning rows, averaged over folds."""
    from sklearn.metrics import roc_auc_score

    def tuning_auroc(folds: Sequence[FoldPredictions]) -> float:
        frames = [fold.tuning for fold in folds]
        return sum(float(roc_auc_score(frame["boolean_value"], frame[RISK])) for frame in frames) / len(
            frames
        )

    return max(predictions, key=lambda name: tuning_auroc(predictions[name]))


def risks_by_horizon(tasks: Sequence[Task], config: RunConfig, folder: RunFolder) -> pl.DataFrame:
    """Held-out risks of all tasks and models.

    Returns:
        subject_id, prediction_time, task, model, horizon_hours (null where the stay's end is the horizon),
        risk.
    """
    frames = [
        pl.read_parquet(folder.predictions(task.name, model, HELD_OUT, fold)).select(
            *KEYS,
            pl.lit(task.name).alias("task"),
            pl.lit(model).alias("model"),
            pl.lit(task.horizon_hours, pl.Float64).alias("horizon_hours"),
            pl.col(RISK).cast(pl.Float64).alias("risk"),
        )
        for task in tasks
        for model in config.models
        for fold in range(config.n_folds)
    ]
    return pl.concat(frames).sort("task", "model", *KEYS)


def _fold_predictions(
    task: Task, model: str, fold: int, hours: pl.DataFrame, folder: RunFolder
) -> FoldPredictions:
    held_out, tuning = (
        pl.read_parquet(folder.predictions(task.name, model, split, fold)).join(
            hours, on=KEYS, how="left", maintain_order="left"
        )
        for split in (HELD_OUT, TUNING)
    )
    return FoldPredictions(held_out=held_out, tuning=tuning)
