"""L2-penalised logistic regression on standardised features with indicators of what is missing."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from phenotype.cases import Cases
from phenotype.columns import FeatureColumns, choose_columns
from phenotype.feature_spec import FeatureSpec
from phenotype.fitting_rows import check_labels, thin_negatives
from phenotype.link import log_loss, sigmoid
from phenotype.predictor import BundleParts
from phenotype.standardising import Standardiser, fit_standardiser

logger = logging.getLogger(__name__)

Labels = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class LogisticConfig(BaseModel):
    """Penalised logistic regression.

    Attributes:
        features: the features; None means the run's.
        penalties: strengths of the L2 penalty (sum of squared weights / 2) that are tried, strongest first;
            the one with the lowest tuning log loss is kept, and weaker ones are not tried after two worse
            in a row.
        max_iterations: of L-BFGS at each penalty, which starts where the last ended.
        max_rows: where training has more rows, those of the commoner outcome are thinned to come near this
            many and weighted up, so that risks keep the base rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["logistic"] = "logistic"
    features: FeatureSpec | None = None
    penalties: tuple[float, ...] = Field(
        default=(10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0), min_length=1
    )
    max_iterations: int = Field(default=200, ge=1)
    max_rows: int = Field(default=100_000, ge=1000)


@dataclass(frozen=True)
class LogisticModel:
    """Weights on standardised features.

    Attributes:
        config: as fitted.
        columns: the features read, in order.
        standardiser: from features to the design matrix.
        weights: (D,) one for each column of the design.
        intercept: the logit where every column of the design is 0.
        penalty: the one chosen.
    """

    config: LogisticConfig
    columns: FeatureColumns
    standardiser: Standardiser
    weights: Floats
    intercept: float
    penalty: float
    kind: ClassVar[str] = "logistic"

    def predict(self, cases: Cases) -> Floats:
        """Sigmoid of the linear score, (n,)."""
        scores = [self.raw_scores(values) for values in self.columns.chunks(cases)]
        return sigmoid(np.concatenate(scores)) if scores else np.empty(0)

    def raw_scores(self, values: npt.NDArray[np.float32]) -> Floats:
        """The logit of dense feature values, (n,)."""
        return np.asarray(self.standardiser.apply(values) @ self.weights + self.intercept)

    def parts(self) -> BundleParts:
        """Weights and standardisation as tensors, columns as a table."""
        settings = self.config.model_dump(mode="json") | {
            "features": self.columns.spec.model_dump(mode="json")
        }
        tensors = {
            "weights": self.weights,
            "intercept": np.array([self.intercept]),
            **self.standardiser.tensors(),
        }
        return BundleParts(
            settings | {"penalty": self.penalty}, tensors, tables={"columns": self.columns.table}
        )

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The model of a bundle's parts.

        Raises:
            KeyError: a part is missing.
            ValueError: settings that do not validate.
        """
        settings = dict(parts.config)
        penalty = float(settings.pop("penalty"))
        config = LogisticConfig.model_validate(settings)
        if config.features is None:
            raise ValueError("the features are not resolved")
        columns = FeatureColumns(config.features, parts.tables["columns"])
        standardiser = Standardiser.from_tensors(parts.tensors)
        return cls(
            config,
            columns,
            standardiser,
            parts.tensors["weights"],
            float(parts.tensors["intercept"][0]),
            penalty,
        )


def fit_logistic(
    train: Cases,
    train_labels: Labels,
    tuning: Cases,
    tuning_labels: Labels,
    config: LogisticConfig,
    *,
    seed: int,
) -> LogisticModel:
    """The regression whose penalty has the lowest log loss on tuning rows.

    Args:
        train: training rows; columns and standardisation come from them alone.
        train_labels: (n_train,).
        tuning: rows that choose the penalty.
        tuning_labels: (n_tuning,).
        config: the settings; `features` None means FeatureSpec's defaults.
        seed: of the thinning of rows, where they abound.

    Raises:
        TaskError: training labels are one-sided, or no column is frequent enough.
    """
    check_labels(train_labels, tuning_labels)
    columns = choose_columns(train, config.features or FeatureSpec())
    kept, row_weights = thin_negatives(train_labels, config.max_rows, seed)
    values = columns.dense(train.features(columns.spec), kept)
    standardiser = fit_standardiser(values, columns.table)
    design = standardiser.apply(values, np.float32)
    del values
    tuning_design = standardiser.apply(columns.dense(tuning.features(columns.spec)), np.float32)
    weights, intercept, penalty = _best_penalty(
        (design, train_labels[kept], row_weights), (tuning_design, tuning_labels.astype(np.float64)), config
    )
    logger.info("logistic: %d columns, penalty %g", len(weights), penalty)
    return LogisticModel(config, columns, standardiser, weights, intercept, penalty)


def _best_penalty(
    train: tuple[npt.NDArray[np.float32], Labels, npt.NDArray[np.float32]],
    tuning: tuple[npt.NDArray[np.float32], Floats],
    config: LogisticConfig,
) -> tuple[Floats, float, float]:
    """Weights, intercept and penalty with the lowest tuning log loss."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(solver="lbfgs", max_iter=config.max_iterations, tol=1e-5, warm_start=True)
    best: tuple[float, Floats, float, float] = (np.inf, np.empty(0), 0.0, 0.0)
    n_worse = 0
    for penalty in sorted(config.penalties, reverse=True):
        regression.set_params(C=1.0 / penalty)
        with warnings.catch_warnings():
            # A penalty too weak to converge is a worse one on tuning rows, or as good.
            warnings.simplefilter("ignore", ConvergenceWarning)
            regression.fit(train[0], train[1], sample_weight=train[2])
        weights = regression.coef_[0].astype(np.float64)
        intercept = float(regression.intercept_[0])
        loss = log_loss(tuning[0] @ weights + intercept, tuning[1])
        if loss < best[0]:
            best, n_worse = (loss, weights, intercept, penalty), 0
        else:
            n_worse += 1
        if n_worse == 2:
            break
    return best[1:]
