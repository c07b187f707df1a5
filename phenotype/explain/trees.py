"""Exact contributions to the logit of boosted trees and of linear models, rolled up to codes and domains."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.cases import Cases
from phenotype.explain.concepts import roll_up
from phenotype.logistic import LogisticModel
from phenotype.trees import LightGBMModel, tree_threads
from phenotype.ward import WardModel

Floats = npt.NDArray[np.float64]


def explain_trees(model: LightGBMModel, cases: Cases, n: int | None = None) -> pl.DataFrame:
    """Each feature's exact Shapley value in the logit, the mean over the model's seeds.

    A model's logit is the mean of its seeds' raw scores, and Shapley values are linear in the game, so the
    mean of the seeds' values is the value of the mean: no approximation comes in.

    Args:
        model: boosted trees.
        cases: the rows to explain.
        n: how many codes of each row are told (see `roll_up`); None tells all.

    Returns:
        Columns of EXPLANATIONS (`phenotype.explain.concepts`), phi on the logit scale of the uncalibrated
        risk.

    **Source:** Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9 (TreeSHAP, path dependent), as LightGBM's
    `pred_contrib` computes it.
    """
    blocks = [_tree_contributions(model, values) for values in model.columns.chunks(cases)]
    contributions = np.concatenate(blocks) if blocks else np.empty((0, model.columns.table.height + 1))
    return roll_up(
        contributions[:, :-1], contributions[:, -1], cases.rows, model.columns.table, model=model.kind, n=n
    )


def explain_linear(model: LogisticModel | WardModel, cases: Cases, n: int | None = None) -> pl.DataFrame:
    """Each feature's exact contribution to a linear logit: weight times distance from training's mean.

    What a missing value contributes (its indicator) is counted to the feature that is missing.

    Args:
        model: a logistic regression, or a ward score with its link.
        cases: the rows to explain.
        n: how many codes of each row are told (see `roll_up`); None tells all.

    Returns:
        Columns of EXPLANATIONS, phi on the logit scale of the uncalibrated risk.

    **Source:** Shapley values of a linear model with independent features: Štrumbelj & Kononenko 2014,
    doi:10.1007/s10115-013-0679-x.
    """
    if isinstance(model, WardModel):
        contributions = model.slope * (model.scores(cases) - model.centre)[:, None]
        columns = pl.DataFrame({"name": [model.config.score], "code": [model.config.score]})
        base = model.intercept + model.slope * model.centre
    else:
        blocks = [_linear_contributions(model, values) for values in model.columns.chunks(cases)]
        contributions = np.concatenate(blocks) if blocks else np.empty((0, model.columns.table.height))
        columns = model.columns.table
        base = model.intercept + float(model.standardiser.centre @ model.weights)
    return roll_up(
        contributions, np.full(len(contributions), base), cases.rows, columns, model=model.kind, n=n
    )


def _tree_contributions(model: LightGBMModel, values: npt.NDArray[np.float32]) -> Floats:
    """(n, C + 1) contributions and, last, the base; the mean over seeds."""
    total = np.zeros((len(values), values.shape[1] + 1))
    for booster in model.boosters:
        total += np.asarray(booster.predict(values, pred_contrib=True, num_threads=tree_threads(values.size)))
    return total / len(model.boosters)


def _linear_contributions(model: LogisticModel, values: npt.NDArray[np.float32]) -> Floats:
    """(n, C) contributions of features, their indicators' included."""
    shares = (model.standardiser.apply(values) - model.standardiser.centre) * model.weights
    n_columns = values.shape[1]
    contributions = shares[:, :n_columns].astype(np.float64)
    for number, column in enumerate(model.standardiser.indicators):
        contributions[:, column] += shares[:, n_columns + number]
    return contributions
