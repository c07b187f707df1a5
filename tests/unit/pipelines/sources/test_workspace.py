"""The folder in which an ingest works: one at a time, kept where it was interrupted, gone otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.errors import ConfigurationError, InputError, Problem
from pipelines.sources.mapping import Mapping
from pipelines.sources.workspace import workspace


@pytest.fixture
def mapping() -> Mapping:
    table = {"files": "a.csv", "subject": "{id}", "events": [{"time": "static", "code": "A//{a}"}]}
    return Mapping.model_validate({"name": "some", "title": "some", "tables": {"a": table}})


def leave_behind(out: Path, mapping: Mapping, source: Path, error: BaseException) -> None:
    def make_half() -> None:
        with workspace(out, mapping, source) as folder:
            folder.mkdir(exist_ok=True)
            (folder / "made").write_text("half", encoding="utf-8")
            raise error

    with pytest.raises(type(error)):
        make_half()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "a.csv"
    file.write_text("id,a\n1,x\n", encoding="utf-8")
    return file


def test_an_interrupted_ingest_leaves_what_it_made(tmp_path: Path, mapping: Mapping, source: Path) -> None:
    out = tmp_path / "dataset"
    leave_behind(out, mapping, source, KeyboardInterrupt())
    assert (tmp_path / ".dataset.ingest").stat().st_mode & 0o777 == 0o700
    with workspace(out, mapping, source) as folder:
        assert (folder / "made").read_text("utf-8") == "half"
    assert not (tmp_path / ".dataset.ingest").exists()


def test_an_ingest_that_ends_with_an_error_leaves_nothing(
    tmp_path: Path, mapping: Mapping, source: Path
) -> None:
    leave_behind(tmp_path / "dataset", mapping, source, InputError(Problem("wrong")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv"]


def test_a_changed_input_is_read_anew(tmp_path: Path, mapping: Mapping, source: Path) -> None:
    out = tmp_path / "dataset"
    leave_behind(out, mapping, source, KeyboardInterrupt())
    source.write_text("id,a\n1,x\n2,y\n", encoding="utf-8")
    with workspace(out, mapping, source) as folder:
        assert not folder.exists()


def test_two_ingests_of_one_dataset_do_not_meet(tmp_path: Path, mapping: Mapping, source: Path) -> None:
    out = tmp_path / "dataset"
    with (
        workspace(out, mapping, source),
        pytest.raises(ConfigurationError, match="another ingest writes this dataset"),
        workspace(out, mapping, source),
    ):
        pass


def test_what_killed_ingests_left_is_put_in_order(tmp_path: Path, mapping: Mapping, source: Path) -> None:
    out = tmp_path / "dataset"
    (tmp_path / ".dataset.41.part").mkdir()
    (tmp_path / ".dataset.42.old").mkdir()
    (tmp_path / ".dataset.42.old" / "events").touch()
    with workspace(out, mapping, source):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "dataset"]
    assert (out / "events").exists()


def test_what_belongs_to_a_dataset_of_a_longer_name_is_left_alone(
    tmp_path: Path, mapping: Mapping, source: Path
) -> None:
    others = [tmp_path / ".dataset.new.43.part", tmp_path / ".dataset.new.43.old"]
    for other in others:
        other.mkdir()
    with workspace(tmp_path / "dataset", mapping, source):
        pass
    assert all(other.is_dir() for other in others)
    assert not (tmp_path / "dataset").exists()


def test_a_folder_that_others_could_read_is_closed_to_them(
    tmp_path: Path, mapping: Mapping, source: Path
) -> None:
    (tmp_path / ".dataset.ingest").mkdir(mode=0o755)
    with workspace(tmp_path / "dataset", mapping, source) as folder:
        assert folder.parent.stat().st_mode & 0o777 == 0o700


def test_what_an_ingest_writes_into_its_inputs_folder_is_no_input(tmp_path: Path, mapping: Mapping) -> None:
    (tmp_path / "a.csv").write_text("id,a\n1,x\n", encoding="utf-8")
    out = tmp_path / "dataset"
    leave_behind(out, mapping, tmp_path, KeyboardInterrupt())
    (tmp_path / "dataset.key").touch()
    (tmp_path / ".dataset.41.part").mkdir()
    (tmp_path / ".dataset.41.part" / "events").touch()
    with workspace(out, mapping, tmp_path) as folder:
        assert (folder / "made").read_text("utf-8") == "half"
    leave_behind(out, mapping, tmp_path, KeyboardInterrupt())
    (tmp_path / "b.csv").touch()
    with workspace(out, mapping, tmp_path) as folder:
        assert not folder.exists()


def test_a_changed_file_of_a_linked_folder_is_read_anew(tmp_path: Path, mapping: Mapping) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_text("id,a\n1,x\n", encoding="utf-8")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    leave_behind(tmp_path / "dataset", mapping, tmp_path / "in", KeyboardInterrupt())
    (tmp_path / "elsewhere" / "a.csv").write_text("id,a\n1,x\n2,y\n", encoding="utf-8")
    with workspace(tmp_path / "dataset", mapping, tmp_path / "in") as folder:
        assert not folder.exists()
