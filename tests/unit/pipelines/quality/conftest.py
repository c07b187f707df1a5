"""Small datasets written row by row, for counting by hand."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from phenotype.trajectory import (
    CODINGS,
    CONTACTS,
    EVENTS,
    LINEAGE,
    OBSERVATION,
    Dataset,
)
from pipelines.quality.checking import judge
from pipelines.quality.model import Check

Row = Mapping[str, Any]
Counts = dict[tuple[str | None, str | None, str | None], tuple[int, int]]


def instant(text: str | None) -> dt.datetime | None:
    """A naive instant of ISO text."""
    return None if text is None else dt.datetime.fromisoformat(text)


def frame(rows: Sequence[Row], schema: pl.Schema) -> pl.DataFrame:
    """Rows with the columns of a schema; what a row does not say is null, texts in instants are read."""
    times = {name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)}
    whole = [
        {name: instant(row.get(name)) if name in times else row.get(name) for name in schema} for row in rows
    ]
    return pl.DataFrame(whole, schema=schema)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Dataset]:
    """A writer of datasets: events in the order given, in one or several files, and tables."""
    numbers = itertools.count()

    def written(
        events: Sequence[Row] = (),
        *,
        files: Sequence[Sequence[Row]] | None = None,
        contacts: Sequence[Row] | None = None,
        codings: Sequence[Row] | None = None,
        observation: Sequence[Row] | None = None,
        lineage: Sequence[Row] | None = None,
        account: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        codes: Sequence[str] | None = None,
    ) -> Dataset:
        folder = tmp_path / f"dataset-{next(numbers)}"
        (folder / "data").mkdir(parents=True)
        (folder / "metadata").mkdir()
        for number, rows in enumerate(files or [events]):
            frame(rows, EVENTS).write_parquet(folder / "data" / f"{number}.parquet")
        tables = {
            "contacts": (contacts, CONTACTS),
            "codings": (codings, CODINGS),
            "observation": (observation, OBSERVATION),
            "lineage": (lineage, LINEAGE),
        }
        for name, (rows, schema) in tables.items():
            if rows is not None:
                frame(rows, schema).write_parquet(folder / f"{name}.parquet")
        if account is not None:
            (folder / "ingest.json").write_text(json.dumps(account), "utf-8")
        if metadata is not None:
            (folder / "metadata" / "dataset.json").write_text(json.dumps(metadata), "utf-8")
        if codes is not None:
            pl.DataFrame({"code": codes}).write_parquet(folder / "metadata" / "codes.parquet")
        return Dataset(folder)

    return written


@pytest.fixture
def ask() -> Callable[..., Counts]:
    """Asks one rule of a dataset: rows asked and rows wrong, by (concept, unit_id, period)."""

    def asked(dataset: Dataset, **rule: Any) -> Counts:
        return counts_of(dataset, check_of(rule))

    return asked


@pytest.fixture
def state() -> Callable[..., tuple[str, str]]:
    """Asks one rule with a threshold of a dataset: its state, and why it was not judged."""

    def asked(dataset: Dataset, threshold: float | None = 0.0, **rule: Any) -> tuple[str, str]:
        result = judge(dataset, [check_of(rule, threshold=threshold)])
        return result.state("asked"), str(result.results["reason"][0])

    return asked


def check_of(rule: Mapping[str, Any], **others: Any) -> Check:
    """A check around a rule."""
    content = {
        "id": "asked",
        "title": "what is asked",
        "why": "for a test",
        "category": "plausibility",
        "level": "field",
        "severity": "convention",
        "table": "events",
        "source": "this test",
        "advice": "none",
        "rule": rule,
    }
    return Check.model_validate({**content, **others})


def counts_of(dataset: Dataset, check: Check) -> Counts:
    """Rows asked and rows wrong of each group; nothing where the check is not applicable."""
    result = judge(dataset, [check])
    rows = result.results.filter(pl.col("n_rows").is_not_null())
    return {
        (row["concept"], row["unit_id"], row["period"]): (row["n_rows"], row["n_violated"])
        for row in rows.iter_rows(named=True)
    }
