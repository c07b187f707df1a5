"""A small dataset with everything that is hard to hold elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phenotype.contacts import join_stays
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, OBSERVATION

WriteDataset = Callable[..., Path]


def _frame(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


@pytest.fixture
def write_dataset() -> WriteDataset:
    """Writes rows (dicts of the columns that matter) as a dataset and gives its folder."""

    def write(
        out: Path,
        events: list[dict[str, Any]],
        contacts: list[dict[str, Any]] | None = None,
        codings: list[dict[str, Any]] | None = None,
        observation: list[dict[str, Any]] | None = None,
        *,
        n_shards: int = 1,
        **metadata: Any,
    ) -> Path:
        (out / "data").mkdir(parents=True)
        (out / "metadata").mkdir()
        told = _frame(events, EVENTS).sort("subject_id", "time", "code", nulls_last=False)
        for shard in range(n_shards):
            part = told.filter(pl.col("subject_id") % n_shards == shard)
            part.write_parquet(out / "data" / f"{shard}.parquet")
        join_stays(_frame(contacts or [], CONTACTS)).write_parquet(out / "contacts.parquet")
        _frame(codings or [], CODINGS).write_parquet(out / "codings.parquet")
        _frame(observation or [], OBSERVATION).write_parquet(out / "observation.parquet")
        codes = told.select("code").unique().sort("code")
        text = pl.when(pl.col("code") == "ICD10-NO//A41.9").then(pl.lit("Sepsis, uspesifisert"))
        codes = codes.with_columns(description=text, parent_codes=pl.lit(None, pl.List(pl.String)))
        codes.write_parquet(out / "metadata" / "codes.parquet")
        content = {"dataset_name": "small", "dataset_version": "1", **metadata}
        (out / "metadata" / "dataset.json").write_text(json.dumps(content), "utf-8")
        return out

    return write


@pytest.fixture
def hard_dataset(tmp_path: Path, write_dataset: WriteDataset) -> Path:
    """Two shards: static facts, a second death, long texts and units, odd codes, contacts without an end."""
    day = datetime(2020, 3, 1, 8, 0, 0, 123456)
    late = datetime(2020, 3, 9, 23, 59, 59)
    one, two = 1001, 2_000_000_000_000_000_002
    events: list[dict[str, Any]] = [
        {"subject_id": one, "code": "MEDS_BIRTH", "time": datetime(1950, 5, 17)},
        {"subject_id": one, "code": "SEX//female"},
        {"subject_id": one, "code": "SEX//male"},
        {"subject_id": one, "code": "BLOOD_GROUP", "text_value": "A"},
        {"subject_id": one, "code": "MEDS_DEATH", "time": late, "known_time": datetime(2020, 4, 1)},
        {"subject_id": one, "code": "MEDS_DEATH", "time": datetime(2020, 3, 10)},
        {"subject_id": one, "code": "ICD10-NO//A41.9", "time": day, "known_time": late, "contact_id": 7},
        {"subject_id": one, "code": "ICD10-NO//A41.9", "time": day, "numeric_value": 2.0, "unit": "stage"},
        {"subject_id": one, "code": "NLK//NPU19748", "time": day, "numeric_value": 0.1, "unit": "mg/L"},
        {"subject_id": one, "code": "NLK//NPU19748", "time": day, "numeric_value": 5.0, "text_value": "<"},
        {
            "subject_id": one,
            "code": "NLK//NPU19748",
            "time": day,
            "text_value": 'æøå, "sitert"\nny linje ' * 9,
        },
        {"subject_id": one, "code": "NLK//NPU19748", "time": day, "numeric_value": 1.0, "unit": "u" * 51},
        {"subject_id": one, "code": "ATC//J01CF05", "time": day, "numeric_value": 3e-38, "unit": "g"},
        {"subject_id": one, "code": "ATC//J01CF05", "time": day, "text_value": "iv"},
        {"subject_id": one, "code": "NCMP//WAA", "time": day},
        {"subject_id": one, "code": "DIAGNOSIS//ICD//10//A419", "time": day},
        {"subject_id": one, "code": "SNOMED//1", "time": day},
        {"subject_id": one, "code": "SCT//1", "time": day},
        {"subject_id": one, "code": "PESTA//1", "time": day},
        {"subject_id": one, "code": "//x", "time": day},
        {"subject_id": one, "code": "x//", "time": day},
        {"subject_id": one, "code": "LAB//" + "c" * 300, "time": day, "numeric_value": -0.0},
        {"subject_id": one, "code": "CONTACT//inpatient", "time": day, "contact_id": 7},
        {
            "subject_id": one,
            "code": "CONTACT_END//inpatient",
            "time": late,
            "contact_id": 7,
            "known_time": datetime(2020, 4, 2),
        },
        {"subject_id": one, "code": "CONTACT//icu", "time": day, "contact_id": 8},
        {"subject_id": two, "code": "CONTACT//unknown", "time": day, "contact_id": 10},
        {"subject_id": two, "code": "CONTACT//unknown", "time": day, "contact_id": 10},
        {"subject_id": two, "code": "LOINC//2160-0", "time": day, "numeric_value": 88.0},
        {"subject_id": two, "code": "LOINC//2160-0", "time": day, "numeric_value": 88.0},
    ]
    contacts = [
        {
            "contact_id": 7,
            "subject_id": one,
            "start_time": day,
            "end_time": late,
            "care_level": "inpatient",
            "urgency": "acute",
            "unit_id": "Medisinsk",
            "hospital_id": "Sykehus " * 9,
            "admitted_from": "home",
            "discharged_to": "death",
            "referral_period_id": 2**62,
        },
        {"contact_id": 8, "subject_id": one, "start_time": day, "end_time": late, "care_level": "icu"},
        {"contact_id": 9, "subject_id": one, "end_time": late, "care_level": "day", "hospital_id": "Nord"},
        {"contact_id": 10, "subject_id": two, "start_time": day, "unit_id": "Poliklinikk, øst"},
    ]
    codings = [
        {
            "contact_id": 7,
            "group_no": 1,
            "code_no": 1,
            "role": "main",
            "system": "ICD10-NO",
            "version": "2020",
            "code": "A41.9",
            "coded_time": late,
        },
        {
            "contact_id": 7,
            "group_no": 1,
            "code_no": 1,
            "role": "main",
            "system": "ICD10-NO",
            "version": "2020",
            "code": "A41.9",
            "coded_time": late,
        },
        {"contact_id": 10, "role": "procedure", "system": "NCMP", "code": "WAA"},
    ]
    windows = [
        {
            "subject_id": one,
            "source": "small",
            "start_time": datetime(2019, 1, 1, 0, 0, 1),
            "end_time": late,
            "end_reason": "death",
        },
        {"subject_id": one, "source": "other, source", "start_time": datetime(2010, 1, 1), "end_time": day},
    ]
    return write_dataset(tmp_path / "hard", events, contacts, codings, windows, n_shards=2)
