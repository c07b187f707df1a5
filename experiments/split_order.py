"""Whose the rows are that a published split numbers: a table with a row a patient, in the split's order."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem

FORMS = (".parquet", ".csv", ".txt")


def read_order(path: Path, who: Path | None = None) -> pl.Series:
    """The subject of each row that a split's arrays number.

    Args:
        path: a text file with one id a line, or a CSV or Parquet file: the column `subject_id` (with `who`:
            `source_id`), else the first.
        who: a CSV or Parquet file of source_id and subject_id, as `pesta reidentify` writes it, where the
            ids are the source's own and the dataset's are pseudonyms.

    Returns:
        subject_id Int64, a row a row of the file; null where `who` does not know the id.

    Raises:
        InputError: a file that cannot be read.
        ConfigurationError: ids that are no subject_id, or none that `who` knows.
    """
    ids = _column(path, "source_id" if who else "subject_id")
    if who is None:
        subjects = ids.cast(pl.Int64, strict=False).alias("subject_id")
        if subjects.null_count():
            raise ConfigurationError(
                Problem(
                    "the order has rows without a subject_id",
                    where=str(path),
                    found=f"{subjects.null_count()} of {len(ids)} rows are no whole number",
                    allowed="the dataset's subject_id, or the source's ids together with who",
                    next_step="let `pesta reidentify` tell who they are, and give its file as splits.who",
                )
            )
        return subjects
    told = _table(who)
    if not {"source_id", "subject_id"} <= set(told.columns):
        raise ConfigurationError(
            Problem(
                "the file of who is who lacks columns",
                where=str(who),
                found=", ".join(told.columns)[:80],
                allowed="source_id, subject_id, as `pesta reidentify` writes them",
            )
        )
    known = told.select(
        pl.col("source_id").cast(pl.String).str.strip_chars(), pl.col("subject_id").cast(pl.Int64)
    )
    joined = ids.to_frame("source_id").join(
        known.unique("source_id"), on="source_id", how="left", maintain_order="left"
    )
    if joined["subject_id"].null_count() == joined.height:
        raise ConfigurationError(
            Problem(
                "nobody of the order is in the file of who is who",
                where=f"{path}, {who}",
                found=f"0 of {joined.height} rows",
                next_step="give both the ids as the source writes them",
            )
        )
    return joined["subject_id"]


def _column(path: Path, name: str) -> pl.Series:
    """Ids as texts without blanks around them, in the order of the file."""
    if path.suffix == ".txt":
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(path, error) from error
        return pl.Series(name, [line.strip() for line in lines if line.strip()], dtype=pl.String)
    table = _table(path)
    return table[name if name in table.columns else table.columns[0]].cast(pl.String).str.strip_chars()


def _table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix == ".csv":
            return pl.read_csv(path, infer_schema=False)
        if path.suffix == ".parquet":
            return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise _unreadable(path, error) from error
    raise ConfigurationError(Problem("a file of another form", str(path), path.suffix, ", ".join(FORMS)))


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        Problem("a file of ids cannot be read", str(path), type(error).__name__, ", ".join(FORMS))
    )
