"""Which version of which record each row belongs to: key, unit, rank, and a digest of what it says."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

_KEY_SEED = 17
_NAMED_BY = "reference"
"""The column of lookups in which a name of the record stands."""
_ROW_AND_DIGEST = pl.Schema({"_row": pl.Int64(), "_digest": pl.UInt64()})


@dataclass
class Records:
    """The records of a part; lists of one length.

    Attributes:
        rows: their numbers, each once.
        names: what others call them.
        ranks: which version each is.
        full_urls: addresses of entries, which are no content: another Bundle has others.
    """

    rows: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ranks: list[str] = field(default_factory=list)
    full_urls: set[str] = field(default_factory=set)


def keys_of(names: Sequence[str]) -> pl.Series:
    """A hash of each record's name, equal in every process."""
    return pl.Series("_key", names, dtype=pl.String).hash(seed=_KEY_SEED)


def with_versions(tables: Mapping[str, pl.DataFrame], records: Records) -> dict[str, pl.DataFrame]:
    """The tables with VERSION_COLUMNS; rows of a record's contained resources bear the record's own.

    Args:
        tables: each with `_row`.
        records: of the part.
    """
    versions = pl.DataFrame(
        {
            "_row": pl.Series(records.rows, dtype=pl.Int64),
            "_key": keys_of(records.names),
            "_rank": pl.Series(records.ranks, dtype=pl.String),
        }
    )
    versions = versions.with_columns(_unit="_row")
    content = {name: _without(records.full_urls, frame) for name, frame in tables.items()}
    digests = _digests(content)
    told = versions.join(digests, on="_row", how="left", maintain_order="left")
    return {name: _beside(frame, told) for name, frame in tables.items()}


def _without(full_urls: set[str], rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that do not tell the address of an entry."""
    if not full_urls or _NAMED_BY not in rows.columns:
        return rows
    return rows.filter(~pl.col(_NAMED_BY).is_in(list(full_urls)).fill_null(value=False))


def with_own_versions(name: str, rows: pl.DataFrame, names: pl.Series, ranks: pl.Series) -> pl.DataFrame:
    """A table of one row a record with VERSION_COLUMNS.

    Args:
        name: the table's.
        rows: with `_row`, each once.
        names: what others call each record.
        ranks: which version each is.
    """
    return rows.with_columns(
        names.hash(seed=_KEY_SEED).alias("_key"),
        ranks.alias("_rank"),
        pl.col("_row").alias("_unit"),
        _hashes(name, rows).alias("_digest"),
    )


def _hashes(name: str, rows: pl.DataFrame) -> pl.Series:
    return rows.drop("_row").hash_rows(seed=zlib.crc32(name.encode()))


def _beside(frame: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    if frame["_row"].equals(told["_row"]):
        return frame.hstack(told.drop("_row"))
    return frame.join(told, on="_row", how="left", maintain_order="left")


def _digests(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One hash a record over the columns of all its rows, whatever their order and however they were sent."""
    parts = [
        pl.DataFrame({"_row": frame["_row"], "_digest": _hashes(name, frame)})
        for name, frame in sorted(tables.items())
        if frame.width > 1
    ]
    hashes = pl.concat([pl.DataFrame(schema=_ROW_AND_DIGEST), *parts])
    if hashes["_row"].is_unique().all():
        return hashes
    return hashes.group_by("_row").agg(pl.col("_digest").sum())
