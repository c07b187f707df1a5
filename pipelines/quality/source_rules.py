"""Rules about how the dataset came to be: the account of ingestion, identity numbers that came through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from pipelines.quality.outcomes import Outcome, counted
from pipelines.quality.rules import FilesNotRead, IdentityNumbers, LostLinks, Rejects
from pipelines.quality.surroundings import Surroundings

NO_ACCOUNT = "no ingest.json"
_SHAPE = r"\d{6}[ .-]?\d{5,}"
"""Eleven digits, or more, as long as they stand together; only exactly eleven are asked further."""
_FIRST_WEIGHTS = np.array([3, 7, 6, 1, 8, 9, 4, 5, 2, 1])
_SECOND_WEIGHTS = np.array([5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1])


def conclude_rejects(rule: Rejects, around: Surroundings) -> Outcome:
    """By table and file: rows read, and those with the fate that the rule asks for; reasons are details."""
    if around.account is None:
        return Outcome(counted(pl.DataFrame({"n_rows": [0], "n_violated": [0]})), reason=NO_ACCOUNT)
    rows, reasons = [], []
    for entry in around.account["files"]:
        name = f"{entry.get('table', '')}: {entry.get('file', '')}"
        n_read = int(entry.get("rows_read", 0))
        told: Mapping[str, int] = {}
        if rule.what == "rows_unaccounted":
            n_wrong = abs(n_read - _told(entry))
        else:
            told = entry.get(rule.what, {})
            n_wrong = sum(told.values())
        rows.append((name, n_read, n_wrong))
        reasons += [(name, reason, n) for reason, n in told.items()]
    found = pl.DataFrame(rows, schema=["concept", "n_rows", "n_violated"], orient="row")
    details = pl.DataFrame(
        reasons, schema={"file": pl.String, "reason": pl.String, "n_rows": pl.Int64}, orient="row"
    )
    counts = counted(found)
    return Outcome(counts, details.sort("file", "reason"), "" if counts.height else "no rows were read")


def _told(entry: Mapping[str, Any]) -> int:
    """How many rows of a file have a fate."""
    return int(entry.get("rows_used", 0)) + sum(
        sum(entry.get(name, {}).values()) for name in ("rows_ignored", "rows_rejected")
    )


def conclude_files(_: FilesNotRead, around: Surroundings) -> Outcome:
    """Files under the input, and those that no table reads."""
    if around.account is None:
        return Outcome(counted(pl.DataFrame({"n_rows": [0], "n_violated": [0]})), reason=NO_ACCOUNT)
    shapes: Mapping[str, int] = around.account.get("files_not_read", {})
    n_unread = sum(shapes.values())
    n_read = len({entry.get("file") for entry in around.account["files"]})
    details = pl.DataFrame(
        list(shapes.items()), schema={"name": pl.String, "n_files": pl.Int64}, orient="row"
    )
    return Outcome(counted(pl.DataFrame({"n_rows": [n_read + n_unread], "n_violated": [n_unread]})), details)


def conclude_links(_: LostLinks, around: Surroundings) -> Outcome:
    """Events, and those that named a contact which is not there."""
    totals = (around.account or {}).get("totals", {})
    if "events_without_their_contact" not in totals:
        return Outcome(counted(pl.DataFrame({"n_rows": [0], "n_violated": [0]})), reason=NO_ACCOUNT)
    n_events, n_lost = int(totals.get("events", 0)), int(totals["events_without_their_contact"])
    return Outcome(counted(pl.DataFrame({"n_rows": [n_events], "n_violated": [n_lost]})))


def conclude_identity(rule: IdentityNumbers, around: Surroundings) -> Outcome:
    """By place: distinct texts, and those that hold a valid national identity number."""
    rows = []
    for place in rule.places:
        texts = _texts(place, around)
        rows.append((place, texts.len(), int(holds_identity_number(texts).sum())))
    found = counted(pl.DataFrame(rows, schema=["concept", "n_rows", "n_violated"], orient="row"))
    return Outcome(found, reason="" if found.height else "no texts")


def _texts(place: str, around: Surroundings) -> pl.Series:
    """The distinct texts of a column; of ingest.json, the names of its files."""
    table, column = place.split(".")
    if table == "ingest":
        files = (around.account or {}).get("files", [])
        return pl.Series([str(entry.get("file", "")) for entry in files], dtype=pl.String).unique()
    if table == "events":
        parts = [_distinct(around.dataset.events(shard), column) for shard in around.dataset.shards]
        return pl.concat(parts).unique()
    file = around.dataset.path / f"{table}.parquet"
    if not file.exists() or column not in pl.read_parquet_schema(file):
        return pl.Series([], dtype=pl.String)
    return _distinct(pl.scan_parquet(file), column)


def _distinct(rows: pl.LazyFrame, column: str) -> pl.Series:
    """The distinct texts that hold eleven digits or more, and one that stands for all others."""
    text = pl.col(column).cast(pl.String)
    if rows.collect_schema()[column].is_integer():
        text = text.str.zfill(11)  # a number of a person that was read as one has lost its leading zero
    asked = rows.select(text.alias("text")).filter(pl.col("text").is_not_null())
    shaped = pl.when(pl.col("text").str.contains(_SHAPE)).then("text").otherwise(pl.lit(""))
    return asked.select(shaped.alias("text")).unique().collect()["text"]


def holds_identity_number(texts: pl.Series) -> pl.Series:
    """Whether each text holds eleven digits that are a valid national identity number.

    Birth numbers, D-numbers (day + 40), help numbers (first digit 8 or 9) and the synthetic numbers of test
    registers (month + 40, + 65 or + 80) count.

    **Source:** Skatteetaten, control digits of birth numbers: weights 3 7 6 1 8 9 4 5 2 and
    5 4 3 2 7 6 5 4 3 2, modulo 11; numbers issued from 2032 on may leave other remainders of the first and
    are not recognised.
    """
    rows = pl.DataFrame({"text": texts}).with_row_index("place")
    found = rows.with_columns(number=pl.col("text").str.extract_all(_SHAPE)).explode("number").drop_nulls()
    digits_only = found.with_columns(pl.col("number").str.replace_all(r"\D", "")).filter(
        pl.col("number").str.len_bytes() == 11
    )
    is_there = np.zeros(texts.len(), dtype=bool)
    if digits_only.height:
        text = "".join(digits_only["number"].to_list())
        digits = (np.frombuffer(text.encode("ascii"), dtype=np.uint8) - ord("0")).astype(np.int64)
        digits = digits.reshape(-1, 11)
        is_valid = (digits[:, :10] @ _FIRST_WEIGHTS % 11 == 0) & (digits @ _SECOND_WEIGHTS % 11 == 0)
        is_there[digits_only["place"].to_numpy()[is_valid & _is_dated(digits)]] = True
    return pl.Series(is_there)


def _is_dated(digits: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether the first six digits are a date as such numbers write it; help numbers hold none."""
    day = digits[:, 0] * 10 + digits[:, 1]
    month = digits[:, 2] * 10 + digits[:, 3]
    is_day = ((day >= 1) & (day <= 31)) | ((day >= 41) & (day <= 71))
    is_month = np.isin(month, [base + number for base in (0, 40, 65, 80) for number in range(1, 13)])
    return np.asarray((is_day & is_month) | (digits[:, 0] >= 8), dtype=bool)
