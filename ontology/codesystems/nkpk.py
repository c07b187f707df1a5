"""The procedure code systems NCSP (surgical), NCMP (medical) and NCRP (radiological), from the user's lists.

The lists say {code, text}; the hierarchy is in the letters that a code begins with: JKE00 lies in JKE, JK and
chapter J. Codes of another form are the national special codes (17X01, 1AA00, B0050): their first letter is
no chapter, so they lie under one concept SPECIAL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import Column, Faults, note_bad_codes, read_table, with_dates
from ontology.codesystems.list_columns import note_ends_before_begins, note_no_name
from ontology.codesystems.placed_by_form import placed_by_form
from ontology.codesystems.year_lists import read_spans, years_covered
from ontology.concepts import COVERAGE, CodeSystem
from ontology.errors import ConfigurationError, Problem

SYSTEMS = ("NCSP", "NCMP", "NCRP")

SPECIAL = "SPECIAL"
"""The code of the concept above all special codes of a system; never recorded itself."""

_FORM = r"[0-9A-Z]{5,6}|[A-Z]{1,4}"
_TOLD = "as JKE00, ABFX01, FPK56A, 17X01; groups as JK"
_NEEDED = (
    Column("code", ("code", "kode"), is_required=True),
    Column("label", ("text", "tekst", "label", "text_latest"), is_required=True),
)
_OPTIONAL = (
    Column("valid_from", ("valid_from", "gyldig_fra")),
    Column("valid_to", ("valid_to", "gyldig_til")),
)


def read_procedures(
    system: str, path: Path, *, covered_to: date | None = None, encoding: str = "utf-8-sig"
) -> CodeSystem:
    """One list of NCSP, NCMP or NCRP.

    Args:
        system: NCSP, NCMP or NCRP.
        path: CSV, TSV, JSON or Excel with code and text, and perhaps gyldig_fra and gyldig_til.
        covered_to: the last day that the list is complete for; None leaves it open.
        encoding: of a text file, as cp1252.

    Returns:
        The codes in Norwegian, the groups and chapters above them (unlabelled where the list has no row for
        them), edges. Coverage is given where the list says from when its codes hold.

    Raises:
        ConfigurationError: another system.
        InputError: missing columns, codes of no form, rows without text, days that cannot be read.
    """
    _known(system)
    faults = Faults(path)
    rows = with_dates(
        read_table(path, (*_NEEDED, *_OPTIONAL), encoding=encoding), ("valid_from", "valid_to"), faults
    )
    note_bad_codes(rows, faults, _FORM, _TOLD)
    note_no_name(rows, faults)
    note_ends_before_begins(rows, faults)
    faults.end()
    first = rows["valid_from"].min()
    covered = [] if first is None else [(system, first, covered_to)]
    listed = rows.select("code", "label", "valid_from", "valid_to")
    return _placed(system, listed, pl.DataFrame(covered, COVERAGE, orient="row"))


def read_procedure_years(system: str, lists: Mapping[int, Path]) -> CodeSystem:
    """Yearly lists of NCSP, NCMP or NCRP as one system with validity by years.

    Args:
        system: NCSP, NCMP or NCRP.
        lists: the file of each year: CSV, TSV, JSON or Excel with code and text.

    Returns:
        One row for each text and unbroken run of years; coverage is the years read.

    Raises:
        ConfigurationError: another system, or no list.
        InputError: everything that is wrong with the files.
    """
    _known(system)
    return _placed(system, read_spans(lists, _FORM, _TOLD), years_covered(system, lists))


def _known(system: str) -> None:
    if system not in SYSTEMS:
        told = Problem("not a procedure code system", found=system, allowed=", ".join(SYSTEMS))
        raise ConfigurationError(told)


def _placed(system: str, listed: pl.DataFrame, coverage: pl.DataFrame) -> CodeSystem:
    is_group = pl.col("code").str.contains("^[A-Z]{1,4}$")
    concepts, edges = placed_by_form(system, listed.with_columns(language=pl.lit("nb")), formless=SPECIAL)
    flags = pl.when(is_group).then(pl.lit(["abstract"])).otherwise(pl.col("flags"))
    return CodeSystem(concepts.with_columns(flags=flags), edges, coverage=coverage)
