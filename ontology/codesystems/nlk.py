"""The Norwegian laboratory code system (NLK: NPU and NOR codes) from the directorate's list.

Each code keeps component, system, kind of property and unit as properties; what replaced it is a mapping. The
list's own groups ("Elektrolytter") become concepts above the codes, so that results can be rolled up to them.
"""

from __future__ import annotations

from datetime import date
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
from ontology.codesystems.list_columns import edges_of, note_ends_before_begins, note_no_name, replaced_by
from ontology.concepts import COVERAGE, CodeSystem, concept_rows

SYSTEM = "NLK"
GROUP = "group"
"""The level of the list's groups; their codes begin with `GROUP:` and are never recorded."""

_NEEDED = (
    Column("code", ("kode", "code"), is_required=True),
    Column("label", ("norsk_bruksnavn", "norsk bruksnavn", "bruksnavn"), is_required=True),
)
_VALIDITY = (
    Column("valid_from", ("gyldig_fra", "gyldig fra")),
    Column("valid_to", ("gyldig_til", "gyldig til")),
    Column("replaced_by", ("erstattes_av", "erstattes av")),
)
_TOLD = (
    Column("definition", ("kodedefinisjon",)),
    Column("component", ("komponent",)),
    Column("component_specification", ("komponent_spesifikasjon", "komponent spesifikasjon")),
    Column("system", ("system",)),
    Column("system_specification", ("system_spesifikasjon", "system spesifikasjon")),
    Column("kind_of_property", ("egenskapsart",)),
    Column("kind_specification", ("egenskapsart_spesifikasjon", "egenskapsart spesifikasjon")),
    Column("unit", ("enhet",)),
    Column("specialty", ("primært_fagområde", "primært fagområde", "fagområde")),
    Column("second_specialty", ("sekundært_fagområde", "sekundært fagområde")),
    Column("group", ("gruppering",)),
)


def read_nlk(path: Path, *, covered_to: date | None = None, encoding: str = "utf-8-sig") -> CodeSystem:
    """NLK with validity, replacements, units and groups.

    Args:
        path: the list as CSV, TSV, JSON or Excel: kode, norsk_bruksnavn and any of gyldig_fra, gyldig_til,
            erstattes_av, kodedefinisjon, komponent, system, egenskapsart, enhet, primært_fagområde,
            gruppering and the specifications.
        covered_to: the last day that the list is complete for; None leaves it open.
        encoding: of a text file, as cp1252.

    Returns:
        Codes with their Norwegian name (language `nb`); an edge to the code's group; mappings `replaced_by`;
        properties definition, component, system, kind_of_property, unit, specialty, group and more.

    Raises:
        InputError: missing columns; codes that are not NPU or NOR and digits, rows without a name, days that
            cannot be read, codes that end before they begin: all with their rows.

    **Source:** columns of the list 7280 (Norsk laboratoriekodeverk), Norwegian Directorate of Health.
    """
    faults = Faults(path)
    rows = with_dates(
        read_table(path, (*_NEEDED, *_VALIDITY, *_TOLD), encoding=encoding),
        ("valid_from", "valid_to"),
        faults,
    )
    note_bad_codes(rows, faults, r"(NPU|NOR)\d{5}", "NPU or NOR and five digits")
    note_no_name(rows, faults)
    note_ends_before_begins(rows, faults)
    faults.end()
    codes = concept_rows(
        SYSTEM, rows.select("code", "label", "valid_from", "valid_to"), language="nb", level="code"
    )
    replacing = rows.with_columns(pl.col("replaced_by").str.extract_all(r"(?:NPU|NOR)\d{5}")).explode(
        "replaced_by"
    )
    return CodeSystem(
        concepts=pl.concat([codes, _groups(rows)]).unique().sort(pl.all()),
        edges=edges_of(rows, SYSTEM, _group_code()),
        properties=properties_of(rows, SYSTEM, {column.name: column.name for column in _TOLD}),
        mappings=replaced_by(replacing, SYSTEM, path.name),
        coverage=pl.DataFrame([(SYSTEM, rows["valid_from"].min(), covered_to)], COVERAGE, orient="row"),
    )


def _groups(rows: pl.DataFrame) -> pl.DataFrame:
    named = rows.select("group").drop_nulls().unique()
    listed = named.select(code=_group_code(), label="group", flags=pl.lit(["abstract"]))
    return concept_rows(SYSTEM, listed, language="nb", level=GROUP)


def _group_code() -> pl.Expr:
    return pl.concat_str(pl.lit("GROUP:"), pl.col("group").str.replace_all(r"\s+", "_"))
