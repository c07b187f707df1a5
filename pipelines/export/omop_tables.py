"""The tables of the OMOP CDM 5.4 as polars schemas, and writing one of them as CSV or Parquet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import polars as pl

from ontology.configuration import find_config, read_yaml
from ontology.errors import InputError, Problem

Form = Literal["csv", "parquet"]
LOCAL_CONCEPTS_FROM = 2_000_000_000
"""Ids of concepts that no published vocabulary has begin here.

**Source:** OHDSI, OMOP CDM v5.4, "Custom concepts": concept ids above 2 billion are a site's own.
"""
_COLUMN = re.compile(
    r"^(?P<name>[a-z0-9_]+)(?P<required>!?)(?::(?P<type>[a-z]+)(?:\((?P<width>[0-9]+)\))?)?$"
)
_DTYPES: Mapping[str, pl.DataType] = {
    "integer": pl.Int32(),
    "numeric": pl.Float64(),
    "date": pl.Date(),
    "datetime": pl.Datetime("us"),
    "varchar": pl.String(),
    "text": pl.String(),
}


@dataclass(frozen=True)
class CdmColumn:
    """One column of a table.

    Attributes:
        name: in lower case.
        dtype: Int32, Float64, Date, Datetime or String.
        is_required: whether it may not be null.
        width: the most characters of a text, None where there is no bound.
    """

    name: str
    dtype: pl.DataType
    is_required: bool
    width: int | None


@cache
def cdm_tables() -> Mapping[str, tuple[CdmColumn, ...]]:
    """The columns of every table, in their order, by the table's name in lower case."""
    content = read_yaml(find_config("omop", "cdm-5.4"))
    return {
        table: tuple(_column(text) for line in lines for text in line.split())
        for table, lines in content.items()
    }


def _column(text: str) -> CdmColumn:
    found = _COLUMN.match(text)
    if found is None:
        raise InputError(Problem("not a column of the OMOP specification", "configs/omop", text))
    name = found["name"]
    kind = found["type"] or _kind(name)
    width = found["width"] or ("50" if kind == "varchar" else None)
    return CdmColumn(name, _DTYPES[kind], bool(found["required"]), int(width) if width else None)


def _kind(name: str) -> str:
    endings = {"_id": "integer", "_date": "date", "_datetime": "datetime", "_source_value": "varchar"}
    return next(kind for ending, kind in endings.items() if name.endswith(ending))


def cdm_schema(table: str) -> pl.Schema:
    """The columns and types of a table.

    Args:
        table: its name in lower case, as in `condition_occurrence`.
    """
    return pl.Schema({column.name: column.dtype for column in cdm_tables()[table]})


def as_table(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows with exactly the columns of a table: those that are not given are null, required concepts 0.

    Args:
        table: its name in lower case.
        rows: some of the table's columns, castable to their types.

    Raises:
        InputError: every column that is no column of the table, holds a null where none may be, or has
            texts that are too long.
    """
    columns = cdm_tables()[table]
    names = {column.name for column in columns}
    problems = [
        Problem("no such column in the OMOP table", table, name, ", ".join(sorted(names)))
        for name in rows.columns
        if name not in names
    ]
    made = rows.select(_filled(column, rows.columns) for column in columns)
    made = made if rows.height else made.clear()
    problems += [problem for column in columns if (problem := _fault(table, column, made[column.name]))]
    if problems:
        raise InputError(problems)
    return made


def _filled(column: CdmColumn, given: list[str]) -> pl.Expr:
    if column.name in given:
        return pl.col(column.name).cast(column.dtype)
    is_concept = column.is_required and column.name.endswith("_concept_id")
    return pl.lit(0 if is_concept else None).cast(column.dtype).alias(column.name)


def _fault(table: str, column: CdmColumn, cells: pl.Series) -> Problem | None:
    where = f"{table}.{column.name}"
    if column.is_required and cells.null_count():
        return Problem("a required OMOP column has nulls", where, f"{cells.null_count():,} rows")
    if column.width is None or cells.dtype != pl.String:
        return None
    n_long = int((cells.str.len_chars() > column.width).sum())
    allowed = f"at most {column.width} characters"
    return Problem("text too long for an OMOP column", where, f"{n_long:,} rows", allowed) if n_long else None


def write_table(folder: Path, table: str, rows: pl.DataFrame, *, form: Form = "csv") -> Path:
    """Write one table of the CDM, rows in the order in which they are given.

    Args:
        folder: where the file goes, made where it is absent.
        table: the table's name in lower case; the file is called after it.
        rows: some of the table's columns; see `as_table`.
        form: csv (comma, a header in lower case, empty cells for nulls) or parquet.

    Returns:
        The file.

    Raises:
        InputError: the rows do not fit the table.
    """
    return write_plain(folder / f"{table}.{form}", as_table(table, rows))


def write_plain(file: Path, rows: pl.DataFrame) -> Path:
    """Write rows as CSV or Parquet, by the file's ending, under a temporary name until it is whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    if file.suffix == ".parquet":
        rows.write_parquet(temporary, compression="zstd")
    else:
        rows.with_columns(_instant_text(rows)).write_csv(
            temporary, date_format="%Y-%m-%d", quote_style="necessary"
        )
    temporary.replace(file)
    return file


def _instant_text(rows: pl.DataFrame) -> list[pl.Expr]:
    """Instants as texts: to the second, with a fraction only where there is one."""
    names = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
    return [
        pl.col(name).dt.strftime("%Y-%m-%d %H:%M:%S%.6f").str.strip_suffix(".000000").alias(name)
        for name in names
    ]


class TableFile:
    """One table of the CDM (or one beside it), written part by part; nothing is there before it is closed.

    Args:
        folder: where the file goes.
        table: its name.
        form: csv or parquet.
        schema: of a table that is none of the CDM; the CDM's own where it is not given.
    """

    def __init__(self, folder: Path, table: str, form: Form, schema: pl.Schema | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._table = table
        self._form = form
        self._schema = schema
        self._target = folder / f"{table}.{form}"
        self._temporary = folder / f".{table}.tmp"
        self._temporary.unlink(missing_ok=True)
        self._writer: Any = None
        self.n_rows = 0

    def add(self, rows: pl.DataFrame) -> None:
        """Take rows: some of the table's columns, see `as_table`."""
        part = rows.select(self._schema.names()) if self._schema else as_table(self._table, rows)
        if self._form == "csv":
            with self._temporary.open("ab") as file:
                part.with_columns(_instant_text(part)).write_csv(
                    file, include_header=file.tell() == 0, date_format="%Y-%m-%d"
                )
        else:
            import pyarrow.parquet as pq

            arrow = part.to_arrow()
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._temporary, arrow.schema, compression="zstd")
            self._writer.write_table(arrow)
        self.n_rows += part.height

    def close(self) -> None:
        """Move the file into place, with its header alone where no rows came."""
        if not self._temporary.exists() and self._writer is None:
            self.add(pl.DataFrame(schema=self._schema or cdm_schema(self._table)))
        if self._writer is not None:
            self._writer.close()
        self._temporary.replace(self._target)
