"""Somebody else's MEDS dataset comes in and goes out with every row and column."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ontology.errors import InputError
from pipelines.export.meds import export_meds
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

DAY = datetime(2020, 1, 2, 3, 4, 5, 6)
COLUMNS = {
    "subject_id": [5, 5, 5, 5, 900, 900],
    "time": [None, DAY, DAY, DAY, DAY, None],
    "code": ["SEX//F", "LAB//1", "LAB//1", "NOTE", "LAB//2", "SEX//M"],
    "numeric_value": [None, float("nan"), 1.5, None, -0.0, None],
    "text_value": [None, "", "x", 'fritekst, "æ"', None, None],
    "hadm_id": [None, 17, 17, None, 18, None],
    "unit": [None, "mg", "", None, "mg", None],
    "known_time": [None, DAY, datetime(2020, 1, 3), None, datetime(2019, 1, 1), None],
    "priority": ["a", "b", None, "c", "", "a"],
    "storage_date": [None, date(2020, 1, 2), None, None, date(2020, 1, 5), None],
    "scores": [None, [1.0, 2.0], [], None, None, [3.0]],
}
SCHEMA: dict[str, Any] = {
    "subject_id": pl.Int64,
    "time": pl.Datetime("us"),
    "code": pl.String,
    "numeric_value": pl.Float32,
    "text_value": pl.String,
    "hadm_id": pl.Int32,
    "unit": pl.String,
    "known_time": pl.Datetime("us"),
    "priority": pl.String,
    "storage_date": pl.Date,
    "scores": pl.List(pl.Float64),
}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A dataset in two files in folders of splits, with metadata of its own."""
    folder = tmp_path / "theirs"
    events = pl.DataFrame(COLUMNS, schema=SCHEMA)
    for name, subject in (("train", 5), ("held_out", 900)):
        (folder / "data" / name).mkdir(parents=True)
        events.filter(pl.col("subject_id") == subject).write_parquet(folder / "data" / name / "0.parquet")
    metadata = folder / "metadata"
    metadata.mkdir()
    codes = {
        "code": ["LAB//1", "LAB//2", "UNUSED"],
        "description": ["Natrium", None, "never used"],
        "parent_codes": [["LOINC//2951-2", "LAB"], None, []],
        "itemid": [50983, 50971, 1],
    }
    pl.DataFrame(codes).write_parquet(metadata / "codes.parquet")
    splits = {"subject_id": [5, 900, 901], "split": ["train", "held_out", "tuning"]}
    pl.DataFrame(splits).write_parquet(metadata / "subject_splits.parquet")
    told = {"dataset_name": "theirs", "dataset_version": "0.3", "meds_version": "0.3.3", "site": "north"}
    (metadata / "dataset.json").write_text(json.dumps({**told, "raw_source_id_columns": ["priority"]}))
    return folder


def _taken_in(theirs: Path, out: Path, *, keep_ids: bool) -> Path:
    ingest(load_mapping("meds"), theirs, out, key_path=out.with_suffix(".key"), keep_ids=keep_ids)
    return out


def _rows(frame: pl.DataFrame) -> list[str]:
    """Rows in any order, NaN equal to NaN."""
    return sorted(repr(row) for row in frame.select(list(SCHEMA)).rows())


def test_every_row_and_column_comes_back(theirs: Path, tmp_path: Path) -> None:
    export_meds(_taken_in(theirs, tmp_path / "ours", keep_ids=True), tmp_path / "back")
    back = pl.read_parquet(tmp_path / "back" / "data" / "**" / "*.parquet")
    assert {name: back.schema[name] for name in SCHEMA} == SCHEMA
    assert _rows(back) == _rows(pl.DataFrame(COLUMNS, schema=SCHEMA))


def test_what_codes_mean_and_splits_come_back(theirs: Path, tmp_path: Path) -> None:
    export_meds(_taken_in(theirs, tmp_path / "ours", keep_ids=True), tmp_path / "back")
    codes = pl.read_parquet(tmp_path / "back" / "metadata" / "codes.parquet")
    sent = pl.read_parquet(theirs / "metadata" / "codes.parquet")
    kept = codes.join(sent.select("code"), on="code", how="semi").select(sent.columns).sort("code")
    assert kept.rows() == sent.sort("code").rows()
    assert set(codes["code"]) == {"LAB//1", "LAB//2", "UNUSED", "NOTE", "SEX//F", "SEX//M"}
    splits = pl.read_parquet(tmp_path / "back" / "metadata" / "subject_splits.parquet")
    assert splits.sort("subject_id").rows() == [(5, "train"), (900, "held_out"), (901, "tuning")]
    told = json.loads((tmp_path / "back" / "metadata" / "dataset.json").read_text())
    assert (told["dataset_name"], told["site"]) == ("theirs", "north")


def test_the_events_are_ours_to_use(theirs: Path, tmp_path: Path) -> None:
    ours = pl.read_parquet(_taken_in(theirs, tmp_path / "ours", keep_ids=True) / "data" / "*.parquet")
    labs = ours.filter(pl.col("code") == "LAB//1").sort("numeric_value", nulls_last=True)
    assert labs["numeric_value"].to_list() == [1.5, None]
    assert labs["known_time"].to_list() == [datetime(2020, 1, 3), None]
    assert labs["unit"].to_list() == [None, "mg"]


def test_without_kept_ids_columns_of_ids_are_left_out_and_said(theirs: Path, tmp_path: Path) -> None:
    ours = _taken_in(theirs, tmp_path / "ours", keep_ids=False)
    account = json.loads((ours / "ingest.json").read_text())
    left_out = {name for name in account["totals"] if name.startswith("column_left_out")}
    assert left_out == {"column_left_out: hadm_id", "column_left_out: priority"}
    export_meds(ours, tmp_path / "back")
    back = pl.read_parquet(tmp_path / "back" / "data" / "**" / "*.parquet")
    assert {"hadm_id", "priority"}.isdisjoint(back.columns)
    assert {"storage_date", "scores"} <= set(back.columns)
    splits = pl.read_parquet(ours / "metadata" / "subject_splits.parquet")
    subjects = dict(splits.select("split", "subject_id").rows())
    assert {5, 900, 901}.isdisjoint(subjects.values())
    events = pl.read_parquet(ours / "data" / "*.parquet")
    assert set(events.filter(pl.col("code") == "LAB//2")["subject_id"]) == {subjects["held_out"]}


def test_where_dates_are_shifted_no_date_is_taken_along(theirs: Path, tmp_path: Path) -> None:
    from pipelines.identity.policy import DateShift, IdentityPolicy

    policy = IdentityPolicy(name="shifted", title="Shifted", date_shift=DateShift(most_days=365))
    ingest(load_mapping("meds"), theirs, tmp_path / "ours", keep_ids=True, policy=policy)
    export_meds(tmp_path / "ours", tmp_path / "back")
    back = pl.read_parquet(tmp_path / "back" / "data" / "**" / "*.parquet")
    assert "storage_date" not in back.columns
    assert DAY not in back["time"].to_list()
    assert DAY not in back["known_time"].to_list()


@pytest.mark.parametrize("name", ["dataset.json", "codes.parquet", "subject_splits.parquet"])
def test_broken_metadata_is_named_and_nothing_is_written(theirs: Path, tmp_path: Path, name: str) -> None:
    (theirs / "metadata" / name).write_text("{ broken")
    with pytest.raises(InputError, match="cannot be read") as caught:
        _taken_in(theirs, tmp_path / "ours", keep_ids=True)
    assert caught.value.problems[0].where == f"metadata/{name}"
    assert not (tmp_path / "ours").exists()


def test_times_with_a_zone_and_other_types_of_our_own_columns_are_read(tmp_path: Path) -> None:
    # 10:00 in Oslo in winter is 09:00 UTC.
    events = pl.DataFrame(
        {
            "subject_id": [5, 5],
            "time": [datetime(2020, 1, 2, 10), None],
            "code": ["LAB//1", "SEX//F"],
            "numeric_value": ["1.5", None],
            "known_time": ["2020-01-02T12:00:00", None],
            "contact_id": ["A", None],
            "lasted": [timedelta(hours=1), None],
        }
    ).with_columns(pl.col("time").cast(pl.Datetime("ns")).dt.replace_time_zone("Europe/Oslo"))
    source = tmp_path / "zoned"
    (source / "data").mkdir(parents=True)
    events.write_parquet(source / "data" / "0.parquet")
    ingest(load_mapping("meds"), source, tmp_path / "dataset", keep_ids=True)
    export_meds(tmp_path / "dataset", tmp_path / "out")
    (back,) = pl.read_parquet(tmp_path / "out/data/0.parquet").filter(pl.col("time").is_not_null()).to_dicts()
    assert back["time"] == datetime(2020, 1, 2, 9)
    assert back["known_time"] == datetime(2020, 1, 2, 12)
    assert (back["numeric_value"], back["lasted"]) == (1.5, timedelta(hours=1))


def test_a_lineage_of_theirs_is_not_taken_for_ours(theirs: Path, tmp_path: Path) -> None:
    # Numbers of lineage that are another event's in the new dataset must not bring that event's columns.
    for file in theirs.glob("data/**/*.parquet"):
        events = pl.read_parquet(file)
        numbers = pl.Series("lineage_id", range(events.height), dtype=pl.Int64).reverse()
        events.with_columns(numbers).write_parquet(file)
    ingest(load_mapping("meds"), theirs, tmp_path / "dataset", keep_ids=True)
    export_meds(tmp_path / "dataset", tmp_path / "out")
    back = pl.concat([pl.read_parquet(file) for file in (tmp_path / "out/data").glob("**/*.parquet")])
    assert sorted(back["priority"].drop_nulls()) == ["", "a", "a", "b", "c"]
    assert dict(back.filter(pl.col("hadm_id") == 18).select("code", "priority").iter_rows()) == {"LAB//2": ""}
