"""Gradient-boosted trees on features: several seeds, their raw scores averaged on the logit scale."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from phenotype.cases import Cases
from phenotype.columns import FeatureColumns, choose_columns
from phenotype.feature_spec import FeatureSpec
from phenotype.fitting_rows import check_labels, thin_negatives
from phenotype.link import sigmoid
from phenotype.predictor import BundleParts
from phenotype.threads import thread_count

if TYPE_CHECKING:
    import lightgbm

logger = logging.getLogger(__name__)

Labels = npt.NDArray[np.bool_]
CELLS_A_THREAD = 10_000_000
"""Smaller data are worked on by fewer threads, which on a busy machine wait for each other at a high cost."""
METRICS = {"log_loss": "binary_logloss", "auroc": "auc", "auprc": "average_precision"}


class LightGBMConfig(BaseModel):
    """Gradient-boosted trees.

    Attributes:
        features: the features; None means the run's.
        n_seeds: models whose raw scores are averaged.
        learning_rate: shrinkage of each tree.
        n_leaves: leaves of a tree.
        min_leaf_rows: training rows that a leaf needs.
        feature_share: share of columns that each tree sees.
        row_share: share of rows that each tree sees.
        l2: penalty on leaf values.
        random_splits: whether a node tries one random threshold a column instead of all (extremely randomised
            trees: less variance, faster).
        max_trees: where boosting ends at the latest.
        patience: trees without a better tuning score before boosting ends.
        stop_on: the tuning score.
        max_rows: where training has more rows, those of the commoner outcome are thinned to come near this
            many and weighted up, so that risks keep the base rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["lightgbm"] = "lightgbm"
    features: FeatureSpec | None = None
    n_seeds: int = Field(default=3, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    n_leaves: int = Field(default=15, ge=2)
    min_leaf_rows: int = Field(default=30, ge=1)
    feature_share: float = Field(default=0.3, gt=0, le=1)
    row_share: float = Field(default=0.7, gt=0, le=1)
    l2: float = Field(default=5.0, ge=0)
    random_splits: bool = True
    max_trees: int = Field(default=3000, ge=1)
    patience: int = Field(default=100, ge=1)
    stop_on: Literal["log_loss", "auroc", "auprc"] = "log_loss"
    max_rows: int = Field(default=300_000, ge=1000)


@dataclass(frozen=True)
class LightGBMModel:
    """Boosted trees and the columns that they read.

    Attributes:
        config: as fitted, features resolved.
        columns: what the trees read, in order.
        texts: each seed's trees in LightGBM's own text form.
        boosters: the same trees, ready to predict.
    """

    config: LightGBMConfig
    columns: FeatureColumns
    texts: tuple[str, ...]
    boosters: tuple[lightgbm.Booster, ...]
    kind: ClassVar[str] = "lightgbm"

    def predict(self, cases: Cases) -> npt.NDArray[np.float64]:
        """Sigmoid of the seeds' mean raw score, (n,)."""
        scores = [self.raw_scores(values) for values in self.columns.chunks(cases)]
        return sigmoid(np.concatenate(scores)) if scores else np.empty(0)

    def raw_scores(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """The mean raw score (logit) over seeds of dense values, (n,)."""
        total, n_threads = np.zeros(len(values)), tree_threads(values.size)
        for booster in self.boosters:
            total += np.asarray(booster.predict(values, raw_score=True, num_threads=n_threads))
        return total / len(self.boosters)

    def parts(self) -> BundleParts:
        """The settings, the columns as a table, the trees as text."""
        texts = {f"trees_{number}": text for number, text in enumerate(self.texts)}
        settings = self.config.model_dump(mode="json") | {
            "features": self.columns.spec.model_dump(mode="json")
        }
        return BundleParts(settings, texts=texts, tables={"columns": self.columns.table})

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The model of a bundle's parts.

        Raises:
            ValueError: texts that LightGBM does not read, or parts that are missing.
        """
        config = LightGBMConfig.model_validate(parts.config)
        if config.features is None:
            raise ValueError("the features are not resolved")
        texts = tuple(parts.texts[f"trees_{number}"] for number in range(config.n_seeds))
        columns = FeatureColumns(config.features, parts.tables["columns"])
        return cls(config, columns, texts, tuple(_booster(text) for text in texts))


def fit_lightgbm(
    train: Cases,
    train_labels: Labels,
    tuning: Cases,
    tuning_labels: Labels,
    config: LightGBMConfig,
    *,
    seed: int,
) -> LightGBMModel:
    """Boosted trees that stop where the tuning score is best; equal arguments give equal trees, bit for bit.

    Args:
        train: training rows; columns are chosen on them alone.
        train_labels: (n_train,).
        tuning: rows that decide when to stop.
        tuning_labels: (n_tuning,).
        config: the settings; `features` None means FeatureSpec's defaults.
        seed: the first seed.

    Raises:
        TaskError: training labels are one-sided, or no column is frequent enough.
    """
    import lightgbm

    check_labels(train_labels, tuning_labels)
    columns = choose_columns(train, config.features or FeatureSpec())
    kept, weights = thin_negatives(train_labels, config.max_rows, seed)
    n_threads = tree_threads(len(kept) * columns.table.height)
    settings = _settings(config, seed, n_threads)
    train_values = lightgbm.Dataset(
        columns.dense(train.features(columns.spec), kept),
        train_labels[kept].astype(np.float32),
        weight=weights,
        params=settings,
    ).construct()
    tuning_values = lightgbm.Dataset(
        columns.dense(tuning.features(columns.spec)),
        tuning_labels.astype(np.float32),
        reference=train_values,
        params=settings,
    ).construct()
    texts = []
    for number in range(config.n_seeds):
        booster = lightgbm.train(
            _settings(config, seed + number, n_threads),
            train_values,
            num_boost_round=config.max_trees,
            valid_sets=[tuning_values],
            callbacks=[lightgbm.early_stopping(config.patience, verbose=False)],
        )
        logger.info("lightgbm: seed %d of %d, %d trees", number + 1, config.n_seeds, booster.best_iteration)
        texts.append(booster.model_to_string(num_iteration=booster.best_iteration))
    return LightGBMModel(config, columns, tuple(texts), tuple(_booster(text) for text in texts))


def tree_threads(n_cells: int) -> int:
    """Threads for data of so many cells: one for each CELLS_A_THREAD begun, while this process has them."""
    return min(thread_count(), 1 + n_cells // CELLS_A_THREAD)


def _settings(config: LightGBMConfig, seed: int, n_threads: int) -> dict[str, Any]:
    """LightGBM's parameters; deterministic, whatever the number of threads."""
    return {
        "objective": "binary",
        "metric": METRICS[config.stop_on],
        "learning_rate": config.learning_rate,
        "num_leaves": config.n_leaves,
        "min_data_in_leaf": config.min_leaf_rows,
        "feature_fraction": config.feature_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "extra_trees": config.random_splits,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": n_threads,
        "verbosity": -1,
    }


def _booster(text: str) -> lightgbm.Booster:
    import lightgbm

    try:
        return lightgbm.Booster(model_str=text)
    except lightgbm.basic.LightGBMError as error:
        raise ValueError("not LightGBM's text model") from error
