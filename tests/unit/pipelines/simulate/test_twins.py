"""A twin has the record of its patient, under other ids, some days earlier and a little off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipelines.simulate.hospital import simulate
from pipelines.simulate.scenario import load_scenario
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

N_PATIENTS = 100
Read = Callable[[str], pl.DataFrame]
TABLES = (
    "patients", "contacts", "conditions", "procedures", "laboratory", "drugs", "vital_signs",
    "blood_cultures", "movements", "deaths",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("twins")
    simulate(N_PATIENTS, 3, out, load_scenario("twins"))
    return out


@pytest.fixture(scope="module")
def pairs(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "twins.parquet")


def test_one_in_ten_has_a_twin_besides_everybody(read: Read, pairs: pl.DataFrame) -> None:
    assert pairs.height == N_PATIENTS // 10
    assert read("patients").height == N_PATIENTS + pairs.height
    assert set(pairs["twin_id"]).isdisjoint(pairs["patient_id"])


@pytest.mark.parametrize("name", TABLES)
def test_a_twin_has_as_many_rows_as_its_patient(read: Read, pairs: pl.DataFrame, name: str) -> None:
    rows = read(name)["patient_id"].value_counts()
    both = pairs.join(rows, on="patient_id", how="left").join(
        rows, left_on="twin_id", right_on="patient_id", how="left", suffix="_twin"
    )
    assert both["count"].fill_null(0).equals(both["count_twin"].fill_null(0).alias("count"))


def test_the_others_are_as_they_would_be_without_twins(
    read: Read, pairs: pl.DataFrame, tmp_path: Path
) -> None:
    simulate(N_PATIENTS, 3, tmp_path)
    for name in TABLES:
        alone = pl.read_csv(
            tmp_path / "extract" / f"{name}.csv", try_parse_dates=True, infer_schema_length=None
        )
        others = read(name).filter(~pl.col("patient_id").is_in(pairs["twin_id"].implode()))
        assert others.equals(alone)


def test_diagnoses_are_the_same_and_lie_the_pairs_days_earlier(read: Read, pairs: pl.DataFrame) -> None:
    codes = read("conditions").select("patient_id", "kodeVerdi", "kodet_tid", "kontakt_id")
    mine = codes.join(pairs, on="patient_id").sort("patient_id", "kontakt_id", "kodeVerdi")
    theirs = codes.join(pairs, left_on="patient_id", right_on="twin_id").sort(
        "patient_id", "kontakt_id", "kodeVerdi"
    )
    assert mine["kodeVerdi"].equals(theirs["kodeVerdi"])
    assert ((mine["kodet_tid"] - theirs["kodet_tid"]).dt.total_days() == mine["earlier_days"]).all()
    assert not set(mine["kontakt_id"]) & set(theirs["kontakt_id"])


def test_results_are_a_little_off(read: Read, pairs: pl.DataFrame) -> None:
    results = read("laboratory").filter(nlk="NPU03568")
    mean = results.group_by("patient_id").agg(pl.col("value").mean())
    both = pairs.join(mean, on="patient_id").join(
        mean, left_on="twin_id", right_on="patient_id", suffix="_twin"
    )
    ratio = both["value_twin"] / both["value"]
    assert 0.95 < ratio.min() < 1 < ratio.max() < 1.05


@pytest.mark.parametrize(
    ("name", "time"),
    [("laboratory", "sampled_time"), ("vital_signs", "measured_time"), ("drugs", "given_time")],
)
def test_what_is_measured_in_a_contact_stays_in_it(
    read: Read, pairs: pl.DataFrame, name: str, time: str
) -> None:
    contacts = read("contacts").select("kontakt_id", "innDatoTid", "utDatoTid")
    rows = read(name).join(contacts, on="kontakt_id")
    between = rows.filter(~pl.col(time).is_between("innDatoTid", "utDatoTid"))
    theirs, mine = (
        between.filter(pl.col("patient_id").is_in(pairs[who].implode())).height
        for who in ("twin_id", "patient_id")
    )
    assert rows.height == read(name).height
    assert theirs <= mine


def test_the_shipped_mapping_takes_every_row_in(folder: Path, read: Read, tmp_path: Path) -> None:
    import json

    ingest(load_mapping("simulated-hospital"), folder, tmp_path / "out")
    account = json.loads((tmp_path / "out" / "ingest.json").read_text("utf-8"))
    counts = {file["table"]: file["rows_used"] for file in account["files"]}
    assert counts == {name: read(name).height for name in TABLES}
