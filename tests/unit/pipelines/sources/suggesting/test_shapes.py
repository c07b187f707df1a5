"""What the cells of a column look like: systems of codes, times, numbers."""

from __future__ import annotations

import polars as pl
import pytest

from pipelines.sources.suggesting.shapes import shape_of


def shape(*cells: str | None) -> object:
    return shape_of(pl.Series("c", cells, dtype=pl.String))


@pytest.mark.parametrize(
    ("system", "codes"),
    [
        # Real codes of each system, as their publishers print them.
        ("ICD10", ["A41.9", "N39.0", "I10", "S72.00"]),
        ("ICD10", ["A419", "N390", "I10", "Z966"]),
        ("ATC", ["J01CE01", "C03CA01", "B01AB04"]),
        ("NLK", ["NPU19748", "NOR05172"]),
        ("NCSP", ["NFB20", "JKA21", "FMD10"]),
        ("NCMP", ["WBOC05", "GXAV01", "REGG00"]),
        ("NCSP+NCMP", ["NFB20", "WBOC05"]),
        ("LOINC", ["8867-4", "718-7", "2160-0"]),
        # Concepts of SNOMED CT: their last digit is a check digit.
        ("SCT", ["119297000", "22298006", "73211009", "264868006", "404684003", "138875005"]),
        ("ICD9CM", ["428.0", "250.00", "V58.61", "E880.9"]),
    ],
)
def test_codes_are_known_by_their_form(system: str, codes: list[str]) -> None:
    assert shape(*codes).system == system  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "cells",
    [
        ["119297001", "22298007", "73211008", "264868007", "404684004", "138875006"],  # wrong check digits
        ["8867-5", "718-8"],  # wrong check digits
        ["MED", "KIR", "INT"],
        ["Escherichia coli", "Candida albicans"],
        ["100", "250", "400"],  # could be ICD-9, could be anything
    ],
)
def test_what_only_looks_alike_is_no_code(cells: list[str]) -> None:
    assert shape(*cells).system is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("time", ["2020-01-02 10:30:00", "2021-12-31T23:59"]),
        ("time", ["02.01.2020 10:30", "31.12.2021 23:59"]),
        ("date", ["02.01.2020", "31.12.2021"]),
        ("date", ["20200102", "20211231"]),
        ("clock", ["10:30", "23:59:10"]),
        ("elapsed", ["00:07", "42:05", "47:37"]),
        ("whole", ["1", "2", "30"]),
        ("number", ["1.5", "2", "-3.25"]),
        ("number", ["1,5", "2", "-3,25"]),
        ("words", ["hjem", "sykehjem"]),
        ("text", ["Pasienten er våken og klar, men har hatt feber siden i går kveld.", "Ny time om 3 uker."]),
        ("empty", [None, None]),
    ],
)  # fmt: skip
def test_kinds(kind: str, cells: list[str | None]) -> None:
    assert shape(*cells).kind == kind  # type: ignore[attr-defined]


def test_day_and_month_are_told_apart_where_one_is_above_twelve() -> None:
    assert shape("13/02/2020", "01/03/2020").formats == ("%d/%m/%Y",)  # type: ignore[attr-defined]
    assert shape("02/13/2020", "03/01/2020").formats == ("%m/%d/%Y",)  # type: ignore[attr-defined]


def test_a_decimal_comma_is_seen() -> None:
    assert shape("1,5", "20").has_decimal_comma  # type: ignore[attr-defined]
    assert not shape("1.5", "20").has_decimal_comma  # type: ignore[attr-defined]
