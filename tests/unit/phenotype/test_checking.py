"""`check_dataset` finds each thing that can be wrong with a dataset, all at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from phenotype.checking import check_dataset
from phenotype.trajectory import CONTACTS, EVENTS, LINEAGE, OBSERVATION

BORN, ADMITTED, LATER = datetime(1950, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 2)


def events(*rows: tuple[int, datetime | None, str]) -> pl.DataFrame:
    frame = pl.DataFrame([{"subject_id": s, "time": t, "code": c} for s, t, c in rows], schema=EVENTS)
    return frame.with_columns(contact_id=pl.col("subject_id") * 10, lineage_id=pl.lit(0, pl.Int64))


def write(folder: Path, name: str, frame: pl.DataFrame) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    frame.write_parquet(folder / name)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two subjects in two files, with contacts, lineage, windows and metadata; nothing is wrong with it."""
    folder = tmp_path / "dataset"
    for subject in (1, 2):
        rows = events(
            (subject, None, "SEX//female"), (subject, BORN, "MEDS_BIRTH"), (subject, LATER, "LAB//1")
        )
        write(folder, f"data/{subject}.parquet", rows)
    contacts = pl.DataFrame(
        {
            "contact_id": [10, 20],
            "subject_id": [1, 2],
            "stay_id": [10, 20],
            "start_time": [ADMITTED] * 2,
            "end_time": [LATER] * 2,
        }
    )
    missing = [
        pl.lit(None, dtype).alias(name) for name, dtype in CONTACTS.items() if name not in contacts.columns
    ]
    write(
        folder,
        "contacts.parquet",
        contacts.with_columns(missing).select(CONTACTS.names()).cast(dict(CONTACTS)),
    )
    write(folder, "lineage.parquet", pl.DataFrame([{"lineage_id": 0}], schema=LINEAGE))
    write(
        folder,
        "observation.parquet",
        pl.DataFrame([{"subject_id": 1, "start_time": BORN, "end_time": LATER}], schema=OBSERVATION),
    )
    (folder / "metadata").mkdir()
    (folder / "metadata" / "dataset.json").write_text(
        json.dumps({"dataset_name": "two", "meds_version": "0.4.1"})
    )
    codes = pl.DataFrame({"code": ["LAB//1", "MEDS_BIRTH", "SEX//female"]})
    codes.write_parquet(folder / "metadata" / "codes.parquet")
    return folder


def change(name: str, edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        edit(pl.read_parquet(folder / name)).write_parquet(folder / name)

    return apply


def at_row(row: int, **values: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """An edit that puts values into one row."""

    def edit(frame: pl.DataFrame) -> pl.DataFrame:
        return (
            frame.with_row_index("_n")
            .with_columns(
                pl.when(pl.col("_n") == row)
                .then(pl.lit(value, frame.schema[name]))
                .otherwise(name)
                .alias(name)
                for name, value in values.items()
            )
            .drop("_n")
        )

    return edit


def write_text(name: str, text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_text(text, encoding="utf-8")

    return apply


EVENTS_1, CODES, CONTACT_ROWS, WINDOWS = (
    "data/1.parquet",
    "metadata/codes.parquet",
    "contacts.parquet",
    "observation.parquet",
)
DIED = pl.lit("MEDS_DEATH").alias("code")
OPEN_FILE = {"rows_read": 3, "rows_used": 1, "rows_ignored": {"x": 1}, "rows_rejected": {}}
FAULTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "known early": ("events known before they happened", change(EVENTS_1, at_row(2, known_time=ADMITTED))),
    "unborn": ("events before the subject's birth", change(EVENTS_1, at_row(1, time=datetime(2021, 1, 1)))),
    "born twice": ("subjects born more than once", change(EVENTS_1, lambda f: pl.concat([f[:2], f[1:]]))),
    "dead twice": (
        "subjects who died more than once",
        change(EVENTS_1, lambda f: pl.concat([f, f[2:].with_columns(DIED), f[2:].with_columns(DIED)])),
    ),
    "order": ("events out of time order", change(EVENTS_1, lambda f: f[[0, 2, 1]])),
    "late static": ("static facts after dated events", change(EVENTS_1, lambda f: f[[1, 2, 0]])),
    "scattered": (
        "a subject's events do not stand together",
        change(
            EVENTS_1, lambda f: pl.concat([f, f.with_columns(pl.lit(3, pl.Int64).alias("subject_id")), f[2:]])
        ),
    ),
    "two files": (
        "subjects in more than one file",
        change(EVENTS_1, lambda f: f.with_columns(subject_id=pl.lit(2, pl.Int64))),
    ),
    "type": (
        "not MEDS: the schema class refuses the file",
        change(EVENTS_1, lambda f: f.cast({"subject_id": pl.String})),
    ),
    "null code": ("not MEDS: the schema class refuses the file", change(EVENTS_1, at_row(2, code=None))),
    "own type": (
        "column contact_id has another type",
        change(EVENTS_1, lambda f: f.cast({"contact_id": pl.String})),
    ),
    "NaN": (
        "values that are no number (NaN or infinite)",
        change(EVENTS_1, at_row(2, numeric_value=float("nan"))),
    ),
    "empty code": ("events with an empty code", change(EVENTS_1, at_row(2, code=" "))),
    "no contact": (
        "events of contacts that contacts.parquet lacks",
        change(EVENTS_1, at_row(2, contact_id=77)),
    ),
    "contact": ("events that name another subject's contact", change(EVENTS_1, at_row(2, contact_id=20))),
    "no lineage": (
        "events whose lineage_id lineage.parquet lacks",
        change(EVENTS_1, at_row(2, lineage_id=5)),
    ),
    "codes": ("codes that codes.parquet lacks", change(CODES, lambda f: f[:2])),
    "code twice": ("codes listed twice", change(CODES, lambda f: pl.concat([f, f[:1]]))),
    "contact twice": (
        "contact ids that are there twice",
        change(CONTACT_ROWS, lambda f: pl.concat([f, f[:1]])),
    ),
    "reversed": ("contacts that end before they start", change(CONTACT_ROWS, at_row(0, end_time=BORN))),
    "stay": ("stay ids that are no contact's", change(CONTACT_ROWS, at_row(0, stay_id=5))),
    "window": (
        "observation windows that end before they start",
        change(WINDOWS, at_row(0, end_time=datetime(1900, 1, 1))),
    ),
    "columns": ("columns are missing or have another type", change(WINDOWS, lambda f: f.drop("end_time"))),
    "damaged": ("not a whole parquet file", write_text(EVENTS_1, "PAR1")),
    "metadata": ("dataset.json is not MEDS", write_text("metadata/dataset.json", '{"dataset_name": 3}')),
    "account": (
        "the account of rows does not close",
        write_text("ingest.json", json.dumps({"files": [OPEN_FILE]})),
    ),
}


def test_a_sound_dataset_has_no_problem(dataset: Path) -> None:
    assert check_dataset(dataset) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found(dataset: Path, fault: str) -> None:
    expected, break_it = FAULTS[fault]
    break_it(dataset)
    assert expected in [problem.what for problem in check_dataset(dataset)]


def test_all_faults_are_told_at_once(dataset: Path) -> None:
    for fault in ("known early", "codes", "reversed", "window", "account"):
        FAULTS[fault][1](dataset)
    found = {problem.what for problem in check_dataset(dataset)}
    assert found == {FAULTS[fault][0] for fault in ("known early", "codes", "reversed", "window", "account")}


def test_a_plain_meds_dataset_without_our_columns_is_sound(tmp_path: Path) -> None:
    rows = events((1, None, "SEX//female"), (1, LATER, "LAB//1")).select("subject_id", "time", "code")
    write(tmp_path, "data/0.parquet", rows)
    assert check_dataset(tmp_path) == []


def test_a_folder_that_is_no_dataset_is_said_to_be_none(tmp_path: Path) -> None:
    assert [problem.what for problem in check_dataset(tmp_path)] == ["no MEDS dataset here"]


def test_problems_quote_no_id_and_no_value(dataset: Path) -> None:
    change(
        "data/1.parquet",
        lambda f: f.with_columns(
            subject_id=pl.lit(987654321, pl.Int64), numeric_value=pl.lit(float("inf"), pl.Float32)
        ),
    )(dataset)
    problems = check_dataset(dataset)
    assert problems
    assert "987654321" not in "\n".join(map(str, problems))
