"""Which forms are written, and that the extract does not change by them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ontology.errors import ConfigurationError
from pipelines.simulate.forms import FORMS
from pipelines.simulate.hospital import simulate

# Of `simulate(20, 1, ...)` as it was before there were forms, made by that code.
BEFORE_FORMS = "983045bc3396f69ec1a6e81ae130aa8743ed3d19e8d7db76883d3d4ccd819fa2"


def digest(folder: Path) -> str:
    made = hashlib.sha256()
    for file in sorted(folder.glob("*.csv")):
        made.update(file.name.encode() + b"\0" + file.read_bytes())
    return made.hexdigest()


def test_the_extract_is_what_it_was_before_there_were_forms(tmp_path: Path) -> None:
    simulate(20, 1, tmp_path)
    assert digest(tmp_path / "extract") == BEFORE_FORMS
    assert not any((tmp_path / form).exists() for form in FORMS if form != "extract")


def test_the_same_seed_gives_the_same_bytes_in_every_form(tmp_path: Path) -> None:
    for name in ("a", "b"):
        simulate(6, 2, tmp_path / name, forms=FORMS)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert {file.parts[0] for file in files} == {*FORMS, "truth"}
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_a_form_alone_is_the_same_as_beside_others(tmp_path: Path) -> None:
    simulate(6, 2, tmp_path / "one", forms=("omop",))
    simulate(6, 2, tmp_path / "all", forms=FORMS)
    for file in (tmp_path / "one" / "omop").iterdir():
        assert file.read_bytes() == (tmp_path / "all" / "omop" / file.name).read_bytes()
    assert not (tmp_path / "one" / "extract").exists()


def test_an_unknown_form_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="extract, npr, fhir, omop"):
        simulate(5, 1, tmp_path, forms=("hl7v2",))  # type: ignore[arg-type]
