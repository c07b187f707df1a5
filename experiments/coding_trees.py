"""Boosted trees for every group of codes: features binned once a fold, answers exchanged group by group."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import Problem, TaskError
from phenotype.coding.expected.config import ExpectedConfig, TreesConfig
from phenotype.columns import CHUNK_ROWS, FeatureColumns
from phenotype.feature_matrix import FeatureMatrix
from phenotype.feature_spec import FeatureSpec
from phenotype.link import logit
from phenotype.trees import tree_threads

if TYPE_CHECKING:
    import lightgbm

logger = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
MIN_POSITIVE = 10
"""Training stays of the rarer answer below which the group's share is the answer and no trees are grown.

**Source:** Peduzzi et al. 1996, doi:10.1016/S0895-4356(96)00236-3 (ten events a parameter).
"""
MIN_TUNING = 10
"""Tuning stays of the rarer answer below which they do not decide when boosting stops."""


@dataclass(frozen=True)
class Answers:
    """What is learnt of one group: whether stays have it, among the stays that are asked.

    Attributes:
        labels: (n,) bool.
        asked: (n,) bool; the others neither train nor tune.
    """

    labels: Bools
    asked: Bools


def choose_features(
    matrix: FeatureMatrix, train: Ints, config: ExpectedConfig, history: tuple[str, ...]
) -> FeatureColumns:
    """The columns that enough training patients hold, sorted by name.

    Of diagnoses the longest window alone is read, of drugs how often and how long ago; of the rest, where
    they are too many, those that most training stays hold.

    Args:
        matrix: features of all stays.
        train: numbers of the training stays.
        config: the settings.
        history: beginnings of the codes of diagnoses.
    """
    mask = np.zeros(matrix.rows.height, dtype=bool)
    mask[train] = True
    is_history = pl.any_horizontal(
        [pl.lit(value=False), *(pl.col("code").str.starts_with(p) for p in history)]
    )
    is_dose = pl.col("code").str.starts_with("ATC//")
    longest = config.features.windows[-1]
    held = np.bincount(matrix.values[train].indices, minlength=matrix.columns.height)
    candidates = matrix.columns.with_columns(_held=held, _history=is_history).filter(
        pl.col("name").is_in(matrix.frequent(mask, config.features.min_subjects)),
        ~pl.col("_history") | (pl.col("window") == longest),
        ~is_dose | pl.col("aggregation").is_in(["count", "sum", "time_since"]),
    )
    chosen = candidates.sort("_history", "_held", "name", descending=[True, True, False])
    table = chosen.head(config.trees.max_columns).sort("name")
    return FeatureColumns(config.features, table.select(matrix.columns.columns))


@dataclass(frozen=True)
class TreesOfFold:
    """The trees of all groups of one fold.

    Attributes:
        columns: what they read.
        texts: each group's trees in LightGBM's text form; a number's text where there were too few answers.
    """

    columns: FeatureColumns
    texts: list[str]

    def logits(self, values: npt.NDArray[np.float32]) -> Floats:
        """(n, C) features -> (n, number of groups)."""
        found = np.empty((len(values), len(self.texts)))
        n_threads = tree_threads(values.size)
        for number, text in enumerate(self.texts):
            booster = booster_of(text)
            if booster is None:
                found[:, number] = float(text)
            else:
                answered = booster.predict(values, raw_score=True, num_threads=n_threads)
                found[:, number] = np.asarray(answered)
        return found

    def logits_of(self, matrix: FeatureMatrix, rows: Ints) -> Floats:
        """The logits of some rows of a matrix, CHUNK_ROWS at a time."""
        parts = [
            self.logits(self.columns.dense(matrix, rows[first : first + CHUNK_ROWS]))
            for first in range(0, len(rows), CHUNK_ROWS)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self.texts)))

    @classmethod
    def read(cls, file: Path) -> Self:
        """The trees that `write` kept."""
        kept = json.loads(file.read_text("utf-8"))
        spec = FeatureSpec.model_validate(kept["spec"])
        return cls(FeatureColumns(spec, pl.read_parquet(file.with_suffix(".parquet"))), kept["texts"])

    def write(self, file: Path) -> None:
        """To a JSON file beside a parquet file of the columns."""
        self.columns.table.write_parquet(file.with_suffix(".parquet"))
        spec = self.columns.spec.model_dump(mode="json")
        part = file.with_suffix(".part")
        part.write_text(json.dumps({"spec": spec, "texts": self.texts}), "utf-8")
        part.replace(file)


def booster_of(text: str) -> lightgbm.Booster | None:
    """The trees of a text; None where it is a number."""
    import lightgbm

    return lightgbm.Booster(model_str=text) if text.startswith("tree") else None


def fit_trees(
    matrix: FeatureMatrix,
    train: Ints,
    tuning: Ints,
    answers: list[Answers],
    config: ExpectedConfig,
    *,
    history: tuple[str, ...],
    seed: int,
) -> TreesOfFold:
    """Trees of every group; equal arguments give equal trees, bit for bit.

    Args:
        matrix: features of all stays.
        train: numbers of the training stays.
        tuning: numbers of the stays that decide when to stop.
        answers: of all stays, group by group.
        config: the settings.
        history: beginnings of the codes of diagnoses.
        seed: of the draws.

    Raises:
        TaskError: no feature is held by enough training patients.
    """
    import lightgbm

    columns = choose_features(matrix, train, config, history)
    if not columns.table.height:
        raise _nothing_to_read(config)
    settings = _settings(config.trees, seed, tree_threads(len(train) * columns.table.height))
    values = lightgbm.Dataset(columns.dense(matrix, train), np.zeros(len(train)), params=settings).construct()
    judged = lightgbm.Dataset(
        columns.dense(matrix, tuning), np.zeros(len(tuning)), reference=values, params=settings
    ).construct()
    texts = []
    for number, answer in enumerate(answers):
        texts.append(_fit_one(values, judged, train, tuning, answer, config.trees, settings))
        if number % 20 == 19:
            logger.info("trees of %d of %d groups", number + 1, len(answers))
    return TreesOfFold(columns, texts)


def _fit_one(  # noqa: PLR0917 what is learnt from what
    values: lightgbm.Dataset,
    judged: lightgbm.Dataset,
    train: Ints,
    tuning: Ints,
    answer: Answers,
    config: TreesConfig,
    settings: dict[str, Any],
) -> str:
    import lightgbm

    labels, asked = answer.labels[train], answer.asked[train]
    n_positive = int((labels & asked).sum())
    if min(n_positive, int(asked.sum()) - n_positive) < MIN_POSITIVE:
        share = (n_positive + 0.5) / (int(asked.sum()) + 1)
        return repr(float(logit(np.array([share]))[0]))
    values.set_label(labels.astype(np.float32))
    values.set_weight(asked.astype(np.float32))
    told = answer.labels[tuning][answer.asked[tuning]]
    if min(int(told.sum()), int((~told).sum())) < MIN_TUNING:
        booster = lightgbm.train(settings, values, num_boost_round=config.few_trees)
        return str(booster.model_to_string())
    judged.set_label(answer.labels[tuning].astype(np.float32))
    judged.set_weight(answer.asked[tuning].astype(np.float32) + 1e-9)
    booster = lightgbm.train(
        settings,
        values,
        num_boost_round=config.max_trees,
        valid_sets=[judged],
        callbacks=[lightgbm.early_stopping(config.patience, verbose=False)],
    )
    return str(booster.model_to_string(num_iteration=booster.best_iteration))


def _settings(config: TreesConfig, seed: int, n_threads: int) -> dict[str, Any]:
    """LightGBM's parameters; deterministic, whatever the number of threads."""
    return {
        "objective": "binary",
        "metric": "binary_logloss",
        "learning_rate": config.learning_rate,
        "num_leaves": config.n_leaves,
        "min_data_in_leaf": config.min_leaf_rows,
        "feature_fraction": config.feature_share,
        "bagging_fraction": config.row_share,
        "bagging_freq": 1 if config.row_share < 1 else 0,
        "lambda_l2": config.l2,
        "extra_trees": config.random_splits,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": n_threads,
        "verbosity": -1,
    }


def _nothing_to_read(config: ExpectedConfig) -> TaskError:
    return TaskError(
        Problem(
            "no feature is held by enough training patients",
            where="features.min_subjects",
            found=f"none held by {config.features.min_subjects} patients",
            allowed="at least one feature",
            next_step="lower min_subjects, or use more data",
        )
    )
