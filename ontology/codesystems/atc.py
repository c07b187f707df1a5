"""The Anatomical Therapeutic Chemical classification: levels from a code's form, names from the user's file.

WHO's index may not be given away, so no name is shipped; the hierarchy needs none, because each code holds
its own groups: J01CF05 lies in J01CF, J01C, J01 and J.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import polars as pl

from ontology.codesystems.list_columns import (
    Fault,
    edges_of,
    note_bad_codes,
    note_ends_before_begins,
    properties_of,
    with_days,
)
from ontology.codesystems.list_files import raise_faults, read_rows
from ontology.concepts import CodeSystem, concept_rows
from ontology.errors import InputError, Problem

SYSTEM = "ATC"

LEVELS = {
    1: "anatomical_group",
    3: "therapeutic_group",
    4: "pharmacological_group",
    5: "chemical_group",
    7: "substance",
}
"""Number of characters -> level.

**Source:** WHO Collaborating Centre for Drug Statistics Methodology, ATC: structure and principles.
"""

_FORM = r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?"
_NEEDED = {
    "code": ("atc code", "atc_code", "atc-kode", "atckode", "atc", "kode", "code"),
    "label": ("name", "atc level name", "atc_name", "navn", "tekst", "text", "label", "virkestoff"),
}
_OPTIONAL = {
    "language": ("language", "språk"),
    "valid_from": ("valid_from", "gyldig_fra"),
    "valid_to": ("valid_to", "gyldig_til"),
    "ddd": ("ddd",),
    "ddd_unit": ("u", "unit", "uom", "ddd_unit", "enhet"),
    "route": ("adm.r", "adm_r", "adm.route", "route", "administrasjonsvei"),
}


def atc_of(codes: Iterable[str]) -> CodeSystem:
    """The codes of some data with every group above them, without names.

    Args:
        codes: codes without system, in any case and order.

    Returns:
        Concepts with level and edges; label and language are null, groups that no code names are abstract.

    Raises:
        InputError: codes that are not ATC codes, all of them.
    """
    rows = pl.DataFrame(
        {"code": sorted({code.strip().upper() for code in codes})}, schema={"code": pl.String()}
    )
    wrong = rows.filter(~pl.col("code").str.contains(f"^{_FORM}$"))["code"].to_list()
    if wrong:
        told = ", ".join(wrong[:20])
        raise InputError(Problem("not ATC codes", found=told, allowed="J, J01, J01C, J01CF or J01CF05"))
    return CodeSystem(_concepts(rows), _edges(rows))


def read_atc(path: Path, *, language: str = "en") -> CodeSystem:
    """ATC with names, and defined daily doses where the file has them.

    Args:
        path: CSV, TSV, JSON or Excel with the code and its name, and any of language, valid_from, valid_to,
            ddd, its unit and route. A code may stand in several rows (languages, routes, spans of days).
        language: of the names where the file has no column for it.

    Returns:
        Every listed code, and without a name every group above a listed code that the file lacks.

    Raises:
        InputError: missing columns; rows without code or name, with a code of another form, or with days that
            cannot be read: all of them with their rows.
    """
    faults: list[Fault] = []
    rows = with_days(read_rows(path, _NEEDED, _OPTIONAL), ("valid_from", "valid_to"), faults)
    rows = rows.with_columns(pl.col("code").str.to_uppercase(), pl.col("language").fill_null(language))
    note_bad_codes(rows, _FORM, "J, J01, J01C, J01CF or J01CF05", faults)
    faults += [
        (row, "a row without a name", "empty") for row in rows.filter(pl.col("label").is_null())["row"]
    ]
    note_ends_before_begins(rows, faults)
    raise_faults(path, faults, "mend or remove these rows")
    named = rows.select(*_NEEDED, "language", "valid_from", "valid_to")
    dose = pl.concat_str(pl.col("ddd", "ddd_unit", "route"), separator=" ", ignore_nulls=True)
    doses = rows.filter(pl.col("ddd").is_not_null()).with_columns(ddd=dose)
    return CodeSystem(_concepts(named), _edges(named), properties_of(doses, SYSTEM, {"ddd": "ddd"}))


def _concepts(named: pl.DataFrame) -> pl.DataFrame:
    """The named rows, and a row without a label for each group that no row names."""
    above = pl.concat([named.select(pl.col("code").str.head(length)) for length in LEVELS])
    unnamed = above.unique().join(named.select("code"), on="code", how="anti")
    flagged = unnamed.with_columns(flags=pl.lit(["abstract"]))
    both = [concept_rows(SYSTEM, rows.with_columns(level=_level())) for rows in (named, flagged)]
    return pl.concat(both).unique().sort(pl.all())


def _edges(named: pl.DataFrame) -> pl.DataFrame:
    lengths = list(LEVELS)
    steps = [
        edges_of(
            named.filter(pl.col("code").str.len_chars() >= below).select(pl.col("code").str.head(below)),
            SYSTEM,
            pl.col("code").str.head(above),
        )
        for above, below in pairwise(lengths)
    ]
    return pl.concat(steps).unique().sort(pl.all())


def _level() -> pl.Expr:
    return pl.col("code").str.len_chars().replace_strict(LEVELS, return_dtype=pl.String)
