"""What the rows of a code list become: edges, replacements, and the checks that several readers share."""

from __future__ import annotations

import polars as pl

from ontology.codesystems.code_tables import ROW, Faults
from ontology.concepts import EDGES, MAPPINGS


def concept_of(system: str, column: str = "code") -> pl.Expr:
    """A column of codes as concepts."""
    return pl.concat_str(pl.lit(f"{system}//"), pl.col(column))


def edges_of(rows: pl.DataFrame, system: str, parent: pl.Expr) -> pl.DataFrame:
    """Rows of EDGES, relation is_a, from column code to the parent's code; null parents give no row."""
    pairs = rows.select("code", parent.alias("parent")).drop_nulls("parent")
    return table_of(
        EDGES,
        pairs.select(child=concept_of(system), parent=concept_of(system, "parent"), relation=pl.lit("is_a")),
    )


def replaced_by(rows: pl.DataFrame, system: str, source: str) -> pl.DataFrame:
    """Rows of MAPPINGS from columns code and replaced_by (a code); null gives no row."""
    return table_of(
        MAPPINGS,
        rows.drop_nulls("replaced_by").select(
            subject=concept_of(system),
            predicate=pl.lit("replaced_by"),
            object=concept_of(system, "replaced_by"),
            source=pl.lit(source),
        ),
    )


def table_of(schema: pl.Schema, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in a schema's columns and types, each once, sorted."""
    return rows.select(pl.col(name).cast(dtype) for name, dtype in schema.items()).unique().sort(pl.all())


def note_no_name(rows: pl.DataFrame, faults: Faults) -> None:
    """Note rows whose label is empty."""
    faults.rows("a row has no name", rows.filter(pl.col("label").is_null())[ROW], do="mend these rows")


def note_ends_before_begins(rows: pl.DataFrame, faults: Faults) -> None:
    """Note rows whose valid_to lies before their valid_from."""
    wrong = rows.filter(pl.col("valid_to") < pl.col("valid_from"))
    faults.rows("a code ends before it begins", wrong[ROW], do="mend these rows")
