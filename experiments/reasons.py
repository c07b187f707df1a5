"""Whose predictions are explained, and by which exact or sampled method, for each model of a task."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl

from experiments.config import ReasonsConfig
from experiments.parts import KEYS
from experiments.run_folder import HELD_OUT, RunFolder
from experiments.study import Fold
from phenotype.bundle import load_bundle
from phenotype.cases import Cases
from phenotype.ensemble import EnsembleModel
from phenotype.explain.ensembles import combine_reasons
from phenotype.explain.trees import explain_linear, explain_trees
from phenotype.logistic import LogisticModel
from phenotype.predictor import Model
from phenotype.trees import LightGBMModel
from phenotype.ward import WardModel

if TYPE_CHECKING:
    from phenotype.networks.model import NetworkModel

RISK = "predicted_boolean_probability"
MAX_SHOWN_CODES = 25


def rows_to_explain(predictions: pl.DataFrame, config: ReasonsConfig) -> pl.DataFrame:
    """The held-out rows that get a page: one row a subject, where the subject's risk is highest.

    Args:
        predictions: a model's held-out predictions.
        config: how many of the most and the least at risk, and who was asked for.

    Returns:
        subject_id, prediction_time, risk, group ("highest", "lowest" or "asked"), by falling risk.
    """
    peaks = (
        predictions.select(*KEYS, pl.col(RISK).alias("risk"))
        .sort("risk", "prediction_time", "subject_id", descending=[True, False, False])
        .unique("subject_id", keep="first", maintain_order=True)
    )
    order = pl.int_range(pl.len())
    group = (
        pl.when(pl.col("subject_id").is_in(list(config.subjects)))
        .then(pl.lit("asked"))
        .when(order < config.n_highest)
        .then(pl.lit("highest"))
        .when(order >= pl.len() - config.n_lowest)
        .then(pl.lit("lowest"))
    )
    return peaks.with_columns(group.alias("group")).drop_nulls("group")


def explain_fold(
    fold: Fold, model: str, config: ReasonsConfig, folder: RunFolder, shown: pl.DataFrame
) -> pl.DataFrame:
    """The reasons of one model for the rows with a page and, where they cost little, for a sample.

    Args:
        fold: the fold whose held-out rows are explained.
        model: the model's name in the run.
        config: how many rows.
        folder: where the bundle lies.
        shown: subject_id and prediction_time of rows with a page.

    Returns:
        explanations (DESIGN's columns), `model` being TASK/MODEL, the bundle's place below bundle/.
    """
    fitted = load_bundle(folder.bundle(fold.task.name, model, fold.number)).model
    cases = fold.parts[HELD_OUT].cases
    chosen = shown.select(KEYS)
    if _is_cheap(fitted):
        sample = cases.rows.select(KEYS).sample(
            min(config.n_population, cases.rows.height), seed=0, shuffle=True
        )
        chosen = pl.concat([chosen, sample]).unique(KEYS)
    explained = explain_model(fitted, cases.take(chosen), MAX_SHOWN_CODES)
    return explained.with_columns(pl.lit(f"{fold.task.name}/{model}").alias("model"))


def explain_model(model: Model, cases: Cases, n: int | None) -> pl.DataFrame:
    """The reasons of a model, the n codes of each row that moved it most; None tells every code."""
    if isinstance(model, EnsembleModel):
        each = [explain_model(member.model, cases, None) for member in model.members]
        return combine_reasons(each, model.scales, model.intercept, n)
    if isinstance(model, LightGBMModel):
        return explain_trees(model, cases, n)
    if isinstance(model, LogisticModel | WardModel):
        return explain_linear(model, cases, n)
    from phenotype.explain.networks import explain_network

    return explain_network(cast("NetworkModel", model), cases, n)


def _is_cheap(model: Model) -> bool:
    """Whether a model's reasons cost about as much as its risks."""
    if isinstance(model, EnsembleModel):
        return all(_is_cheap(member.model) for member in model.members)
    return isinstance(model, LightGBMModel | LogisticModel | WardModel)
