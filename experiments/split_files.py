"""Splits that somebody else made, read from files: a table of patients, or arrays of row numbers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from experiments.split_arrays import ARRAY_FORMS, Rows, read_arrays
from experiments.split_order import read_order
from ontology.errors import ConfigurationError, InputError, Problem, gathered_problems

ALLOWED = ("train", "tuning", "held_out")
logger = logging.getLogger(__name__)


def read_split_files(
    paths: Sequence[Path], order: Path | None = None, who: Path | None = None
) -> pl.DataFrame:
    """The patients that split files name, checked; folds are numbered through, file by file.

    Args:
        paths: one or several files: parquet tables with subject_id, split and perhaps fold; or arrays of row
            numbers (`experiments.split_arrays`), which need `order`.
        order: the table whose rows the arrays number, as `experiments.split_order` reads it.
        who: source_id and subject_id, where `order` has the source's own ids.

    Returns:
        subject_id Int64, split (train, tuning or held_out), fold Int32, unique and sorted by
        (fold, subject_id).

    Raises:
        InputError: no such file, or one that cannot be read.
        ConfigurationError: a fault of the files, or arrays without an order; those of all files at once.
    """
    ids = read_order(order, who) if order else None
    tables = []
    n_folds = 0
    with gathered_problems() as attempt:
        for path in paths:
            with attempt():
                folds = _read_file(path, ids)
                tables.append(folds.with_columns(fold=(pl.col("fold") + n_folds).cast(pl.Int32)))
                n_folds += folds["fold"].n_unique()
    return pl.concat(tables).sort("fold", "subject_id", "split")


def count_folds(paths: Sequence[Path]) -> int:
    """How many folds the files name."""
    return sum(len(read_arrays(path)) if _is_arrays(path) else _table_folds(path) for path in paths)


def _table_folds(path: Path) -> int:
    return read_split_table(path)["fold"].n_unique()


def _is_arrays(path: Path) -> bool:
    return path.suffix.lower() in ARRAY_FORMS


def _read_file(path: Path, ids: pl.Series | None) -> pl.DataFrame:
    if not _is_arrays(path):
        return read_split_table(path)
    folds = read_arrays(path)
    if ids is None:
        raise ConfigurationError(
            Problem(
                "arrays of row numbers do not say whose rows they number",
                where=f"splits: path {path.name}",
                found="no order",
                allowed="order: a table with a row a patient, in the order that the arrays number",
                next_step="give splits.order; docs/splits.md has an example",
            )
        )
    return pl.concat([_of_fold(fold, number, ids, path) for number, fold in enumerate(folds)])


def _of_fold(arrays: dict[str, Rows], number: int, ids: pl.Series, path: Path) -> pl.DataFrame:
    """The patients of one fold; rows of nobody in the dataset are left out, and told."""
    beyond = max((int(rows.max(initial=-1)) for rows in arrays.values()), default=-1)
    if beyond >= len(ids):
        raise ConfigurationError(
            Problem(
                "row numbers reach past the order",
                where=f"{path}: fold {number}",
                found=f"row {beyond}",
                allowed=f"0 to {len(ids) - 1}, since the order has {len(ids)} rows",
                next_step="give the table that the arrays number, without the rows that they leave out",
            )
        )
    parts = [
        pl.DataFrame({"subject_id": ids.gather(rows), "split": np.repeat(role, rows.size).tolist()})
        for role, rows in arrays.items()
        if rows.size
    ]
    named = pl.concat(parts).with_columns(fold=pl.lit(number, pl.Int32))
    n_unknown = named["subject_id"].null_count()
    if n_unknown:
        logger.warning("fold %d: %d rows of the split are of nobody in the dataset", number, n_unknown)
    _check_one_split(named.drop_nulls(), path)
    return named.drop_nulls().unique()


def _check_one_split(named: pl.DataFrame, path: Path) -> None:
    """Refuse rows of one patient in two splits: the arrays were drawn by row, not by patient."""
    per_patient = named.group_by("subject_id").agg(n=pl.col("split").n_unique())
    n_leaking = per_patient.filter(pl.col("n") > 1).height
    if n_leaking:
        raise ConfigurationError(
            Problem(
                "rows of one patient stand in two splits of a fold",
                where=str(path),
                found=f"{n_leaking} patients",
                allowed="each patient in one split",
                next_step="draw the split by patient",
            )
        )


def read_split_table(path: Path) -> pl.DataFrame:
    """A table's patients, checked.

    Returns:
        subject_id Int64, split (train, tuning or held_out), fold Int32 (0 where the file has none), unique
        and sorted by (fold, subject_id).

    Raises:
        InputError: no such file, or no parquet.
        ConfigurationError: missing columns, other split names, or folds that are not numbered 0, 1, 2, ...
    """
    try:
        given = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        allowed = f"a parquet file, or {', '.join(ARRAY_FORMS)} with arrays of row numbers"
        raise InputError(
            Problem("the split file cannot be read", str(path), type(error).__name__, allowed)
        ) from error
    missing = [name for name in ("subject_id", "split") if name not in given.columns]
    if missing:
        raise ConfigurationError(
            Problem(
                "the split file lacks columns",
                where=str(path),
                found=", ".join(given.columns),
                allowed="subject_id, split and, for several folds, fold",
                next_step=f"add {', '.join(missing)}",
            )
        )
    fold = pl.col("fold") if "fold" in given.columns else pl.lit(0)
    named = (
        given.select(
            pl.col("subject_id").cast(pl.Int64), pl.col("split").cast(pl.String), fold=fold.cast(pl.Int32)
        )
        .unique()
        .sort("fold", "subject_id", "split")
    )
    _check_table(named, path)
    return named


def _check_table(named: pl.DataFrame, path: Path) -> None:
    problems = []
    other = sorted(set(named["split"].fill_null("(empty)").unique()) - set(ALLOWED))
    if other:
        problems.append(
            Problem("unknown split names", f"{path}: split", ", ".join(other)[:80], ", ".join(ALLOWED))
        )
    numbers = named["fold"].unique().sort().to_list()
    if numbers != list(range(len(numbers))):
        allowed = "0, 1, 2, ... without gaps"
        problems.append(Problem("folds are not numbered from 0", f"{path}: fold", str(numbers)[:80], allowed))
    if problems:
        raise ConfigurationError(problems)
