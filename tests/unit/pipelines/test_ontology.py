"""`pesta ontology` builds a release, compares years, shows a code, checks lists and datasets by counts."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import yaml

from ontology.building import READERS, OntologyConfig
from ontology.errors import ConfigurationError, InputError
from ontology.release import FOLDER_VARIABLE
from pipelines import cli

LISTS = {
    2024: [("A419", "Uspesifisert sepsis"), ("M1906", "Artrose"), ("B04", "Apekopper"), ("D630", "Anemi")],
    2025: [("A419", "Uspesifisert sepsis"), ("K6380", "Kort tarm"), ("B04", "Mpox"), ("D630", "Anemi")],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release built by the command line from two yearly lists."""
    place = tmp_path_factory.mktemp("ontology")
    lines = ["name: two years", "systems:", "  - reader: icd10_no", "    paths:"]
    for year, rows in LISTS.items():
        told = [{"code": code, "text": text} for code, text in rows]
        (place / f"{year}.json").write_text(json.dumps(told), "utf-8")
        lines.append(f"      {year}: {year}.json")
    (place / "lists.yaml").write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        assert call(patch, "build", str(place / "lists.yaml"), "--out", str(place / "built"), "--quiet") == 0
    return place / "built"


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["pesta", "ontology", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_difference_of_two_years_is_told_code_by_code(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "diff", "2024", "2025", "--ontology", str(folder)) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "ICD10-NO 2024 -> 2025: 1 new, 1 gone, 1 with another text"
    assert [line.split() for line in told[1:]] == [
        ["gone", "M19.06", "Artrose"],
        ["new", "K63.80", "Kort", "tarm"],
        ["text", "B04", "Apekopper", "->", "Mpox"],
    ]


def test_the_environment_names_the_ontology(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    assert call(monkeypatch, "diff", "2024", "2025") == 0
    assert "K63.80" in capsys.readouterr().out


@pytest.mark.parametrize("years", [("2024", "2026"), ("2023", "2024")])
def test_a_year_without_a_list_says_how_to_build_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], years: tuple[str, str]
) -> None:
    status = call(monkeypatch, "diff", *years, "--ontology", str(folder))
    told = capsys.readouterr().err
    assert status == ConfigurationError.exit_status
    assert "2024-01-01 to 2025-12-31" in told
    assert "pesta ontology build" in told


def test_without_lists_the_embedded_ontology_says_how_to_build_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert call(monkeypatch, "diff", "2024", "2025") == ConfigurationError.exit_status
    assert "pesta ontology build" in capsys.readouterr().err


def test_a_code_alone_is_shown_in_every_list_that_holds_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "show", "a419", "--ontology", str(folder)) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "ICD10-NO//A41.9  Uspesifisert sepsis"
    assert "2024-01-01 to 2025-12-31" in told
    assert "\nICD10//A41.9  Sepsis, unspecified" in told
    above = [line.split()[1] for line in told.splitlines() if line.startswith("  above")]
    assert above[:4] == ["ICD10//A41.9", "ICD10//A41", "ICD10//A30-A49", "ICD10//I"]


def test_flags_children_and_what_is_not_listed_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "show", "ICD10//D63", "--ontology", str(folder)) == 0
    told = capsys.readouterr().out
    assert "flags       asterisk" in told
    assert "below       ICD10//D63.8" in told
    assert call(monkeypatch, "show", "ICD10-NO//A41.99", "--ontology", str(folder)) == 0
    assert "is not listed" in capsys.readouterr().out
    assert call(monkeypatch, "show", "QQQ", "--ontology", str(folder)) == ConfigurationError.exit_status
    assert "no list holds this code" in capsys.readouterr().err


def test_sound_lists_are_told_as_sound_and_faulty_ones_by_kind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "check", "--ontology", str(folder)) == 0
    assert "nothing wrong found" in capsys.readouterr().out
    row = {
        "Kode": "A41.9",
        "Tekst_uten_lengdebegrensning": "Annen tekst",
        "Gyldig_fra": "1999-01-01T00:00:00",
        "Gyldig_til": None,
        "Foreldrekode": "A41",
    }
    (tmp_path / "export.json").write_text(json.dumps([row]), "utf-8")
    (tmp_path / "2024.json").write_text(json.dumps([{"code": "A419", "text": "Sepsis"}]), "utf-8")
    (tmp_path / "both.yaml").write_text(
        "name: both\nsystems:\n  - {reader: icd10_no, path: export.json}\n"
        "  - {reader: icd10_no, paths: {2024: 2024.json}}\n",
        "utf-8",
    )
    assert call(monkeypatch, "build", str(tmp_path / "both.yaml"), "--out", str(tmp_path / "both")) == 0
    assert "2 faults" in capsys.readouterr().err
    assert call(monkeypatch, "check", "--ontology", str(tmp_path / "both")) == InputError.exit_status
    told = capsys.readouterr().err
    assert "1 parents are not listed" in told
    assert "1 concepts have two texts" in told


def dataset(folder: Path) -> None:
    """Two codings, one of a code that no list has, and a drug of a system without a list."""
    codes = ["ICD10-NO//A41.9", "ICD10-NO//A41.97", "ATC//J01CF05"]
    events = pl.DataFrame(
        {"subject_id": [1, 1, 2], "time": [datetime(2024, 5, 1)] * 3, "code": codes},
        schema_overrides={"time": pl.Datetime("us")},
    )
    (folder / "data").mkdir(parents=True)
    events.write_parquet(folder / "data" / "0.parquet")


def test_the_command_tells_counts_only_and_writes_the_codes_where_asked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset(tmp_path / "data set")
    out = tmp_path / "codes.parquet"
    status = call(
        monkeypatch, "check", str(tmp_path / "data set"), "--ontology", str(folder), "--out", str(out)
    )
    told = capsys.readouterr().out
    assert status == 0
    assert "ICD10-NO: 2 codes in 2 events" in told
    assert "no list of this system is in the ontology" in told
    assert "A41.97" not in told
    assert dict(pl.read_parquet(out).select("code", "how").rows())["ICD10-NO//A41.97"] == "nearest_parent"


def test_the_configurations_in_the_documentation_can_be_used() -> None:
    text = (Path(__file__).parents[3] / "docs" / "ontology.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        OntologyConfig.model_validate(yaml.safe_load(block))
    told = set(re.findall(r"`([a-z0-9_]+)`", " ".join(re.findall(r"^\| `.*?\|", text, re.MULTILINE))))
    assert set(READERS) <= told


def test_no_dataset_and_no_release_are_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "check", str(tmp_path), "--ontology", str(folder)) == InputError.exit_status
    assert call(monkeypatch, "show", "A41", "--ontology", str(tmp_path)) == InputError.exit_status
    assert "no ontology is there" in capsys.readouterr().err
