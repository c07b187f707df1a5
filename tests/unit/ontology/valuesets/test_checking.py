"""Checking value sets: every fault of several files in one list; what can hold nothing is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.assembling import embedded_systems, ontology_of
from ontology.codesystems.icd9cm import read_icd9cm
from ontology.codesystems.icd10_no import read_year_lists
from ontology.valuesets.checking import valueset_problems
from ontology.valuesets.sets import Resolver, load_valueset, valueset_names

HEAD = "title: A set\nversion: '1'\nsources: [ours]\nreview: nobody\n"


def write(folder: Path, name: str, body: str) -> str:
    file = folder / f"{name}.yaml"
    file.write_text(f"name: {name}\n{HEAD}{body}", "utf-8")
    return str(file)


def test_the_shipped_value_sets_have_no_faults() -> None:
    assert valueset_problems() == []


def test_faults_of_all_files_come_together_each_once(tmp_path: Path) -> None:
    names = [
        write(tmp_path, "unknown", "include: [{under: ICD10//Q99.95}]"),
        write(tmp_path, "misspelt", "includes: [{under: ICD10//A41}]"),
        write(tmp_path, "missing", "include:\n- value_set: nothing\n- value_set: unknown"),
        write(tmp_path, "circle", "include: [{value_set: circle}]"),
        write(tmp_path, "empty", "include: [{under: ICD10//A41.9}]\nexclude: [{under: ICD10//I}]"),
        write(tmp_path, "good", "include: [{under: ICD9CM//038}]"),
    ]
    told = [(problem.what, problem.where.split(":")[:2]) for problem in valueset_problems(names)]
    assert ("unknown key", ["misspelt.yaml", "6"]) in told
    assert ("no such value set", ["missing.yaml", "7"]) in told
    assert ("value sets that refer to each other in a circle", ["circle.yaml", "6"]) in told
    assert ("a set that can hold nothing", ["empty.yaml", "1"]) in told
    assert [where for what, where in told if what == "no such concept in the ontology"] == [
        ["unknown.yaml", "6"]
    ]
    assert not [where for _, where in told if where[0] == "good.yaml"]


LISTS = Path(__file__).parents[4] / ".." / "shared"
NORWEGIAN = LISTS / "kodeverk" / "navikt-diagnosekoder" / "ICD10_2026.json"
AMERICAN = LISTS / "data" / "mimic-iii-demo" / "D_ICD_DIAGNOSES.csv"


@pytest.mark.skipif(
    not NORWEGIAN.exists() or not AMERICAN.exists(), reason="needs the lists in the shared folder"
)
def test_with_the_national_lists_the_shipped_sets_have_no_faults_and_hold_the_same_codes() -> None:
    national = read_year_lists({2026: NORWEGIAN})
    ontology = ontology_of([*embedded_systems(), national, read_icd9cm(AMERICAN)])
    assert valueset_problems(None, ontology) == []
    codes = national.concepts["concept"].unique().to_list()
    plain, listed = Resolver(codes), Resolver(codes, ontology)
    for name in valueset_names():
        values = load_valueset(name)
        assert plain.resolve(values).equals(listed.resolve(values)), name
