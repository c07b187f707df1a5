"""A dataset as plain MEDS 0.4: events with all their columns, codes, splits, and the tables beside them."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.trajectory import Dataset, open_dataset
from pipelines.sources.meds import SENT_MARK, SOURCE_COLUMNS, SOURCE_METADATA

_MEDS = ("subject_id", "time", "code", "numeric_value", "text_value")
_OURS = ("known_time", "unit", "contact_id")
_TABLES = ("contacts", "codings", "observation")
_ORDER = ("subject_id", "time", "code")


def export_meds(dataset: Path, out: Path) -> dict[str, int]:
    """Write a dataset as a MEDS 0.4 folder that MEDS tools and `pesta ingest meds` read.

    `data/<shard>.parquet` has the columns of MEDS, then known_time, unit and contact_id where any event has
    them, then the columns of the dataset's own source. `metadata/` has codes, splits and dataset.json;
    contacts, codings and observation windows lie beside `data/` where the dataset has them. What stays behind
    is where each event came from (lineage_id).

    Args:
        dataset: a dataset's folder.
        out: the folder to write; it must be new or empty.

    Returns:
        Counts of what was written: events, subjects, shards.

    Raises:
        InputError: the folder is no dataset.
        ConfigurationError: something else lies where it should be written.
    """
    opened = open_dataset(dataset)
    folder = part_folder(out, dataset)
    try:
        own = [name for name in _OURS if _has_any(opened, name)]
        counts = {"events": 0, "subjects": 0, "shards": len(opened.shards)}
        for shard in opened.shards:
            events = _events(opened, shard, own)
            _write_events(folder / "data" / shard.relative_to(opened.path / "data"), events)
            counts["events"] += events.height
            counts["subjects"] += events["subject_id"].n_unique()
        _write_tables(opened, folder)
        _write_metadata(opened, folder)
        into_place(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return counts


def part_folder(out: Path, dataset: Path) -> Path:
    """A new folder beside the one to be written.

    Raises:
        ConfigurationError: something is there, or the folder would lie in the dataset, whose files it would
            be taken for.
    """
    if dataset.resolve() in out.resolve().parents:
        raise ConfigurationError(
            Problem("a folder in the dataset itself", str(out), next_step="give a folder outside the dataset")
        )
    if out.exists() and (out.is_file() or any(out.iterdir())):
        raise ConfigurationError(
            Problem("something else is there", str(out), next_step="give a new folder, or empty this one")
        )
    folder = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def into_place(folder: Path, out: Path) -> None:
    """Put a finished folder where it belongs."""
    if out.exists():
        out.rmdir()
    folder.replace(out)


def _has_any(dataset: Dataset, name: str) -> bool:
    return bool(dataset.events().select(pl.col(name).is_not_null().any()).collect().item())


def _events(dataset: Dataset, shard: Path, own: list[str]) -> pl.DataFrame:
    """The events of a shard with the columns of their source, by subject and time."""
    events = dataset.events(shard).select(*_MEDS, *own, "lineage_id").collect()
    parts = sorted((dataset.path / SOURCE_COLUMNS).glob(f"{shard.stem}-*.parquet"))
    if parts:
        # A cell as it was sent counts before ours.
        sent = pl.concat([pl.read_parquet(part) for part in parts], how="diagonal_relaxed")
        sent_names = [name for name in events.columns if SENT_MARK + name in sent.columns]
        events = events.join(sent, on="lineage_id", how="left", suffix=":theirs", maintain_order="left")
        events = events.with_columns(
            pl.when(SENT_MARK + name).then(f"{name}:theirs").otherwise(name).alias(name)
            for name in sent_names
        )
        marks = [name for name in events.columns if name.startswith(SENT_MARK)]
        events = events.drop(*marks, *(f"{name}:theirs" for name in sent_names))
    return events.drop("lineage_id").sort(_ORDER, nulls_last=False, maintain_order=True)


def _write_events(file: Path, events: pl.DataFrame) -> None:
    import pyarrow.parquet as pq
    from meds.schema import DataSchema

    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(DataSchema.align(events.to_arrow()), file, compression="zstd")


def _write_tables(dataset: Dataset, folder: Path) -> None:
    """The tables beside the events that the dataset has, if without a row."""
    for name in _TABLES:
        table: pl.DataFrame = getattr(dataset, name)()
        if (dataset.path / f"{name}.parquet").exists():
            kept = _without_lineage(table)
            kept.write_parquet(folder / f"{name}.parquet", compression="zstd")


def _without_lineage(table: pl.DataFrame) -> pl.DataFrame:
    """The table, its lineage ids null: the lineage stays behind."""
    return table.with_columns(
        pl.lit(None, pl.Int64).alias(name) for name in table.columns if name == "lineage_id"
    )


def _write_metadata(dataset: Dataset, folder: Path) -> None:
    """codes.parquet, subject_splits.parquet and dataset.json."""
    from importlib.metadata import version

    import pyarrow.parquet as pq
    from meds.schema import CodeMetadataSchema, DatasetMetadataSchema, SubjectSplitSchema

    source, target = dataset.path / "metadata", folder / "metadata"
    target.mkdir()
    schemas: dict[str, Any] = {
        "codes.parquet": CodeMetadataSchema,
        "subject_splits.parquet": SubjectSplitSchema,
    }
    for name, schema in schemas.items():
        if (source / name).exists():
            pq.write_table(schema.align(pl.read_parquet(source / name).to_arrow()), target / name)
    sent = source / SOURCE_METADATA
    content: dict[str, Any] = dict(json.loads(sent.read_text("utf-8"))) if sent.exists() else {}
    ours = {name: value for name, value in dataset.metadata.items() if value not in (None, "")}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    content |= ours | {"etl_name": "pesta", "meds_version": version("meds"), "created_at": now}
    content["raw_source_id_columns"] = [
        name for name in content.get("raw_source_id_columns") or () if name != "lineage_id"
    ]
    DatasetMetadataSchema.validate(content)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (target / "dataset.json").write_text(text, "utf-8")
