"""Deep phenotypes: a model's state of each subject at a time, as a table that is read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import InputError, Problem
from phenotype.cases import ROWS, Cases
from phenotype.trajectory import INSTANT, Dataset, known_time

DEEP_PHENOTYPES = pl.Schema({"subject_id": pl.Int64(), "time": INSTANT, "state": pl.List(pl.Float32())})
"""Unique by (subject_id, time) and sorted by them; `state` has as many numbers in every row."""


class HasStates(Protocol):
    """A model that has a state for every case."""

    def states(self, cases: Cases) -> npt.NDArray[np.float32]:
        """(n, H), in the order of `cases.rows`."""
        ...


def deep_phenotypes(model: HasStates, cases: Cases) -> pl.DataFrame:
    """The state of every case: what the model makes of all that was known then.

    Returns:
        Columns of DEEP_PHENOTYPES, in the order of `cases.rows`.
    """
    states = model.states(cases)
    rows = cases.rows.select("subject_id", pl.col("prediction_time").alias("time"))
    return with_states(rows, states)


def with_states(rows: pl.DataFrame, states: npt.NDArray[np.float32]) -> pl.DataFrame:
    """Rows of subject_id and time with their states (n, H), as columns of DEEP_PHENOTYPES."""
    listed = pl.Series("state", np.ascontiguousarray(states, dtype=np.float32)).cast(pl.List(pl.Float32))
    return rows.with_columns(listed).select(pl.col(name).cast(kind) for name, kind in DEEP_PHENOTYPES.items())


def last_moments(dataset: Dataset) -> pl.DataFrame:
    """One row a subject, when the last fact about it became known: the default of what is exported.

    Returns:
        Columns of ROWS, sorted by subject_id; subjects without a dated fact are not there.
    """
    last = dataset.events().group_by("subject_id").agg(known_time().max().alias("prediction_time")).collect()
    rows = last.drop_nulls().with_columns(pl.lit(None, pl.Int64).alias("contact_id"))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in ROWS.items()).sort("subject_id")


def state_matrix(frame: pl.DataFrame) -> npt.NDArray[np.float32]:
    """The states of a frame, (n, H) float32.

    Raises:
        InputError: rows with states of different lengths, or without one.
    """
    lengths = frame["state"].list.len().unique().to_list()
    if len(lengths) > 1 or lengths in ([None], [0]):
        raise InputError(
            Problem(
                "these are no deep phenotypes of one model",
                where="column state",
                found=f"states of {len(lengths)} lengths",
                allowed="as many numbers in every row",
                next_step="export them again: `pesta population states`",
            )
        )
    width = int(lengths[0]) if lengths else 0
    flat = frame["state"].explode().cast(pl.Float32).to_numpy() if width else np.zeros(0, np.float32)
    return np.asarray(flat, dtype=np.float32).reshape(frame.height, width)


def _typed(found: pl.DataFrame, file: Path) -> pl.DataFrame:
    """The columns of DEEP_PHENOTYPES; cells are never told.

    Raises:
        InputError: columns of other kinds, or rows of nobody or no time.
    """
    try:
        table = found.select(pl.col(name).cast(kind) for name, kind in DEEP_PHENOTYPES.items())
    except pl.exceptions.PolarsError:
        table = None
    if table is None or table.select("subject_id", "time").null_count().sum_horizontal().item():
        raise InputError(
            Problem(
                "these columns are not those of deep phenotypes",
                where=str(file),
                found=", ".join(f"{name}: {found.schema[name]}" for name in DEEP_PHENOTYPES.names()),
                allowed=", ".join(f"{name}: {kind}" for name, kind in DEEP_PHENOTYPES.items())
                + "; a subject and a time in every row",
                next_step="export them again: `pesta population states`",
            )
        ) from None
    return table


def read_deep_phenotypes(file: Path) -> pl.DataFrame:
    """A table of deep phenotypes.

    Raises:
        InputError: no such file, another table, or a state that is not a number.
    """
    try:
        found = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError(
            Problem(
                "no deep phenotypes here",
                where=str(file),
                found=type(error).__name__,
                allowed="the Parquet file that `pesta population states` writes",
                next_step="check the path",
            )
        ) from error
    missing = [name for name in DEEP_PHENOTYPES if name not in found.columns]
    if missing:
        raise InputError(
            Problem(
                "columns are missing",
                where=str(file),
                found=", ".join(found.columns)[:200],
                allowed=", ".join(DEEP_PHENOTYPES),
                next_step="export them again: `pesta population states`",
            )
        )
    table = _typed(found, file)
    if not np.isfinite(state_matrix(table)).all():
        raise InputError(
            Problem(
                "states that are no numbers",
                where=f"{file}: column state",
                next_step="train the model again: its weights are not finite",
            )
        )
    return table.sort("subject_id", "time")
