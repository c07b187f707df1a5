"""The Norwegian ICD-10 in both published shapes, placed under WHO's chapters and blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import properties_of
from ontology.codesystems.export_files import export_coverage, read_export_rows
from ontology.codesystems.who_icd10 import (
    ASTERISK_CATEGORIES,
    nearest_who_code,
    who_block_of_decade,
    who_code,
)
from ontology.codesystems.year_lists import read_spans, years_covered
from ontology.concepts import EDGES, CodeSystem, concept_rows
from ontology.systems import SYSTEMS

SYSTEM = "ICD10-NO"

SUMMARY_CATEGORIES: Mapping[str, str] = {
    "T4n": "T36-T50",
    "V8n": "V80-V89",
    "V9s": "V90-V94",
    "V9t": "V95-V97",
    "W0n": "W00-W19",
    "W2s": "W20-W49",
    "W2t": "W20-W49",
    "W4s": "W20-W49",
    "W4t": "W20-W49",
    "W5n": "W50-W64",
    "W6n": "W50-W64",
    "W7n": "W00-X59",
    "W8n": "W85-W99",
    "X5n": "X50-X57",
    "X6n": "X60-X84",
    "X8n": "X85-Y09",
    "Y1n": "Y10-Y34",
    "Y3n": "Y35-Y36",
    "Y4n": "Y40-Y59",
}
"""The block of Norwegian summary categories of outer causes and poisoning, which WHO does not have.

The letter in third place stands for several of WHO's categories, not always those of one decade: X8n is
assault (X85-Y09), W7n drowning and choking (W65-W84, two blocks: the block above both). A summary category
that is not listed here lies in the narrowest block that holds its decade (V1n in V10-V19).

**Source:** the titles of these codes in the official Norwegian lists 2023-2026, read beside WHO's blocks.
"""

_CODE_FORM = "[A-Z][0-9][0-9a-z][0-9A-Za-z]{0,3}"
_CODE_TOLD = "a letter, two digits (or a digit and n, s or t) and up to three more signs"
_WITHOUT_DOT = "^([A-Z][0-9][0-9a-z])([0-9A-Za-z]{1,3})$"
_PROPERTIES = ("short_label", "sex", "npr_valid_from", "npr_valid_to")


def read_year_lists(lists: Mapping[int, Path]) -> CodeSystem:
    """The yearly lists of reportable codes, {code, text}, as one system with validity by years.

    A code is placed under the nearest shorter code of the lists, under WHO's concept of the same code, and,
    where there is neither, under WHO's nearest above (a shorter code, else the block).

    Args:
        lists: the file of each year: JSON, CSV or TSV with code and text; codes with or without dot.

    Returns:
        Concepts of ICD10-NO in Norwegian; one row for each text and unbroken run of years; coverage is the
        years read. The lists have no flags: asterisk follows WHO's categories.

    Raises:
        ConfigurationError: no list.
        InputError: everything that is wrong with the files.
    """
    spans = read_spans(lists, _CODE_FORM, _CODE_TOLD).with_columns(code=_dotted(pl.col("code")))
    codes = spans["code"].unique().sort().to_list()
    level = pl.when(pl.col("code").str.len_chars() == 3).then(pl.lit("category"))
    is_asterisk = pl.col("code").str.slice(0, 3).is_in(sorted(ASTERISK_CATEGORIES))
    flagged = spans.with_columns(
        level=level.otherwise(pl.lit("subcategory")),
        flags=pl.when(is_asterisk).then(pl.lit(["asterisk"])).otherwise(pl.lit([], pl.List(pl.String()))),
    )
    return CodeSystem(
        concept_rows(SYSTEM, flagged, language=SYSTEMS[SYSTEM].language),
        placing_edges(codes),
        coverage=years_covered(SYSTEM, lists),
    )


def read_export(path: Path, *, covered_to: date | None = None, encoding: str = "utf-8-sig") -> CodeSystem:
    """The official export with its own parents, dates and marks (Kode, Foreldrekode, Gyldig_fra, ...).

    Args:
        path: JSON, CSV or Excel with the published columns.
        covered_to: the day on which the export was made; None = it is taken to hold on.
        encoding: of a CSV; cp1252 for one from an older Norwegian Excel.

    Returns:
        Concepts of ICD10-NO in Norwegian: chapters, blocks, categories, subcategories, with the flags
        abstract, asterisk, additional, unspecific, female_only, male_only and not_reported. Every row keeps
        its own parent and is placed under WHO's concept of the same code as well; a row whose parent the
        export does not list, under WHO's nearest above. Properties: short_label,
        sex, npr_valid_from, npr_valid_to (the span in which it is reported to NPR).

    Raises:
        InputError: everything that is wrong with the file, by row.
    """
    respelled = [pl.col(name).str.replace(_WITHOUT_DOT, "$1.$2") for name in ("code", "parent")]
    rows = read_export_rows(path, encoding=encoding, respelled=respelled)
    is_code, has_dot = (
        pl.col("code").str.contains(r"^[A-Z][0-9][0-9a-z](\.\w+)?$"),
        pl.col("code").str.contains(".", literal=True),
    )
    is_block = pl.col("parent").is_not_null() | pl.col("code").str.contains("-", literal=True)
    level = (
        pl.when(is_code & has_dot)
        .then(pl.lit("subcategory"))
        .when(is_code)
        .then(pl.lit("category"))
        .when(is_block)
        .then(pl.lit("block"))
        .otherwise(pl.lit("chapter"))
    )
    rows = rows.with_columns(level=level)
    is_abstract = pl.col("level").is_in(["chapter", "block"])
    rows = rows.with_columns(flags=pl.when(is_abstract).then(pl.lit(["abstract"])).otherwise(pl.col("flags")))
    own = rows.filter(pl.col("parent").is_not_null())
    listed = set(rows["code"])
    without = listed - {code for code, parent in own.select("code", "parent").iter_rows() if parent in listed}
    under_who = [(code, who_code(code)) for code in rows["code"].unique().sort()]
    under_who += [(code, _above_in_who(code)) for code in sorted(without) if who_code(code) is None]
    edges = pl.concat(
        [_edges(own.select("code", "parent").iter_rows(), SYSTEM, "is_a"), _edges(under_who, "ICD10")]
    )
    return CodeSystem(
        concept_rows(SYSTEM, rows, language=SYSTEMS[SYSTEM].language),
        edges.unique().sort("child", "parent"),
        properties=properties_of(
            rows.with_columns(pl.col(_PROPERTIES).cast(pl.String)),
            SYSTEM,
            {name: name for name in _PROPERTIES},
        ),
        coverage=export_coverage(SYSTEM, rows, covered_to),
    )


def placing_edges(codes: Iterable[str]) -> pl.DataFrame:
    """Edges placed_under for codes of a Norwegian list that names no parents.

    Args:
        codes: codes with dot; those of one list, since the nearest shorter code of the same list comes first.

    Returns:
        Columns of EDGES, sorted.
    """
    listed = set(codes)
    own: list[tuple[str, str]] = []
    who: list[tuple[str, str | None]] = []
    for code in sorted(listed):
        shorter = next((code[:n] for n in range(len(code) - 1, 2, -1) if code[:n] in listed), None)
        if shorter is not None:
            own.append((code, shorter))
        who.append((code, who_code(code) if shorter else who_code(code) or _above_in_who(code)))
    return pl.concat([_edges(own, SYSTEM), _edges(who, "ICD10")]).sort("child", "parent")


def _dotted(bare: pl.Expr) -> pl.Expr:
    """Codes with the dot behind the third character: A419 -> A41.9."""
    return bare.str.replace(r"^(.{3})(.+)$", "$1.$2")


def _above_in_who(code: str) -> str | None:
    stem = code[:3]
    if len(stem) == 3 and stem[2].islower():
        return SUMMARY_CATEGORIES.get(stem) or who_block_of_decade(stem[:2])
    return nearest_who_code(code)


def _edges(
    pairs: Iterable[tuple[str, str | None]], parent_system: str, relation: str = "placed_under"
) -> pl.DataFrame:
    rows = [
        (f"{SYSTEM}//{child}", f"{parent_system}//{parent}", relation) for child, parent in pairs if parent
    ]
    return pl.DataFrame(rows, schema=EDGES, orient="row")
