"""A dataset as it was known at an instant: each of its tables, row by row, by hand."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl

from phenotype.past import before, later_of
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, OBSERVATION, Dataset

NOW = datetime(2020, 6, 1)
EARLY, LATE = datetime(2020, 5, 1), datetime(2020, 7, 1)


def table(rows: list[dict[str, object]], schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def written(path: Path) -> Dataset:
    (path / "data").mkdir()
    events = [
        ("STATIC", None, None),
        ("EARLY", EARLY, None),
        ("KNOWN_LATE", EARLY, LATE),
        ("AT_THE_INSTANT", NOW, None),
        ("LATE", LATE, None),
        ("KNOWN_BEFORE_ITS_TIME", LATE, EARLY),
    ]
    table(
        [{"subject_id": 1, "code": code, "time": time, "known_time": known} for code, time, known in events],
        EVENTS,
    ).write_parquet(path / "data" / "0.parquet")
    contacts = [(1, EARLY, EARLY), (2, EARLY, LATE), (3, EARLY, None), (4, LATE, LATE), (5, None, EARLY)]
    table(
        [
            {
                "contact_id": one,
                "subject_id": 1,
                "start_time": start,
                "end_time": end,
                "discharged_to": "home",
            }
            for one, start, end in contacts
        ],
        CONTACTS,
    ).write_parquet(path / "contacts.parquet")
    table(
        [{"contact_id": 1, "code": code, "coded_time": time} for code, time in (("A", EARLY), ("B", LATE))],
        CODINGS,
    ).write_parquet(path / "codings.parquet")
    windows = [(1, EARLY, datetime(2020, 5, 9)), (2, EARLY, LATE), (3, EARLY, None), (4, LATE, LATE)]
    table(
        [
            {"subject_id": one, "start_time": start, "end_time": end, "end_reason": "death"}
            for one, start, end in windows
        ],
        OBSERVATION,
    ).write_parquet(path / "observation.parquet")
    return Dataset(path)


def test_what_became_known_later_is_not_there(tmp_path: Path) -> None:
    past = before(written(tmp_path), NOW)
    assert past.events().collect()["code"].to_list() == ["STATIC", "EARLY", "KNOWN_BEFORE_ITS_TIME"]
    assert past.contacts().select("contact_id", "end_time", "discharged_to").rows() == [
        (1, EARLY, "home"),
        (2, None, None),
        (3, None, "home"),
        (5, EARLY, "home"),
    ]
    assert past.codings()["code"].to_list() == ["A"]
    assert past.observation().select("subject_id", "end_time", "end_reason").rows() == [
        (1, datetime(2020, 5, 9), "death"),
        (2, NOW, None),
        (3, NOW, None),
    ]


def test_views_differ_by_their_instant(tmp_path: Path) -> None:
    whole = written(tmp_path)
    early, late = before(whole, EARLY), before(whole, NOW)
    assert len({whole.digest, early.digest, late.digest}) == 3
    assert (whole.view, early.view) == ("", "2020-05-01T00:00:00")
    assert before(late, EARLY) == before(early, NOW) == early
    assert later_of(early, late) == later_of(late, early) == late
    assert later_of(early, whole) == later_of(whole, early) == whole
