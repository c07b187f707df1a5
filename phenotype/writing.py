"""A dataset folder written shard by shard under a temporary name and moved into place when it is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.event_order import in_event_order
from phenotype.lineage_writing import LineageWriter, parquet_options
from phenotype.trajectory import CODINGS, CONTACTS, EVENTS, OBSERVATION, REJECTED

ROWS_HELD = 6_000_000
BYTES_A_SHARD = 200_000_000
MOST_SHARDS = 512
ROW_GROUP = 500_000


def default_n_shards(n_bytes: int) -> int:
    """How many shards an input of that many uncompressed bytes is worth."""
    return min(MOST_SHARDS, max(1, -(-n_bytes // BYTES_A_SHARD)))


class DatasetWriter:
    """Takes events in any order and writes one dataset.

    A subject's shard is its pseudonym modulo the number of shards: pseudonyms are made evenly spread.

    Args:
        out: the dataset's folder; a dataset that is there is replaced when the new one is whole.
        n_shards: how many event files.
        rows_held: how many events are held in memory before they are put aside.

    Raises:
        ConfigurationError: a folder is there that is no dataset, or there is no shard.
    """

    def __init__(self, out: Path, n_shards: int, *, rows_held: int = ROWS_HELD) -> None:
        if n_shards < 1:
            raise ConfigurationError(Problem("no shards", found=str(n_shards), allowed="1 or more"))
        if (
            out.exists()
            and not (out / "metadata" / "dataset.json").exists()
            and (out.is_file() or any(out.iterdir()))
        ):
            raise ConfigurationError(
                Problem("something else is there", str(out), next_step="give a new folder, or empty this one")
            )
        self.out = out
        self.n_shards = n_shards
        self.folder = out.with_name(f".{out.name}.{os.getpid()}.part")
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("data", "metadata", "spill"):
            (self.folder / name).mkdir(parents=True)
        self.work = self.folder / "work"
        self.work.mkdir(mode=0o700)
        self._held: list[pl.DataFrame] = []
        self._n_held = 0
        self._n_spills = 0
        self._rows_held = rows_held
        self._lineage = LineageWriter(self.folder / "spill")
        self._codes: list[pl.Series] = []
        self.n_events = 0
        self.n_subjects = 0

    def add_events(self, events: pl.DataFrame) -> None:
        """Take events with the columns of EVENTS."""
        self._held.append(events)
        self._n_held += events.height
        self.n_events += events.height
        if self._n_held > self._rows_held:
            self._spill()

    def add_lineage(self, lineage: pl.DataFrame) -> None:
        """Take lineage rows, columns of LINEAGE, lineage_id growing from call to call."""
        self._lineage.add(lineage)

    @property
    def n_lineage(self) -> int:
        """Lineage rows so far."""
        return self._lineage.n_rows

    def _spill(self) -> None:
        for shard, part in self._by_shard().items():
            part.write_parquet(
                self.folder / "spill" / f"{shard}-{self._n_spills:05d}.parquet", compression="lz4"
            )
        self._n_spills += 1

    def _by_shard(self) -> dict[int, pl.DataFrame]:
        """What is held, by shard; nothing is held afterwards."""
        held = pl.concat(self._held) if self._held else pl.DataFrame(schema=EVENTS)
        self._held, self._n_held = [], 0
        if self.n_shards == 1:
            return {0: held}
        marked = held.with_columns(_shard=pl.col("subject_id") % self.n_shards)
        parts = marked.partition_by("_shard", as_dict=True, include_key=False)
        return {int(str(key[0])): part for key, part in parts.items()}

    def write_events(self, contact_ids: pl.Series) -> int:
        """Write the shards.

        Args:
            contact_ids: the contacts that there are; an event that names another loses the name.

        Returns:
            How many events named a contact that is not there.
        """
        held = self._by_shard()
        n_unlinked = 0
        for shard in range(self.n_shards):
            spilled = sorted((self.folder / "spill").glob(f"{shard}-*.parquet"))
            parts = [pl.read_parquet(path) for path in spilled]
            parts.append(held.pop(shard, pl.DataFrame(schema=EVENTS)))
            events, n_lost = _linked(pl.concat(parts), contact_ids)
            n_unlinked += n_lost
            events = in_event_order(events)
            self._codes.append(events["code"].unique())
            self.n_subjects += events["subject_id"].n_unique()
            write_shard(self.folder / "data" / f"{shard}.parquet", events)
        return n_unlinked

    def finish(
        self,
        *,
        contacts: pl.DataFrame,
        codings: pl.DataFrame,
        observation: pl.DataFrame,
        rejected: pl.DataFrame,
        descriptions: pl.DataFrame,
        metadata: dict[str, Any],
        write_account: Callable[[Path], None],
    ) -> None:
        """Write everything beside the events, which must be there, and move the folder into place.

        Args:
            contacts: columns of CONTACTS.
            codings: columns of CODINGS.
            observation: columns of OBSERVATION.
            rejected: columns of REJECTED.
            descriptions: code, description.
            metadata: what dataset.json says beside what MEDS asks for.
            write_account: writes ingest.json, and what else belongs in the folder, when all else is there.
        """
        codes = pl.concat(self._codes).unique().sort()
        _write_codes(self.folder / "metadata" / "codes.parquet", codes, descriptions)
        _write_metadata(self.folder / "metadata" / "dataset.json", metadata)
        self._lineage.finish(self.folder / "lineage.parquet")
        tables = [
            ("contacts", contacts, CONTACTS, ["subject_id", "start_time", "end_time", "contact_id"]),
            (
                "codings",
                codings,
                CODINGS,
                ["contact_id", "group_no", "code_no", "role", "system", "code", "lineage_id"],
            ),
            ("observation", observation, OBSERVATION, ["subject_id", "start_time", "end_time", "end_reason"]),
            ("rejected", rejected, REJECTED, []),
        ]
        for name, frame, schema, order in tables:
            plain = frame.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
            plain = plain.sort(order, nulls_last=False, maintain_order=True) if order else plain
            plain.write_parquet(self.folder / f"{name}.parquet", compression="zstd", compression_level=1)
        write_account(self.folder)
        self._move_into_place()

    def _move_into_place(self) -> None:
        shutil.rmtree(self.folder / "spill")
        shutil.rmtree(self.work)
        former = self.out.with_name(f".{self.out.name}.{os.getpid()}.old")
        if self.out.exists():
            self.out.replace(former)
        self.folder.replace(self.out)
        shutil.rmtree(former, ignore_errors=True)

    def discard(self) -> None:
        """Leave nothing behind of a dataset that did not come to be."""
        self._lineage.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _linked(events: pl.DataFrame, contact_ids: pl.Series) -> tuple[pl.DataFrame, int]:
    named = events["contact_id"]
    if named.null_count() == named.len():
        return events, 0
    is_unknown = named.is_not_null() & ~named.is_in(contact_ids.implode())
    if not is_unknown.any():
        return events, 0
    linked = pl.DataFrame({"c": named, "u": is_unknown}).select(pl.when(~pl.col("u")).then("c")).to_series()
    return events.with_columns(contact_id=linked), int(is_unknown.sum())


def write_shard(path: Path, events: pl.DataFrame) -> None:
    """One shard, cast through the MEDS schema class; the rows must be sorted by EVENT_ORDER."""
    import pyarrow.parquet as pq
    from meds.schema import DataSchema

    plain = events.select(pl.col(name).cast(dtype) for name, dtype in EVENTS.items())
    aligned = DataSchema.align(plain.to_arrow())
    temporary = path.with_suffix(".tmp")
    options = parquet_options(aligned.column_names)
    pq.write_table(aligned, temporary, row_group_size=ROW_GROUP, **options)
    temporary.replace(path)


def _write_codes(path: Path, codes: pl.Series, descriptions: pl.DataFrame) -> None:
    import pyarrow.parquet as pq
    from meds.schema import CodeMetadataSchema

    known = (
        descriptions.drop_nulls()
        .sort("code", "description")
        .unique("code", keep="first", maintain_order=True)
    )
    table = codes.to_frame("code").join(known, on="code", how="left", maintain_order="left").sort("code")
    table = table.with_columns(parent_codes=pl.lit(None, pl.List(pl.String)))
    pq.write_table(CodeMetadataSchema.align(table.to_arrow()), path)


def _write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    from importlib.metadata import version

    from meds.schema import DatasetMetadataSchema

    content = {
        "etl_name": "pesta",
        "meds_version": version("meds"),
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "raw_source_id_columns": ["contact_id", "lineage_id"],
        "code_modifier_columns": ["unit"],
        **metadata,
    }
    DatasetMetadataSchema.validate(content)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
