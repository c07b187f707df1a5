"""A dataset's codes are counted by how the lists hold them and on which days."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from ontology.codesystems.icd10_no import read_year_lists
from ontology.codesystems.who_icd10 import read_who_icd10
from ontology.release import Ontology, ontology_of
from phenotype.code_use import code_use, system_use
from phenotype.trajectory import EVENTS, Dataset


@pytest.fixture(scope="module")
def ontology(tmp_path_factory: pytest.TempPathFactory) -> Ontology:
    """M19.06 is in the list of 2024 only."""
    lists = {}
    for year, codes in {2024: ["A419", "M1906"], 2025: ["A419"]}.items():
        lists[year] = tmp_path_factory.mktemp("lists") / f"{year}.json"
        lists[year].write_text(json.dumps([{"code": code, "text": "tekst"} for code in codes]), "utf-8")
    return ontology_of([read_who_icd10(), read_year_lists(lists)])


def dataset(folder: Path) -> Dataset:
    """Events whose codes are found in every way."""
    rows = [
        (1, datetime(2024, 5, 1), "ICD10-NO//A41.9"),
        (1, datetime(2025, 5, 1), "ICD10-NO//A41.9"),
        (2, datetime(2023, 5, 1), "ICD10-NO//A41.9"),
        (2, datetime(2025, 5, 1), "ICD10-NO//M1906"),
        (2, datetime(2024, 5, 1), "ICD10-NO//A41.97"),
        (3, datetime(2024, 5, 1), "ATC//J01CF05"),
        (3, None, "MEDS_BIRTH"),
        (3, datetime(2024, 5, 1), "VITAL//HR"),
    ]
    events = pl.DataFrame(
        {"subject_id": [r[0] for r in rows], "time": [r[1] for r in rows], "code": [r[2] for r in rows]},
        schema_overrides={"time": pl.Datetime("us")},
    )
    missing = [pl.lit(None, EVENTS[name]).alias(name) for name in EVENTS if name not in events.columns]
    (folder / "data").mkdir(parents=True)
    events.with_columns(missing).select(list(EVENTS)).write_parquet(folder / "data" / "0.parquet")
    return Dataset(folder)


def test_the_codes_of_a_dataset_are_counted_by_how_they_are_found(ontology: Ontology, tmp_path: Path) -> None:
    use = system_use(code_use(ontology, dataset(tmp_path)))
    told = {row["system"]: {k: v for k, v in row.items() if k != "system" and v} for row in use.to_dicts()}
    assert told == {
        "ICD10-NO": {
            "n_codes": 3,
            "n_exact": 1,  # A41.9
            "n_respelled": 1,  # M1906
            "n_nearest_parent": 1,  # A41.97
            "n_events": 5,
            "n_events_outside_years": 2,  # M19.06 in 2025, A41.97 in no year
            "n_events_not_judgeable": 1,  # 2023
        },
        "ATC": {
            "n_codes": 1,
            "n_not_found": 1,
            "n_events": 1,
            "n_events_not_found": 1,
            "n_events_not_judgeable": 1,
        },
    }
