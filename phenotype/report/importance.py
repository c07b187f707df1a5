"""What a model uses most over a random sample of held-out predictions: codes by mean size."""

from __future__ import annotations

import polars as pl

from ontology.labels import domain_of, is_care, label_of
from phenotype.explain.concepts import KEYS, ROOT
from phenotype.report.suppression import MIN_CELL
from phenotype.task_parts import Frozen

MAX_CODES = 15


class Used(Frozen):
    """One code and how much it moves predictions.

    Attributes:
        code: the code.
        label: its plain name.
        domain: its domain.
        is_care: whether it is something the hospital did.
        size: mean size of its contribution, in log odds, whichever its sign.
    """

    code: str
    label: str
    domain: str
    is_care: bool
    size: float


class Importance(Frozen):
    """The codes that a model uses most.

    Attributes:
        model: the model in words.
        n_rows: predictions in the sample.
        n_subjects: their patients.
        codes: the largest first, at most MAX_CODES.
    """

    model: str
    n_rows: int
    n_subjects: int
    codes: tuple[Used, ...]


def importance_of(explanations: pl.DataFrame, model: str) -> Importance | None:
    """The codes of explained predictions by their mean size.

    Args:
        explanations: rows of EXPLANATIONS of one model and tree, of a random sample of predictions. A code
            that is not told of a prediction counts as 0 there.
        model: the model in words.

    Returns:
        Null where fewer than MIN_CELL patients were explained.
    """
    keys = explanations.select(KEYS).unique()
    n_subjects = keys["subject_id"].n_unique()
    if n_subjects < MIN_CELL:
        return None
    sizes = code_sizes(explanations).head(MAX_CODES)
    codes = tuple(
        Used(
            code=code,
            label=label_of(code),
            domain=domain_of(code),
            is_care=is_care(code),
            size=total / keys.height,
        )
        for code, total in sizes.rows()
    )
    return Importance(model=model, n_rows=keys.height, n_subjects=n_subjects, codes=codes)


def code_sizes(explanations: pl.DataFrame) -> pl.DataFrame:
    """Codes by the sum of the size of their contributions: node, size, the largest first."""
    domains = explanations.filter(pl.col("parent") == ROOT)["node"].unique().to_list()
    codes = explanations.filter(pl.col("parent").is_in(domains)).sort(*KEYS, "node")
    sizes = codes.group_by("node", maintain_order=True).agg(pl.col("phi").abs().sum().alias("size"))
    return sizes.sort("size", "node", descending=[True, False])
