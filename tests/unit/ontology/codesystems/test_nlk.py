"""The laboratory code system keeps units, validity, groups and replacements."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.nlk import read_nlk
from ontology.errors import InputError

FILE = (
    Path(__file__).parents[4] / ".." / "shared" / "kodeverk" / "nlk" / "norsk_laboratoriekodeverk_7280.77.csv"
)

LIST = """kode,gyldig_fra,gyldig_til,erstattes_av,norsk_bruksnavn,komponent,system,egenskapsart,enhet,\
gruppering
NPU90001,2013-01-25 00:00:00,2020-02-29 23:59:00,NPU90002,P-Gammel,,,,,
NPU90002,2013-01-25 00:00:00,,,P-Ny,Noe,Plasma,massekonsentrasjon,mg/L,Små ting
NOR90003,2014-01-01,,,B-Annet,Annet,Blod,,,Små ting
"""


def put(folder: Path, text: str) -> Path:
    file = folder / "list.csv"
    file.write_text(text, "utf-8")
    return file


def test_names_days_units_groups_and_replacements(tmp_path: Path) -> None:
    read = read_nlk(put(tmp_path, LIST), covered_to=date(2025, 12, 31))
    assert read.concepts.select("concept", "label", "language", "level", "valid_to").rows() == [
        ("NLK//GROUP:Små_ting", "Små ting", "nb", "group", None),
        ("NLK//NOR90003", "B-Annet", "nb", "code", None),
        ("NLK//NPU90001", "P-Gammel", "nb", "code", date(2020, 2, 29)),
        ("NLK//NPU90002", "P-Ny", "nb", "code", None),
    ]
    assert read.edges.rows() == [
        ("NLK//NOR90003", "NLK//GROUP:Små_ting", "is_a"),
        ("NLK//NPU90002", "NLK//GROUP:Små_ting", "is_a"),
    ]
    told = dict(read.properties.filter(concept="NLK//NPU90002").select("property", "value").iter_rows())
    assert told == {
        "component": "Noe", "system": "Plasma", "kind_of_property": "massekonsentrasjon", "unit": "mg/L",
        "group": "Små ting",
    }  # fmt: skip
    assert read.mappings.rows() == [("NLK//NPU90001", "replaced_by", "NLK//NPU90002", "list.csv")]
    assert read.coverage.rows() == [("NLK", date(2013, 1, 25), date(2025, 12, 31))]


def test_every_fault_is_told_with_its_row(tmp_path: Path) -> None:
    header = "kode,norsk_bruksnavn,gyldig_fra,gyldig_til\n"
    text = f"{header}NPU1,x,,\nNPU90001,,2020-13-01,\nNPU90002,x,2020-01-02,2020-01-01\n,x,,\n"
    with pytest.raises(InputError) as caught:
        read_nlk(put(tmp_path, text))
    assert [(problem.what, problem.where.split(", ", 1)[1]) for problem in caught.value.problems] == [
        ("a day in column valid_from cannot be read", "row 2"),
        ("a row has no code", "row 4"),
        ("a code is not of the system's form", "row 1"),
        ("a row has no name", "row 2"),
        ("a code ends before it begins", "row 3"),
    ]


def test_missing_columns_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_nlk(put(tmp_path, "a,b\n1,2\n"))
    assert len(caught.value.problems) == 2


@pytest.mark.skipif(not FILE.exists(), reason="needs nlk in shared/kodeverk")
def test_the_list_of_release_77() -> None:
    """Counts of the file itself, counted apart from this reader (shared/reference/norway.md, section 2.1)."""
    read = read_nlk(FILE)
    codes = read.concepts.filter(level="code")
    assert codes.height == 11_395
    assert codes.filter(pl.col("valid_to").is_null()).height == 9_679
    kinds = codes["code"].str.head(3).value_counts()
    assert dict(kinds.iter_rows()) == {"NPU": 9_741, "NOR": 1_654}
    units = dict(read.properties.filter(property="unit").select("concept", "value").iter_rows())
    wanted = {"NPU19748": "mg/L", "NPU04998": "µmol/L", "NOR05172": "g/dL"}
    assert {code: units[f"NLK//{code}"].replace("μ", "µ") for code in wanted} == wanted
    assert read.concepts.filter(code="NPU19748")["label"].to_list() == ["P-CRP"]
