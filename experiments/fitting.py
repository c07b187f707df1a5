"""One door to every kind of model: a configuration that names its kind, and the fit that belongs to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from phenotype.cases import Cases
from phenotype.logistic import LogisticConfig, fit_logistic
from phenotype.networks.config import TransformerConfig
from phenotype.predictor import Model
from phenotype.trees import LightGBMConfig, fit_lightgbm
from phenotype.ward import WardConfig, fit_ward

ModelConfig = Annotated[
    WardConfig | LogisticConfig | LightGBMConfig | TransformerConfig, Field(discriminator="kind")
]

Labels = npt.NDArray[np.bool_]


def fit_model(
    config: WardConfig | LogisticConfig | LightGBMConfig | TransformerConfig,
    train: Cases,
    train_labels: Labels,
    tuning: Cases,
    tuning_labels: Labels,
    *,
    seed: int,
    folder: Path,
) -> Model:
    """A model of the kind that its configuration names.

    Args:
        config: of one kind; feature models without `features` use FeatureSpec's defaults.
        train: training rows.
        train_labels: (n_train,).
        tuning: rows that choose penalties and when to stop, disjoint from training patients.
        tuning_labels: (n_tuning,).
        seed: of everything random.
        folder: where a kind that trains for long keeps its checkpoints.

    Raises:
        TaskError: labels from which nothing can be learnt, or data without what the model reads.
    """
    if isinstance(config, WardConfig):
        return fit_ward(train, train_labels, tuning, tuning_labels, config, seed=seed)
    if isinstance(config, LogisticConfig):
        return fit_logistic(train, train_labels, tuning, tuning_labels, config, seed=seed)
    if isinstance(config, LightGBMConfig):
        return fit_lightgbm(train, train_labels, tuning, tuning_labels, config, seed=seed)
    from experiments.training import fit_transformer

    return fit_transformer(train, train_labels, tuning, tuning_labels, config, seed, folder)
