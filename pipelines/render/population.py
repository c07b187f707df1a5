"""Which explained predictions are a random sample of the cohort, and what the model uses most in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from experiments.config import ReasonsConfig
from experiments.reasons import rows_to_explain
from phenotype.report.importance import Importance, importance_of
from phenotype.report.words import model_title
from pipelines.render.run_reader import KEYS, RunRecord

SAMPLED_KINDS = ("lightgbm", "logistic")
"""Kinds whose sample ranks many codes, in the order in which one stands in for a leading model without."""


def population_importance(
    run: RunRecord, task: str, lead: str, subjects: Sequence[int] = ()
) -> Importance | None:
    """What the leading model uses most, or another model where the leading one has no sample.

    Args:
        run: the run.
        task: the task.
        lead: its leading model.
        subjects: patients who were asked for besides those that the run names.
    """
    models: Mapping[str, Any] = run.metrics["tasks"][task]["models"]
    others = sorted(
        (name for name in models if models[name]["kind"] in SAMPLED_KINDS and name != lead),
        key=lambda name: SAMPLED_KINDS.index(models[name]["kind"]),
    )
    for name in (lead, *others):
        kind = str(models[name]["kind"])
        found = importance_of(sampled(run, task, name, lead, subjects), model_title(name, kind))
        if kind in SAMPLED_KINDS and found is not None:
            return found
    return None


def sampled(run: RunRecord, task: str, model: str, lead: str, subjects: Sequence[int]) -> pl.DataFrame:
    """The explanations of a random sample of the first fold's held-out rows.

    Rows with a page of their own were chosen by their risk: they are left out, but where the sample was to
    hold every held-out row, so that they belong to it.
    """
    explained = run.explained(task, model)
    predictions = run.first_fold(task, lead)
    config = ReasonsConfig.model_validate(run.config.get("reasons") or {})
    config = config.model_copy(update={"subjects": (*config.subjects, *subjects)})
    if config.n_population >= predictions.height:
        return explained
    return explained.join(rows_to_explain(predictions, config).select(KEYS), on=KEYS, how="anti")
