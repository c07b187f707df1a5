"""What the ward has today: one severity score, linked to a probability on training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict

from ontology.errors import Problem, TaskError
from phenotype.cases import Cases
from phenotype.fitting_rows import check_labels
from phenotype.link import fit_logistic_link, sigmoid
from phenotype.predictor import BundleParts
from phenotype.trajectory import known_time

Labels = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class WardConfig(BaseModel):
    """One score.

    Attributes:
        score: a code whose values came with the data ("SCORE//SAPS-I"), or one that is computed from events
            ("NEWS2", "SOFA", "qSOFA").
        missing: what a row without a score is taken to have: the training rows' median, or their lowest score
            (what is not measured is taken to be normal).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["ward"] = "ward"
    score: str
    missing: Literal["median", "lowest"] = "median"


@dataclass(frozen=True)
class WardModel:
    """A score and its logistic link.

    Attributes:
        config: which score.
        slope: logit a point.
        intercept: logit at 0 points.
        filler: the score of rows that have none.
        centre: mean score of training rows: where an explanation starts from.
    """

    config: WardConfig
    slope: float
    intercept: float
    filler: float
    centre: float
    kind: ClassVar[str] = "ward"

    def predict(self, cases: Cases) -> Floats:
        """Sigmoid of the linked score, (n,)."""
        return sigmoid(self.slope * self.scores(cases) + self.intercept)

    def scores(self, cases: Cases) -> Floats:
        """The score of every row, filled where missing, (n,)."""
        found = find_scores(cases, self.config.score)
        return np.where(np.isnan(found), self.filler, found)

    def parts(self) -> BundleParts:
        """Everything in the settings: four numbers need no tensor."""
        link = {
            "slope": self.slope,
            "intercept": self.intercept,
            "filler": self.filler,
            "centre": self.centre,
        }
        return BundleParts({"settings": self.config.model_dump(mode="json"), "link": link})

    @classmethod
    def from_parts(cls, parts: BundleParts) -> Self:
        """The model of a bundle's parts.

        Raises:
            KeyError: a number is missing.
            ValueError: settings that do not validate.
        """
        link = parts.config["link"]
        numbers = (float(link[name]) for name in ("slope", "intercept", "filler", "centre"))
        return cls(WardConfig.model_validate(parts.config["settings"]), *numbers)


def fit_ward(
    train: Cases, train_labels: Labels, tuning: Cases, tuning_labels: Labels, config: WardConfig, *, seed: int
) -> WardModel:
    """The score with the logistic regression of the outcome on it, fitted on training rows.

    Args:
        train: training rows.
        train_labels: (n_train,).
        tuning: not used: nothing is chosen.
        tuning_labels: not used.
        config: which score.
        seed: not used: nothing is random.

    Raises:
        TaskError: one-sided labels, or no training row has the score.
    """
    del tuning, seed
    check_labels(train_labels, tuning_labels)
    found = find_scores(train, config.score)
    present = found[~np.isnan(found)]
    if not len(present):
        raise TaskError(
            Problem(
                "no training row has the score",
                where=f"model of kind ward, score {config.score}",
                found=f"0 of {len(found)} rows",
                allowed="a code that the dataset holds, or a score whose components it holds",
                next_step="name another score, or leave this model out",
            )
        )
    filler = float(np.median(present) if config.missing == "median" else present.min())
    scores = np.where(np.isnan(found), filler, found)
    slope, intercept = fit_logistic_link(scores, train_labels.astype(np.float64))
    return WardModel(config, slope, intercept, filler, float(scores.mean()))


def find_scores(cases: Cases, score: str) -> Floats:
    """The latest score known at each prediction time, (n,) in row order, NaN where there is none."""
    if "//" in score:
        return _supplied_scores(cases, score)
    from phenotype.scores.rows import score_rows

    keys = ["subject_id", "prediction_time"]
    computed = score_rows(cases.events(), cases.rows, score)
    return (
        cases.rows.join(computed, on=keys, how="left", maintain_order="left")["score"]
        .to_numpy()
        .astype(np.float64)
    )


def _supplied_scores(cases: Cases, code: str) -> Floats:
    """The last value of a code known by each prediction time; of values known at one instant the highest."""
    keys = ["subject_id", "prediction_time"]
    values = (
        cases.events()
        .filter((pl.col("code") == code) & pl.col("numeric_value").is_not_null())
        .select(
            "subject_id", known_time().alias("known"), pl.col("numeric_value").cast(pl.Float64).alias("score")
        )
        .collect()
    )
    latest = (
        cases.rows.select(keys)
        .join(values, on="subject_id")
        .filter(pl.col("known").is_null() | (pl.col("known") <= pl.col("prediction_time")))
        .sort("known", "score", nulls_last=False)
        .group_by(keys, maintain_order=True)
        .last()
    )
    joined = cases.rows.join(latest, on=keys, how="left", maintain_order="left")
    return joined["score"].fill_null(float("nan")).to_numpy()
