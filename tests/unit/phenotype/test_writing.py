"""The dataset writer: canonical order, shards by subject, whole or not at all."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest
from meds.schema import CodeMetadataSchema, DataSchema

from ontology.errors import ConfigurationError
from phenotype.trajectory import (
    CODINGS,
    CONTACTS,
    EVENTS,
    LINEAGE,
    OBSERVATION,
    REJECTED,
    open_dataset,
)
from phenotype.writing import DatasetWriter, default_n_shards

START = datetime(2020, 1, 1)


def events(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Events whose lineage_id is the row's place."""
    content = [
        {
            "subject_id": subject,
            "time": None if day is None else START + timedelta(days=day),
            "code": code,
            "numeric_value": number,
            "text_value": text,
            "lineage_id": place,
        }
        for place, (subject, day, code, number, text) in enumerate(rows)
    ]
    return pl.DataFrame(content, schema=EVENTS)


def write(out: Path, rows: list[tuple[Any, ...]], n_shards: int = 1) -> None:
    writer = DatasetWriter(out, n_shards)
    half = len(rows) // 2
    whole = events(rows)
    for part in (whole[half:], whole[:half]):
        writer.add_events(part)
        writer.add_lineage(
            part.select("lineage_id").with_columns(
                pl.lit(None, dtype).alias(name) for name, dtype in LINEAGE.items() if name != "lineage_id"
            )
        )
    writer.write_events(pl.Series("contact_id", [], dtype=pl.Int64))
    writer.finish(
        contacts=pl.DataFrame(schema=CONTACTS),
        codings=pl.DataFrame(schema=CODINGS),
        observation=pl.DataFrame(schema=OBSERVATION),
        rejected=pl.DataFrame(schema=REJECTED),
        descriptions=pl.DataFrame({"code": ["A"], "description": ["the first letter"]}),
        metadata={"dataset_name": "letters"},
        write_account=lambda folder: None,
    )


LETTERS = [(subject, day, code, None, None) for subject in range(9) for day in (None, 0, 1) for code in "BA"]


@pytest.mark.parametrize("n_shards", [1, 4])
def test_each_subject_is_in_one_shard_that_meds_accepts(tmp_path: Path, n_shards: int) -> None:
    write(tmp_path / "out", LETTERS, n_shards)
    found = []
    for number in range(n_shards):
        table = pq.read_table(tmp_path / "out" / "data" / f"{number}.parquet")
        DataSchema.validate(table)
        assert {subject % n_shards for subject in table["subject_id"].to_pylist()} <= {number}
        found += table["lineage_id"].to_pylist()
    assert sorted(found) == list(range(len(LETTERS)))
    codes = pq.read_table(tmp_path / "out" / "metadata" / "codes.parquet")
    CodeMetadataSchema.validate(codes)
    assert codes.select(["code", "description"]).to_pylist() == [
        {"code": "A", "description": "the first letter"},
        {"code": "B", "description": None},
    ]


def test_what_does_not_fit_in_memory_is_spilled_and_comes_out_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "held", LETTERS, 3)
    monkeypatch.setattr("phenotype.writing.ROWS_HELD", 5)
    write(tmp_path / "spilled", LETTERS, 3)
    for name in ("data/0.parquet", "data/1.parquet", "data/2.parquet", "lineage.parquet"):
        assert pl.read_parquet(tmp_path / "held" / name).equals(pl.read_parquet(tmp_path / "spilled" / name))


def test_nothing_is_there_until_all_of_it_is(tmp_path: Path) -> None:
    write(tmp_path / "out", LETTERS[:6])
    before = open_dataset(tmp_path / "out").digest
    writer = DatasetWriter(tmp_path / "out", 1)
    writer.add_events(events(LETTERS))
    writer.write_events(pl.Series("contact_id", [], dtype=pl.Int64))
    assert open_dataset(tmp_path / "out").digest == before
    writer.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_no_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no shards"):
        DatasetWriter(tmp_path / "out", 0)


def test_shards_grow_with_the_input_and_are_at_least_one() -> None:
    assert [default_n_shards(n) for n in (0, 1, 200_000_000, 200_000_001, 10**15)] == [1, 1, 1, 2, 512]
