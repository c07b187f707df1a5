"""The comparison of forms sees every difference that is not listed, and every listed one that is none."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from phenotype.trajectory import EVENTS
from pipelines.simulate.forms.comparison import COLUMNS, Limit, compare_part, known_limits, stale_limits

ROWS = [
    # subject, time, code, value, text, known_time, unit, contact
    (1, datetime(2020, 1, 1), "NLK//NPU19748", 5.0, None, datetime(2020, 1, 2), "mg/L", 9),
    (1, datetime(2020, 1, 1), "NLK//NPU19748", 5.0, None, datetime(2020, 1, 2), "mg/L", 9),
    (1, datetime(2020, 1, 3), "ATC//J01CE01", 1.2, None, datetime(2020, 1, 3), "g", 9),
    (2, datetime(2020, 5, 1), "MEDS_DEATH", None, None, datetime(2020, 5, 4), None, None),
    (3, datetime(2020, 6, 1), "MEDS_DEATH", None, None, datetime(2020, 6, 1), None, None),
]


def events(*rows: tuple[object, ...]) -> pl.DataFrame:
    names = COLUMNS["events"]
    return pl.DataFrame(rows, schema={name: EVENTS[name] for name in names}, orient="row")


def counts(form: pl.DataFrame, *limits: Limit) -> tuple[int, int, int]:
    """Missing, added and equal rows against ROWS."""
    found = compare_part("events", events(*ROWS), form, limits)
    return found.n_missing, found.n_added, found.n_equal


def limit(code: str | None = None, column: str | None = None, *, some: bool = False) -> Limit:
    return Limit(part="events", code=code, column=column, some=some, why="a reason")


def test_equal_rows_are_counted_with_their_repetitions() -> None:
    assert counts(events(*reversed(ROWS))) == (0, 0, 5)
    assert counts(events(*ROWS[1:])) == (1, 0, 4)
    assert counts(events(*ROWS, ROWS[2])) == (0, 1, 5)


@pytest.mark.parametrize("place", range(8))
def test_a_change_of_any_column_is_seen(place: int) -> None:
    other = (7, datetime(2019, 1, 1), "ATC//X", 9.0, "text", datetime(2021, 1, 1), "kg", None)
    changed = tuple(other[i] if i == place else cell for i, cell in enumerate(ROWS[2]))
    assert counts(events(*ROWS[:2], changed, *ROWS[3:])) == (1, 1, 4)


def test_rows_that_are_listed_may_lack_and_may_not_be_there() -> None:
    without = events(*[row for row in ROWS if row[2] != "ATC//J01CE01"])
    assert counts(without) == (1, 0, 4)
    assert counts(without, limit("ATC//.*")) == (0, 0, 4)
    assert counts(events(*ROWS), limit("ATC//.*")) == (0, 1, 4)


def test_a_column_that_is_listed_is_not_compared_and_others_are() -> None:
    forgotten = tuple(None if place == 5 else cell for place, cell in enumerate(ROWS[3]))
    assert counts(events(*ROWS[:3], forgotten, ROWS[4]), limit("MEDS_DEATH", "known_time")) == (0, 0, 5)
    assert counts(events(*ROWS[:3], forgotten, ROWS[4]), limit("MEDS_DEATH", "unit")) == (1, 1, 4)


def test_some_rows_may_lack_and_none_may_be_added() -> None:
    only_one = events(*ROWS[:3], ROWS[4])
    assert counts(only_one, limit("MEDS_DEATH", some=True)) == (0, 0, 4)
    stranger = (8, datetime(2020, 7, 1), "MEDS_DEATH", None, None, datetime(2020, 7, 1), None, None)
    assert counts(events(*ROWS[:3], ROWS[4], stranger), limit("MEDS_DEATH", some=True)) == (0, 1, 4)


def write(folder: Path, rows: pl.DataFrame) -> Path:
    """A dataset's files with these events and nothing else."""
    (folder / "data").mkdir(parents=True)
    rows.write_parquet(folder / "data" / "0.parquet")
    for name, part in (("contacts", "contacts"), ("codings", "codings"), ("observation", "windows")):
        empty = pl.DataFrame(schema=dict.fromkeys(COLUMNS[part], pl.String))  # type: ignore[index]
        empty.write_parquet(folder / f"{name}.parquet")
    return folder


def test_an_entry_that_nothing_needs_is_named(tmp_path: Path) -> None:
    extract = write(tmp_path / "extract", events(*ROWS))
    form = write(tmp_path / "form", events(*[row for row in ROWS if row[2] != "ATC//J01CE01"]))
    needed, stale = limit("ATC//.*"), limit("NLK//.*", "unit")
    assert stale_limits(extract, form, [needed, stale]) == [stale]


def test_the_shipped_list_has_reasons_for_every_form() -> None:
    limits = known_limits()
    assert set(limits) == {"npr", "fhir", "omop"}
    assert all(entry.why for entries in limits.values() for entry in entries)
