"""One door to every kind of model: a configuration that names its kind, and the fit that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from phenotype.cases import Cases
from phenotype.ensemble import EnsembleConfig, fit_ensemble
from phenotype.logistic import LogisticConfig, fit_logistic
from phenotype.networks.config import GRUConfig, NetworkConfig, TransformerConfig
from phenotype.networks.gru_d_config import GRUDConfig
from phenotype.networks.two_axis_config import TwoAxisConfig
from phenotype.predictor import Model
from phenotype.trees import LightGBMConfig, fit_lightgbm
from phenotype.ward import WardConfig, fit_ward

AnyModelConfig = (
    WardConfig
    | LogisticConfig
    | LightGBMConfig
    | TransformerConfig
    | GRUConfig
    | GRUDConfig
    | TwoAxisConfig
    | EnsembleConfig
)
ModelConfig = Annotated[AnyModelConfig, Field(discriminator="kind")]

Labels = npt.NDArray[np.bool_]


def fit_model(
    config: AnyModelConfig,
    train: Cases,
    train_labels: Labels,
    tuning: Cases,
    tuning_labels: Labels,
    *,
    seed: int,
    folder: Path,
    outcomes: tuple[pl.DataFrame, pl.DataFrame] | None = None,
    horizon_hours: float | None = None,
    members: Mapping[str, Model] | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
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
        outcomes: of the training and of the tuning rows, in their order (columns of OUTCOMES): what came
            first, and when, for networks that foretell times.
        horizon_hours: until when the task's outcome counts.
        members: the models that an ensemble may name, fitted on the same training rows.
        on_epoch: is told each epoch's number and tuning score, by kinds that train in epochs.

    Raises:
        TaskError: labels from which nothing can be learnt, or data without what the model reads.
    """
    if isinstance(config, WardConfig):
        return fit_ward(train, train_labels, tuning, tuning_labels, config, seed=seed)
    if isinstance(config, LogisticConfig):
        return fit_logistic(train, train_labels, tuning, tuning_labels, config, seed=seed)
    if isinstance(config, LightGBMConfig):
        return fit_lightgbm(train, train_labels, tuning, tuning_labels, config, seed=seed)
    if isinstance(config, EnsembleConfig):
        return fit_ensemble(config, members or {}, tuning, tuning_labels)
    return _fit_network(
        config,
        (train, tuning),
        (train_labels, tuning_labels),
        outcomes,
        horizon_hours,
        seed=seed,
        folder=folder,
        on_epoch=on_epoch,
    )


def _fit_network(
    config: NetworkConfig,
    cases: tuple[Cases, Cases],
    labels: tuple[Labels, Labels],
    outcomes: tuple[pl.DataFrame, pl.DataFrame] | None,
    horizon_hours: float | None,
    *,
    seed: int,
    folder: Path,
    on_epoch: Callable[[int, float], None] | None,
) -> Model:
    """A network with what is known of its rows: torch and Lightning are imported here and not before."""
    from experiments.training import fit_network
    from phenotype.networks.targets import RowTargets

    if outcomes is None:
        learnt, judged = (RowTargets.of_labels(some, horizon_hours) for some in labels)
    else:
        learnt, judged = (
            RowTargets.of_outcomes(some, frame, horizon_hours)
            for some, frame in zip(labels, outcomes, strict=True)
        )
    return fit_network(config, cases[0], learnt, cases[1], judged, seed, folder, on_epoch)
