"""The account of records: several rows that share a number are one record, used if any of them is."""

from __future__ import annotations

import polars as pl

from pipelines.sources.accounting import FileTally, IngestAccount, Ledger, add_fates
from pipelines.sources.records import FATES


def ledger_of(rows: list[tuple[int, int]]) -> Ledger:
    files, numbers = zip(*rows, strict=True)
    return Ledger(pl.Series(files, dtype=pl.UInt32), pl.Series(numbers, dtype=pl.Int64), of_records=True)


def index(*positions: int) -> pl.Series:
    return pl.Series(positions, dtype=pl.UInt32)


def test_a_record_counts_once_and_the_best_of_its_rows_decides() -> None:
    # file 0: record 1 (one row used, one wrong), 2 (one ignored, one wrong), 3 (ignored twice)
    # file 1: record 1 (used)
    ledger = ledger_of([(0, 1), (0, 1), (0, 2), (0, 2), (0, 3), (0, 3), (1, 1)])
    ledger.use(index(0, 6))
    ledger.ignore(index(2, 4, 5), "entered in error")
    ledger.reject(index(1, 3), "value", "not a number")
    first, second = ledger.tally(2)
    assert (first.n_read, first.n_used) == (3, 1)
    assert dict(first.ignored) == {"entered in error": 1}
    assert dict(first.rejected) == {"not a number": 1}
    assert dict(first.fields_rejected) == {"not a number": 1}
    assert (second.n_read, second.n_used) == (1, 1)
    assert first.is_closed
    assert second.is_closed


def test_a_field_of_a_record_is_told_once() -> None:
    ledger = ledger_of([(0, 1), (0, 1), (0, 1), (0, 2)])
    ledger.reject(index(0, 1, 2, 3), "value", "not a number")
    assert ledger.rejected().rows() == [(0, 1, "value", "not a number"), (0, 2, "value", "not a number")]


def test_records_that_are_all_used_are_counted_by_their_numbers() -> None:
    ledger = ledger_of([(0, 1), (0, 1), (0, 2), (2, 5)])
    ledger.use(index(0, 1, 2, 3))
    assert [(tally.n_read, tally.n_used) for tally in ledger.tally(3)] == [(2, 2), (0, 0), (1, 1)]


def test_fates_enter_the_account_once_a_record() -> None:
    account = IngestAccount("some", files={("A", "one"): FileTally(n_read=4, n_used=4)})
    rows = [
        (7, "A", "rejected", "x", "broken", None, 0),
        (7, "A", "rejected", "y", "broken as well", None, 0),
        (8, "A", "ignored", "", "deleted", None, 0),
        (1, "A", "field", "z", "odd", None, 0),
        (1, "B", "ignored", "", "not read", None, 1),
    ]
    fates = pl.DataFrame(rows, schema={**FATES, "_file_no": pl.UInt32}, orient="row")
    add_fates(account, fates, ["one", "two"])
    told = account.files["A", "one"]
    assert (told.n_read, told.n_used, dict(told.rejected), dict(told.ignored)) == (
        6, 4, {"broken": 1}, {"deleted": 1},
    )  # fmt: skip
    assert dict(told.fields_rejected) == {"odd": 1}
    assert account.files["B", "two"].n_read == 1
    assert account.is_closed
