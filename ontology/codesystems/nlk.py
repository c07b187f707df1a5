"""The Norwegian laboratory code system (NLK: NPU and NOR codes) from the directorate's list.

Each code keeps component, system, kind of property and unit as properties; what replaced it is a mapping. The
list's own groups ("Elektrolytter") become concepts above the codes, so that results can be rolled up to them.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import (
    ROW,
    Column,
    Faults,
    note_bad_codes,
    properties_of,
    read_table,
    with_dates,
)
from ontology.concepts import COVERAGE, EDGES, MAPPINGS, CodeSystem, concept_rows

SYSTEM = "NLK"
GROUP = "group"
"""The level of the list's groups; their codes begin with `GROUP:` and are never recorded."""

_COLUMNS = (
    Column("code", ("kode", "code"), is_required=True),
    Column("label", ("norsk_bruksnavn", "bruksnavn", "text"), is_required=True),
    Column("valid_from", ("gyldig_fra",)),
    Column("valid_to", ("gyldig_til",)),
    Column("replaced_by", ("erstattes_av",)),
    Column("definition", ("kodedefinisjon",)),
    Column("component", ("komponent",)),
    Column("component_specification", ("komponent_spesifikasjon",)),
    Column("system_part", ("system",)),
    Column("system_specification", ("system_spesifikasjon",)),
    Column("kind_of_property", ("egenskapsart",)),
    Column("kind_specification", ("egenskapsart_spesifikasjon",)),
    Column("unit", ("enhet",)),
    Column("specialty", ("primært_fagområde", "fagområde")),
    Column("second_specialty", ("sekundært_fagområde",)),
    Column("group", ("gruppering",)),
)
_PROPERTIES = {column.name: column.name for column in _COLUMNS[5:]} | {"system_part": "system"}


def read_nlk(path: Path, *, covered_to: date | None = None) -> CodeSystem:
    """NLK with validity, replacements, units and groups.

    Args:
        path: the list as CSV, TSV or JSON: kode, norsk_bruksnavn and any of gyldig_fra, gyldig_til,
            erstattes_av, kodedefinisjon, komponent, system, egenskapsart, enhet, primært_fagområde, gruppering.
        covered_to: the last day that the list is complete for; None leaves it open.

    Returns:
        Codes labelled in Norwegian (`no`); an edge to the code's group; mappings `replaced_by`; properties
        definition, component, system, kind_of_property, unit, specialty, group and their specifications.

    Raises:
        InputError: columns that are missing; codes that are not NPU or NOR and digits, days that cannot be
            read, codes that end before they begin: all of them with their rows.

    **Source:** columns of the list 7280 (Norsk laboratoriekodeverk), Norwegian Directorate of Health.
    """
    faults = Faults(path)
    table = with_dates(read_table(path, _COLUMNS), ("valid_from", "valid_to"), faults)
    note_bad_codes(table, faults, r"(NPU|NOR)\d{5}", "NPU or NOR and five digits")
    faults.rows(
        "a code ends before it begins",
        table.filter(pl.col("valid_to") < pl.col("valid_from"))[ROW],
        do="mend these rows",
    )
    faults.end()
    codes = concept_rows(SYSTEM, table.drop(ROW, "group"), language="no", level="code")
    return CodeSystem(
        concepts=pl.concat([codes, _groups(table)]).unique().sort(pl.all()),
        edges=_edges(table),
        properties=properties_of(table, SYSTEM, _PROPERTIES),
        mappings=_replacements(table, path.name),
        coverage=pl.DataFrame([(SYSTEM, table["valid_from"].min(), covered_to)], COVERAGE, orient="row"),
    )


def _groups(table: pl.DataFrame) -> pl.DataFrame:
    names = table.select("group").drop_nulls().unique()
    rows = names.select(code=_group_code(), label="group", flags=pl.lit(["abstract"]))
    return concept_rows(SYSTEM, rows, language="no", level=GROUP)


def _group_code() -> pl.Expr:
    return pl.concat_str(pl.lit("GROUP:"), pl.col("group").str.replace_all(r"\s+", "_"))


def _edges(table: pl.DataFrame) -> pl.DataFrame:
    return (
        table.drop_nulls("group")
        .select(
            child=pl.concat_str(pl.lit(f"{SYSTEM}//"), "code"),
            parent=pl.concat_str(pl.lit(f"{SYSTEM}//"), _group_code()),
            relation=pl.lit("is_a"),
        )
        .unique()
        .sort(pl.all())
        .cast(dict(EDGES))
    )


def _replacements(table: pl.DataFrame, source: str) -> pl.DataFrame:
    return (
        table.select("code", pl.col("replaced_by").str.extract_all(r"(?:NPU|NOR)\d{5}"))
        .explode("replaced_by")
        .drop_nulls("replaced_by")
        .select(
            subject=pl.concat_str(pl.lit(f"{SYSTEM}//"), "code"),
            predicate=pl.lit("replaced_by"),
            object=pl.concat_str(pl.lit(f"{SYSTEM}//"), "replaced_by"),
            source=pl.lit(source),
        )
        .unique()
        .sort(pl.all())
        .cast(dict(MAPPINGS))
    )
