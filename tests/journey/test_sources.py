"""Made-up rows in each data set's published columns become exactly the events expected by hand."""

from __future__ import annotations

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phenotype.checking import check_dataset
from phenotype.trajectory import Dataset, open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

TABLES = Path(__file__).parent / "source_tables"


def build(mapping: str, out: Path, source: Path | None = None, key: Path | None = None) -> Dataset:
    """The dataset of the made-up tables of a mapping, or of those of another folder."""
    account = ingest(load_mapping(mapping), source or TABLES / mapping, out, n_shards=1, key_path=key)
    assert account.is_closed
    assert account.n_rejected == 0
    assert check_dataset(out) == []
    return open_dataset(out)


def facts(dataset: Dataset, *beginnings: str) -> list[tuple[Any, ...]]:
    """Time, code, number, text, unit and known_time of events whose codes begin so, sorted."""
    chosen = pl.any_horizontal(pl.col("code").str.starts_with(beginning) for beginning in beginnings)
    columns = ["time", "code", "numeric_value", "text_value", "unit", "known_time"]
    return dataset.events().filter(chosen).select(columns).collect().sort(columns, nulls_last=False).rows()


def contacts(dataset: Dataset, *columns: str) -> list[tuple[Any, ...]]:
    """These columns of the contacts, sorted."""
    return dataset.contacts().select(columns).sort(columns, nulls_last=False).rows()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_mimic_iii_patients_and_admissions(tmp_path: Path) -> None:
    dataset = build("mimic-iii", tmp_path / "dataset")
    # 1860 lies 300 years before the admission of 2160: above 89, taken for 91, so born in 2069.
    assert facts(dataset, "MEDS_", "SEX") == [
        (None, "SEX//female", None, None, None, None),
        (None, "SEX//male", None, None, None, None),
        (at("2069-01-01"), "MEDS_BIRTH", None, None, None, None),
        (at("2100-07-01"), "MEDS_BIRTH", None, None, None, None),
        (at("2150-06-02 20:00"), "MEDS_DEATH", None, None, None, None),
        (at("2160-02-01 23:59:59"), "MEDS_DEATH", None, None, None, None),
    ]
    assert contacts(dataset, "start_time", "end_time", "care_level", "urgency", "discharged_to") == [
        (at("2150-03-01 07:00"), at("2150-03-01 10:30"), "emergency", "acute", None),
        (at("2150-03-01 10:00"), at("2150-03-04 12:00"), "inpatient", "acute", "home"),
        (at("2150-03-01 11:00"), at("2150-03-03 11:00"), "icu", None, None),
        (at("2150-06-01 08:00"), at("2150-06-02 20:00"), "inpatient", "planned", "death"),
        (at("2160-01-01 08:00"), at("2160-01-03 09:00"), "inpatient", "acute", "institution"),
    ]
    assert dataset.contacts()["stay_id"].n_unique() == 3  # emergency, ward and intensive care are one
    # A day before the first door to 90 days after the last discharge.
    windows = dataset.observation().select("start_time", "end_time").sort("start_time").rows()
    assert windows == [
        (at("2150-02-28 07:00"), at("2150-08-31 20:00")),
        (at("2159-12-31 08:00"), at("2160-04-02 09:00")),
    ]


def test_mimic_iii_codes_are_known_at_the_discharge(tmp_path: Path) -> None:
    dataset = build("mimic-iii", tmp_path / "dataset")
    discharge = at("2150-03-04 12:00")
    assert facts(dataset, "ICD") == [
        (discharge, "ICD9CM//038.9", None, None, None, None),
        (discharge, "ICD9CM//E849.0", None, None, None, None),
        (discharge, "ICD9CM//V45.01", None, None, None, None),
        (discharge, "ICD9PCS//00.40", None, None, None, None),
    ]
    assert dataset.codings().select("group_no", "role", "system", "code").sort(
        "system", "group_no"
    ).rows() == [
        (1, "main", "ICD9CM", "038.9"),
        (2, "other", "ICD9CM", "V45.01"),
        (3, "other", "ICD9CM", "E849.0"),
        (1, "procedure", "ICD9PCS", "00.40"),
    ]
    assert facts(dataset, "DRG//")[0][:3] == (at("2160-01-03 09:00"), "DRG//APR//720", None)
    codes = pl.read_parquet(dataset.path / "metadata" / "codes.parquet")
    assert codes.filter(code="ICD9CM//038.9")["description"].to_list() == ["Septicemia, made up"]


def test_mimic_iii_measurements_are_known_when_stored(tmp_path: Path) -> None:
    dataset = build("mimic-iii", tmp_path / "dataset")
    noon = at("2150-03-01 12:00")
    assert facts(dataset, "MIMIC3//LAB", "MIMIC3//CHART", "MIMIC3//INPUT") == [
        (at("2150-02-01 12:00"), "MIMIC3//LAB//50912", None, "NEG", None, at("2150-02-01 14:00")),
        (noon, "MIMIC3//CHART//211", 88.0, None, "bpm", at("2150-03-01 12:20")),
        (noon, "MIMIC3//CHART//212", None, "Sinus", None, None),
        (noon, "MIMIC3//INPUT//30", 400.0, None, "ml", at("2150-03-01 16:00")),
        (noon, "MIMIC3//INPUT_RATE//30", 100.0, None, "ml/hour", at("2150-03-01 12:05")),
        (noon, "MIMIC3//LAB//50912", 1.5, None, "mg/dL", at("2150-03-01 14:00")),
    ]
    taken, next_day = at("2150-03-01 12:30"), at("2150-03-02 23:59:59")
    assert facts(dataset, "BLOOD_CULTURE", "MIMIC3//SUSC") == [
        (taken, "BLOOD_CULTURE//collected", None, None, None, None),
        (taken, "BLOOD_CULTURE//growth", None, "ESCHERICHIA COLI", None, at("2150-03-04 12:30")),
        (taken, "MIMIC3//SUSCEPTIBILITY//80002//90004", None, "R", None, at("2150-03-05 12:30")),
        (taken, "MIMIC3//SUSCEPTIBILITY//80002//90012", None, "S", None, at("2150-03-05 12:30")),
        (next_day, "BLOOD_CULTURE//collected", None, None, None, None),
        (next_day, "BLOOD_CULTURE//no_growth", None, None, None, at("2150-03-07 23:59:59")),
    ]
    of_the_unit = dataset.contacts().filter(care_level="icu")["contact_id"].item()
    charted = dataset.events().filter(code="MIMIC3//CHART//211").collect()
    assert charted["contact_id"].to_list() == [of_the_unit]
    account = json.loads((dataset.path / "ingest.json").read_text())
    ignored = {file["table"]: file["rows_ignored"] for file in account["files"] if file["rows_ignored"]}
    assert ignored["chartevents"] == {"charted in error": 1}
    assert ignored["inputevents_mv"] == {"order rewritten": 1}


def test_mimic_iii_as_published_with_names_in_capitals_is_the_same_dataset(tmp_path: Path) -> None:
    """1.4 is published as gzipped CSV with column names in capitals, its demo in lower case."""
    (tmp_path / "published").mkdir()
    for file in (TABLES / "mimic-iii").glob("*.csv"):
        header, rows = file.read_text().split("\n", 1)
        text = f"{header.upper()}\n{rows}".encode()
        (tmp_path / "published" / f"{file.name}.gz").write_bytes(gzip.compress(text))
    both = {
        name: build("mimic-iii", tmp_path / name / "dataset", source, key=tmp_path / "project.key")
        for name, source in (("published", tmp_path / "published"), ("demo", None))
    }
    events = [dataset.events().collect() for dataset in both.values()]
    assert events[0].height > 40
    assert events[0].equals(events[1])
    assert both["published"].contacts().equals(both["demo"].contacts())
    assert both["published"].codings().equals(both["demo"].codings())


def test_mimic_iv_hospital_and_intensive_care(tmp_path: Path) -> None:
    dataset = build("mimic-iv", tmp_path / "dataset")
    # 60 years old in 2178.
    assert facts(dataset, "MEDS_") == [
        (at("2118-01-01"), "MEDS_BIRTH", None, None, None, None),
        (at("2180-01-20 23:59:59"), "MEDS_DEATH", None, None, None, None),
    ]
    assert contacts(dataset, "start_time", "care_level", "discharged_to") == [
        (at("2180-01-02 06:00"), "emergency", "admitted"),  # told by admissions and by edstays: one contact
        (at("2180-01-02 10:00"), "inpatient", "hospice"),
        (at("2180-01-02 12:00"), "icu", None),
    ]
    assert dataset.contacts()["stay_id"].n_unique() == 1
    discharge, eleven = at("2180-01-05 10:00"), at("2180-01-02 11:00")
    assert len(facts(dataset, "SEX")) == 1
    assert facts(dataset, "ICD", "MIMIC4//LAB", "MIMIC4//CHART", "BLOOD") == [
        (at("2180-01-02 10:30"), "ICD10CM//R65.21", None, None, None, None),
        (eleven, "BLOOD_CULTURE//collected", None, None, None, None),
        (eleven, "BLOOD_CULTURE//growth", None, "STAPH AUREUS", None, at("2180-01-04 09:00")),
        (eleven, "MIMIC4//LAB//50800", None, "ART.", None, at("2180-01-02 11:20")),
        (eleven, "MIMIC4//LAB//50813", pytest.approx(4.1), None, "mmol/L", at("2180-01-02 11:20")),
        (at("2180-01-02 13:00"), "MIMIC4//CHART//220045", 97.0, None, "bpm", at("2180-01-02 13:30")),
        # Answers without a time are never known with the sample: 2 hours for a result, 120 for a culture.
        (
            at("2180-01-02 15:00"),
            "MIMIC4//LAB//50813",
            pytest.approx(3.1),
            None,
            "mmol/L",
            at("2180-01-02 17:00"),
        ),
        (at("2180-01-03 08:00"), "BLOOD_CULTURE//collected", None, None, None, None),
        (
            at("2180-01-03 08:00"),
            "BLOOD_CULTURE//growth",
            None,
            "ESCHERICHIA COLI",
            None,
            at("2180-01-08 08:00"),
        ),
        (discharge, "ICD10CM//A41.9", None, None, None, None),
        (discharge, "ICD9CM//428.0", None, None, None, None),
    ]


def test_mimic_iv_emergency_department_alone(tmp_path: Path) -> None:
    alone = build("mimic-iv", tmp_path / "alone", TABLES / "mimic-iv" / "ed")
    arrival = at("2180-01-02 06:00")
    assert facts(alone, "SEX", "VITAL", "ICD", "MIMIC4//ED//", "MIMIC4//HOME") == [
        (None, "SEX//male", None, None, None, None),
        (arrival, "MIMIC4//ED//acuity", 1.0, None, None, None),
        (arrival, "MIMIC4//ED//arrival//AMBULANCE", None, None, None, None),
        (arrival, "MIMIC4//ED//chiefcomplaint", None, "Fever", None, None),
        (arrival, "MIMIC4//ED//pain", None, "critical", None, None),
        (arrival, "VITAL//diastolic_bp", 50.0, None, "mmHg", None),
        (arrival, "VITAL//heart_rate", 120.0, None, "1/min", None),
        (arrival, "VITAL//spo2", 91.0, None, "%", None),
        (arrival, "VITAL//systolic_bp", 88.0, None, "mmHg", None),
        (arrival, "VITAL//temperature", pytest.approx(38.5), None, "Cel", None),
        (at("2180-01-02 06:30"), "MIMIC4//HOME_DRUG//aspirin", None, None, None, None),
        (at("2180-01-02 06:30"), "MIMIC4//HOME_DRUG_CLASS//00000283", None, None, None, None),
        (at("2180-01-02 06:30"), "MIMIC4//HOME_DRUG_CLASS//00000301", None, None, None, None),
        (at("2180-01-02 07:00"), "VITAL//temperature", pytest.approx(37.0), None, "Cel", None),
        (at("2180-01-02 08:00"), "VITAL//temperature", 36.5, None, "Cel", None),  # typed in Celsius
        (at("2180-01-02 10:30"), "ICD10CM//R65.21", None, None, None, None),
        (at("2180-01-02 10:30"), "MIMIC4//ED//disposition//ADMITTED", None, None, None, None),
    ]
    lineage = (
        pl.read_parquet(alone.path / "lineage.parquet").filter(sent_code="temperature").sort("sent_value")
    )
    assert lineage.select("sent_value", "sent_unit").rows() == [
        ("101.3", "[degF]"),
        ("36.5", "Cel"),
        ("98.6", "[degF]"),
    ]


def test_eicu_minutes_after_the_unit_admission(tmp_path: Path) -> None:
    dataset = build("eicu", tmp_path / "dataset")
    # The hospital admission is at 10:00 of the nominal day; unit 1 begins 2 hours after it, unit 2 after 28.
    unit_1, unit_2 = at("2014-01-01 12:00"), at("2014-01-02 14:00")
    discharge, day_one = at("2014-01-03 14:00"), at("2014-01-02 12:00")
    assert contacts(dataset, "start_time", "end_time", "care_level", "hospital_id", "discharged_to") == [
        (at("2014-01-01 10:00"), discharge, "inpatient", "3", "death"),
        (unit_1, day_one, "icu", "3", "Floor"),
        (unit_2, discharge, "inpatient", "3", "death"),
    ]
    assert dataset.contacts()["stay_id"].n_unique() == 1
    assert dataset.metadata["nominal_anchor"] == "2014-01-01T00:00:00"
    half_past, quarter_to = at("2014-01-01 12:30"), at("2014-01-01 12:45")
    assert facts(dataset, "AGE", "SEX", "MEDS_DEATH", "ICD", "EICU//LAB", "EICU//APS", "SCORE", "LABEL") == [
        (None, "AGE", 90.0, None, "years", None),
        (None, "SEX//male", None, None, None, None),
        (at("2014-01-01 11:30"), "EICU//LAB//lactate", 4.5, None, "mmol/L", at("2014-01-01 12:15")),
        (half_past, "ICD10CM//I50.9", None, "Primary", None, None),
        (half_past, "ICD9CM//428.0", None, "Primary", None, None),
        (quarter_to, "ICD9CM//E980.2", None, "Other", None, None),
        (quarter_to, "ICD9PCS//31.1", None, "Other", None, None),
        (day_one, "EICU//APS//eyes", 4.0, None, None, None),
        (day_one, "EICU//APS//heartrate", 130.0, None, None, None),
        (day_one, "EICU//APS//intubated", 0.0, None, None, None),
        (day_one, "EICU//APS//wbc", 10.5, None, None, None),
        (day_one, "SCORE//APACHE-IVa//acute_physiology_score", 40.0, None, None, None),
        (day_one, "SCORE//APACHE-IVa//apache_score", 60.0, None, None, None),
        (day_one, "SCORE//APACHE-IVa//predicted_hospital_mortality", 0.25, None, None, None),
        (at("2014-01-02 15:00"), "EICU//LAB//lactate", 2.5, None, "mmol/L", None),
        (discharge, "LABEL//eicu_actualhospitallos", pytest.approx(2.1), None, None, None),
        (discharge, "LABEL//eicu_actualhospitalmortality", None, "EXPIRED", None, None),
        (discharge, "LABEL//eicu_actualiculos", 1.0, None, None, None),
        (discharge, "LABEL//eicu_actualicumortality", None, "ALIVE", None, None),
        (discharge, "MEDS_DEATH", None, None, None, None),
    ]


def test_diabetes_encounters_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    dataset = build("diabetes-130", tmp_path / "dataset")
    # Two seconds a number after the anchor: 2,000 s and 3,600 s.
    assert contacts(dataset, "start_time", "end_time", "urgency", "discharged_to") == [
        (at("1999-01-01 00:33:20"), at("1999-01-02 00:33:20"), "planned", "home"),
        (at("1999-01-01 01:00:00"), at("1999-01-03 01:00:00"), "acute", "death"),
    ]
    first, last = at("1999-01-02 00:33:20"), at("1999-01-03 01:00:00")
    assert facts(dataset, "AGE", "SEX", "ICD", "LABEL", "MEDS", "DIABETES130//DRUG", "DIABETES130//A1C") == [
        (None, "AGE", 65.0, None, "years", None),
        (None, "SEX//female", None, None, None, None),
        (first, "DIABETES130//DRUG//insulin//Up", None, None, None, None),
        (first, "ICD9CM//250", None, None, None, None),
        (first, "ICD9CM//428", None, None, None, None),
        (first, "ICD9CM//V45", None, None, None, None),
        (first, "LABEL//readmitted_after_30d", None, None, None, None),
        (last, "DIABETES130//A1Cresult//>8", None, None, None, None),
        (last, "DIABETES130//DRUG//insulin//Up", None, None, None, None),
        (last, "ICD9CM//250.83", None, None, None, None),
        (last, "ICD9CM//428", None, None, None, None),
        (last, "LABEL//readmitted_no", None, None, None, None),
        (last, "MEDS_DEATH", None, None, None, None),
    ]
    assert dataset.codings().sort("coded_time", "group_no").select("role", "code").rows() == [
        *[("main", "428"), ("other", "250"), ("other", "V45")],
        *[("main", "250.83"), ("other", "428")],
    ]


def test_norway_each_row_is_an_admission(tmp_path: Path) -> None:
    dataset = build("norway-sepsis", tmp_path / "dataset")
    assert dataset.events().collect()["subject_id"].n_unique() == 3
    death = (at("2011-01-04"), "MEDS_DEATH", None, None, None, at("2011-01-05"))
    female = (None, "SEX//female", None, None, None, None)
    assert facts(dataset, "SEX", "MEDS_") == [
        female,
        female,
        (None, "SEX//male", None, None, None, None),
        death,
        death,
    ]
    assert contacts(dataset, "start_time", "end_time", "discharged_to") == [
        (at("2011-01-01"), at("2011-01-01"), "alive"),
        (at("2011-01-01"), at("2011-01-04"), "death"),
        (at("2011-01-01"), at("2011-01-04"), "death"),
    ]


def test_somebody_elses_meds_events_are_taken_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    events = pl.DataFrame(
        {
            "subject_id": [1, 1, 1, 2],
            "time": [None, at("2100-01-01"), at("2150-02-01 10:00"), at("2150-02-01 10:00")],
            "code": ["GENDER//F", "MEDS_BIRTH", "LAB//50912//mg/dL", "LAB//50912//mg/dL"],
            "table": ["condition"] * 4,
            "value": [None, None, 1.5, None],
        },
        schema_overrides={"time": pl.Datetime("us"), "value": pl.Float32},
    )
    pl.concat([events, events[2:3]]).write_parquet(tmp_path / "source" / "mimic_iv_demo_meds_events.parquet")
    dataset = build("mimic-iv-demo-meds", tmp_path / "dataset", tmp_path / "source")
    result = (at("2150-02-01 10:00"), "LAB//50912//mg/dL")
    assert facts(dataset, "") == [
        (None, "GENDER//F", None, None, None, None),
        (at("2100-01-01"), "MEDS_BIRTH", None, None, None, None),
        (*result, None, None, None, None),
        (*result, 1.5, None, None, None),
        (*result, 1.5, None, None, None),
    ]
