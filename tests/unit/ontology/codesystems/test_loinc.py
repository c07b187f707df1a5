"""LOINC comes in from files of the published layout: terms, parts, replacements, or every fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.codesystems.loinc import read_loinc
from ontology.errors import InputError

TERMS = '''LOINC_NUM,COMPONENT,PROPERTY,TIME_ASPCT,SYSTEM,SCALE_TYP,METHOD_TYP,CLASS,STATUS,LONG_COMMON_NAME,\
EXAMPLE_UCUM_UNITS,SHORTNAME
1988-5,"C reactive protein",MCnc,Pt,Ser/Plas,"Qn","","CHEM",ACTIVE,"CRP, mass, ""serum""","mg/L","CRP"
"0000-0","Old thing","MCnc","Pt","Bld","Qn","","CHEM","DEPRECATED","Old thing in blood","",""
'''
TREE = """PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT
,1,,LP1-4,Parts
LP1-4,1,LP1-4,LP2-2,Chemistry
LP1-4.LP2-2,1,LP2-2,1988-5,C reactive protein
LP1-4,2,LP1-4,1988-5,C reactive protein
"""


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text, "utf-8")
    return file


def test_terms_properties_and_flags(tmp_path: Path) -> None:
    read = read_loinc(put(tmp_path, "Loinc [2.80].csv", TERMS))
    assert read.concepts.select("concept", "label", "level", "flags").rows() == [
        ("LOINC//0000-0", "Old thing in blood", "term", ["inactive"]),
        ("LOINC//1988-5", 'CRP, mass, "serum"', "term", []),
    ]
    told = dict(read.properties.filter(concept="LOINC//1988-5").select("property", "value").iter_rows())
    assert told == {
        "component": "C reactive protein", "kind_of_property": "MCnc", "time_aspect": "Pt",
        "system": "Ser/Plas", "scale": "Qn", "class": "CHEM",
        "unit": "mg/L", "status": "ACTIVE", "short_name": "CRP",
    }  # fmt: skip
    assert read.edges.is_empty()


def test_hierarchy_and_replacements(tmp_path: Path) -> None:
    replaced = "LOINC,MAP_TO,COMMENT\n0000-0,1988-5,\n"
    put(tmp_path, "m.csv", replaced)
    files = {"hierarchy": put(tmp_path, "h.csv", TREE), "map_to": Path("m.csv")}
    read = read_loinc(put(tmp_path, "Loinc.csv", TERMS), **files)
    assert read.edges.rows() == [
        ("LOINC//1988-5", "LOINC//LP1-4", "is_a"),
        ("LOINC//1988-5", "LOINC//LP2-2", "is_a"),
        ("LOINC//LP2-2", "LOINC//LP1-4", "is_a"),
    ]
    parts = read.concepts.filter(level="part").select("code", "label", "flags").rows()
    assert parts == [("LP1-4", "Parts", ["abstract"]), ("LP2-2", "Chemistry", ["abstract"])]
    assert read.mappings.rows() == [("LOINC//0000-0", "replaced_by", "LOINC//1988-5", "LOINC MapTo")]


def test_every_fault_of_every_file_is_told(tmp_path: Path) -> None:
    wrong = TERMS + "1988,x,,,,,,,ACTIVE,,,\n1988-5,,,,,,,,,again,,\n"
    tree = put(tmp_path, "h.csv", "CODE\n1\n")
    with pytest.raises(InputError) as caught:
        read_loinc(put(tmp_path, "Loinc.csv", wrong), hierarchy=tree, map_to=tmp_path / "no.csv")
    told = [(problem.what, problem.where.rsplit("/", 1)[1]) for problem in caught.value.problems]
    assert told == [
        ("column IMMEDIATE_PARENT is missing", "h.csv, header"),
        ("column CODE_TEXT is missing", "h.csv, header"),
        ("a file cannot be read", "no.csv"),
        ("no code in column LOINC_NUM", "Loinc.csv, row 3"),
        ("an empty LONG_COMMON_NAME", "Loinc.csv, row 3"),
        ("a code that occurs twice", "Loinc.csv, row 4"),
    ]
