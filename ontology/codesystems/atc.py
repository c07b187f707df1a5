"""The Anatomical Therapeutic Chemical classification: levels from a code's form, names from the user's file.

WHO's index may not be given away, so no name is shipped; the hierarchy needs none, because each code holds
its own groups: J01CF05 lies in J01CF, J01C, J01 and J.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import (
    Column,
    Faults,
    note_bad_codes,
    properties_of,
    read_table,
    with_dates,
)
from ontology.codesystems.list_columns import note_ends_before_begins, note_no_name
from ontology.codesystems.placed_by_form import placed_by_form
from ontology.concepts import CodeSystem
from ontology.errors import InputError, Problem

SYSTEM = "ATC"

_FORM = r"[A-Z]([0-9]{2}([A-Z]([A-Z]([0-9]{2})?)?)?)?"
_TOLD = "J, J01, J01C, J01CF or J01CF05"
_NEEDED = (
    Column("code", ("atc code", "atc_code", "atckode", "atc-kode", "atc", "kode", "code"), is_required=True),
    Column(
        "label", ("atc level name", "atc_name", "name", "navn", "tekst", "text", "label"), is_required=True
    ),
)
_OPTIONAL = (
    Column("language", ("language", "språk")),
    Column("valid_from", ("valid_from", "gyldig_fra")),
    Column("valid_to", ("valid_to", "gyldig_til")),
    Column("ddd", ("ddd",)),
    Column("ddd_unit", ("ddd_unit", "uom", "unit", "u", "enhet")),
    Column("route", ("adm.r", "adm_r", "adm.route", "route", "administrasjonsvei")),
)


def atc_of(codes: Iterable[str]) -> CodeSystem:
    """The codes of some data with every group above them, without names.

    Args:
        codes: codes without system, in any case and order.

    Returns:
        Concepts with level and edges; label and language are null, groups that no code names are abstract.

    Raises:
        InputError: codes that are not ATC codes, all of them.
    """
    rows = pl.DataFrame({"code": sorted({code.strip().upper() for code in codes})}, {"code": pl.String()})
    wrong = rows.filter(~pl.col("code").str.contains(f"^{_FORM}$"))["code"].to_list()
    if wrong:
        raise InputError(Problem("not ATC codes", found=", ".join(wrong[:20]), allowed=_TOLD))
    return CodeSystem(*placed_by_form(SYSTEM, rows))


def read_atc(path: Path, *, language: str = "en", encoding: str = "utf-8-sig") -> CodeSystem:
    """ATC with names, and defined daily doses where the file has them.

    Args:
        path: CSV, TSV, JSON or Excel with the code and its name, and any of language, valid_from, valid_to,
            ddd, its unit and route. A code may stand in several rows (languages, routes, spans of days).
        language: of the names where the file has no column for it.
        encoding: of a text file, as cp1252.

    Returns:
        Every listed code, and without a name every group above a listed code that the file lacks; the
        property `ddd`, as "4 g P", for each dose and route.

    Raises:
        InputError: missing columns; rows without code or name, with a code of another form, or with days that
            cannot be read: all of them with their rows.
    """
    faults = Faults(path)
    rows = with_dates(
        read_table(path, (*_NEEDED, *_OPTIONAL), encoding=encoding), ("valid_from", "valid_to"), faults
    )
    rows = rows.with_columns(pl.col("code").str.to_uppercase(), pl.col("language").fill_null(language))
    note_bad_codes(rows, faults, _FORM, _TOLD)
    note_no_name(rows, faults)
    note_ends_before_begins(rows, faults)
    faults.end()
    dose = pl.concat_str(pl.col("ddd", "ddd_unit", "route"), separator=" ", ignore_nulls=True)
    doses = rows.filter(pl.col("ddd").is_not_null()).with_columns(ddd=dose)
    return CodeSystem(
        *placed_by_form(SYSTEM, rows.select("code", "label", "language", "valid_from", "valid_to")),
        properties_of(doses, SYSTEM, {"ddd": "ddd"}),
    )
