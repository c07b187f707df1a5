"""Reviewers' answers, kept in files that are only ever added and that follow from each other by digest."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from ontology.errors import InputError, Problem
from phenotype.coding.cases.reviews import REVIEWS


def keep_reviews(folder: Path, reviews: pl.DataFrame) -> Path:
    """Keep answers beside those kept before; nothing that is kept is ever changed.

    Each file is named by its number and a digest over its own content and the name of the file before, so
    that a file that was changed or taken away is noticed.

    Args:
        folder: the folder `reviews` of an audit or a dataset; made where it is absent.
        reviews: columns of REVIEWS.

    Returns:
        The file that holds them; the earlier one where just the same answers are kept already.

    Raises:
        InputError: the folder's files do not follow from each other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = _kept(folder)
    content = "".join(
        json.dumps(row | {"date": row["date"].isoformat()}, ensure_ascii=False, sort_keys=True) + "\n"
        for row in reviews.select(list(REVIEWS)).iter_rows(named=True)
    ).encode()
    for file in files:
        if file.read_bytes() == content:
            return file
    name = _name(len(files) + 1, files[-1].name if files else "", content)
    unfinished = folder / f".{name}.part"
    unfinished.write_bytes(content)
    unfinished.rename(folder / name)
    return folder / name


def load_reviews(folder: Path) -> pl.DataFrame:
    """All answers kept in a folder, those kept first first; none where there is no folder.

    Raises:
        InputError: a file was changed or taken away.
    """
    rows = [
        row | {"date": dt.date.fromisoformat(row["date"])}
        for file in _kept(folder)
        for row in _lines(file.read_text("utf-8"))
    ]
    return pl.DataFrame(rows, schema=REVIEWS)


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.split("\n"):
        if line:
            yield json.loads(line)


def _kept(folder: Path) -> list[Path]:
    """The kept files in order, each found to follow from the one before."""
    files = sorted(folder.glob("[0-9]*.jsonl"))
    before = ""
    for number, file in enumerate(files, start=1):
        if file.name != _name(number, before, file.read_bytes()):
            raise InputError(
                Problem(
                    "kept reviews were changed, or one of their files is missing",
                    where=str(file),
                    next_step="bring the folder back from a copy; reviews are only ever added",
                )
            )
        before = file.name
    return files


def _name(number: int, before: str, content: bytes) -> str:
    return f"{number:04}-{hashlib.sha256(before.encode() + b'|' + content).hexdigest()[:16]}.jsonl"
