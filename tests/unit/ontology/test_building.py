"""An ontology from its configuration: lists by relative paths, and every fault at once."""

from __future__ import annotations

import importlib
import json
from datetime import date
from pathlib import Path

import pytest

from ontology.building import READERS, OntologyConfig, build_ontology
from ontology.errors import ConfigurationError, InputError
from ontology.faults import find_faults
from ontology.release import embedded_ontology

CONFIG = """
name: a hospital
languages: [nb, en]
systems:
  - reader: icd10_no
    paths: {2024: lists/2024.json, 2025: lists/2025.json}
  - reader: atc
    path: lists/atc.csv
    options: {language: nb}
"""


def write_lists(folder: Path) -> Path:
    (folder / "lists").mkdir()
    for year, text in ((2024, "Sepsis, uspesifisert"), (2025, "Uspesifisert sepsis")):
        rows = [{"code": "A419", "text": text}, {"code": "A4190", "text": "Fem tegn"}]
        (folder / "lists" / f"{year}.json").write_text(json.dumps(rows), "utf-8")
    (folder / "lists" / "atc.csv").write_text(
        "code,name\nJ01,Antibakterielle midler\nJ01CF05,Flukloksacillin\n"
    )
    (folder / "ontology.yaml").write_text(CONFIG, "utf-8")
    return folder / "ontology.yaml"


def test_lists_are_read_beside_whos_icd10(tmp_path: Path) -> None:
    ontology = build_ontology(write_lists(tmp_path))
    assert ontology.systems == ("ATC", "ICD10", "ICD10-NO", "ICD9CM", "ICD9PCS")
    assert ontology.label("ICD10-NO//A41.9") == "Uspesifisert sepsis"
    assert "ICD10//A41" in ontology.ancestors("ICD10-NO//A41.90")
    assert ontology.label("ATC//J01CF05", "nb") == "Flukloksacillin"
    assert [source.file for source in ontology.sources] == ["2024.json", "2025.json", "atc.csv"]
    assert ontology.languages == ("nb", "en")


def test_the_digest_depends_on_the_lists_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_lists(tmp_path / name)
    reordered = CONFIG.replace(
        "2024: lists/2024.json, 2025: lists/2025.json", "2025: lists/2025.json, 2024: lists/2024.json"
    )
    (tmp_path / "two" / "ontology.yaml").write_text(reordered, "utf-8")
    first, second = (build_ontology(tmp_path / name / "ontology.yaml") for name in ("one", "two"))
    assert first.digest == second.digest
    assert first.digest != embedded_ontology().digest


def test_an_empty_configuration_is_the_embedded_ontology() -> None:
    assert build_ontology(OntologyConfig(name="none")).digest == embedded_ontology().digest


def test_all_faults_of_a_configuration_at_once(tmp_path: Path) -> None:
    file = tmp_path / "ontology.yaml"
    file.write_text(
        "name: ''\nlanguage: nb\nsystems:\n- {reader: atk, path: a.csv}\n- {reader: atc}\n"
        "- {reader: atc, paths: {2024: a.csv}}\n- {reader: icd10_no, path: a, paths: {2024: b}}\n",
        "utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        build_ontology(file)
    told = [problem.where.split(": ")[1] for problem in caught.value.problems]
    assert sorted(told) == ["language", "name", "systems.0", "systems.1", "systems.2", "systems.3"]
    assert "atc" in str(caught.value)


def test_missing_files_and_wrong_options_at_once(tmp_path: Path) -> None:
    file = write_lists(tmp_path)
    (tmp_path / "lists" / "2025.json").unlink()
    file.write_text(
        CONFIG.replace("{language: nb}", "{tongue: nb}") + "  - {reader: nkpk, path: lists/atc.csv}\n",
        "utf-8",
    )
    with pytest.raises(ConfigurationError) as caught:
        build_ontology(file)
    told = [(problem.what, problem.where) for problem in caught.value.problems]
    assert told == [
        ("no such file", f"systems.0: {tmp_path / 'lists' / '2025.json'}"),
        ("unexpected keyword argument", "systems.1.options: tongue"),
        ("missing required argument", "systems.2.options: system"),
    ]


def test_faults_in_several_lists_at_once(tmp_path: Path) -> None:
    file = write_lists(tmp_path)
    (tmp_path / "lists" / "2025.json").write_text(
        '[{"code": "A419", "text": "x"}, {"code": "?", "text": "y"}]'
    )
    (tmp_path / "lists" / "atc.csv").write_text("code,name\nJ01CF05X,Flukloksacillin\n")
    with pytest.raises(InputError) as caught:
        build_ontology(file)
    told = " ".join(problem.where for problem in caught.value.problems)
    assert "2025.json" in told
    assert "atc.csv" in told


def test_a_circle_in_a_list_is_refused(tmp_path: Path) -> None:
    properties = [[{"code": "parent", "valueCode": other}] for other in ("2", "1")]
    content = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/a",
        "status": "active",
        "content": "complete",
        "concept": [
            {"code": str(n), "display": "x", "property": told} for n, told in enumerate(properties, start=1)
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content), "utf-8")
    entry = {"reader": "fhir_code_system", "path": "a.json", "options": {"system": "A"}}
    config = OntologyConfig.model_validate({"name": "x", "systems": [entry]})
    with pytest.raises(InputError, match="A//1, A//2"):
        build_ontology(config, folder=tmp_path)


def test_files_among_the_options_lie_beside_the_configuration_too(tmp_path: Path) -> None:
    (tmp_path / "Loinc.csv").write_text(
        "LOINC_NUM,COMPONENT,PROPERTY,SYSTEM,STATUS,LONG_COMMON_NAME\n1-8,a,b,c,DEPRECATED,Old\n2-6,a,b,c,ACTIVE,New\n"
    )
    (tmp_path / "MapTo.csv").write_text("LOINC,MAP_TO\n1-8,2-6\n")
    entry = {"reader": "loinc", "path": "Loinc.csv", "options": {"map_to": "MapTo.csv"}}
    config = OntologyConfig.model_validate({"name": "x", "systems": [entry]})
    ontology = build_ontology(config, folder=tmp_path)
    assert ontology.system.mappings.select("subject", "predicate", "object").rows() == [
        ("LOINC//1-8", "replaced_by", "LOINC//2-6")
    ]
    assert [source.file for source in ontology.sources] == ["Loinc.csv", "MapTo.csv"]
    (tmp_path / "MapTo.csv").unlink()
    with pytest.raises(ConfigurationError, match=r"systems\.0: .*MapTo\.csv"):
        build_ontology(config, folder=tmp_path)


def test_every_reader_is_there() -> None:
    for name, reader in READERS.items():
        module = importlib.import_module(f"ontology.{reader.module}")
        for function in filter(None, (reader.of_path, reader.of_paths)):
            assert callable(getattr(module, function, None)), (name, function)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("name: x\nlanguages: [nb, no, en]\n", "languages"),
        ("name: x\nsystems:\n  - {reader: atc, path: a.csv, options: {language: no}}\n", "systems.0.options"),
        (
            "name: x\nsystems:\n  - {reader: snomed, path: a, options: {languages: [no]}}\n",
            "systems.0.options",
        ),
    ],
)
def test_no_without_quotes_is_told_to_be_read_as_false(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "x.yaml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationError, match=f"{where}(.|\n)*") as caught:
        build_ontology(tmp_path / "x.yaml")
    assert len(caught.value.problems) == 1
    assert '"no" in quotes' in str(caught.value)


def test_the_lists_cannot_be_named_a_second_time_among_the_options(tmp_path: Path) -> None:
    file = write_lists(tmp_path)
    file.write_text(CONFIG.replace("{language: nb}", "{path: lists/2024.json}"), "utf-8")
    with pytest.raises(ConfigurationError, match=r"files as path(.|\n)*systems\.1\.options"):
        build_ontology(file)


def test_an_export_and_yearly_lists_of_one_system_are_one_system_with_its_faults_told(tmp_path: Path) -> None:
    """Both texts of A41.9 hold in 2024: one duplicate for each of the two codes in both."""
    head = "Kode;Tekst_uten_lengdebegrensning;Foreldrekode;Gyldig_fra;Gyldig_til\n"
    rows = "A41;Sepsis;A30-A49;2020-01-01;\nA41.9;Eksport;A41;2020-01-01;\nA30-A49;x;;2020-01-01;\n"
    (tmp_path / "export.csv").write_text(head + rows, "utf-8")
    (tmp_path / "2024.csv").write_text("code,text\nA41,Annen sepsis\nA419,Uspesifisert\n", "utf-8")
    entries = [
        {"reader": "icd10_no", "path": "export.csv"},
        {"reader": "icd10_no", "paths": {2024: "2024.csv"}},
    ]
    both = [
        build_ontology(OntologyConfig.model_validate({"name": "x", "systems": systems}), folder=tmp_path)
        for systems in (entries, entries[::-1])
    ]
    assert both[0].digest == both[1].digest
    assert find_faults(both[0].system).rows() == [
        ("duplicate", "ICD10-NO//A41", "nb"),
        ("duplicate", "ICD10-NO//A41.9", "nb"),
    ]
    assert {"ICD10//A41.9", "ICD10-NO//A41"} <= set(both[0].ancestors("ICD10-NO//A41.9"))
    assert {one.label("ICD10-NO//A41.9", on=date(2024, 5, 1)) for one in both} == {"Eksport"}
