"""What a model is asked: prediction rows over a dataset, with the features that they need made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from phenotype.trajectory import INSTANT, NOT_PREDICTORS, Dataset, known_time

if TYPE_CHECKING:
    from phenotype.features import FeatureMatrix, FeatureSpec

ROWS = pl.Schema({"subject_id": pl.Int64(), "prediction_time": INSTANT, "contact_id": pl.Int64()})


@dataclass(frozen=True)
class Cases:
    """Prediction rows and the dataset that they are about.

    Attributes:
        dataset: where the trajectories are.
        rows: columns of ROWS, unique and sorted by (subject_id, prediction_time); contact_id may be null. A
            model
            returns one risk a row, in this order.
    """

    dataset: Dataset
    rows: pl.DataFrame
    _features: dict[str, FeatureMatrix] = field(default_factory=dict, repr=False, compare=False)

    def events(self) -> pl.LazyFrame:
        """The events of these subjects that a model may look at, answers (NOT_PREDICTORS) left out.

        Rows after a prediction time are still there: whoever uses them cuts at
        `known_time() <= prediction_time`, prediction row by prediction row.
        """
        answers = pl.any_horizontal([pl.col("code").str.starts_with(prefix) for prefix in NOT_PREDICTORS])
        last = self.rows.group_by("subject_id").agg(pl.col("prediction_time").max().alias("_last"))
        return (
            self.dataset.events()
            .filter(~answers)
            .join(last.lazy(), on="subject_id")
            .filter(known_time().is_null() | (known_time() <= pl.col("_last")))
            .drop("_last")
        )

    def features(self, spec: FeatureSpec) -> FeatureMatrix:
        """The feature matrix of these rows for a specification, computed once and kept."""
        from phenotype.features import build_features

        key = spec.model_dump_json()
        if key not in self._features:
            self._features[key] = build_features(self.events(), self.rows, spec)
        return self._features[key]

    def take(self, rows: pl.DataFrame) -> Cases:
        """The cases of some of these rows, features sliced rather than computed again.

        Args:
            rows: a subset of `self.rows` by (subject_id, prediction_time), with the columns of ROWS.
        """
        keys = ["subject_id", "prediction_time"]
        numbered = self.rows.with_row_index("_row").join(
            rows.select(keys), on=keys, how="semi", maintain_order="left"
        )
        kept = {key: matrix.take_rows(numbered["_row"].to_numpy()) for key, matrix in self._features.items()}
        return Cases(self.dataset, numbered.drop("_row"), kept)
