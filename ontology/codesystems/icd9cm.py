"""ICD-9-CM diagnoses and procedures: the hierarchy from the form of the codes and the published ranges.

A code lies under its shorter codes (995.91, 995.9, 995), its category under the block and the chapter that
hold it. Categories and codes that a list leaves out (the lists of billable codes name leaves only) become
concepts without a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import polars as pl

from ontology.codesystems.code_tables import ROW, Column, Faults, note_bad_codes, read_table, read_text
from ontology.codesystems.icd9cm_ranges import DIAGNOSES, PROCEDURES
from ontology.codesystems.list_columns import note_no_name
from ontology.codesystems.year_lists import note_repeated
from ontology.concepts import COVERAGE, EDGES, CodeSystem, concept_rows
from ontology.errors import ConfigurationError, Problem
from ontology.systems import above_by_form, spelled

_COLUMNS = (
    Column("code", ("icd9_code", "icd_code", "code", "diagnosis_code", "procedure_code"), is_required=True),
    Column("label", ("long_title", "long_description", "title", "text", "label"), is_required=True),
)
_FORMS = {"ICD9CM": "[0-9]{3,5}|V[0-9]{2,4}|E[0-9]{3,4}", "ICD9PCS": "[0-9]{2,4}"}
_TOLD = {
    "ICD9CM": "3 to 5 digits, V and 2 to 4 digits, or E and 3 to 4 digits",
    "ICD9PCS": "2 to 4 digits",
}
_RANGES: Mapping[str, tuple[tuple[str, str], ...]] = {"ICD9CM": DIAGNOSES, "ICD9PCS": PROCEDURES}
_CATEGORY = re.compile(r"E\d{3}|V\d{2}|\d{3}")
_PUBLISHED_LINE = re.compile(r"^(?P<code>[0-9EV]\w{1,4}) +(?P<label>.+?)\s*$")


def read_icd9cm(path: Path, *, covered: tuple[date, date] | None = None) -> CodeSystem:
    """Diagnoses of a list, with everything above them.

    Args:
        path: CSV, TSV or JSON with code and title (as MIMIC's D_ICD_DIAGNOSES: icd9_code, long_title), or the
            published text of codes and titles (CMS32_DESC_LONG_DX.txt); codes with or without dot.
        covered: first and last day that the list is complete for; None = codes are not judged by date.

    Returns:
        Concepts of ICD9CM in English with level chapter, block, category or subcategory.

    Raises:
        ConfigurationError: the last day covered lies before the first.
        InputError: everything that is wrong with the file, by row.
    """
    return _read("ICD9CM", path, covered)


def read_icd9pcs(path: Path, *, covered: tuple[date, date] | None = None) -> CodeSystem:
    """Procedures of a list, with everything above them; arguments and errors as for read_icd9cm."""
    return _read("ICD9PCS", path, covered)


def icd9_of(system: str, codes: Iterable[str]) -> CodeSystem:
    """The hierarchy above codes that come without a list, and all chapters and blocks.

    Args:
        system: ICD9CM or ICD9PCS.
        codes: with or without dot, in the form of the system.

    Returns:
        Concepts without labels but for chapters and blocks.
    """
    rows = pl.DataFrame(
        {"code": sorted(set(codes)), "label": None}, schema={"code": pl.String, "label": pl.String}
    )
    return _system(system, rows)


def _read(system: str, path: Path, covered: tuple[date, date] | None) -> CodeSystem:
    bare = pl.col("code").str.replace_all(".", "", literal=True).str.to_uppercase()
    rows = _rows(path).with_columns(bare)
    faults = Faults(path)
    note_bad_codes(rows, faults, _FORMS[system], _TOLD[system])
    note_no_name(rows, faults)
    note_repeated(rows, faults)
    faults.end()
    if covered and covered[1] < covered[0]:
        raise ConfigurationError(Problem("coverage ends before it begins", where=f"{path.name}: covered"))
    coverage = pl.DataFrame([(system, *covered)] if covered else [], schema=COVERAGE, orient="row")
    return _system(system, rows.select("code", "label"), coverage)


def _rows(path: Path) -> pl.DataFrame:
    """Columns row, code and label of a table, or of the published text, which has no header."""
    lines = read_text(path, "cp1252").splitlines() if path.suffix.lower() == ".txt" else []
    if not lines or not _PUBLISHED_LINE.match(lines[0]):
        return read_table(path, _COLUMNS)
    found = [_PUBLISHED_LINE.match(line) for line in lines]
    faults = Faults(path)
    wrong = [n for n, hit in enumerate(found, 1) if not hit]
    faults.rows("a line has no code and title", wrong, do="mend or remove these lines")
    faults.end()
    named = [(n, hit["code"], hit["label"]) for n, hit in enumerate(found, 1) if hit]
    return pl.DataFrame(named, schema={ROW: pl.Int64, "code": pl.String, "label": pl.String}, orient="row")


def _system(system: str, rows: pl.DataFrame, coverage: pl.DataFrame | None = None) -> CodeSystem:
    """Concepts and edges of codes in any spelling; columns code and label."""
    labels: dict[str, str | None] = {}
    parents: dict[str, str] = {}
    for code, label in rows.iter_rows():
        written = spelled(system, code)
        chain = (written, *above_by_form(system, written))
        labels |= {above: labels.get(above) for above in chain[1:]}
        labels[written] = label or labels.get(written)
        parents |= dict(pairwise(chain))
    categories = [code for code in labels if code not in parents]
    levels = {code: "category" if code in set(categories) else "subcategory" for code in labels}
    ranges = _RANGES[system]
    parents |= {code: span for code in categories if (span := _narrowest(code, ranges))}
    chapters = _chapters(ranges)
    parents |= {span: chapters[span] for span, _ in ranges if chapters[span] != span}
    concepts = pl.DataFrame(
        [(code, label, levels[code], []) for code, label in labels.items()]
        + [
            (span, title, "chapter" if chapters[span] == span else "block", ["abstract"])
            for span, title in ranges
        ],
        schema={"code": pl.String, "label": pl.String, "level": pl.String, "flags": pl.List(pl.String)},
        orient="row",
    )
    edges = [(f"{system}//{child}", f"{system}//{parent}", "is_a") for child, parent in parents.items()]
    return CodeSystem(
        concept_rows(system, concepts.sort("code"), language="en"),
        pl.DataFrame(edges, schema=EDGES, orient="row").sort("child", "parent"),
        coverage=pl.DataFrame(schema=COVERAGE) if coverage is None else coverage,
    )


def _narrowest(category: str, ranges: Sequence[tuple[str, str]]) -> str | None:
    """The last range that holds a category: blocks stand behind their chapter."""
    holding = [span for span, _ in ranges if _holds(span, category)]
    return holding[-1] if holding else None


def _chapters(ranges: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The chapter of each range; of a chapter, itself."""
    return {span: next(over for over, _ in ranges if _holds(over, span.split("-")[0])) for span, _ in ranges}


def _holds(span: str, category: str) -> bool:
    first, last = span.split("-")
    return (
        len(first) == len(category)
        and first[0].isalpha() == category[0].isalpha()
        and first <= category <= last
    )
