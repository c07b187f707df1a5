"""Splits of a fold in which all rows have one answer: what is told of them, before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import Problem

Marks = npt.NDArray[np.bool_]


def one_sided_problems(task: str, fold: int, parts: Mapping[str, tuple[Marks, pl.Series]]) -> list[Problem]:
    """A problem for each split of a fold that no model could be fitted, tuned or judged on.

    A run is refused as a whole where there is one: figures over the folds that remain would be of another
    experiment than the one asked for.

    Args:
        task: the task's name.
        fold: its number.
        parts: split name -> labels (n,) and subject_id (n,) of its rows.
    """
    next_step = _next_step(parts)
    return [
        Problem(
            f"task {task} cannot be learnt and judged: the {name} rows hold only one answer",
            where=f"fold {fold}, split {name}",
            found=f"{labels.size} rows, {int(labels.sum())} of them positive",
            allowed="rows of both kinds",
            next_step=next_step,
        )
        for name, (labels, _) in parts.items()
        if labels.all() or not labels.any()
    ]


def _next_step(parts: Mapping[str, tuple[Marks, pl.Series]]) -> str:
    """What helps: another split where patients of the rarer kind are enough, else other data."""
    rarer, n_patients = min(
        (
            ("with" if is_positive else "without", _n_patients(parts, is_positive=is_positive))
            for is_positive in (True, False)
        ),
        key=lambda found: found[1],
    )
    who = f"{n_patients} patients have rows {rarer} the outcome"
    if n_patients < len(parts):
        return (
            f"{who}, and train, tuning and held_out need one each: use more data, or ask for a more "
            "frequent outcome"
        )
    return (
        f"{who}: let splits be drawn by answer (kind random, or kind folds with at most {n_patients} folds), "
        "or move some of them into this split"
    )


def _n_patients(parts: Mapping[str, tuple[Marks, pl.Series]], *, is_positive: bool) -> int:
    named = [subjects.filter(pl.Series(labels == is_positive)) for labels, subjects in parts.values()]
    return pl.concat(named).n_unique()
