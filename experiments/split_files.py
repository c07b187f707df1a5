"""A file that says which patient trains, tunes or is held out, in one fold or several."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem

ALLOWED = ("train", "tuning", "held_out")


def read_split_file(path: Path) -> pl.DataFrame:
    """The file's patients, checked.

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
        raise InputError(
            Problem("the split file cannot be read", str(path), type(error).__name__, "a parquet file")
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
    _check(named, path)
    return named


def _check(named: pl.DataFrame, path: Path) -> None:
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
