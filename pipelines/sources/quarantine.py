"""Rejected rows as they were sent, for the hospital's own eyes: a private folder outside the dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ontology.errors import ConfigurationError, Problem


class Quarantine:
    """Writes one parquet file for each frame that had rejected rows.

    Args:
        folder: made with mode 700.
        out: the dataset's folder, which must not hold it.

    Raises:
        ConfigurationError: the folder lies inside the dataset.
    """

    def __init__(self, folder: Path, out: Path) -> None:
        if out.resolve() in (folder.resolve(), *folder.resolve().parents):
            raise ConfigurationError(
                Problem(
                    "the quarantine lies inside the dataset", str(folder), next_step="give a folder elsewhere"
                )
            )
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        self.folder = folder
        self._n_written = 0

    def add(self, table: str, raw: pl.DataFrame, faults: pl.DataFrame) -> None:
        """Keep the rows of a frame that had a fault, with the faults.

        Args:
            table: the table's name.
            raw: rows as read, in ledger order.
            faults: _index, field, reason.
        """
        if not faults.height:
            return
        told = faults.group_by("_index").agg(
            pl.format("{}: {}", "field", "reason").str.join("; ").alias("_faults")
        )
        kept = (
            raw.with_row_index("_index")
            .join(told, on="_index", how="inner", maintain_order="left")
            .drop("_index", "_more")
        )
        path = self.folder / f"{table}-{self._n_written:05d}.parquet"
        path.touch(mode=0o600)
        kept.write_parquet(path)
        self._n_written += 1

    def add_records(self, raw: Sequence[Path], labels: Sequence[str]) -> None:
        """Keep records that were rejected before they became rows.

        Args:
            raw: Parquet files with _file_no, _row and raw (the bytes as sent).
            labels: of the files, by number.
        """
        for path in raw:
            sent = pl.read_parquet(path)
            file = pl.Series("file", labels, dtype=pl.String).gather(sent["_file_no"])
            kept = self.folder / f"records-{self._n_written:05d}.parquet"
            kept.touch(mode=0o600)
            sent.select(file, pl.col("_row").alias("row"), "raw").write_parquet(kept)
            self._n_written += 1
