"""Every code has a readable name and a domain; label files are checked all at once."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ontology.errors import ConfigurationError
from ontology.labels import (
    DOMAINS,
    domain_of,
    entry_of,
    is_care,
    label_of,
    labels_digest,
    parent_chain,
    read_label_file,
    reference_of,
)

LABELS = Path(__file__).parents[3] / "configs" / "labels"
CODE_LISTS = Path(__file__).parents[4] / "shared" / "kodeverk"

CHALLENGE_2012 = (
    "Age Gender Height ICUType Weight Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP "
    "FiO2 GCS Glucose HCO3 HCT HR K Lactate Mg MAP MechVent Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH "
    "Platelets RespRate SaO2 SysABP Temp TroponinI TroponinT Urine WBC"
)
CHALLENGE_2019 = (
    "HR O2Sat Temp SBP MAP DBP Resp EtCO2 BaseExcess HCO3 FiO2 pH PaCO2 SaO2 AST BUN Alkalinephos "
    "Calcium Chloride Creatinine Bilirubin_direct Glucose Lactate Magnesium Phosphate Potassium "
    "Bilirubin_total TroponinI Hct Hgb PTT WBC Fibrinogen Platelets Age Gender Unit1 Unit2 HospAdmTime "
    "ICULOS"
)


@pytest.mark.parametrize(
    ("system", "names"), [("PHYSIONET2012", CHALLENGE_2012), ("PHYSIONET2019", CHALLENGE_2019)]
)
def test_every_parameter_of_the_challenges_is_listed(system: str, names: str) -> None:
    """The names are the challenges' own column lists."""
    listed = yaml.safe_load((LABELS / f"{system.lower().replace('net', 'net-')}.yaml").read_text("utf-8"))[
        "codes"
    ]
    assert {f"{system}//{name}" for name in names.split()} <= set(listed)


@pytest.mark.parametrize(
    ("code", "label", "domain"),
    [
        ("PHYSIONET2012//HR", "Heart rate", "Vital signs"),
        ("CONTACT//icu", "Admission to intensive care", "Contacts"),
        ("MEDS_DEATH", "Death", "Outcomes"),
        ("AGE", "Age", "Demographics"),
        ("NLK//NPU02593", "B-Leukocytter", "Laboratory"),
        ("ATC//C03CA01", "Furosemid", "Drugs"),
        ("ICD10-NO//J18.9", "Uspesifisert pneumoni", "Diagnoses"),
        ("NCMP//GXAV01", "Respiratorbehandling", "Procedures"),
        ("VITAL//oxygen_flow", "Supplemental oxygen", "Orders and treatments"),
        ("LAB//50912//mg/dL", "50912 · mg/dL", "Laboratory"),
        ("UNHEARD//of_thing", "Of thing", "Other"),
        ("AGENT", "AGENT", "Other"),
        ("PHYSIONET2012//Kx", "Kx", "Laboratory"),
        ("", "(no code)", "Other"),
    ],
)
def test_names_and_domains(code: str, label: str, domain: str) -> None:
    assert (label_of(code), domain_of(code)) == (label, domain)


@given(st.text())
def test_every_text_has_a_name_and_a_domain(code: str) -> None:
    assert label_of(code)
    assert domain_of(code) in DOMAINS
    assert parent_chain(code)[-1] == domain_of(code)


def test_what_the_hospital_did_is_care_and_what_the_patient_has_is_not() -> None:
    care = ["ATC//J01CF05", "NCSP//JEA00", "PHYSIONET2012//MechVent", "BLOOD_CULTURE//collected"]
    assert [is_care(code) for code in care] == [True] * 4
    assert [is_care(code) for code in ["ICD10-NO//A41.9", "VITAL//heart_rate", "BLOOD_CULTURE//growth"]] == [
        False
    ] * 3


def test_a_band_names_its_reference() -> None:
    for file in LABELS.glob("*.yaml"):
        for code, entry in read_label_file(file.read_text("utf-8"), file.name).codes.items():
            if entry.low is not None and entry.high is not None:
                assert entry.low <= entry.high, code
            if entry.low is not None or entry.high is not None:
                assert reference_of(code), code


def test_all_faults_of_a_file_are_reported_at_once() -> None:
    text = "source: x\ncodes:\n  A: {label: ''}\n  B: {label: b, domain: Nowhere}\n  C: {label: c, low: 1}\n"
    with pytest.raises(ConfigurationError) as raised:
        read_label_file(text, "bad.yaml")
    assert len(raised.value.problems) == 3
    assert all("bad.yaml" in problem.where for problem in raised.value.problems)


def test_a_file_that_is_not_yaml_says_so() -> None:
    with pytest.raises(ConfigurationError, match="not YAML"):
        read_label_file("a: [", "broken.yaml")


def test_the_digest_is_the_same_in_a_fresh_process() -> None:
    command = [sys.executable, "-c", "from ontology.labels import labels_digest as d; print(d())"]
    assert (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == labels_digest()
    )


def test_an_unlisted_code_below_a_listed_one_borrows_its_entry() -> None:
    assert entry_of("ICU_ADMISSION//Medical ICU") == entry_of("ICU_ADMISSION")
    assert label_of("ICU_ADMISSION//Medical ICU") == "Admission to intensive care (Medical ICU)"


def test_no_code_has_two_entries() -> None:
    seen: dict[str, str] = {}
    for file in sorted(LABELS.glob("*.yaml")):
        for code in read_label_file(file.read_text("utf-8"), file.name).codes:
            assert code not in seen, f"{code} stands in {seen[code]} and in {file.name}"
            seen[code] = file.name


@pytest.mark.skipif(not CODE_LISTS.exists(), reason=f"no folder {CODE_LISTS}")
def test_norwegian_codes_stand_in_the_norwegian_lists() -> None:
    """Laboratory names begin as the list's own; every diagnosis code is listed, as itself or a code above."""
    listed = yaml.safe_load((LABELS / "simulated.yaml").read_text("utf-8"))["codes"]
    with (CODE_LISTS / "nlk" / "norsk_laboratoriekodeverk_7280.77.csv").open(encoding="utf-8-sig") as file:
        names = {row["kode"]: row["norsk_bruksnavn"] for row in csv.DictReader(file)}
    diagnoses = json.loads((CODE_LISTS / "navikt-diagnosekoder" / "ICD10_2025.json").read_text("utf-8"))
    known = {entry["code"] for entry in diagnoses}
    for code, entry in listed.items():
        system, _, value = code.partition("//")
        if system == "NLK":
            assert names[value].startswith(entry["label"].partition(" (")[0]), code
        if system == "ICD10-NO":
            assert any(one.startswith(value.replace(".", "")) for one in known), code
