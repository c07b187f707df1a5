"""WHO's ICD-10 comes whole, with its hierarchy, and says what stands above a national code."""

from __future__ import annotations

import polars as pl
import pytest

from ontology.codesystems.who_icd10 import (
    ASTERISK_CATEGORIES,
    nearest_who_code,
    read_who_icd10,
    who_block_of_decade,
    who_code,
)


def test_the_counts_are_those_of_the_2019_edition() -> None:
    """22 chapters, 274 blocks, 2,050 categories, 10,196 subcategories: counted in the package's own file."""
    who = read_who_icd10()
    assert dict(who.concepts["level"].value_counts().rows()) == {
        "chapter": 22,
        "block": 274,
        "category": 2050,
        "subcategory": 10196,
    }
    assert who.edges.height == 22 + 274 + 2050 + 10196 - 22  # all but the chapters have one parent
    assert set(who.concepts["language"]) == {"en"}


def test_blocks_lie_within_blocks_and_every_parent_is_there() -> None:
    who = read_who_icd10()
    parents = dict(who.edges.select("child", "parent").rows())
    assert parents["ICD10//A41.9"] == "ICD10//A41"
    assert parents["ICD10//C50"] == "ICD10//C50-C50"
    assert parents["ICD10//C50-C50"] == "ICD10//C00-C75"
    assert parents["ICD10//C00-C75"] == "ICD10//C00-C97"
    assert parents["ICD10//C00-C97"] == "ICD10//II"
    assert set(parents.values()) <= set(who.concepts["concept"])


def test_the_asterisk_marks_83_categories_and_what_lies_under_them() -> None:
    who = read_who_icd10()
    marked = who.concepts.filter(pl.col("flags").list.contains("asterisk"))
    assert len(ASTERISK_CATEGORIES) == 83
    assert set(marked.filter(pl.col("level") == "category")["code"]) == ASTERISK_CATEGORIES
    assert {"M90.1", "H36.0"} <= set(marked["code"])
    told = marked.filter(
        (pl.col("level") == "category") & pl.col("label").str.contains("classified elsewhere")
    )
    assert told.height == 79  # by title; F00, G46, M07 and P75 are known asterisk rubrics


def test_groupings_are_never_recorded() -> None:
    who = read_who_icd10()
    abstract = who.concepts.filter(pl.col("flags").list.contains("abstract"))
    assert set(abstract["level"]) == {"chapter", "block"}
    assert abstract.height == 22 + 274


@pytest.mark.parametrize(
    ("national", "above"),
    [
        ("K63.80", "K63.8"),
        ("M00.01", "M00.0"),
        ("B18.00", "B18.0"),
        ("A41.9", "A41"),
        ("U10.9", "U00-U49"),
        ("C50.9", "C50"),
        ("QQQ", None),
    ],
)
def test_the_nearest_code_above_is_shorter_or_the_block(national: str, above: str | None) -> None:
    assert nearest_who_code(national) == above


def test_a_decade_lies_in_the_narrowest_block_that_holds_it() -> None:
    assert who_block_of_decade("V1") == "V10-V19"
    assert who_block_of_decade("V0") == "V01-V09"  # there is no V00
    assert who_block_of_decade("X8") is None  # X60-X84 and X85-Y09 share it, and no block holds both
    assert who_block_of_decade("QQ") is None


def test_a_code_is_who_s_or_not() -> None:
    assert who_code("A41.9") == "A41.9"
    assert who_code("K63.80") is None
