"""Versions of one record over all files: the newest stays; older, equal, deleted and conflicting ones go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from pipelines.sources.records import DELETED

OLDER = "older version"
REPEATED = "repeated record"
CONFLICTING = "one id, different facts"
TAKEN_BACK = "deleted"

REPEATS = pl.Schema(
    {"_file_no": pl.UInt32(), "_unit": pl.Int64(), "fate": pl.String(), "reason": pl.String()}
)
"""Versions that are left out: which unit of which file, "ignored" or "rejected", and why."""

KEYS_AT_A_TIME = 200_000
MOST_PASSES = 16
"""Keys that are compared at a time; inputs with more are gone through in several passes, not in too many."""
_VERSION = ["_key", "_file_no", "_unit"]


def find_repeats(
    frames: Mapping[str, Sequence[Path]], *, keys_at_a_time: int = KEYS_AT_A_TIME
) -> pl.DataFrame:
    """Which versions of records give way to others.

    Of the versions of one key the greatest rank stays (by sortable_rank; null is the smallest). Of equal ones
    of that rank (by digest) the first stays, by file number and unit. Where they differ, all of that rank are
    rejected: nobody knows which is right. A deletion takes every version back whose rank is not greater than
    its own; one without a rank takes all back.

    Args:
        frames: by table, Parquet files with `_file_no`, and `_key`, `_unit`, `_rank`, `_digest` where records
            have versions (tables without are left out); `_deleted` with `_key` and `_rank`. A version is
            `_file_no` and `_unit`, in whatever tables its rows stand.
        keys_at_a_time: how many keys are held in memory, or a sixteenth of all if that is more.

    Returns:
        Columns of REPEATS, by file and unit.
    """
    tables = [table for table in map(_versions, _of_records(frames)) if table is not None]
    deleted = _deletions(frames.get(DELETED, ()))
    if not tables:
        return pl.DataFrame(schema=REPEATS)
    n_rows = sum(int(table.select(pl.len()).collect().item()) for table in tables)
    n_passes = min(MOST_PASSES, -(-n_rows // keys_at_a_time))
    found = [_left_out(tables, deleted, turn, n_passes) for turn in range(n_passes)]
    return pl.concat([pl.DataFrame(schema=REPEATS), *found]).sort("_file_no", "_unit")


def _of_records(frames: Mapping[str, Sequence[Path]]) -> Iterable[Sequence[Path]]:
    return (paths for name, paths in sorted(frames.items()) if name != DELETED and paths)


def _versions(paths: Sequence[Path]) -> pl.LazyFrame | None:
    """The version columns of a table; None where it has none."""
    if "_key" not in pl.read_parquet_schema(paths[0]):
        return None
    return pl.scan_parquet(list(paths)).select(*_VERSION, pl.col("_rank").fill_null(""), "_digest")


def _deletions(paths: Sequence[Path]) -> pl.DataFrame:
    """The newest deletion of each key: _key, _deleted_rank; null, for no rank, is newer than all."""
    if not paths:
        return pl.DataFrame(schema={"_key": pl.UInt64(), "_deleted_rank": pl.String()})
    told = pl.scan_parquet(list(paths)).select("_key", "_rank").collect()
    told = told.with_columns(_comparable(told["_rank"]))
    newest = told.group_by("_key").agg(pl.col("_rank").max(), _is_ever=pl.col("_rank").is_null().any())
    return newest.select("_key", _deleted_rank=pl.when(~pl.col("_is_ever")).then("_rank"))


def _comparable(ranks: pl.Series) -> pl.Series:
    """Ranks that sort as versions do: instants in UTC, numbers of one length."""
    distinct = ranks.unique().drop_nulls().to_list()
    sortable = [sortable_rank(rank) for rank in distinct]
    return ranks.replace_strict(distinct, sortable, default=None, return_dtype=pl.String)


def sortable_rank(rank: str) -> str:
    """`2024-05-01T10:00:00+02:00|3` as a text that sorts by instant, then by number; other texts as they are.

    What names no offset is in UTC; what names no instant, `|3`, comes before all that do.
    """
    moment, bar, number = rank.partition("|")
    if bar and not moment:
        moment = " "
    try:
        told = datetime.fromisoformat(moment)
        zoned = (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
        moment = zoned.isoformat(timespec="microseconds")
    except (ValueError, OverflowError):
        pass
    return f"{moment}{bar}{number.zfill(20) if number.isdecimal() else number}"


def _left_out(
    tables: Sequence[pl.LazyFrame], deleted: pl.DataFrame, turn: int, n_passes: int
) -> pl.DataFrame:
    """What is left out of the keys whose turn it is."""
    is_turn = pl.col("_key") % n_passes == turn if n_passes > 1 else pl.lit(value=True)
    keys = pl.concat([table.filter(is_turn).select(_VERSION).collect() for table in tables]).unique()
    again = keys.filter(keys["_key"].is_duplicated())["_key"].unique()
    wanted = pl.concat([again, deleted["_key"]]).unique()
    if not wanted.len():
        return pl.DataFrame(schema=REPEATS)
    is_wanted = pl.col("_key").is_in(wanted.implode())
    versions = pl.concat([table.filter(is_turn & is_wanted).collect() for table in tables]).unique()
    return _judged(versions, deleted)


def _judged(versions: pl.DataFrame, deleted: pl.DataFrame) -> pl.DataFrame:
    """The fate of every version that does not stay."""
    versions = versions.with_columns(_comparable(versions["_rank"]))
    told = versions.join(deleted.with_columns(_is_deleted=pl.lit(value=True)), on="_key", how="left")
    is_gone = pl.col("_is_deleted") & (
        pl.col("_deleted_rank").is_null() | (pl.col("_rank") <= pl.col("_deleted_rank"))
    )
    told = told.with_columns(_is_gone=is_gone.fill_null(value=False)).sort("_key", "_file_no", "_unit")
    standing = told.filter(~pl.col("_is_gone")).with_columns(
        _is_newest=pl.col("_rank") == pl.col("_rank").max().over("_key")
    )
    newest = standing.filter("_is_newest").with_columns(
        _n_contents=pl.col("_digest").n_unique().over("_key"),
        _is_first=pl.int_range(pl.len()).over("_key") == 0,
    )
    n_contents = pl.col("_n_contents")
    parts = [
        _with_fate(told.filter("_is_gone"), "ignored", TAKEN_BACK),
        _with_fate(standing.filter(~pl.col("_is_newest")), "ignored", OLDER),
        _with_fate(newest.filter(n_contents > 1), "rejected", CONFLICTING),
        _with_fate(newest.filter((n_contents == 1) & ~pl.col("_is_first")), "ignored", REPEATED),
    ]
    return pl.concat(parts)


def _with_fate(versions: pl.DataFrame, fate: str, reason: str) -> pl.DataFrame:
    told = versions.select("_file_no", "_unit", fate=pl.lit(fate), reason=pl.lit(reason))
    return told.cast(REPEATS)
