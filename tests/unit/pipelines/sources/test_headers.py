"""Column names in capitals and in lower case are the same columns, where a mapping says so."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from ontology.errors import InputError
from phenotype.trajectory import open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import Mapping

ROWS = "1,HR,80\n2,hr,90\n"
TABLES = {
    "vitals": {
        "files": ["v.csv", "v.parquet"],
        "subject": "{id}",
        "columns": {"number": {"null_values": ["-"]}},
        "events": [{"time": "static", "code": "VITAL//{name}", "value": "number"}],
    }
}


def mapping(**top: Any) -> Mapping:
    content = {"name": "test", "title": "test", "observe": "none", "tables": TABLES, **top}
    return Mapping.model_validate(content)


def events(given: Mapping, folder: Path, out: Path) -> list[tuple[Any, ...]]:
    ingest(given, folder, out, n_shards=1, key_path=out.with_suffix(".key"))
    return open_dataset(out).events().select("code", "numeric_value").collect().sort("code").rows()


def write(folder: Path, form: str, header: str) -> None:
    folder.mkdir()
    text = f"{header}\n{ROWS}"
    if form == "csv":
        (folder / "v.csv").write_text(text)
    elif form == "csv.gz":
        (folder / "v.csv.gz").write_bytes(gzip.compress(text.encode()))
    else:
        pl.read_csv(text.encode()).write_parquet(folder / "v.parquet")


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("header", ["ID,NAME,NUMBER", "id,name,number", "Id,Name,number"])
def test_names_are_taken_in_lower_case_and_cells_as_they_are(tmp_path: Path, form: str, header: str) -> None:
    write(tmp_path / "source", form, header)
    expected = [("VITAL//HR", 80.0), ("VITAL//hr", 90.0)]
    assert events(mapping(header="lower"), tmp_path / "source", tmp_path / "out") == expected


def test_a_table_may_say_it_for_itself_and_otherwise_names_are_as_written(tmp_path: Path) -> None:
    write(tmp_path / "source", "csv", "ID,NAME,NUMBER")
    alone = mapping(tables={"vitals": {**TABLES["vitals"], "header": "lower"}})
    assert len(events(alone, tmp_path / "source", tmp_path / "out")) == 2
    with pytest.raises(InputError, match="the file has no column id"):
        events(mapping(), tmp_path / "source", tmp_path / "other")
    against = mapping(header="lower", tables={"vitals": {**TABLES["vitals"], "header": "as_written"}})
    with pytest.raises(InputError, match="the file has no column id"):
        events(against, tmp_path / "source", tmp_path / "other")


@pytest.mark.parametrize("form", ["csv", "csv.gz", "parquet"])
def test_two_columns_that_become_one_are_named_and_nothing_is_written(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "source"
    write(folder, form, "id,NAME,Name")
    with pytest.raises(InputError, match="the same in lower case") as caught:
        events(mapping(header="lower"), folder, tmp_path / "out")
    assert "NAME, Name" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_another_word_for_the_header_is_refused() -> None:
    with pytest.raises(ValidationError, match="header"):
        mapping(header="upper")
