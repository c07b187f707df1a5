"""Which codes of a dataset a fitted model can read: none at all means that they are of different worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import polars as pl

from phenotype.ensemble import EnsembleModel
from phenotype.follow_up import AGE_CODE
from phenotype.logistic import LogisticModel
from phenotype.predictor import Model
from phenotype.scores.codes import load_score_codes
from phenotype.trajectory import BIRTH_CODE, DEATH_CODE, Dataset
from phenotype.trees import LightGBMModel
from phenotype.ward import WardModel

if TYPE_CHECKING:
    from phenotype.networks.model import NetworkModel

EVERYWHERE = (BIRTH_CODE, DEATH_CODE, AGE_CODE, "SEX//", "CONTACT//", "CONTACT_END//")
"""Beginnings of codes that every dataset has, whatever its code systems."""


def codes_found(model: Model, dataset: Dataset) -> pl.Series:
    """The codes of a dataset that a model reads, those that every dataset has left out.

    Args:
        model: a fitted model of any kind.
        dataset: any dataset.

    Returns:
        Codes, sorted.
    """
    common = pl.any_horizontal([pl.col("code").str.starts_with(prefix) for prefix in EVERYWHERE])
    held = dataset.events().select("code").unique().filter(~common).sort("code").collect()
    return _read_of(model, held)


def _read_of(model: Model, held: pl.DataFrame) -> pl.Series:
    if isinstance(model, EnsembleModel):
        return pl.concat([_read_of(member.model, held) for member in model.members]).unique().sort()
    if isinstance(model, LightGBMModel | LogisticModel):
        return held.join(model.columns.table.select("code").unique(), on="code", how="semi")["code"].sort()
    if isinstance(model, WardModel):
        return held["code"].filter(held["code"].is_in(_score_codes(model.config.score)))
    vocabulary = cast("NetworkModel", model).vocabulary
    plain = held.with_columns(text_value=pl.lit(None, pl.String))
    return vocabulary.encode(plain)["code"].unique().sort()


def _score_codes(score: str) -> list[str]:
    if "//" in score:
        return [score]
    components = load_score_codes().components.values()
    return sorted({source.code for component in components for source in component.codes})
