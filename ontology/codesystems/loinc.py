"""LOINC from the user's own release: Loinc.csv, and a hierarchy file where one is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ontology.codesystems.list_columns import concept_of, edges_of, replaced_by, table_of
from ontology.concepts import CONCEPTS, CodeSystem, concept_rows
from ontology.errors import InputError, Problem

SYSTEM = "LOINC"

_CODE = r"^\d{1,7}-\d$"
_PART = r"^LP\d{1,7}-\d$"
_MAIN = ("LOINC_NUM", "COMPONENT", "PROPERTY", "SYSTEM", "STATUS", "LONG_COMMON_NAME")
_TOLD = {
    "COMPONENT": "component",
    "PROPERTY": "kind_of_property",
    "TIME_ASPCT": "time_aspect",
    "SYSTEM": "system",
    "SCALE_TYP": "scale",
    "METHOD_TYP": "method",
    "CLASS": "class",
    "EXAMPLE_UCUM_UNITS": "unit",
    "STATUS": "status",
    "SHORTNAME": "short_name",
}
_INACTIVE = ("DEPRECATED", "DISCOURAGED")
_N_TOLD = 20


def read_loinc(path: Path, *, hierarchy: Path | None = None, map_to: Path | None = None) -> CodeSystem:
    """LOINC's terms and, where given, its hierarchy and what replaced deprecated terms.

    Args:
        path: Loinc.csv with LOINC_NUM, COMPONENT, PROPERTY, SYSTEM, STATUS, LONG_COMMON_NAME and perhaps
            TIME_ASPCT, SCALE_TYP, METHOD_TYP, CLASS, SHORTNAME, EXAMPLE_UCUM_UNITS.
        hierarchy: ComponentHierarchyBySystem.csv (IMMEDIATE_PARENT, CODE, CODE_TEXT): a poly-hierarchy of
            parts (LP...) with the terms at its ends.
        map_to: MapTo.csv (LOINC, MAP_TO). Relative paths of both are relative to the folder of Loinc.csv.

    Returns:
        Terms in English (long common name), deprecated and discouraged ones flagged inactive; parts are
        abstract, level part; properties component, kind_of_property, time_aspect, system, scale, method,
        class, unit, status and short_name; mappings `replaced_by`.

    Raises:
        InputError: missing files or columns, codes of another form, codes that occur twice, terms without a
            name: all with file and row.

    **Source:** LOINC Users' Guide, table structure of Loinc.csv and of the accessory files.
    """
    problems: list[Problem] = []
    hierarchy, map_to = (path.parent / other if other else None for other in (hierarchy, map_to))
    terms = _read(path, _MAIN, problems, optional=tuple(_TOLD))
    tree = _read(hierarchy, ("IMMEDIATE_PARENT", "CODE", "CODE_TEXT"), problems) if hierarchy else None
    gone = _read(map_to, ("LOINC", "MAP_TO"), problems) if map_to else None
    if terms is not None:
        problems += _faults(path, terms, "LOINC_NUM", _CODE, "as 1988-5", needed=("LONG_COMMON_NAME",))
        problems += _twice(path, terms)
    if hierarchy and tree is not None:
        problems += _faults(hierarchy, tree, "CODE", rf"{_CODE}|{_PART}", "as 1988-5 or LP14635-4")
    if problems or terms is None:
        raise InputError(problems)
    edges = pl.DataFrame({"code": [], "parent": []}, {"code": pl.String, "parent": pl.String})
    if tree is not None:
        edges = tree.select(code="CODE", parent="IMMEDIATE_PARENT")
    named = [_terms(terms)] + ([] if tree is None else [_parts(tree)])
    replacing = {"code": pl.String, "replaced_by": pl.String}
    replaced = (
        pl.DataFrame(schema=replacing) if gone is None else gone.select(code="LOINC", replaced_by="MAP_TO")
    )
    return CodeSystem(
        table_of(CONCEPTS, pl.concat(named)),
        edges_of(edges, SYSTEM, pl.col("parent")),
        _properties(terms),
        replaced_by(replaced, SYSTEM, "LOINC MapTo"),
    )


def _terms(terms: pl.DataFrame) -> pl.DataFrame:
    rows = terms.select(
        code="LOINC_NUM",
        label="LONG_COMMON_NAME",
        flags=pl.when(pl.col("STATUS").is_in(_INACTIVE))
        .then(pl.lit(["inactive"]))
        .otherwise(pl.lit([], pl.List(pl.String))),
    )
    return concept_rows(SYSTEM, rows, language="en", level="term")


def _parts(tree: pl.DataFrame) -> pl.DataFrame:
    parts = tree.filter(pl.col("CODE").str.contains(_PART)).select(code="CODE", label="CODE_TEXT")
    return concept_rows(SYSTEM, parts.with_columns(flags=pl.lit(["abstract"])), language="en", level="part")


def _properties(terms: pl.DataFrame) -> pl.DataFrame:
    there = {column: name for column, name in _TOLD.items() if column in terms.columns}
    columns = (pl.col(column).alias(name) for column, name in there.items())
    rows = terms.select(pl.col("LOINC_NUM").alias("code"), *columns)
    long = rows.unpivot(index="code", variable_name="property", value_name="value").drop_nulls("value")
    return long.select(concept_of(SYSTEM).alias("concept"), "property", "value").sort(pl.all())


def _read(
    path: Path, needed: Sequence[str], problems: list[Problem], *, optional: Sequence[str] = ()
) -> pl.DataFrame | None:
    """The asked-for columns as text with row (1 = the first after the header); None where that cannot be."""
    try:
        header = pl.read_csv(path, n_rows=0, infer_schema=False, glob=False).columns
        missing = [name for name in needed if name not in header]
        problems += [Problem(f"column {name} is missing", f"{path}, header") for name in missing]
        if missing:
            return None
        wanted = [name for name in dict.fromkeys((*needed, *optional)) if name in header]
        rows = pl.scan_csv(path, infer_schema=False, glob=False).select(wanted).collect(engine="streaming")
    except OSError as error:
        problems.append(
            Problem("a file cannot be read", str(path), error.strerror or "", next_step="check the path")
        )
        return None
    except pl.exceptions.PolarsError as error:
        problems.append(Problem("the file is no table", str(path), str(error).split("\n", 1)[0]))
        return None
    text = pl.all().str.strip_chars()
    return rows.select(pl.when(text != "").then(text)).with_row_index("row", 1)


def _faults(
    path: Path, rows: pl.DataFrame, column: str, form: str, told: str, *, needed: Sequence[str] = ()
) -> list[Problem]:
    wrong = rows.filter(~pl.col(column).fill_null("").str.contains(form)).head(_N_TOLD)
    problems = [
        Problem(f"no code in column {column}", f"{path}, row {row}", code or "empty", told)
        for row, code in wrong.select("row", column).iter_rows()
    ]
    for name in needed:
        empty = rows.filter(pl.col(name).is_null()).head(_N_TOLD)["row"]
        problems += [Problem(f"an empty {name}", f"{path}, row {row}") for row in empty]
    return problems


def _twice(path: Path, terms: pl.DataFrame) -> list[Problem]:
    again = terms.filter(pl.col("LOINC_NUM").is_not_null(), ~pl.col("LOINC_NUM").is_first_distinct()).head(
        _N_TOLD
    )
    return [
        Problem("a code that occurs twice", f"{path}, row {row}", code)
        for row, code in again.select("row", "LOINC_NUM").iter_rows()
    ]
