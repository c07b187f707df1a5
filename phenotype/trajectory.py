"""The dataset on disk: schemas, opening, lazy scanning and digests of MEDS events with their contacts.

Instants are naive microseconds; an event with a null time is a static fact. A fact can be known from
`known_time` on, or from `time` where `known_time` is null.

**Source:** MEDS 0.4 (`meds.DataSchema`); four columns are added to it: known_time, unit, contact_id,
lineage_id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import InputError, Problem

INSTANT = pl.Datetime("us")
BIRTH_CODE = "MEDS_BIRTH"
DEATH_CODE = "MEDS_DEATH"
_NEEDED: Mapping[str, tuple[Callable[[pl.DataType], bool], str]] = {
    "subject_id": (lambda dtype: dtype.is_integer(), "whole numbers"),
    "time": (lambda dtype: isinstance(dtype, pl.Datetime | pl.Date), "timestamps"),
    "code": (lambda dtype: isinstance(dtype, pl.String | pl.Categorical | pl.Enum), "text"),
}
"""The columns without which nothing can be read, what their type must be, and how to say so."""
NOT_PREDICTORS = ("LABEL//",)
"""Codes with these beginnings are answers, not observations; no model ever sees them."""

EVENTS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "time": INSTANT,
        "code": pl.String(),
        "numeric_value": pl.Float32(),
        "text_value": pl.String(),
        "known_time": INSTANT,
        "unit": pl.String(),
        "contact_id": pl.Int64(),
        "lineage_id": pl.Int64(),
    }
)
EVENT_ORDER = [
    "subject_id",
    "time",
    "code",
    "known_time",
    "numeric_value",
    "text_value",
    "unit",
    "contact_id",
]
"""The canonical order of events: nulls first; lineage_id is no fact about the patient and orders nothing."""

CONTACTS = pl.Schema(
    {
        "contact_id": pl.Int64(),
        "subject_id": pl.Int64(),
        "stay_id": pl.Int64(),
        "referral_period_id": pl.Int64(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "care_level": pl.String(),
        "urgency": pl.String(),
        "unit_id": pl.String(),
        "hospital_id": pl.String(),
        "admitted_from": pl.String(),
        "discharged_to": pl.String(),
    }
)
CODINGS = pl.Schema(
    {
        "contact_id": pl.Int64(),
        "group_no": pl.Int32(),
        "code_no": pl.Int32(),
        "role": pl.String(),
        "system": pl.String(),
        "version": pl.String(),
        "code": pl.String(),
        "condition_group_no": pl.Int32(),
        "coded_time": INSTANT,
        "lineage_id": pl.Int64(),
    }
)
OBSERVATION = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "source": pl.String(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "end_reason": pl.String(),
    }
)
LINEAGE = pl.Schema(
    {
        "lineage_id": pl.Int64(),
        "source": pl.String(),
        "file": pl.String(),
        "row": pl.Int64(),
        "sent_code": pl.String(),
        "sent_value": pl.String(),
        "sent_unit": pl.String(),
        "sent_alternates": pl.String(),
    }
)
REJECTED = pl.Schema(
    {
        "file": pl.String(),
        "row": pl.Int64(),
        "byte_offset": pl.Int64(),
        "field": pl.String(),
        "reason": pl.String(),
    }
)


def known_time() -> pl.Expr:
    """When each event could be known: known_time, else time; null for static facts."""
    return pl.coalesce("known_time", "time")


@dataclass(frozen=True)
class Dataset:
    """One dataset folder, opened lazily: nothing is read until it is asked for.

    Attributes:
        path: the folder that holds data/, metadata/ and the tables beside them.
    """

    path: Path

    @cached_property
    def shards(self) -> tuple[Path, ...]:
        """The event files in name order."""
        return tuple(sorted((self.path / "data").rglob("*.parquet")))

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """metadata/dataset.json, empty where a MEDS dataset has none."""
        file = self.path / "metadata" / "dataset.json"
        return dict(json.loads(file.read_text("utf-8"))) if file.exists() else {}

    @cached_property
    def untrue_dates(self) -> str | None:
        """Why the dataset's dates are none of the calendar; None where they are."""
        if self.metadata.get("nominal_anchor"):
            return "times relative to a nominal anchor"
        return "dates shifted by person" if self.metadata.get("dates") == "shifted" else None

    @property
    def view(self) -> str:
        """Names what of the folder is shown; empty where all of it is."""
        return ""

    def events(self, shard: Path | None = None) -> pl.LazyFrame:
        """All events (or those of one shard) with the columns of EVENTS; columns that MEDS lacks are null."""
        scans = [_with_schema(pl.scan_parquet(file), EVENTS) for file in ([shard] if shard else self.shards)]
        return pl.concat(scans) if scans else pl.LazyFrame(schema=EVENTS)

    def contacts(self) -> pl.DataFrame:
        """contacts.parquet, or no rows where the source has no contacts."""
        return self._table("contacts.parquet", CONTACTS)

    def codings(self) -> pl.DataFrame:
        """codings.parquet, or no rows."""
        return self._table("codings.parquet", CODINGS)

    def observation(self) -> pl.DataFrame:
        """observation.parquet, or no rows."""
        return self._table("observation.parquet", OBSERVATION)

    def _table(self, name: str, schema: pl.Schema) -> pl.DataFrame:
        file = self.path / name
        return (
            _with_schema(pl.scan_parquet(file), schema).collect()
            if file.exists()
            else pl.DataFrame(schema=schema)
        )

    @cached_property
    def digest(self) -> str:
        """The sha256 of events, contacts and observation windows, whatever the shards or row order."""
        total = hashlib.sha256()
        total.update(frame_digest(self.events().drop("lineage_id").collect()).encode())
        total.update(frame_digest(self.contacts()).encode())
        total.update(frame_digest(self.observation()).encode())
        return total.hexdigest()


def find_dataset(path: Path) -> Dataset:
    """A dataset whose folder and event files exist, whatever is in them.

    Raises:
        InputError: the folder is missing or holds no data/*.parquet.
    """
    dataset = Dataset(Path(path))
    if dataset.shards:
        return dataset
    raise InputError(
        Problem(
            "no MEDS dataset here",
            where=str(path),
            found=_kind_of_place(Path(path)),
            allowed="a folder with data/<shard>.parquet, as `pesta ingest` writes it",
            next_step="check the path, or make one: `pesta ingest MAPPING INPUT --out DATASET`",
        )
    )


def open_dataset(path: Path) -> Dataset:
    """A dataset whose folder and event files exist and have the columns that MEDS asks for.

    Raises:
        InputError: the folder is missing or holds no data/*.parquet; or every file that is no whole Parquet
            file, or lacks a column or its type.
    """
    dataset = find_dataset(path)
    problems = [problem for file in dataset.shards for problem in _shard_problems(dataset.path, file)]
    tables = [dataset.path / f"{name}.parquet" for name in ("contacts", "codings", "observation")]
    damaged = [file for file in tables if file.exists() and _schema(file) is None]
    problems += [_damaged(dataset.path, file) for file in damaged]
    if problems:
        raise InputError(problems)
    return dataset


def _schema(file: Path) -> Mapping[str, pl.DataType] | None:
    """A file's columns and types; None where it is no whole Parquet file."""
    try:
        return pl.read_parquet_schema(file)
    except pl.exceptions.PolarsError:
        return None


def _damaged(folder: Path, file: Path) -> Problem:
    return Problem(
        "not a whole Parquet file",
        where=file.relative_to(folder).as_posix(),
        found=f"{file.stat().st_size} bytes",
        next_step="copy or make the dataset again; `pesta check DATASET` tells what else is wrong with it",
    )


def _shard_problems(folder: Path, file: Path) -> list[Problem]:
    """What keeps one event file from being read as MEDS at all; `pesta check` looks further."""
    schema = _schema(file)
    if schema is None:
        return [_damaged(folder, file)]
    return [
        Problem(
            f"no column {name}" if name not in schema else f"column {name} has another type",
            where=file.relative_to(folder).as_posix(),
            found=", ".join(schema) if name not in schema else str(schema[name]),
            allowed=f"{name}: {allowed}",
            next_step="write the dataset as MEDS has it; `pesta check DATASET` tells all that is wrong",
        )
        for name, (fits, allowed) in _NEEDED.items()
        if name not in schema or not fits(schema[name])
    ]


def _kind_of_place(path: Path) -> str:
    if path.is_dir():
        return "a folder without data/*.parquet"
    return "a file" if path.exists() else "no such folder"


def frame_digest(frame: pl.DataFrame) -> str:
    """The sha256 of a frame's rows: equal for any row order, different for any changed value."""
    columns = sorted(frame.columns)
    ordered = frame.select(columns).sort(columns, nulls_last=False, maintain_order=False)
    digest = hashlib.sha256(",".join(columns).encode())
    for start in range(0, max(ordered.height, 1), 1_000_000):
        digest.update(
            ordered.slice(start, 1_000_000).write_csv(include_header=False, float_precision=None).encode()
        )
    return digest.hexdigest()


def _with_schema(frame: pl.LazyFrame, schema: pl.Schema) -> pl.LazyFrame:
    """The frame with exactly the columns of a schema: extra ones dropped, missing ones null."""
    present = set(frame.collect_schema().names())
    columns = [
        (pl.col(name) if name in present else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    ]
    return frame.select(columns)
