"""Facts without a time are the patient's and of no contact, so one told in every contact is one fact."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from phenotype.trajectory import open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import Mapping

STAYS = {
    "files": "stays.csv",
    "subject": "{id}",
    "contact": "{stay}",
    "contacts": [{"id": "{stay}", "start": "t", "care_level": "inpatient", "events": False}],
    "events": [
        {"time": "static", "code": "SEX//{sex}", "once": True},
        {"time": "static", "code": "ROOM//{stay}", "contact": "{stay}"},
        {"time": "t", "code": "SEEN"},
    ],
}


def test_a_static_fact_is_of_no_contact_unless_the_event_names_one(tmp_path: Path) -> None:
    (tmp_path / "stays.csv").write_text("id,stay,t,sex\n1,a,2020-01-01,female\n1,b,2020-02-01,female\n")
    given = Mapping.model_validate({"name": "test", "title": "test", "tables": {"stays": STAYS}})
    ingest(given, tmp_path / "stays.csv", tmp_path / "out", n_shards=1)
    has_contact = pl.col("contact_id").is_not_null()
    events = open_dataset(tmp_path / "out").events().select("code", has_contact).collect().sort("code")
    assert events.rows() == [
        ("ROOM//a", True),
        ("ROOM//b", True),
        ("SEEN", True),
        ("SEEN", True),
        ("SEX//female", False),
    ]
