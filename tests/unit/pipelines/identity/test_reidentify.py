"""Who is who is told to whoever holds the key, and the telling destroys nothing."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from pipelines.identity.reidentify import reidentify
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

NUMBER, OF_WHOLE_NUMBERS = "17912099997", "01812000051"
"""As test registers make them (month + 80); as a whole number the second has ten digits."""

MAPPING = """
name: some
title: some
tables:
  people:
    files: people.csv
    columns: {{{person}}}
    subject: "{{person}}"
    events:
      - {{time: static, code: "SEX//{{sex}}"}}
"""


def made(folder: Path, *ids: str, keep_ids: bool = False) -> tuple[Path, Path]:
    """A dataset of these people, and its key."""
    (folder / "people.csv").write_text("person,sex\n" + "".join(f"{one},F\n" for one in ids), "utf-8")
    clean = "" if keep_ids else "person: {clean: [person_number]}"
    (folder / "mapping.yaml").write_text(MAPPING.format(person=clean), "utf-8")
    out, key = folder / "dataset", folder / "key"
    ingest(load_mapping(folder / "mapping.yaml"), folder, out, key_path=key, keep_ids=keep_ids)
    return out, key


def test_neither_key_nor_ids_are_replaced(tmp_path: Path) -> None:
    out, key = made(tmp_path, NUMBER)
    ids = tmp_path / "ids.txt"
    ids.write_text(NUMBER, "ascii")
    link = tmp_path / "link"
    link.symlink_to(key)
    for target in (key, ids, link, out):
        with pytest.raises(ConfigurationError, match="who is who"):
            reidentify(out, key, ids, target)
    assert key.stat().st_size > 0
    assert ids.read_text("ascii") == NUMBER


def test_a_list_saved_with_a_mark_of_its_encoding_is_read(tmp_path: Path) -> None:
    out, key = made(tmp_path, NUMBER)
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{NUMBER}\r\n", "utf-8-sig")
    assert reidentify(out, key, ids, tmp_path / "who.csv") == 1


def test_whole_numbers_that_lost_their_zero_are_found(tmp_path: Path) -> None:
    out, key = made(tmp_path, OF_WHOLE_NUMBERS, NUMBER)
    for dtype in (pl.Int64, pl.Float64):
        ids = tmp_path / "ids.parquet"
        numbers = pl.Series("source_id", [int(OF_WHOLE_NUMBERS), int(NUMBER), None], dtype=pl.Int64)
        numbers.cast(dtype).to_frame().write_parquet(ids)
        assert reidentify(out, key, ids, tmp_path / "who.csv") == 2


def test_ids_that_were_kept_are_found(tmp_path: Path) -> None:
    out, key = made(tmp_path, "1001", "1002", keep_ids=True)
    ids = tmp_path / "ids.txt"
    ids.write_text("1002", "ascii")
    assert reidentify(out, key, ids, tmp_path / "who.csv") == 1
    assert pl.read_csv(tmp_path / "who.csv").rows() == [(1002, 1002)]
