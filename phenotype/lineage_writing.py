"""The lineage of a dataset, written on a thread of its own while the events are made ready."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl

from phenotype.trajectory import LINEAGE

REPEATED_WORDS = {"code", "unit", "text_value", "source", "file", "sent_code", "sent_unit"}
"""Columns worth a dictionary; for numbers that hardly repeat, making one costs more than all the rest."""
GROWING = {"lineage_id": "DELTA_BINARY_PACKED", "row": "DELTA_BINARY_PACKED"}
"""Columns of the lineage that mostly grow by one."""


def parquet_options(columns: Sequence[str]) -> dict[str, Any]:
    """How parquet files of many rows are written."""
    return {"compression": "zstd", "use_dictionary": [name for name in columns if name in REPEATED_WORDS]}


class LineageWriter:
    """Takes lineage rows in order and writes them; one part at most is waiting, so memory stays bounded.

    Args:
        folder: for the parts, until they are one file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[Path] = []
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._underway: Future[None] = self._thread.submit(_load_modules)
        self.n_rows = 0

    def add(self, lineage: pl.DataFrame) -> None:
        """Take rows, columns of LINEAGE, lineage_id growing from call to call."""
        if lineage.height:
            path = self._folder / f"lineage-{len(self._parts):05d}.parquet"
            self._underway.result()
            self._underway = self._thread.submit(_write_part, path, lineage)
            self._parts.append(path)
            self.n_rows += lineage.height

    def finish(self, target: Path) -> None:
        """Make one file of all parts."""
        self._underway.result()
        if len(self._parts) == 1:
            self._parts[0].replace(target)
        elif self._parts:
            parts = pl.scan_parquet(self._parts)
            parts.sink_parquet(target, compression="zstd", compression_level=1, maintain_order=True)
        else:
            pl.DataFrame(schema=LINEAGE).write_parquet(target)

    def close(self) -> None:
        """Wait for what is underway and end the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _load_modules() -> None:
    """What writes parquet takes a while to load: the first rows are read meanwhile."""
    import meds.schema  # noqa: F401
    import pyarrow.parquet  # noqa: F401


def _write_part(path: Path, lineage: pl.DataFrame) -> None:
    import pyarrow.parquet as pq

    pq.write_table(lineage.to_arrow(), path, column_encoding=GROWING, **parquet_options(lineage.columns))
