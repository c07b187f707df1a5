"""Which versions of a record give way: small tables, judged by hand."""

import itertools
from pathlib import Path

import polars as pl
import pytest

from pipelines.sources.repeats import (
    CONFLICTING,
    OLDER,
    REPEATED,
    TAKEN_BACK,
    find_repeats,
    sortable_rank,
)

Version = tuple[int, int, int, str | None, int]
"""File, unit, key, rank, digest."""


def _frame(path: Path, versions: list[Version]) -> Path:
    schema = {
        "_file_no": pl.UInt32,
        "_unit": pl.Int64,
        "_key": pl.UInt64,
        "_rank": pl.String,
        "_digest": pl.UInt64,
    }
    frame = pl.DataFrame(versions, schema=schema, orient="row")
    frame.with_columns(_row="_unit").write_parquet(path)
    return path


def _deleted(path: Path, deletions: list[tuple[int, str | None]]) -> Path:
    pl.DataFrame(deletions, schema={"_key": pl.UInt64, "_rank": pl.String}, orient="row").write_parquet(path)
    return path


def _judge(tmp_path: Path, versions: list[Version], deletions: list[tuple[int, str | None]] = []):  # noqa: B006
    frames = {"Patient": [_frame(tmp_path / "p.parquet", versions)]}
    if deletions:
        frames["_deleted"] = [_deleted(tmp_path / "d.parquet", deletions)]
    return {(file, unit): (fate, reason) for file, unit, fate, reason in find_repeats(frames).rows()}


def test_the_newest_version_stays(tmp_path: Path) -> None:
    versions = [
        (0, 1, 7, "2024-01-01T12:00:00+02:00|1", 1),
        (1, 5, 7, "2024-01-01T11:00:00Z|2", 2),
        (0, 2, 8, "", 3),
    ]
    assert _judge(tmp_path, versions) == {(0, 1): ("ignored", OLDER)}


def test_of_equal_versions_the_first_stays(tmp_path: Path) -> None:
    versions = [(1, 3, 7, "", 1), (0, 9, 7, "", 1), (0, 2, 7, None, 1)]
    assert _judge(tmp_path, versions) == {(0, 9): ("ignored", REPEATED), (1, 3): ("ignored", REPEATED)}


def test_versions_that_contradict_each_other_all_go(tmp_path: Path) -> None:
    versions = [(0, 1, 7, "a", 1), (0, 2, 7, "b", 1), (1, 1, 7, "b", 2)]
    assert _judge(tmp_path, versions) == {
        (0, 1): ("ignored", OLDER),
        (0, 2): ("rejected", CONFLICTING),
        (1, 1): ("rejected", CONFLICTING),
    }


@pytest.mark.parametrize(
    ("rank", "gone"), [(None, {1, 2}), ("2024-02-01T00:00:00Z|~", {1}), ("2023-01-01T00:00:00Z|~", set())]
)
def test_a_deletion_takes_back_what_is_not_newer(tmp_path: Path, rank: str | None, gone: set[int]) -> None:
    versions = [
        (0, 1, 7, "2024-02-01T00:00:00Z|1", 1),
        (0, 2, 7, "2024-03-01T00:00:00Z|2", 2),
        (0, 3, 8, "", 1),
    ]
    told = _judge(tmp_path, versions, [(7, rank)])
    assert {unit for (_, unit), (_, reason) in told.items() if reason == TAKEN_BACK} == gone
    assert (0, 3) not in told


def test_rows_of_one_version_in_several_tables_are_no_repeats(tmp_path: Path) -> None:
    one = _frame(tmp_path / "a.parquet", [(0, 1, 7, "", 1), (0, 1, 7, "", 1)])
    other = _frame(tmp_path / "b.parquet", [(0, 1, 7, "", 1), (2, 4, 7, "", 1)])
    plain = tmp_path / "c.parquet"
    pl.DataFrame({"_row": [1]}).write_parquet(plain)
    found = find_repeats({"Patient": [one], "PatientKey": [other], "PlaceKey": [plain]})
    assert found.rows() == [(2, 4, "ignored", REPEATED)]


def test_neither_order_nor_passes_change_the_outcome(tmp_path: Path) -> None:
    contents = list(itertools.product(range(10), ["", "a"], [1, 2, 1]))
    versions = [(number % 3, number, *content) for number, content in enumerate(contents)]
    straight = find_repeats({"T": [_frame(tmp_path / "a.parquet", versions)]})
    parts = [_frame(tmp_path / f"{n}.parquet", versions[::-1][n::4]) for n in range(4)]
    for size in (3, 17, 1_000):
        assert find_repeats({"T": parts}, keys_at_a_time=size).equals(straight)
    assert straight.height > 0


@pytest.mark.parametrize(
    ("rank", "sortable"),
    [
        ("2024-05-01T10:00:00+02:00|3", "2024-05-01T08:00:00.000000+00:00|00000000000000000003"),
        ("2024-05-01T10:00:00|", "2024-05-01T10:00:00.000000+00:00|"),
        ("|12", " |00000000000000000012"),
        ("no time|x", "no time|x"),
        ("", ""),
    ],
)
def test_ranks_sort_by_instant_then_number(rank: str, sortable: str) -> None:
    assert sortable_rank(rank) == sortable


def test_a_version_without_an_instant_is_older_than_a_deletion_with_one(tmp_path: Path) -> None:
    """The number of a version tells nothing of when it was: what was deleted must not come back for it."""
    assert sorted(["2024-05-01T10:00:00Z|1", "|9", ""], key=sortable_rank) == [
        "",
        "|9",
        "2024-05-01T10:00:00Z|1",
    ]
    versions = _frame(tmp_path / "a.parquet", [(0, 1, 7, "|9", 1)])
    deleted = tmp_path / "d.parquet"
    pl.DataFrame(
        {"_key": [7], "_rank": ["2024-05-01T00:00:00Z|~"]}, schema={"_key": pl.UInt64, "_rank": pl.String}
    ).write_parquet(deleted)
    found = find_repeats({"Patient": [versions], "_deleted": [deleted]})
    assert found.rows() == [(0, 1, "ignored", "deleted")]
