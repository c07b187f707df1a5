"""The OMOP form of the simulated hospital: the CDM's columns, local concepts, as many rows as the extract."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from pipelines.export.omop_tables import LOCAL_CONCEPTS_FROM, cdm_schema

TABLES = (
    "care_site", "concept", "condition_occurrence", "death", "drug_exposure", "location", "measurement",
    "observation_period", "person", "procedure_occurrence", "specimen", "visit_detail", "visit_occurrence",
)  # fmt: skip


def table(forms: Path, name: str) -> pl.DataFrame:
    return pl.read_csv(forms / "omop" / f"{name}.csv", infer_schema_length=None)


def test_all_tables_are_written_with_the_columns_of_the_model(forms: Path) -> None:
    assert sorted(file.stem for file in (forms / "omop").iterdir()) == sorted(TABLES)
    for name in TABLES:
        assert table(forms, name).columns == cdm_schema(name).names()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("condition_occurrence", "condition_source_concept_id"),
        ("procedure_occurrence", "procedure_source_concept_id"),
        ("drug_exposure", "drug_source_concept_id"),
        ("measurement", "measurement_source_concept_id"),
        ("specimen", "specimen_concept_id"),
    ],
)
def test_every_code_is_a_local_concept_that_is_listed(forms: Path, name: str, column: str) -> None:
    used = table(forms, name)[column]
    assert used.min() > LOCAL_CONCEPTS_FROM  # type: ignore[operator]
    assert set(used) <= set(table(forms, "concept")["concept_id"])


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("condition_occurrence", "conditions"),
        ("procedure_occurrence", "procedures"),
        ("drug_exposure", "drugs"),
        ("specimen", "blood_cultures"),
        ("visit_occurrence", "contacts"),
        ("person", "patients"),
        ("death", "deaths"),
        ("observation_period", "movements"),
    ],
)
def test_every_row_of_the_extract_is_there(forms: Path, name: str, source: str) -> None:
    extract = pl.read_csv(forms / "extract" / f"{source}.csv", infer_schema=False)
    assert table(forms, name).height == extract.height


def test_a_contact_that_goes_on_has_no_end_time(forms: Path, contacts: pl.DataFrame) -> None:
    visits = table(forms, "visit_occurrence")
    assert visits["visit_end_datetime"].null_count() == contacts["utDatoTid"].null_count()
    assert visits["visit_end_date"].null_count() == 0
