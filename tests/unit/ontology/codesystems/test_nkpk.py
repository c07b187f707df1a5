"""Procedure codes find their groups by form; special codes do not get a chapter that is not theirs."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.nkpk import read_procedure_years, read_procedures
from ontology.errors import ConfigurationError, InputError

LISTS = Path(__file__).parents[4] / ".." / "shared" / "kodeverk" / "skde-sas-codes" / "flat"


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def parents(edges: pl.DataFrame, child: str) -> list[str]:
    """The way from a concept to its root, by its only parents."""
    above = dict(edges.select("child", "parent").iter_rows())
    way = []
    while child in above:
        child = above[child]
        way.append(child.split("//")[1])
    return way


@pytest.mark.parametrize(
    ("system", "code", "way"),
    [
        ("NCSP", "JKE00", ["JKE", "JK", "J"]),
        ("NCMP", "ABFX02", ["ABFX", "ABF", "AB", "A"]),
        ("NCRP", "FPK56A", ["FPK", "FP", "F"]),
        ("NCRP", "TNX0YT", ["TNX", "TN", "T"]),
        ("NCSP", "B0050", ["SPECIAL"]),
        ("NCMP", "17X01", ["SPECIAL"]),
    ],
)
def test_the_way_to_the_chapter(tmp_path: Path, system: str, code: str, way: list[str]) -> None:
    read = read_procedures(system, put(tmp_path, "list.tsv", f"code\ttext\n{code}\tmade up\n"))
    assert parents(read.edges, f"{system}//{code}") == way
    unlabelled = read.concepts.filter(pl.col("label").is_null())
    assert set(unlabelled["code"]) == set(way)
    assert unlabelled["flags"].to_list() == [["abstract"]] * len(way)


def test_a_group_that_the_list_names_keeps_its_name(tmp_path: Path) -> None:
    read = read_procedures(
        "NCSP", put(tmp_path, "l.json", '[{"kode": "JK", "tekst": "a"}, {"kode": "JKE00", "tekst": "b"}]')
    )
    named = read.concepts.drop_nulls("label").select("code", "label", "language", "level", "flags").rows()
    assert named == [("JK", "a", "nb", "group", ["abstract"]), ("JKE00", "b", "nb", "procedure", [])]


def test_validity_by_columns_and_by_years(tmp_path: Path) -> None:
    dated = put(tmp_path, "l.csv", "kode;tekst;gyldig_fra;gyldig_til\nJKE00;a;01.01.2020;31.12.2024\n")
    row = read_procedures("NCSP", dated).concepts.filter(code="JKE00").row(0, named=True)
    assert (row["valid_from"], row["valid_to"]) == (date(2020, 1, 1), date(2024, 12, 31))
    lists = {
        2024: put(tmp_path, "24.tsv", "code\ttext\nGAGX05\told\nABFX01\tx\n"),
        2025: put(tmp_path, "25.tsv", "code\ttext\nGAGX10\tnew\nABFX01\tx\n"),
    }
    read = read_procedure_years("NCMP", lists)
    spans = read.concepts.drop_nulls("label").select("code", "valid_from", "valid_to").rows()
    assert spans == [
        ("ABFX01", date(2024, 1, 1), date(2025, 12, 31)),
        ("GAGX05", date(2024, 1, 1), date(2024, 12, 31)),
        ("GAGX10", date(2025, 1, 1), date(2025, 12, 31)),
    ]
    assert read.coverage.rows() == [("NCMP", date(2024, 1, 1), date(2025, 12, 31))]


def test_faults(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="NCSP, NCMP, NCRP"):
        read_procedures("NCXX", tmp_path / "none")
    with pytest.raises(InputError) as caught:
        read_procedures("NCSP", put(tmp_path, "l.tsv", "code\ttext\nJKE-00\ta\nJKE00\t\n"))
    assert [problem.what for problem in caught.value.problems] == [
        "a code is not of the system's form",
        "a row has no name",
    ]


@pytest.mark.skipif(not LISTS.exists(), reason="needs skde-sas-codes in shared/kodeverk")
@pytest.mark.parametrize("system", ["NCSP", "NCMP", "NCRP"])
def test_every_code_of_the_lists_of_2010_to_2017_finds_a_chapter(system: str) -> None:
    file = LISTS / f"{system.lower()}_no.tsv"
    listed = pl.read_csv(file, separator="\t", infer_schema=False, quote_char=None)["code"].str.strip_chars()
    read = read_procedures(system, file)
    above = dict(read.edges.select("child", "parent").iter_rows())
    for code in listed:
        top = f"{system}//{code}"
        while top in above:
            top = above[top]
        chapter = top.split("//")[1]
        # special codes begin with a digit, or with one letter; one code of 2017 has a letter O for its zero
        is_special = not code[:2].isalpha() or code.isalpha()
        assert chapter == ("SPECIAL" if is_special else code[0])
