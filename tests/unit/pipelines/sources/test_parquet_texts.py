"""A parquet file's texts mean what the same texts mean in a CSV file."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipelines.sources.mapping import Table
from pipelines.sources.tables import describe_file, read_frames

TEXTS = ["a", "?", None, "", "?b"]


def read(table: Table, path: Path, work: Path) -> list[str | None]:
    """The column `word` as the reader hands it on."""
    source, problems = describe_file(table, path, 1, path.parent)
    assert problems == []
    return pl.concat(read_frames(table, [source], work))["word"].to_list()


def test_null_texts_of_a_table_hold_in_parquet_and_in_csv(tmp_path: Path) -> None:
    words = pl.DataFrame({"n": range(len(TEXTS)), "word": TEXTS}, schema={"n": pl.Int64, "word": pl.String})
    words.write_csv(tmp_path / "words.csv")
    words.write_parquet(tmp_path / "words.parquet")
    table = Table.model_validate({"files": "words.*", "null_values": ["?"], "subject": "{n}"})
    for name in ("words.csv", "words.parquet"):
        assert read(table, tmp_path / name, tmp_path) == ["a", None, None, None, "?b"]
