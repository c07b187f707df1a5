"""Where results cannot be written it is told at once, and nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from ontology.errors import ConfigurationError
from pipelines.places import check_folder
from pipelines.population import make_clusters


def test_a_new_folder_an_empty_one_and_one_that_was_begun_will_do(tmp_path: Path) -> None:
    check_folder(tmp_path / "new", marker="audit.yaml")
    check_folder(tmp_path, marker="audit.yaml")
    (tmp_path / ".lock").touch()
    check_folder(tmp_path, marker="audit.yaml")
    (tmp_path / "other.txt").touch()
    check_folder(tmp_path)
    (tmp_path / "audit.yaml").touch()
    check_folder(tmp_path, marker="audit.yaml")


def test_a_file_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", "utf-8")
    with pytest.raises(ConfigurationError, match="a file stands where"):
        check_folder(tmp_path / "file")
    with pytest.raises(ConfigurationError, match="something else than an audit"):
        check_folder(tmp_path, marker="audit.yaml", what="an audit")
    assert (tmp_path / "file").read_text("utf-8") == "kept"


def test_clusters_are_refused_a_file_before_anything_is_read(tmp_path: Path) -> None:
    out = tmp_path / "clusters.parquet"
    out.write_text("kept", "utf-8")
    with pytest.raises(ConfigurationError, match="a file stands where the folder of clusters"):
        make_clusters(tmp_path / "no-states.parquet", tmp_path / "no-dataset", 3, 0, out)
    assert out.read_text("utf-8") == "kept"
