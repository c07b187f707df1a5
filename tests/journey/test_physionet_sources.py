"""PhysioNet 2012 and 2019: raw files and parquet give identical events, and counts are the publisher's."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from phenotype.trajectory import EVENT_ORDER, Dataset, open_dataset
from pipelines.sources.accounting import IngestAccount
from pipelines.sources.extract import ingest, load_mapping

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"


def source(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


def build(name: str, given: Path, out: Path, n_shards: int) -> tuple[Dataset, IngestAccount]:
    account = ingest(load_mapping(name), given, out, n_shards=n_shards, key_path=out.with_name("project.key"))
    assert account.is_closed
    assert account.n_rejected == 0
    return open_dataset(out), account


def assert_identical(one: Dataset, other: Dataset) -> None:
    facts = [dataset.events().drop("lineage_id").collect().sort(EVENT_ORDER) for dataset in (one, other)]
    assert facts[0].height > 9_000
    assert facts[0].equals(facts[1])
    assert one.contacts().equals(other.contacts())
    assert one.observation().equals(other.observation())


def test_2019_raw_files_and_parquet_rows_of_the_same_patients_are_identical(tmp_path: Path) -> None:
    data = source("challenge-2019")
    raw = data / "raw_samples"
    patients = [file.stem for file in raw.rglob("*.psv")]
    assert len(patients) == 25
    (tmp_path / "parquet").mkdir()
    rows = (
        pl.scan_parquet(data / "training_setA.parquet").filter(pl.col("patient_id").is_in(patients)).collect()
    )
    rows.write_parquet(tmp_path / "parquet" / "training_setA.parquet")
    one, account = build("physionet-2019", raw, tmp_path / "one", 2)
    other, _ = build("physionet-2019", tmp_path / "parquet", tmp_path / "other", 1)
    assert account.n_read == rows.height
    assert_identical(one, other)


def test_2012_raw_files_and_parquet_rows_of_the_same_patients_are_identical(tmp_path: Path) -> None:
    data = source("challenge-2012")
    raw, converted = tmp_path / "raw", tmp_path / "parquet"
    converted.mkdir()
    shutil.copytree(data / "raw_samples", raw)
    shutil.copy(data / "outcomes.parquet", converted)
    patients = [int(file.stem) for file in raw.rglob("*.txt")]
    assert len(patients) == 40
    for name in ("a", "b"):
        shutil.copy(data / f"Outcomes-{name}.txt", raw)
        rows = pl.scan_parquet(data / f"set-{name}.parquet").filter(pl.col("RecordID").is_in(patients))
        rows.collect().write_parquet(converted / f"set-{name}.parquet")
    one, _ = build("physionet-2012", raw, tmp_path / "one", 3)
    other, _ = build("physionet-2012", converted, tmp_path / "other", 1)
    assert_identical(one, other)


PSV_HEADER = (
    "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|EtCO2|BaseExcess|HCO3|FiO2|pH|PaCO2|SaO2|AST|BUN|Alkalinephos|Calcium|"
    "Chloride|Creatinine|Bilirubin_direct|Glucose|Lactate|Magnesium|Phosphate|Potassium|Bilirubin_total|"
    "TroponinI|Hct|Hgb|PTT|WBC|Fibrinogen|Platelets|Age|Gender|Unit1|Unit2|HospAdmTime|ICULOS|SepsisLabel"
)


def test_2019_nothing_known_at_an_hour_tells_whether_it_is_the_last(tmp_path: Path) -> None:
    """Two patients with the same first three hours, one of whom has two hours more: alike until then."""
    raw = tmp_path / "raw" / "training" / "training_setA"
    raw.mkdir(parents=True)
    absent = "|".join(["NaN"] * 33)
    rows = [f"{80 + hour}|{absent}|61|1|1|0|-7.5|{hour}|{int(hour > 1)}" for hour in range(1, 6)]
    for patient, n_hours in (("p000001", 3), ("p000002", 5)):
        (raw / f"{patient}.psv").write_text("\n".join([PSV_HEADER, *rows[:n_hours], ""]))
    dataset, account = build("physionet-2019", tmp_path / "raw", tmp_path / "out", 1)
    assert account.n_read == 8
    short, long = dataset.contacts().sort("end_time")["subject_id"].to_list()
    known = pl.coalesce("known_time", "time")
    third_hour = datetime(2019, 1, 1, 3)
    seen = {
        subject: dataset.events()
        .filter(pl.col("subject_id") == subject, known.is_null() | (known <= third_hour))
        .drop("subject_id", "contact_id", "lineage_id")
        .collect()
        .sort(pl.all())
        for subject in (short, long)
    }
    assert "CONTACT//icu" in seen[short]["code"].to_list()
    assert seen[short].equals(seen[long])
    ends = dataset.events().filter(pl.col("code") == "CONTACT_END//icu").collect().sort("time")
    assert [(end - start).total_seconds() for start, end in ends.select("time", "known_time").rows()] == [
        3600.0
    ] * 2


@pytest.mark.slow
def test_2012_has_the_publishers_counts(tmp_path: Path) -> None:
    """PROVENANCE.md: 4,000 patients a set, 1,757,980 and 1,762,535 rows, 554 and 568 deaths in hospital."""
    dataset, account = build("physionet-2012", source("challenge-2012"), tmp_path / "out", 1)
    read = {label: tally.n_read for (_, label), tally in account.files.items()}
    assert read == {"outcomes.parquet": 8000, "set-a.parquet": 1_757_980, "set-b.parquet": 1_762_535}
    contacts = dataset.contacts()
    assert contacts.height == contacts["subject_id"].n_unique() == 8000
    assert (contacts["discharged_to"] == "death").sum() == 554 + 568
    assert contacts["end_time"].null_count() == 60 + 54
    codes = dict(dataset.events().group_by("code").len().collect().rows())
    assert codes["AGE"] == codes["CONTACT//icu"] == 8000
    assert codes["SEX//female"] + codes["SEX//male"] == 8000 - 8


@pytest.mark.slow
def test_2019_has_the_publishers_counts(tmp_path: Path) -> None:
    """PROVENANCE.md: 20,336 patients, 790,215 rows, 1,790 of them septic, 17,136 rows with SepsisLabel 1."""
    dataset, account = build("physionet-2019", source("challenge-2019"), tmp_path / "out", 1)
    assert account.n_read == 790_215
    assert dataset.contacts().height == 20_336
    events = (
        dataset.events().filter(pl.col("code").is_in(["LABEL//sepsis", "PHYSIONET2019//ICULOS"])).collect()
    )
    sepsis = events.filter(pl.col("code") == "LABEL//sepsis")
    assert (sepsis.height, sepsis["subject_id"].n_unique()) == (17_136, 1_790)
    assert events.height - sepsis.height == 790_215
