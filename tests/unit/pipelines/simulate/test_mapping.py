"""The shipped mapping takes the whole extract in: no row rejected, none ignored, every table counted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from phenotype.trajectory import Dataset, open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

Read = Callable[[str], pl.DataFrame]


@pytest.fixture(scope="module")
def dataset(hospital: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("dataset")
    ingest(load_mapping("simulated-hospital"), hospital, folder / "out", n_shards=2)
    return open_dataset(folder / "out")


def test_every_row_of_every_file_is_used(dataset: Dataset, table: Read) -> None:
    account = json.loads((dataset.path / "ingest.json").read_text("utf-8"))
    counts = {file["table"]: (file["rows_read"], file["rows_used"]) for file in account["files"]}
    assert counts == {name: (table(name).height,) * 2 for name in counts}
    assert len(counts) == 10


def test_events_carry_what_the_tables_hold(dataset: Dataset, table: Read) -> None:
    events = dataset.events().collect()
    by_system = dict(
        events.group_by(pl.col("code").str.split("//").list.first().alias("system")).len().rows()
    )
    signs = table("vital_signs").drop("kontakt_id", "patient_id", "measured_time")
    cultures = table("blood_cultures")
    assert by_system["NLK"] == table("laboratory").height
    assert by_system["ATC"] == table("drugs").height
    assert by_system["ICD10-NO"] == table("conditions").height
    assert by_system["VITAL"] == sum(signs.count().row(0))
    assert by_system["BLOOD_CULTURE"] == cultures.height + cultures["result"].count()
    assert by_system["MEDS_DEATH"] == table("deaths").height
    assert by_system["CONTACT"] == table("contacts").height


def test_deaths_outside_hospital_are_known_when_they_are_registered(dataset: Dataset, table: Read) -> None:
    deaths = dataset.events().filter(pl.col("code") == "MEDS_DEATH").collect()
    late = deaths.filter(pl.col("known_time") > pl.col("time"))
    assert late.height == table("deaths")["death_time"].null_count()


def test_stays_in_intensive_care_are_told_from_wards(dataset: Dataset, table: Read) -> None:
    levels = dict(dataset.contacts().group_by("care_level").len().rows())
    units = table("contacts")
    assert levels["icu"] == units.filter(enhet="INT").height > 0
    assert levels["day"] == units.filter(enhet="DAG").height > 0
    assert levels["outpatient"] == units.filter(enhet="POL").height > 0
    assert dataset.contacts().filter(discharged_to="death").height == units.filter(utTilstand=2).height > 0
