"""Files in any letter case, delimiters told by the header, and windows that keep their source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ontology.errors import InputError
from phenotype.trajectory import open_dataset
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import Mapping


def _mapping(**words: Any) -> Mapping:
    person: dict[str, Any] = {
        "files": ["person.csv", "cdm/person.csv"],
        "subject": "{person_id}",
        "events": [{"time": "born", "code": "MEDS_BIRTH"}],
        "observation": [{"start": "born", "end": "seen", "source": "{told_by}"}],
    }
    return Mapping.model_validate({"name": "ward", "title": "Ward", "tables": {"person": person}, **words})


def _write(file: Path, delimiter: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [["person_id", "born", "seen", "told_by"], ["1", "1950-01-02", "2020-01-01", "gp, north"]]
    rows.append(["2", "1960-01-02", "2020-01-01", ""])
    file.write_text("".join(delimiter.join(row) + "\n" for row in rows), "utf-8")


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
@pytest.mark.parametrize("name", ["PERSON.CSV", "Person.csv", "CDM/Person.Csv"])
def test_a_file_is_found_and_split_however_it_is_written(tmp_path: Path, name: str, delimiter: str) -> None:
    _write(tmp_path / "in" / name, delimiter)
    account = ingest(_mapping(any_case=True, delimiter="auto"), tmp_path / "in", tmp_path / "out")
    assert (account.n_read, account.n_rejected, account.totals["events"]) == (2, 0, 2)


def test_letter_case_counts_where_the_mapping_says_nothing(tmp_path: Path) -> None:
    _write(tmp_path / "in" / "PERSON.CSV", ";")
    with pytest.raises(InputError, match="no file for table person"):
        ingest(_mapping(), tmp_path / "in", tmp_path / "out")


def test_a_table_may_differ_from_the_mapping_as_a_whole() -> None:
    person = _mapping().tables["person"].model_dump(exclude_none=True)
    given = _mapping(any_case=True, tables={"person": {**person, "any_case": False}, "other": person})
    assert [table.any_case for table in given.tables.values()] == [False, False]
    plain = _mapping(any_case=True, delimiter="auto").tables["person"]
    assert (plain.any_case, plain.delimiter) == (True, "auto")


def test_a_window_keeps_the_source_that_it_names(tmp_path: Path) -> None:
    _write(tmp_path / "in" / "person.csv", "\t")
    ingest(_mapping(delimiter="auto"), tmp_path / "in", tmp_path / "out")
    windows = open_dataset(tmp_path / "out").observation()
    assert sorted(windows["source"].to_list()) == ["gp, north", "ward"]
    assert windows.schema["source"] == pl.String
