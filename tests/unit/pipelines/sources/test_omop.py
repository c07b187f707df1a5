"""OMOP CDM tables become the events that docs/omop.md says; the rows and what they mean were made by hand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phenotype.trajectory import open_dataset
from pipelines.export.omop_tables import as_table, write_plain
from pipelines.sources.databases import fetch_tables, fetched_mapping
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

DAY, MINUTE = "2020-03-01 00:00:00", "2020-03-01 08:30:00"


def _instants(**columns: Any) -> pl.DataFrame:
    """Columns of texts as their CDM types: dates, instants and the rest."""
    frame = pl.DataFrame(columns)
    return frame.with_columns(
        *(
            pl.col(name).str.to_datetime("%Y-%m-%d %H:%M:%S")
            for name in columns
            if name.endswith("_datetime")
        ),
        *(pl.col(name).str.to_date() for name in columns if name.endswith("_date")),
    )


def _tables() -> dict[str, pl.DataFrame]:
    """Two persons, one visit, and facts that show one rule each."""
    concept = {
        "concept_id": [0, 100, 200, 300, 400, 8840],
        "concept_name": [
            "No matching concept",
            "Sepsis",
            "Sepsis, unspecified",
            "C-reactive protein",
            "Positive",
            "milligram per deciliter",
        ],
        "vocabulary_id": ["None", "SNOMED", "ICD10CM", "LOINC", "SNOMED", "UCUM"],
        "concept_code": ["No matching concept", "91302008", "A41.9", "1988-5", "10828004", "mg/dL"],
    }
    fixed = {"domain_id": "x", "concept_class_id": "x"}
    dates = _instants(valid_start_date=["1970-01-01"], valid_end_date=["2099-12-31"])
    concepts = (
        pl.DataFrame(concept)
        .with_columns(**{k: pl.lit(v) for k, v in fixed.items()})
        .join(dates, how="cross")
    )
    person = pl.DataFrame(
        {
            "person_id": [1, 2],
            "gender_concept_id": [8507, 0],
            "year_of_birth": [1950, 1961],
            "month_of_birth": [5, None],
            "day_of_birth": [17, None],
            "race_source_value": [None, "unknown"],
            "gender_source_value": ["M", None],
        }
    )
    visit = _instants(
        visit_start_date=["2020-03-01"],
        visit_start_datetime=[MINUTE],
        visit_end_date=["2020-03-09"],
        visit_end_datetime=["2020-03-09 00:00:00"],
    ).with_columns(
        visit_occurrence_id=1, person_id=1, visit_concept_id=9201, discharged_to_concept_id=4216643
    )
    conditions = _instants(
        condition_start_date=["2020-03-01"] * 4, condition_start_datetime=[MINUTE, DAY, MINUTE, MINUTE]
    ).with_columns(
        condition_occurrence_id=pl.Series([1, 2, 3, 4]),
        person_id=pl.Series([1, 1, 1, 2]),
        condition_concept_id=pl.Series([100, 0, 0, 999]),
        condition_source_concept_id=pl.Series([200, 200, 0, 0]),
        condition_source_value=pl.Series(["A41.9", "A419", "blodforgiftning", None]),
        visit_occurrence_id=pl.Series([1, None, 1, None]),
        condition_status_concept_id=pl.Series([32902, None, 32908, None]),
    )
    measurement = _instants(
        measurement_date=["2020-03-01"] * 4, measurement_datetime=[MINUTE, MINUTE, MINUTE, DAY]
    ).with_columns(
        measurement_id=pl.Series([1, 2, 3, 4]),
        person_id=1,
        measurement_concept_id=300,
        measurement_type_concept_id=pl.Series([32856, 32817, 32817, 32817]),
        value_as_number=pl.Series([12.5, 5.0, None, None]),
        operator_concept_id=pl.Series([4172703, 4171756, None, None]),
        value_as_concept_id=pl.Series([0, None, 400, None]),
        value_source_value=pl.Series(["12.5", "<5", "pos", "hemolysert"]),
        unit_concept_id=pl.Series([8840, 0, None, None]),
        unit_source_value=pl.Series(["mg/dl", "mg/L", None, None]),
        range_low=pl.Series([0.0, None, None, None]),
        range_high=pl.Series([5.0, None, None, None]),
        visit_occurrence_id=1,
    )
    death = _instants(death_date=["2020-03-09"]).with_columns(person_id=1)
    period = _instants(
        observation_period_start_date=["2010-01-01"], observation_period_end_date=["2020-12-31"]
    ).with_columns(observation_period_id=1, person_id=1)
    named = {
        "concept": concepts,
        "person": person,
        "visit_occurrence": visit,
        "condition_occurrence": conditions,
        "measurement": measurement,
        "death": death,
        "observation_period": period,
    }
    return {name: as_table(name, rows) for name, rows in named.items()}


def _write(folder: Path, form: str) -> tuple[Any, Path]:
    """The tables in one of the forms that hospitals have them in; the mapping and the input to read."""
    mapping = load_mapping("omop-5.4")
    if form == "sqlite":
        import sqlite3

        folder.mkdir()
        with sqlite3.connect(folder / "cdm.db") as connection:
            for name, rows in _tables().items():
                texts = rows.with_columns(pl.col(pl.Date, pl.Datetime).cast(pl.String))
                connection.execute(f"CREATE TABLE {name} ({', '.join(rows.columns)})")
                marks = ",".join("?" * rows.width)
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", texts.rows())  # noqa: S608
        return fetched_mapping(mapping), fetch_tables(f"sqlite:///{folder / 'cdm.db'}", mapping, folder)
    for name, rows in _tables().items():
        if form == "parquet":
            write_plain(folder / f"{name}.parquet", rows)
        elif form == "floats":
            # As pandas writes whole numbers of a column with nulls.
            nullable = [n for n, t in rows.schema.items() if t == pl.Int32 and rows[n].null_count()]
            write_plain(folder / f"{name}.csv", rows.with_columns(pl.col(nullable).cast(pl.Float64)))
        elif form == "CAPITALS":
            capitals = rows.rename(str.upper)
            write_plain(folder / f"{name}.csv", capitals).rename(folder / f"{name.upper()}.CSV")
        else:
            write_plain(folder / f"{name}.csv", rows)
            if form == "tab":
                text = (folder / f"{name}.csv").read_text("utf-8")
                (folder / f"{name}.csv").write_text(text.replace(",", "\t"), "utf-8")
    return mapping, folder


@pytest.mark.parametrize("form", ["parquet", "CAPITALS", "tab", "floats", "sqlite"])
def test_the_same_tables_are_the_same_dataset_in_any_form(tmp_path: Path, form: str) -> None:
    digests = []
    for each in ("csv", form):
        mapping, source = _write(tmp_path / f"in-{each}", each)
        account = ingest(mapping, source, tmp_path / each, key_path=tmp_path / "key")
        assert account.n_rejected == 0
        digests.append(open_dataset(tmp_path / each).digest)
    assert digests[0] == digests[1]


@pytest.fixture
def dataset(tmp_path: Path) -> Any:
    mapping, source = _write(tmp_path / "in", "csv")
    ingest(mapping, source, tmp_path / "out", key_path=tmp_path / "key")
    return open_dataset(tmp_path / "out")


def _at(hour: int = 0, minute: int = 0, second: int = 0, day: int = 1) -> datetime:
    return datetime(2020, 3, day, hour, minute, second)


def test_codes_are_the_standard_concepts_else_the_source_concepts_else_the_words(dataset: Any) -> None:
    told = dataset.events().filter(pl.col("code").str.contains("SCT|ICD|SOURCE|OMOP")).sort("code").collect()
    assert told.select("code", "time", "known_time").rows() == [
        # a visit's diagnosis is known when the visit is over, whose last day has no time of day
        ("CONDITION_SOURCE//blodforgiftning", _at(8, 30), _at(23, 59, 59, day=9)),
        ("ICD10CM//A41.9", _at(), _at(23, 59, 59)),
        ("OMOP//999", _at(8, 30), None),
        ("SCT//91302008", _at(8, 30), _at(23, 59, 59, day=9)),
    ]
    alternates = pl.read_parquet(dataset.path / "lineage.parquet").filter(
        pl.col("file") == "condition_occurrence.csv"
    )
    assert set(alternates["sent_alternates"].drop_nulls()) == {
        "SCT//91302008; ICD10CM//A41.9; CONDITION_SOURCE//A41.9",
        "ICD10CM//A41.9; CONDITION_SOURCE//A419",
        "no concept; CONDITION_SOURCE//blodforgiftning",
        "no concept",
    }


def test_source_concepts_may_go_first(tmp_path: Path) -> None:
    _, source = _write(tmp_path / "in", "csv")
    ingest(load_mapping("omop-5.4-source"), source, tmp_path / "out")
    codes = open_dataset(tmp_path / "out").events().select("code").collect()["code"].to_list()
    assert codes.count("ICD10CM//A41.9") == 2
    assert "SCT//91302008" not in codes


def test_values_units_signs_and_ranges(dataset: Any) -> None:
    told = dataset.events().filter(pl.col("code") == "LOINC//1988-5").collect()
    rows = told.sort("numeric_value", "text_value", nulls_last=False)
    assert rows.select("numeric_value", "text_value", "unit", "known_time").rows() == [
        (None, "SCT//10828004", None, None),
        (None, "hemolysert", None, _at(23, 59, 59)),  # no time of day
        (5.0, "<", "mg/L", None),
        (12.5, None, "mg/dL", _at(10, 30)),  # of the laboratory: two hours later
    ]
    lineage = pl.read_parquet(dataset.path / "lineage.parquet").filter(pl.col("sent_value") == "12.5")
    assert lineage["sent_alternates"].to_list() == ["LOINC//1988-5; range 0.0 to 5.0"]


def test_persons_contacts_codings_and_windows(dataset: Any) -> None:
    told = dataset.events().filter(pl.col("code").str.contains("MEDS|SEX|RACE|CONTACT")).collect()
    assert sorted(told.select("code", "time", "known_time").rows(), key=repr) == sorted(
        [
            ("MEDS_BIRTH", datetime(1950, 5, 17), None),
            ("MEDS_BIRTH", datetime(1961, 1, 1), None),
            ("SEX//male", None, None),
            ("RACE//unknown", None, None),
            ("MEDS_DEATH", _at(23, 59, 59, day=9), None),
            ("CONTACT//inpatient", _at(8, 30), None),
            ("CONTACT_END//inpatient", _at(day=9), _at(23, 59, 59, day=9)),
        ],
        key=repr,
    )
    contact = dataset.contacts().row(0, named=True)
    assert (contact["care_level"], contact["discharged_to"], contact["end_time"]) == (
        "inpatient",
        "death",
        _at(day=9),
    )
    codings = dataset.codings().sort("code").select("role", "system", "code", "coded_time").rows()
    assert codings == [
        ("main", "ICD10CM", "A41.9", _at(23, 59, 59, day=9)),
        ("other", "CONDITION_SOURCE", "blodforgiftning", _at(23, 59, 59, day=9)),
    ]
    window = (
        dataset.observation().filter(pl.col("end_reason") == "end of observation period").row(0, named=True)
    )
    assert (window["start_time"], window["end_time"]) == (
        datetime(2010, 1, 1),
        datetime(2020, 12, 31, 23, 59, 59),
    )


def test_a_vocabulary_of_any_size_gives_the_same_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping, source = _write(tmp_path / "in", "csv")
    ingest(mapping, source, tmp_path / "small", key_path=tmp_path / "key")
    monkeypatch.setattr("pipelines.sources.preparation.LARGE_LOOKUP", 0)
    ingest(mapping, source, tmp_path / "large", key_path=tmp_path / "key")
    assert open_dataset(tmp_path / "small").digest == open_dataset(tmp_path / "large").digest
