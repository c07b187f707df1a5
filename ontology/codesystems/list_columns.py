"""What the rows of a code list become: days, checked codes, properties, edges, mappings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from ontology.concepts import EDGES, MAPPINGS, PROPERTIES

Fault = tuple[int, str, str]
"""Row, what is wrong, what was found: as list_files.raise_faults takes them."""

_TIME_OF_DAY = r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"
_DAY_FORMS = ("%Y-%m-%d", "%d.%m.%Y", "%Y%m%d")


def with_days(rows: pl.DataFrame, names: Sequence[str], faults: list[Fault]) -> pl.DataFrame:
    """Text columns turned into days; what cannot be read as a day is noted and becomes null.

    Args:
        rows: column row and `names`, with 2024-01-31, 2024-01-31 23:59:00, 2024-01-31T00:00:00, 31.01.2024 or
            20240131; a time of day is left out.
        names: the columns.
        faults: where unreadable days are noted.
    """
    for name in names:
        text = pl.col(name).str.replace(_TIME_OF_DAY, "")
        day = pl.coalesce(text.str.to_date(form, strict=False) for form in _DAY_FORMS)
        unread = rows.filter(pl.col(name).is_not_null() & day.is_null())
        faults += [
            (row, f"no day in column {name}", found) for row, found in unread.select("row", name).rows()
        ]
        rows = rows.with_columns(day.alias(name))
    return rows


def note_bad_codes(rows: pl.DataFrame, form: str, told: str, faults: list[Fault]) -> None:
    """Note rows whose code is empty or not of the system's form.

    Args:
        rows: columns row and code.
        form: a regular expression that the whole code must match.
        told: the form in words.
        faults: where they are noted.
    """
    wrong = rows.filter(~pl.col("code").fill_null("").str.contains(f"^(?:{form})$"))
    faults += [
        (row, f"not a code of this system ({told})", code or "empty")
        for row, code in wrong.select("row", "code").rows()
    ]


def note_no_name(rows: pl.DataFrame, faults: list[Fault]) -> None:
    """Note rows whose label is empty."""
    faults += [
        (row, "a row without a name", "empty") for row in rows.filter(pl.col("label").is_null())["row"]
    ]


def note_ends_before_begins(rows: pl.DataFrame, faults: list[Fault]) -> None:
    """Note rows whose valid_to lies before their valid_from."""
    wrong = rows.filter(pl.col("valid_to") < pl.col("valid_from"))
    faults += [
        (row, "a code that ends before it begins", f"{start} to {end}")
        for row, start, end in wrong.select("row", "valid_from", "valid_to").rows()
    ]


def concept_of(system: str, column: str = "code") -> pl.Expr:
    """A column of codes as concepts."""
    return pl.concat_str(pl.lit(f"{system}//"), pl.col(column))


def properties_of(rows: pl.DataFrame, system: str, names: Mapping[str, str]) -> pl.DataFrame:
    """Rows of PROPERTIES from the named columns; what is null gives no row.

    Args:
        rows: column code and the keys of `names`.
        system: the system's name.
        names: column -> name of the property.
    """
    chosen = rows.select("code", *(pl.col(column).alias(told) for column, told in names.items()))
    return table_of(
        PROPERTIES,
        chosen.unpivot(index="code", variable_name="property", value_name="value")
        .drop_nulls("value")
        .select(concept_of(system).alias("concept"), "property", "value"),
    )


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
