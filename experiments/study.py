"""One task on one fold: its rows and labels, and each model fitted, calibrated, kept and applied."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.config import RunConfig
from experiments.costs import cost_kept
from experiments.evaluation import TaskInfo
from experiments.fitting import ModelConfig, fit_model
from experiments.one_sided import one_sided_problems
from experiments.parts import KEYS, Part, learnt_rows
from experiments.run_folder import HELD_OUT, TRAIN, TUNING, RunFolder, write_frame, write_json
from experiments.scored import score_rows
from experiments.split_config import SplitConfig, TimeSplit
from experiments.thresholds import choose_thresholds
from ontology.errors import TaskError
from phenotype.bundle import load_bundle, save_bundle
from phenotype.calibration import fit_calibrator
from phenotype.cases import Cases
from phenotype.cohort import RiskCohort
from phenotype.discharges import with_discharges
from phenotype.labels import apply_threshold, fit_threshold, to_labels
from phenotype.outcomes import CENSORED
from phenotype.predictor import predict_risks
from phenotype.tasks import Task

SPLITS = (TRAIN, TUNING, HELD_OUT)


@dataclass(frozen=True)
class Fold:
    """One task on one outer fold.

    Attributes:
        task: what is asked.
        number: the fold.
        threshold: the outcome's fitted threshold (prolonged stay), from training rows; None where there is
            none.
        parts: split name -> rows and labels.
        censored: training rows whose record ends before their outcome could be told.
    """

    task: Task
    number: int
    threshold: float | None
    parts: Mapping[str, Part]
    censored: Part


def make_fold(cases: Cases, outcomes: pl.DataFrame, splits: pl.DataFrame, task: Task, number: int) -> Fold:
    """The rows and labels of each split of one fold.

    Args:
        cases: every determinable prediction row of the task.
        outcomes: as `find_outcomes` gives them.
        splits: subject_id, prediction_time, split, fold.
        task: what is asked.
        number: the fold.

    Raises:
        TaskError: a split has no rows, or training or held-out rows hold only one class.
    """
    of_fold = splits.filter(pl.col("fold") == number).select(*KEYS, "split")
    train_keys = of_fold.filter(pl.col("split") == TRAIN)
    threshold = fit_threshold(outcomes.join(train_keys, on=KEYS, how="semi"), task)
    labels = to_labels(outcomes, task, threshold).join(of_fold, on=KEYS, how="inner")
    told_of = with_discharges(apply_threshold(outcomes, task, threshold), task, cases.dataset)
    determined = told_of.filter(pl.col("exclusion_reason").is_null())
    parts = {name: _part(cases, labels.filter(pl.col("split") == name), determined) for name in SPLITS}
    told = {name: (part.labels, part.cases.rows["subject_id"]) for name, part in parts.items()}
    problems = one_sided_problems(task.name, number, told)
    if problems:
        raise TaskError(problems)
    censored = told_of.filter(is_censored_later()).join(train_keys, on=KEYS, how="semi")
    unlabelled = censored.join(labels, on=KEYS, how="anti").unique(KEYS, keep="first", maintain_order=True)
    negative = unlabelled.with_columns(boolean_value=pl.lit(value=False))
    return Fold(
        task, number, threshold, parts, _part(cases, negative.select(*KEYS, "boolean_value"), unlabelled)
    )


def is_censored_later() -> pl.Expr:
    """Whether a row of OUTCOMES tells that nothing came until its record ended, some time after it."""
    return (pl.col("exclusion_reason") == CENSORED) & (pl.col("censored_hours") > 0)


def _part(cases: Cases, labels: pl.DataFrame, outcomes: pl.DataFrame) -> Part:
    taken = cases.take(labels)
    aligned = taken.rows.join(labels, on=KEYS, how="left", maintain_order="left")
    of_rows = taken.rows.select(KEYS).join(
        outcomes.unique(KEYS, keep="first", maintain_order=True), on=KEYS, how="left", maintain_order="left"
    )
    return Part(taken, aligned["boolean_value"].to_numpy().astype(np.bool_), of_rows)


def write_labels(fold: Fold, folder: RunFolder) -> None:
    """labels/TASK.parquet of a fold: exactly MEDS' LabelSchema, all splits together."""
    frames = [
        part.cases.rows.select(KEYS).with_columns(pl.Series("boolean_value", part.labels))
        for part in fold.parts.values()
    ]
    write_frame(pl.concat(frames).sort(KEYS), folder.labels(fold.task.name, fold.number))


def fit_unit(fold: Fold, name: str, config: RunConfig, folder: RunFolder) -> None:
    """Fit one model of one fold, calibrate it, keep it as a bundle and write its predictions.

    Predictions are made by the bundle as it was read back from disk: by the code path that scoring uses.
    What is
    already whole on disk is left as it is.

    Args:
        fold: the rows.
        name: the model's name in the run.
        config: the run.
        folder: where bundle and predictions go.
    """
    task, number = fold.task.name, fold.number
    if all(folder.predictions(task, name, split, number).exists() for split in (TUNING, HELD_OUT)):
        return
    place = folder.bundle(task, name, number)
    if not (place / "model.json").exists():
        _fit_bundle(fold, name, config, folder, place)
    bundle = load_bundle(place)
    for split in (TUNING, HELD_OUT):
        part = fold.parts[split]
        predictions = _prediction_frame(
            part, predict_risks(bundle, part.cases)["risk"], bundle.info.thresholds
        )
        write_frame(predictions, folder.predictions(task, name, split, number))


def _fit_bundle(fold: Fold, name: str, config: RunConfig, folder: RunFolder, place: Path) -> None:
    settings = _settings(fold, name, config)
    _refuse_what_pretraining_saw(config.bodies(name), fold, config.splits)
    fold = as_known_then(fold, config.splits)
    train, tuning = fold.parts[TRAIN], fold.parts[TUNING]
    members = {
        member: load_bundle(folder.bundle(fold.task.name, member, fold.number)).model
        for member in getattr(settings, "members", ())
    }
    work = folder.work("fit", fold.task.name, f"{name}_{fold.number}")
    work.mkdir(parents=True, exist_ok=True)
    epochs: list[tuple[int, float]] = []
    with cost_kept(folder.cost(fold.task.name, name, fold.number)):
        settings = _searched(settings, fold, name, config, folder)
        learnt = learnt_rows(settings, train, fold.censored)
        model = fit_model(
            settings,
            learnt.cases,
            learnt.labels,
            tuning.cases,
            tuning.labels,
            seed=config.seed,
            folder=work,
            outcomes=(learnt.outcomes, tuning.outcomes),
            horizon_hours=fold.task.horizon_hours,
            members=members,
            on_epoch=lambda epoch, measure: epochs.append((epoch, measure)),
        )
    if epochs:
        write_json(epochs, folder.epochs(fold.task.name, name, fold.number))
    raw = model.predict(tuning.cases)
    calibrator = fit_calibrator(raw, tuning.labels, tuning.cases.rows["subject_id"].to_numpy())
    risks = calibrator.apply(raw)
    save_bundle(
        place,
        model,
        task=fold.task.model_dump(mode="json"),
        calibrator=calibrator,
        thresholds=_thresholds(fold, risks, config),
        card=_card(fold, name, config),
        cohort=RiskCohort.of_risks(_with_units(tuning.cases, risks)),
    )
    shutil.rmtree(work, ignore_errors=True)


def as_known_then(fold: Fold, splits: SplitConfig) -> Fold:
    """The fold as whoever trains may see it: where time parts it, nothing that became known after its split.

    Training rows' later records would else reach into the time that is tuned and judged on, by auxiliary
    targets above all.
    """
    if not isinstance(splits, TimeSplit):
        return fold
    ends = {TRAIN: splits.train_before, TUNING: splits.tune_before or splits.train_before}
    parts = {
        name: part.as_known_before(ends[name]) if name in ends else part for name, part in fold.parts.items()
    }
    return replace(fold, parts=parts, censored=fold.censored.as_known_before(splits.train_before))


def _settings(fold: Fold, name: str, config: RunConfig) -> ModelConfig:
    """The model's configuration with the run's features, and the seeds that this fold is worth."""
    settings = config.models[name]
    updates: dict[str, object] = {}
    if getattr(settings, "features", ()) is None:
        updates["features"] = config.features
    other_fold_seeds = getattr(settings, "other_fold_seeds", None)
    if fold.number and other_fold_seeds is not None:
        updates["n_seeds"] = other_fold_seeds
    return settings.model_copy(update=updates)


def _searched(
    settings: ModelConfig, fold: Fold, name: str, config: RunConfig, folder: RunFolder
) -> ModelConfig:
    """The settings, or the best of a search over them inside the fold's training and tuning rows."""
    if config.search is None or config.search.model != name:
        return settings
    from experiments.search import search_settings

    return search_settings(
        config.search,
        settings,
        fold.parts[TRAIN],
        fold.parts[TUNING],
        censored=fold.censored,
        seed=config.seed,
        folder=folder.search(fold.task.name, name, fold.number),
        horizon_hours=fold.task.horizon_hours,
    )


def _refuse_what_pretraining_saw(bodies: Sequence[Path], fold: Fold, splits: SplitConfig) -> None:
    """Held-out patients, and the time after a split by time, must be new to a pretrained body, too.

    Raises:
        TaskError: a pretraining saw some of them.
    """
    if not bodies:
        return
    from phenotype.networks.population import load_population

    for place in bodies:
        population = load_population(place)
        population.check_unseen(fold.parts[HELD_OUT].cases.rows["subject_id"])
        if isinstance(splits, TimeSplit):
            population.check_known_before(splits.train_before)


def _thresholds(fold: Fold, risks: npt.NDArray[np.float64], config: RunConfig) -> dict[str, object]:
    """Alert thresholds from tuning rows; `operating` is the one that predicted_boolean_value uses."""
    tuning = score_rows(_scored(fold.parts[TUNING], pl.Series(risks)))
    info = task_info(fold.task)
    rates = config.evaluation.alert_rates or info.alert_rates
    found = choose_thresholds(
        tuning,
        rates,
        with_utility=info.has_utility and config.evaluation.utility,
        utility_prevalence=config.evaluation.utility_prevalence,
    )
    return {
        "operating": found[-1].value if found else 0.5,
        "chosen": [asdict(threshold) for threshold in found],
        "outcome": fold.threshold,
    }


def _card(fold: Fold, name: str, config: RunConfig) -> dict[str, object]:
    """What a bundle says of its own making; the run's model card has the figures."""
    return {
        "run": config.name,
        "model": name,
        "task": fold.task.name,
        "question": fold.task.question,
        "fold": fold.number,
        "seed": config.seed,
        "rows": {split: int(part.labels.size) for split, part in fold.parts.items()},
        "positive": {split: int(part.labels.sum()) for split, part in fold.parts.items()},
        "use": "for research, not a diagnosis",
    }


def task_info(task: Task) -> TaskInfo:
    """What the evaluation needs to know of a task."""
    is_hourly = task.index.kind == "hourly"
    return TaskInfo(
        name=task.name,
        alert_rates=task.alert_rates,
        cadence_hours=1.0 if is_hourly else None,
        has_utility=is_hourly and task.outcome.kind == "labelled_onset",
    )


def _with_units(cases: Cases, risks: npt.NDArray[np.float64]) -> pl.DataFrame:
    units = cases.dataset.contacts().select("contact_id", "unit_id").unique("contact_id", maintain_order=True)
    rows = cases.rows.join(units, on="contact_id", how="left", maintain_order="left")
    return rows.select("subject_id", "unit_id").with_columns(pl.Series("risk", risks))


def _scored(part: Part, risks: pl.Series) -> pl.DataFrame:
    return part.cases.rows.select(KEYS).with_columns(
        pl.Series("boolean_value", part.labels),
        risks.cast(pl.Float64).alias("predicted_boolean_probability"),
    )


def _prediction_frame(part: Part, risks: pl.Series, thresholds: Mapping[str, Any]) -> pl.DataFrame:
    """Exactly meds-evaluation's PredictionSchema."""
    is_alert = (risks >= thresholds["operating"]).alias("predicted_boolean_value")
    return (
        _scored(part, risks)
        .with_columns(pl.col("predicted_boolean_probability").cast(pl.Float32), is_alert)
        .select(*KEYS, "boolean_value", "predicted_boolean_value", "predicted_boolean_probability")
    )
