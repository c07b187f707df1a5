"""A published OMOP data set: every row accounted for, the same from a database, and back again."""

from __future__ import annotations

import csv
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phenotype.checking import check_dataset
from phenotype.trajectory import open_dataset
from pipelines.export.omop import export_omop
from pipelines.sources.databases import fetch_tables, fetched_mapping
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

ARCHIVE = Path(__file__).resolve().parents[3] / "shared" / "data" / "synthea-omop-27" / "Synthea27Nj_5.4.zip"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked CSV files of Synthea27Nj."""
    if not ARCHIVE.exists():
        pytest.skip(f"{ARCHIVE.parent} is absent")
    folder = tmp_path_factory.mktemp("synthea")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


def _rows(tables: Path, name: str) -> list[dict[str, str]]:
    with (tables / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _expected(tables: Path) -> dict[str, int]:
    """Events by file, counted by the csv module: rows, and ends that are told."""
    ends = {
        "CONDITION_OCCURRENCE": "condition_end_date",
        "DRUG_EXPOSURE": "drug_exposure_end_date",
        "DEVICE_EXPOSURE": "device_exposure_end_date",
    }
    counts = {}
    for name in (*ends, "PROCEDURE_OCCURRENCE", "MEASUREMENT", "OBSERVATION"):
        rows = _rows(tables, name)
        counts[f"{name}.csv"] = len(rows) + sum(bool(row[ends[name]]) for row in rows if name in ends)
    people, deaths = _rows(tables, "PERSON"), _rows(tables, "DEATH")
    # Birth, sex, race and ethnicity; death and its cause.
    assert all(row["race_source_value"] and row["ethnicity_source_value"] for row in people)
    assert all(row["cause_source_value"] for row in deaths)
    visits = len(_rows(tables, "VISIT_OCCURRENCE"))
    single = {"PERSON.csv": 4 * len(people), "DEATH.csv": 2 * len(deaths), "VISIT_OCCURRENCE.csv": 2 * visits}
    return counts | single


def test_every_row_of_synthea_is_an_event(tables: Path, tmp_path: Path) -> None:
    account = ingest(load_mapping("omop-5.4"), tables, tmp_path / "out")
    assert account.is_closed
    assert account.n_rejected == 0
    for (table, _), tally in account.files.items():
        assert tally.n_used == tally.n_read or table == "unit_concept"
    assert check_dataset(tmp_path / "out") == []
    events = open_dataset(tmp_path / "out").events().collect()
    lineage = pl.read_parquet(tmp_path / "out" / "lineage.parquet")
    found = events.join(lineage, on="lineage_id").group_by("file").len().sort("file")
    expected = _expected(tables)
    assert dict(found.rows()) == expected
    assert account.totals["events"] == sum(expected.values())


def test_the_numbers_of_synthea_are_the_numbers_of_the_events(tables: Path, tmp_path: Path) -> None:
    ingest(load_mapping("omop-5.4"), tables, tmp_path / "out")
    codes = {row["concept_id"]: row for row in _rows(tables, "CONCEPT")}
    sent = sorted(
        (f"LOINC//{codes[row['measurement_concept_id']]['concept_code']}", float(row["value_as_number"]))
        for row in _rows(tables, "MEASUREMENT")
        if row["value_as_number"] and codes[row["measurement_concept_id"]]["vocabulary_id"] == "LOINC"
    )
    lineage = pl.scan_parquet(tmp_path / "out" / "lineage.parquet").filter(
        pl.col("file") == "MEASUREMENT.csv"
    )
    events = open_dataset(tmp_path / "out").events().join(lineage, on="lineage_id", how="semi")
    found = events.filter(pl.col("numeric_value").is_not_null() & pl.col("code").str.starts_with("LOINC"))
    ours = sorted(found.select("code", "numeric_value").collect().rows())
    assert [code for code, _ in ours] == [code for code, _ in sent]
    assert [number for _, number in ours] == pytest.approx([number for _, number in sent], rel=1e-6)


def test_a_database_gives_the_same_dataset(tables: Path, tmp_path: Path) -> None:
    mapping = load_mapping("omop-5.4")
    with sqlite3.connect(tmp_path / "cdm.db") as connection:
        for file in sorted(tables.glob("*.csv")):
            rows: list[dict[str, Any]] = [
                {name: text or None for name, text in row.items()} for row in _rows(tables, file.stem)
            ]
            with file.open(encoding="utf-8", newline="") as opened:
                names = next(csv.reader(opened))
            columns = ", ".join(f'"{name}"' for name in names)
            connection.execute(f"CREATE TABLE {file.stem} ({columns})")
            marks = ", ".join(f":{name}" for name in names)
            connection.executemany(f"INSERT INTO {file.stem} VALUES ({marks})", rows)  # noqa: S608
    folder = fetch_tables(f"sqlite:///{tmp_path / 'cdm.db'}", mapping, tmp_path / "work")
    key = tmp_path / "key"
    ingest(mapping, tables, tmp_path / "files", key_path=key)
    ingest(fetched_mapping(mapping), folder, tmp_path / "database", key_path=key)
    assert open_dataset(tmp_path / "files").digest == open_dataset(tmp_path / "database").digest


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_simulated_hospital_goes_to_omop_and_back(
    small_hospital: Path, tmp_path: Path, form: Any
) -> None:
    export_omop(small_hospital, tmp_path / "omop", form=form)
    account = ingest(load_mapping("pesta-omop"), tmp_path / "omop", tmp_path / "again", keep_ids=True)
    assert account.is_closed
    assert account.n_rejected == 0
    assert open_dataset(tmp_path / "again").digest == open_dataset(small_hospital).digest


def test_what_we_write_as_omop_is_omop_to_the_plain_mapping(small_hospital: Path, tmp_path: Path) -> None:
    """Without the tables beside the CDM times of knowing are lost, but no event is."""
    export_omop(small_hospital, tmp_path / "omop")
    account = ingest(load_mapping("omop-5.4"), tmp_path / "omop", tmp_path / "again")
    assert account.n_rejected == 0
    ends = pl.col("code").str.contains("_END//")
    plain = open_dataset(tmp_path / "again").events().filter(~ends).group_by("code").len()
    ours = open_dataset(small_hospital).events().filter(~ends).group_by("code").len()
    differing = plain.join(ours, on=["code", "len"], how="anti").collect()
    # Care levels that OMOP has no visit concept for are not told: CONTACT//day becomes CONTACT//unknown.
    assert set(differing["code"]) <= {"CONTACT//unknown", "CONTACT//inpatient"}
