"""FHIR from files to dataset: examples of others, both forms of a Bundle, bad lines, letters."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
sys.path.insert(1, str(Path(__file__).parents[1] / "oracle"))
from fhir_equals_slow import POLICY
from fhir_examples import (
    HL7,
    READ,
    SYNTHEA,
    accounted,
    bulk_export,
    by_type,
    hl7_against_slow,
    hl7_examples,
    ingested,
    norwegian_examples,
    synthea_both_ways,
)
from fhir_mutations import faults_of_round, mutated_lines

from phenotype.trajectory import open_dataset

DATA = Path(__file__).parents[3] / "shared/data"


def _open(name: str) -> Path:
    """One of the open data sets; without it the test is skipped."""
    if not (DATA / name).exists():
        pytest.skip(f"the open data are not there: {DATA / name}")
    return DATA / name


def test_all_hl7_examples_are_accounted_for_and_equal_the_slow_path(tmp_path: Path) -> None:
    """457 files; records counted by Python's json; 425 of them are single resources, read a second time."""
    assert hl7_examples(_open(HL7), tmp_path) == (457, 0)
    types = by_type(tmp_path / "hl7-dataset")
    assert types.keys() >= READ
    for name, fates in types.items():
        if name not in READ | {"Bundle"}:
            assert fates.keys() == {"used", f"resource type {name} is not read"}
            assert fates["used"] == 0
    n_events, n_different = hl7_against_slow(tmp_path)
    assert n_events > 250
    assert n_different == 0


def test_norwegian_examples_become_what_they_tell(tmp_path: Path) -> None:
    """By hand: two patients have a sex and a citizenship, one only a name; two weights are only registered.

    The procedure has no time; the other types are not read, or hold no facts.
    """
    assert norwegian_examples(_open("hl7norway-no-basis/examples"), tmp_path) == {
        "Patient: used": 2,
        "Patient: no fact about the patient": 1,
        "Observation: not carried out": 2,
        "Procedure: no time": 1,
        "Organization: no fact about a patient": 1,
        "RelatedPerson: resource type RelatedPerson is not read": 3,
        **{
            f"{name}: resource type {name} is not read": 1
            for name in (
                "ConceptMap",
                "Appointment",
                "AppointmentResponse",
                "HealthcareService",
                "Practitioner",
            )
        },
    }


_WORDS = "Påvist i høyre øre, ærlig talt: ÆØÅ"
_OBSERVATION = f"""<?xml version="1.0" encoding="UTF-8"?>
<Observation xmlns="http://hl7.org/fhir">
  <id value="o1"/><status value="final"/>
  <code><coding><system value="urn:oid:2.16.578.1.12.4.1.1.7280"/><code value="NPU19748"/>
    <display value="P—C-reaktivt protein, målt på øya"/></coding></code>
  <subject><identifier>
    <system value="urn:oid:2.16.578.1.12.4.1.4.1"/><value value="21030550231"/>
  </identifier></subject>
  <effectiveDateTime value="2024-05-17T10:00:00+02:00"/>
  <valueString value="{_WORDS}"/>
</Observation>
"""


def test_norwegian_letters_are_kept_through_everything(tmp_path: Path) -> None:
    """The patient of an example file, and an answer about her: words, meanings of codes and file names.

    Her name becomes nothing: names are not read, and stand nowhere in the dataset.
    """
    example = _open("hl7norway-no-basis/examples") / "no-basis-Patient-Jannice-Søreng.xml"
    source = tmp_path / "source"
    source.mkdir()
    (source / "pasient-øst.xml").write_bytes(example.read_bytes())
    (source / "prøvesvar.xml").write_text(_OBSERVATION, encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    dataset = ingested(source, tmp_path / "dataset", None, "--identity", tmp_path / "policy.yaml")
    events = open_dataset(dataset).events().collect()
    answer = events.filter(pl.col("code") == "NLK//NPU19748")
    assert answer["text_value"].to_list() == [_WORDS]
    facts = {"SEX//female", "KOMMUNE//0301", "CITIZENSHIP//NO", "NLK//NPU19748"}
    assert set(events.filter(pl.col("subject_id") == answer["subject_id"][0])["code"]) == facts
    codes = pl.read_parquet(dataset / "metadata" / "codes.parquet")
    meaning = codes.filter(pl.col("code") == "NLK//NPU19748")["description"].to_list()
    assert meaning == ["P—C-reaktivt protein, målt på øya"]
    lineage = pl.read_parquet(dataset / "lineage.parquet")
    assert set(lineage["file"]) == {"pasient-øst.xml", "prøvesvar.xml"}
    everything = b"".join(file.read_bytes() for file in dataset.rglob("*") if file.is_file())
    for name in ("Søreng", "Jannice", "21030550231"):
        assert name.encode() not in everything


def test_bundles_and_lines_of_the_same_resources_are_one_dataset(tmp_path: Path) -> None:
    """The six smallest of Synthea's Bundles; all 77 in benchmarks/fhir_examples.py."""
    assert synthea_both_ways(_open(SYNTHEA), tmp_path, n_bundles=6) == (6, True, True)


def test_a_gzipped_bulk_export_is_accounted_for(tmp_path: Path) -> None:
    """Ten patients of Synthea; the log of the export is no FHIR."""
    n_lines, is_closed = bulk_export(_open("synthea-fhir-r4/bulk-10-patients"), tmp_path)
    assert is_closed
    assert n_lines == accounted(tmp_path / "bulk-dataset").total()


def test_a_thousand_mutated_lines_are_accounted_for(tmp_path: Path) -> None:
    """As benchmarks/fhir_mutations.py does with a million: no crash, bad lines kept, nothing lost."""
    counts, broken = faults_of_round(mutated_lines(1_000, 11), tmp_path / "round", 250)
    assert broken == []
    assert min(counts[fate] for fate in ("used", "ignored", "rejected")) > 0


def test_an_r5_record_is_said_to_be_one(tmp_path: Path) -> None:
    """R4 has one class of an Encounter, R5 a list: it is rejected as R5, and the rest goes on."""
    source = tmp_path / "source"
    source.mkdir()
    period = {"start": "2024-05-17T10:00:00+02:00"}
    who = {"subject": {"reference": "Patient/1"}, "status": "finished", "period": period}
    encounters = [
        {"resourceType": "Encounter", "id": "r4", "class": {"code": "IMP"}, **who},
        {"resourceType": "Encounter", "id": "r5", "class": [{"coding": [{"code": "IMP"}]}], **who},
    ]
    lines = "".join(f"{json.dumps(one)}\n" for one in encounters)
    (source / "Encounter.ndjson").write_text(lines, encoding="utf-8")
    dataset = ingested(source, tmp_path / "dataset")
    fates = by_type(dataset)["Encounter"]
    assert fates["used"] == 1
    assert fates["FHIR R5, not R4: class is a list"] == 1
