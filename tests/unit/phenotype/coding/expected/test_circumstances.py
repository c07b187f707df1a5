"""What may not explain a coding: whom the shipped file names, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ontology.errors import ConfigurationError
from phenotype.coding.expected.circumstances import Circumstances, CodeClass
from phenotype.coding.expected.config import ExpectedConfig

SHIPPED = Circumstances.load("circumstances")
DIAGNOSES = ("ICD9CM//", "ICD10-NO//")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("DIABETES130//payer//HM", None),
        ("DIABETES130//race//Caucasian", None),
        ("DIABETES130//num_lab_procedures", None),
        ("DIABETES130//number_diagnoses", None),
        ("LABEL//readmitted_within_30d", None),
        ("MIMIC3//INSURANCE//Medicare", None),
        ("MIMIC3//CHART//226545", "Race"),
        ("MIMIC3//CHART//220046", "Heart rate Alarm - High"),
        ("CPT//99291", "Critical care services"),
        ("KOMMUNE//0301", None),
        ("HDG//5", None),
    ],
)
def test_payer_race_counts_bills_and_what_came_later_are_not_read(code: str, name: str | None) -> None:
    names = {} if name is None else {code: name}
    assert SHIPPED.unread([code], names, DIAGNOSES) == (code,)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("DIABETES130//A1Cresult//>8", None),
        ("DIABETES130//DRUG//insulin//Up", None),
        ("MIMIC3//LAB//50912", "Creatinine (Blood)"),
        ("MIMIC3//CHART//1", "Tracheal secretions"),
        ("ICD9CM//438.19", "Late effects of cerebrovascular disease, other speech and language deficits"),
        ("ICD9CM//V68.1", "insurance certificate"),
        ("NLK//NPU04998", "P-Kreatinin"),
        ("ATC//A10AE04", None),
        ("VITAL//heart_rate", None),
        ("BLOOD_CULTURE//growth", None),
        ("NCSP//NFB02", None),
        ("CONTACT//inpatient", None),
        ("NPR//leave_days", None),
        ("AGE", None),
    ],
)
def test_what_the_patient_shows_and_what_was_done_is_read(code: str, name: str | None) -> None:
    names = {} if name is None else {code: name}
    assert SHIPPED.unread([code], names, DIAGNOSES) == ()


def test_age_sex_and_the_course_of_a_stay_are_background_and_care_is_not() -> None:
    background = ["AGE", "MEDS_BIRTH", "SEX//male", "CONTACT_END//icu", "DIABETES130//time_in_hospital"]
    assert all(SHIPPED.is_background(code, None) for code in background)
    assert SHIPPED.is_background("MIMIC3//CHART//227088", "Admit from")
    for code in ("ATC//A10AE04", "NLK//NPU04998", "DIABETES130//A1Cresult//>8", "ICD10//E11"):
        assert not SHIPPED.is_background(code, None)


def test_the_shipped_file_is_what_every_source_gets_and_each_class_says_why() -> None:
    assert ExpectedConfig().circumstances == "circumstances"
    for name in ("expected", "expected_mimic-iii-demo", "expected_diabetes-130"):
        file = Path("configs") / "coding" / f"{name}.yaml"
        assert ExpectedConfig.load(file).circumstances == "circumstances"
    assert all(len(one.why) > 40 for one in (*SHIPPED.not_read, *SHIPPED.background))


@pytest.mark.parametrize("faulty", [{"codes": [""]}, {"names": [""]}, {"names": ["x*"]}, {"names": ["("]}])
def test_a_class_that_would_hold_for_every_code_is_refused(faulty: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError, match=next(iter(faulty))):
        CodeClass.model_validate({"why": "a test"} | faulty)


def test_null_reads_everything() -> None:
    everything = Circumstances.load(None)
    assert everything.unread(["DIABETES130//payer//HM"], {}, DIAGNOSES) == ()
    assert not everything.is_background("AGE", None)


def test_what_is_no_pattern_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "circumstances.yaml"
    file.write_text("not_read: [{why: none, names: ['(']}]\n", "utf-8")
    with pytest.raises(ConfigurationError, match="no regular expression"):
        Circumstances.load(str(file))
