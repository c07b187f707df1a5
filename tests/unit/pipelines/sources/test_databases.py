"""Tables of a database are read like files, and its password is told nowhere."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ontology.errors import ConfigurationError, InputError, MissingExtraError, PestaError
from phenotype.trajectory import open_dataset
from pipelines.sources.databases import fetch_tables, fetched_mapping, hidden, is_connection
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import Mapping

SECRET = "sesam-lukk-opp"  # noqa: S105 no password of anything


def _mapping(**person: Any) -> Mapping:
    table = {
        "files": "cdm/PERSON.csv",
        "header": "lower",
        "subject": "{person_id}",
        "events": [{"time": "born", "code": "MEDS_BIRTH"}, {"time": "born", "code": "X", "value": "x"}],
        **person,
    }
    lookup = {"files": ["places*.csv", "place.csv"], "optional": True, "events": [], "subject": "{id}"}
    content = {"name": "ward", "title": "Ward", "tables": {"people": table, "places": {**lookup, **_seen()}}}
    return Mapping.model_validate(content)


def _seen() -> dict[str, Any]:
    return {"events": [{"time": "static", "code": "PLACE//{place}"}]}


def _database(file: Path, rows: list[tuple[Any, ...]]) -> str:
    connection = sqlite3.connect(file)
    connection.execute('CREATE TABLE "Person" (PERSON_ID integer, Born text, X real, "odd ""name" text)')
    connection.executemany('INSERT INTO "Person" VALUES (?, ?, ?, ?)', rows)
    connection.commit()
    connection.close()
    return f"sqlite:///{file}"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("sqlite:///a.db", True),
        ("duckdb:a.duckdb", True),
        ("postgresql://host/name", True),
        ("mssql://user:pw@host:1433/name", True),
        ("postgresql:user=u password=x", True),
        ("host=h dbname=d password=x", True),
        ("/data/omop", False),
        ("data:old/omop", False),
        ("C:\\data", False),
        ("omop.db", False),
    ],
)
def test_a_connection_is_told_from_a_path(text: str, *, is_one: bool) -> None:
    assert is_connection(text) is is_one


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://ola:{SECRET}@db.example:5432/omop?schema=cdm&sslmode=require",
        f"postgresql://db.example:5432/omop?user=ola&password={SECRET}&schema=cdm",
        f"postgresql://ola:{SECRET}%40x@db.example:5432/omop?schema=cdm#{SECRET}",
    ],
)
def test_a_connection_is_shown_without_user_and_password(text: str) -> None:
    assert hidden(text) == "postgresql://db.example:5432/omop?schema=cdm"


def test_every_cell_of_sqlite_comes_as_it_was(tmp_path: Path) -> None:
    """SQLite has types of cells: numbers come after 70,000 nulls, and a text among numbers."""
    rows: list[tuple[Any, ...]] = [(n, None, None, None) for n in range(70_000)]
    rows += [
        (70_000, "1950-01-02", 1 / 3, "ærlig"),
        (70_001, "1950-01-02", 1e300, ""),
        ("x7", "1950", 0.1, "å"),
    ]
    folder = fetch_tables(_database(tmp_path / "a.db", rows), _mapping(), tmp_path / "work")
    assert [path.name for path in folder.iterdir()] == ["people.parquet"]
    fetched = pl.read_parquet(folder / "people.parquet")
    assert fetched.columns == ["PERSON_ID", "Born", "X", 'odd "name']
    assert fetched.height == 70_003
    last = fetched.tail(3).rows()
    assert [row[0] for row in last] == ["70000", "70001", "x7"]
    assert [float(row[2]) for row in last] == [1 / 3, 1e300, 0.1]
    assert [row[3] for row in last] == ["ærlig", "", "å"]
    assert last[2][2] == "0.1"


def test_a_database_and_a_csv_file_give_the_same_dataset(tmp_path: Path) -> None:
    rows = [(1, "1950-01-02", 0.1, "a"), (2, "1960-01-02", None, "b"), (3, "1961-01-02", 7.0, None)]
    text = "person_id,born,x,note\n1,1950-01-02,0.1,a\n2,1960-01-02,,b\n3,1961-01-02,7.0,\n"
    (tmp_path / "in" / "cdm").mkdir(parents=True)
    (tmp_path / "in" / "cdm" / "PERSON.csv").write_text(text)
    folder = fetch_tables(_database(tmp_path / "a.db", rows), _mapping(), tmp_path / "work")
    key = tmp_path / "key"
    ingest(_mapping(), tmp_path / "in", tmp_path / "one", key_path=key)
    account = ingest(fetched_mapping(_mapping()), folder, tmp_path / "two", key_path=key)
    assert (account.n_read, account.n_rejected, account.totals["events"]) == (3, 0, 5)
    assert open_dataset(tmp_path / "one").digest == open_dataset(tmp_path / "two").digest


def test_a_table_may_be_empty_and_stand_for_two_of_the_mapping(tmp_path: Path) -> None:
    connection = _database(tmp_path / "a.db", [])
    both = _mapping().model_dump(exclude_none=True)
    both["tables"]["births"] = {**both["tables"]["people"], "files": ["person.csv"]}
    folder = fetch_tables(connection, Mapping.model_validate(both), tmp_path / "work")
    assert sorted(path.name for path in folder.iterdir()) == ["births.parquet", "people.parquet"]
    assert pl.read_parquet(folder / "births.parquet").height == 0


@pytest.mark.parametrize(
    ("connection", "error"),
    [
        (f"sqlite:///nowhere-{SECRET}/x.db", InputError),
        (f"banana://ola:{SECRET}@host/x", ConfigurationError),
        (f"snowflake://ola:{SECRET}@host/x", MissingExtraError),
    ],
)
def test_what_cannot_be_reached_is_said_without_the_password(
    tmp_path: Path, connection: str, error: type[PestaError]
) -> None:
    with pytest.raises(error) as caught:
        fetch_tables(connection, _mapping(), tmp_path)
    told = str(caught.value)
    assert f":{SECRET}@" not in told
    assert "ola" not in told


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"no database at all, but long enough to be read as one" * 40)
    with pytest.raises(InputError, match="the database cannot be read"):
        fetch_tables(f"sqlite:///{tmp_path / 'a.db'}", _mapping(), tmp_path / "work")


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://kari:{SECRET}/more@db.example/omop",
        f"postgresql://kari:more?{SECRET}@db.example/omop",
        f"postgresql://kari:more#{SECRET}@db.example/omop",
        f"postgresql://kari:{SECRET}",
        f"postgresql://db.example/omop?password=more@{SECRET}",
        f"postgresql:user=kari password={SECRET}",
        f"postgresql://[{SECRET}/omop",
        f"host=db.example password={SECRET}",
        f"Server=x;PWD={SECRET};Address=tcp:x",
    ],
)
def test_a_password_that_was_not_escaped_is_not_told(text: str, tmp_path: Path) -> None:
    assert is_connection(text)
    assert SECRET not in hidden(text)
    with pytest.raises(PestaError) as raised:
        fetch_tables(text, _mapping(), tmp_path)
    assert SECRET not in str(raised.value)


def test_a_database_without_the_table_is_named_and_not_the_folder_of_work(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError) as raised:
        fetch_tables(f"sqlite:///{tmp_path}/empty.db", _mapping(), tmp_path / "work")
    (problem,) = raised.value.problems
    assert (problem.what, problem.where) == ("no table people in the database", "sqlite:empty.db")
    assert problem.allowed == "people, PERSON"
