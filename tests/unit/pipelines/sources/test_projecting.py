"""The first stage: whole jobs are kept and not done again, in one process or more; accounts close."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import InputError
from pipelines.sources import projecting
from pipelines.sources.projecting import Projected, project, read_fates
from pipelines.sources.records import FATES, InputFile, Part


@dataclass(frozen=True)
class WordReader:
    """Each line is a record: a word becomes a row, `-` is ignored, a number is rejected."""

    miscounts: bool = False
    schemas: Mapping[str, pl.Schema] = field(
        default_factory=lambda: {"word": pl.Schema({"word": pl.String()})}
    )
    lookups: frozenset[str] = frozenset()

    def find(self, input_path: Path) -> list[InputFile]:
        """The text files in name order."""
        paths = sorted(input_path.glob("*.txt"))
        return [InputFile(path, path.name, number) for number, path in enumerate(paths)]

    def read(self, file: InputFile) -> Iterator[Part]:
        """One part a file."""
        lines = file.path.read_text("utf-8").splitlines()
        words = [(line, number) for number, line in enumerate(lines, start=1) if line.isalpha()]
        fates = [
            (number, "word", "ignored" if line == "-" else "rejected", "", "no word", None)
            for number, line in enumerate(lines, start=1)
            if not line.isalpha()
        ]
        rows = pl.DataFrame(words, schema={"word": pl.String, "_row": pl.Int64}, orient="row")
        yield Part(
            {"word": rows},
            pl.DataFrame(fates, schema=FATES, orient="row"),
            len(lines) + self.miscounts,
            Counter({("language", "unknown"): len(words)}),
            {number: line.encode() for number, line in enumerate(lines, start=1) if line.isdigit()},
        )


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.txt").write_text(f"one\n-\n{number}\ntwo\n", encoding="utf-8")
    return folder


def rows_of(projected: Projected) -> list[tuple[int, int, str]]:
    rows = pl.concat([pl.read_parquet(path) for path in projected.frames["word"]])
    return rows.select("_file_no", "_row", "word").rows()


def test_every_record_is_a_row_or_has_a_fate(texts: Path, tmp_path: Path) -> None:
    reader = WordReader()
    made = project(reader, reader.find(texts), tmp_path / "work", n_workers=1, keep_raw=True)
    assert rows_of(made) == [(file, row, word) for file in range(6) for row, word in ((1, "one"), (4, "two"))]
    fates = read_fates(made)
    assert fates.group_by("fate").len().sort("fate").rows() == [("ignored", 6), ("rejected", 6)]
    assert dict(made.n_records) == dict.fromkeys(range(6), 4)
    assert made.notes == {("language", "unknown"): 12}
    raw = pl.concat([pl.read_parquet(path) for path in made.raw])
    assert raw.sort("_file_no")["raw"].to_list() == [str(number).encode() for number in range(6)]


def test_two_processes_make_what_one_makes(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = WordReader()
    one = project(reader, reader.find(texts), tmp_path / "one", n_workers=1, keep_raw=False)
    monkeypatch.setattr(projecting, "FILES_A_JOB", 2)
    two = project(reader, reader.find(texts), tmp_path / "two", n_workers=2, keep_raw=False)
    assert len(two.frames["word"]) == 3
    assert rows_of(two) == rows_of(one)
    assert read_fates(two).rows() == read_fates(one).rows()
    assert not two.raw


def test_a_job_that_is_whole_is_not_done_again(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "FILES_A_JOB", 2)
    reader = WordReader()
    files = reader.find(texts)
    first = project(reader, files, tmp_path / "work", n_workers=1, keep_raw=False)
    written = {path: path.stat().st_mtime_ns for path in first.frames["word"]}
    half_done = tmp_path / "work" / "job-000001"
    half_done.rename(tmp_path / "work" / "job-000001.77.part")
    again = project(reader, files, tmp_path / "work", n_workers=1, keep_raw=False)
    assert rows_of(again) == rows_of(first)
    done_anew = {
        path.parent.name for path in again.frames["word"] if path.stat().st_mtime_ns != written[path]
    }
    assert done_anew == {"job-000001"}
    made = sorted(path.name for path in (tmp_path / "work").iterdir() if path.suffix != ".part")
    assert made == ["job-000000", "job-000001", "job-000002"]


def test_a_reader_that_loses_a_record_is_told(texts: Path, tmp_path: Path) -> None:
    reader = WordReader(miscounts=True)
    with pytest.raises(InputError) as caught:
        project(reader, reader.find(texts), tmp_path / "work", n_workers=1, keep_raw=False)
    assert {problem.what for problem in caught.value.problems} == {"the account of a file does not close"}
    assert {problem.found for problem in caught.value.problems} == {
        "2 records in tables and 2 that are not, of 5"
    }


def test_rejected_records_are_kept_after_a_kill_though_they_were_not_before(
    texts: Path, tmp_path: Path
) -> None:
    reader = WordReader()
    files = reader.find(texts)
    project(reader, files, tmp_path / "work", n_workers=1, keep_raw=False)
    kept = project(reader, files, tmp_path / "work", n_workers=1, keep_raw=True)
    assert sum(pl.read_parquet(path).height for path in kept.raw) == 6


@dataclass(frozen=True)
class WritingReader(WordReader):
    """Another program writes the first file while it is read."""

    def read(self, file: InputFile) -> Iterator[Part]:
        """The parts of the file as it was."""
        yield from super().read(file)
        if file.number == 0:
            file.path.write_text("one\ntwo\nthree\n", encoding="utf-8")


def test_files_that_change_or_go_while_they_are_read_are_named(texts: Path, tmp_path: Path) -> None:
    reader = WritingReader()
    files = reader.find(texts)
    with pytest.raises(InputError, match="a file changed while it was read") as caught:
        project(reader, files, tmp_path / "work", n_workers=1, keep_raw=False)
    assert [problem.where for problem in caught.value.problems] == ["0.txt"]
    files[2].path.unlink()
    with pytest.raises(InputError, match="a file cannot be read"):
        project(reader, files, tmp_path / "work", n_workers=1, keep_raw=False)


@dataclass(frozen=True)
class EndingReader(WordReader):
    """Its worker processes are ended from outside, as for want of memory."""

    def read(self, file: InputFile) -> Iterator[Part]:
        """Nothing in a worker."""
        if multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.5)
        yield from super().read(file)


def test_a_worker_that_is_ended_from_outside_ends_the_run_with_one_message(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projecting, "FILES_A_JOB", 1)
    reader = EndingReader()
    with pytest.raises(InputError, match="ended from outside") as caught:
        project(reader, reader.find(texts) * 4, tmp_path / "work", n_workers=3, keep_raw=False)
    assert len(caught.value.problems) == 1
    assert not multiprocessing.active_children()
