"""What a run found, gathered from its files: metrics of every task, and the risks by horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from experiments.config import RunConfig
from experiments.costs import costs_of
from experiments.evaluation import FoldPredictions, evaluate_task
from experiments.parts import KEYS
from experiments.run_folder import HELD_OUT, TRAIN, TUNING, RunFolder
from experiments.split_config import TimeSplit
from experiments.study import task_info
from experiments.subjects import subject_facts
from phenotype.cases import Cases
from phenotype.labels import check_labels
from phenotype.tasks import Task

HOURS_A_DAY = 24.0
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
    held_out = pl.concat([folds.held_out for folds in predictions[next(iter(predictions))]])
    labels = held_out.unique(KEYS, keep="first", maintain_order=True)
    kinds: dict[str, str] = {name: settings.kind for name, settings in config.models.items()}
    facts = subject_facts(cases)
    n_repeated = held_out.height - labels.height
    ratio = test_train_ratio(pl.read_parquet(folder.splits)) if n_repeated else None
    judged = evaluate_task(
        predictions, kinds, facts, task_info(task), config.evaluation, test_train_ratio=ratio
    )
    _add_costs(judged["models"], task, folder)
    unseen = _without_seen(predictions, kinds, facts=facts, task=task, config=config, folder=folder)
    unseen_warnings = unseen.pop("warnings", [])
    n_positive = int(labels["boolean_value"].sum())
    return {
        "title": task.title,
        "question": task.question,
        "n_rows": labels.height,
        "n_subjects": labels["subject_id"].n_unique(),
        "n_positive": n_positive,
        "n_censored": int((outcomes["exclusion_reason"] == "censored").sum()),
        "lead_model": lead_model(predictions),
        "attrition": attrition.to_dicts(),
        "strata": _strata(outcomes),
        **judged,
        **unseen,
        "warnings": [
            *_training_warnings(task, folder),
            *_gap_warnings(task, config),
            *_overlap_warnings(n_repeated),
            *_scarcity_warnings(task, n_positive),
            *judged.get("warnings", []),
            *unseen_warnings,
        ],
    }


def _add_costs(records: dict[str, dict[str, Any]], task: Task, folder: RunFolder) -> None:
    for name, record in records.items():
        record["cost"] = costs_of([folder.cost(task.name, name, fold) for fold in range(folder.n_folds)])


def test_train_ratio(splits: pl.DataFrame) -> float:
    """Held-out rows over those that train and tune, the mean over folds, for folds whose tests overlap.

    Args:
        splits: columns of SPLITS.
    """
    shares = splits.group_by("fold").agg(share=(pl.col("split") == HELD_OUT).mean())["share"]
    return float((shares / (1 - shares)).to_numpy().mean())


def _without_seen(
    predictions: dict[str, list[FoldPredictions]],
    kinds: Mapping[str, str],
    *,
    facts: pl.DataFrame,
    task: Task,
    config: RunConfig,
    folder: RunFolder,
) -> dict[str, Any]:
    """The same figures without patients seen in training, where a split by time holds such rows out."""
    splits = pl.read_parquet(folder.splits)
    seen = splits.filter(pl.col("is_seen") & (pl.col("split") == HELD_OUT))
    if seen.is_empty():
        return {}
    unseen = {
        name: [
            FoldPredictions(
                held_out=fold.held_out.join(seen.filter(pl.col("fold") == number), on=KEYS, how="anti"),
                tuning=fold.tuning,
            )
            for number, fold in enumerate(folds)
        ]
        for name, folds in predictions.items()
    }
    labels = pl.concat([fold.held_out for fold in next(iter(unseen.values()))])["boolean_value"]
    if labels.all() or not labels.any():
        return {"warnings": ["too few held-out rows of patients not seen in training to judge them alone"]}
    return {"without_seen_patients": evaluate_task(unseen, kinds, facts, task_info(task), config.evaluation)}


def _training_warnings(task: Task, folder: RunFolder) -> list[str]:
    """What the task has to say about each fold's training rows; one sentence where folds say the same."""
    splits = pl.read_parquet(folder.splits)
    said = []
    for fold in range(folder.n_folds):
        train = splits.filter((pl.col("fold") == fold) & (pl.col("split") == TRAIN))
        labels = pl.read_parquet(folder.labels(task.name, fold))
        said += check_labels(labels.join(train, on=KEYS, how="semi"), task)
    return list(dict.fromkeys(said))


def _gap_warnings(task: Task, config: RunConfig) -> list[str]:
    """A split by time whose training labels reach into the time of the test."""
    splits = config.splits
    if not isinstance(splits, TimeSplit) or task.horizon_hours is None:
        return []
    horizon_days = task.horizon_hours / HOURS_A_DAY
    if splits.gap_days >= horizon_days:
        return []
    reach = f"{horizon_days - splits.gap_days:g} days past {splits.train_before:%Y-%m-%d}"
    return [f"training labels reach up to {reach}: give the split gap_days: {horizon_days:g}"]


def _scarcity_warnings(task: Task, n_positive: int) -> list[str]:
    """What is told where the outcome is rarer among held-out rows than the task asks for."""
    text = f"{n_positive} positive held-out rows: fewer than the {task.min_events} that this task asks for"
    return [text] * (n_positive < task.min_events)


def _overlap_warnings(n_repeated: int) -> list[str]:
    """What is told where the folds' tests overlap."""
    how = "in what is said of all folds together each row counts once, by the first fold that holds it out"
    return [f"held-out parts overlap, {n_repeated} rows stand in a later one again: {how}"] * (n_repeated > 0)


def _strata(outcomes: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows that the task reports apart, such as onsets present on admission: how many, how many labelled."""
    rows = outcomes.drop_nulls("stratum").with_columns(
        pl.col("exclusion_reason").is_null().alias("is_labelled")
    )
    counted = rows.group_by("stratum").agg(
        n_rows=pl.len(), n_subjects=pl.col("subject_id").n_unique(), n_labelled=pl.col("is_labelled").sum()
    )
    return counted.sort("stratum").to_dicts()


def lead_model(predictions: dict[str, list[FoldPredictions]]) -> str:
    """The model whose reasons the report leads with: the best AUROC on tuning rows, averaged over folds."""
    from sklearn.metrics import roc_auc_score

    def tuning_auroc(folds: Sequence[FoldPredictions]) -> float:
        """The mean AUROC on tuning rows."""
        frames = [fold.tuning for fold in folds]
        return sum(float(roc_auc_score(frame["boolean_value"], frame[RISK])) for frame in frames) / len(
            frames
        )

    return max(predictions, key=lambda name: tuning_auroc(predictions[name]))


def risks_by_horizon(tasks: Sequence[Task], config: RunConfig, folder: RunFolder) -> pl.DataFrame:
    """Held-out risks of all tasks and models; of a row held out in several folds that of the first.

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
    each = ["task", "model", *KEYS]
    return pl.concat(frames).unique(each, keep="first", maintain_order=True).sort(each)


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
