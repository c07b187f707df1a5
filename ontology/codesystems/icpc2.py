"""ICPC-2: chapters by letter, components by number, local codes under what they extend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import polars as pl

from ontology.codesystems.export_files import export_coverage, read_export_rows
from ontology.codesystems.year_lists import read_spans, years_covered
from ontology.concepts import EDGES, PROPERTIES, CodeSystem, concept_rows
from ontology.errors import InputError, Problem
from ontology.systems import SYSTEMS

SYSTEM = "ICPC2"

CHAPTERS: Mapping[str, tuple[str, str]] = {
    "A": ("Allment og uspesifisert", "General and unspecified"),
    "B": ("Blod, bloddannende organer og immunsystem", "Blood, blood-forming organs and immune system"),
    "D": ("Fordøyelsessystemet", "Digestive system"),
    "F": ("Øye", "Eye"),
    "H": ("Øre", "Ear"),
    "K": ("Hjerte og kar", "Heart and vessels"),
    "L": ("Muskel og skjelett", "Muscles and skeleton"),
    "N": ("Nervesystemet", "Nervous system"),
    "P": ("Psykisk", "Psychological"),
    "R": ("Luftveier", "Airways"),
    "S": ("Hud", "Skin"),
    "T": ("Hormoner, stoffskifte og ernæring", "Hormones, metabolism and nutrition"),
    "U": ("Urinveier", "Urinary tract"),
    "W": ("Svangerskap, fødsel og familieplanlegging", "Pregnancy, childbirth and family planning"),
    "X": ("Kvinnelige kjønnsorganer", "Female genital organs"),
    "Y": ("Mannlige kjønnsorganer", "Male genital organs"),
    "Z": ("Sosiale problemer", "Social problems"),
}
"""The seventeen letters, in plain words of our own.

**Source:** the structure of ICPC-2 (WONCA International Classification Committee, ICPC-2, 2nd edition, 1998).
"""

COMPONENTS: tuple[tuple[int, int, str, str], ...] = (
    (1, 29, "symptomer og plager", "symptoms and complaints"),
    (30, 49, "undersøkelse, screening og forebygging", "examination, screening and prevention"),
    (50, 59, "behandling og legemidler", "treatment and medication"),
    (60, 61, "prøvesvar", "test results"),
    (62, 62, "administrative forhold", "administration"),
    (63, 69, "henvisning og andre kontaktårsaker", "referral and other reasons for contact"),
    (70, 99, "diagnoser og sykdommer", "diagnoses and diseases"),
)
"""First and last number of components 1 to 7, the same in every chapter. **Source:** as for CHAPTERS."""

_FORM = "[ABDFHKLNPR-UW-Z][0-9]{2,3}"
_TOLD = "a chapter's letter and two digits, with one more in local codes"


def read_icpc2_years(lists: Mapping[int, Path]) -> CodeSystem:
    """The yearly lists {code, text} as one system with validity by years.

    Args:
        lists: the file of each year: JSON, CSV or TSV with code and text.

    Returns:
        Concepts of ICPC2: chapters (A) and components (A70-A99) with labels in Norwegian and English, rubrics
        (A77) and local codes (A191) in Norwegian, one row for each text and unbroken run of years. A local
        code lies under the rubric that it extends, or under the component where that rubric is not listed.
        Property: component, 1 to 7. Coverage: the years read.

    Raises:
        ConfigurationError: no list.
        InputError: everything that is wrong with the files, by row.
    """
    return _system(read_spans(lists, _FORM, _TOLD), years_covered(SYSTEM, lists))


def read_icpc2(path: Path, *, covered_to: date | None = None, encoding: str = "utf-8-sig") -> CodeSystem:
    """The official export (Kode, Tekst_uten_lengdebegrensning, Gyldig_fra, Gyldig_til, Kodeverk, ...).

    Args:
        path: JSON, CSV or Excel with the published columns.
        covered_to: the day on which the export was made; None = it is taken to hold on.
        encoding: of a CSV; cp1252 for one from an older Norwegian Excel.

    Returns:
        As read_icpc2_years; coverage begins with the first valid day. Rows of chapters, and of the terms of
        ICPC-2B (Kodeverk), are left out: chapters have the words of CHAPTERS.

    Raises:
        InputError: everything that is wrong with the file, by row.
    """
    rows = read_export_rows(path, encoding=encoding)
    is_term = pl.col("edition").fill_null("").str.to_uppercase().str.ends_with("B")
    rubrics = rows.filter(~is_term & pl.col("code").str.contains(f"^{_FORM}$"))
    if rubrics.is_empty():
        raise InputError(Problem("no row is a code of ICPC-2", str(path), allowed=_TOLD))
    return _system(
        rubrics.select("code", "label", "valid_from", "valid_to"),
        export_coverage(SYSTEM, rubrics, covered_to),
    )


def _system(spans: pl.DataFrame, coverage: pl.DataFrame) -> CodeSystem:
    """Rubrics and local codes (columns code, label, valid_from, valid_to) with everything above them."""
    level = pl.when(pl.col("code").str.len_chars() == 3).then(pl.lit("rubric")).otherwise(pl.lit("local"))
    rubrics = concept_rows(SYSTEM, spans.with_columns(level=level), language=SYSTEMS[SYSTEM].language)
    codes = spans["code"].unique().sort().to_list()
    listed = set(codes)
    parents = {code: code[:3] if code[:3] in listed - {code} else _component(code)[0] for code in codes}
    groups = sorted({_component(code) for code in codes})
    parents |= {span: span[0] for span, _ in groups}
    edges = [(f"{SYSTEM}//{child}", f"{SYSTEM}//{above}", "is_a") for child, above in sorted(parents.items())]
    properties = [(f"{SYSTEM}//{code}", "component", str(_component(code)[1])) for code in codes]
    return CodeSystem(
        pl.concat([rubrics, _grouping_rows(groups)]),
        pl.DataFrame(edges, schema=EDGES, orient="row"),
        pl.DataFrame(properties, schema=PROPERTIES, orient="row"),
        coverage=coverage,
    )


def _component(code: str) -> tuple[str, int]:
    """The range of codes that a code's component covers in its chapter, and the component's number."""
    found = int(code[1:3])
    number = next((n for n, (_, last, *_) in enumerate(COMPONENTS, 1) if found <= last), 7)
    first, last, *_ = COMPONENTS[number - 1]
    return f"{code[0]}{first:02}-{code[0]}{last:02}", number


def _grouping_rows(groups: list[tuple[str, int]]) -> pl.DataFrame:
    """Rows of CONCEPTS for all chapters and the components in use, in two languages."""

    def rows() -> Iterator[tuple[str, str, str, str]]:
        """Code, label, language and level of chapters and components."""
        for place, language in enumerate((SYSTEMS[SYSTEM].language, "en")):
            yield from ((letter, words[place], language, "chapter") for letter, words in CHAPTERS.items())
            for span, number in groups:
                words = f"{CHAPTERS[span[0]][place]}: {COMPONENTS[number - 1][2 + place]}"
                yield span, words, language, "component"

    named = pl.DataFrame(list(rows()), schema=["code", "label", "language", "level"], orient="row")
    return concept_rows(SYSTEM, named.with_columns(flags=pl.lit(["abstract"])))
