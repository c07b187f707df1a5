"""Person numbers planted in every field of a source leave no trace; the key's holder finds the persons."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from identity_planting import leaks, person_numbers, plant_ndjson, plant_tables, plant_xml

from pipelines.simulate.hospital import simulate

N_NUMBERS = 120


@pytest.fixture(scope="module")
def numbers() -> list[str]:
    return person_numbers(N_NUMBERS)


def test_no_number_of_a_table_is_left_and_the_key_finds_everybody(
    numbers: list[str], tmp_path: Path, pesta: Callable[..., int], capfd: pytest.CaptureFixture[str]
) -> None:
    mapping = plant_tables(numbers, tmp_path / "in", n_files=3)
    assert len(leaks(numbers, tmp_path / "in", [])) > 3  # the search finds what is there
    out = tmp_path / "out" / "dataset"
    key = tmp_path / "key"
    told = []
    assert pesta("--verbose", "ingest", mapping, tmp_path / "in", "--out", out, "--key", key) == 0
    for flags in ([], ["--verbose"]):
        strict = ["--out", tmp_path / "out" / "none", "--max-reject-share", 0]
        assert pesta(*flags, "ingest", mapping, tmp_path / "in", *strict) != 0
        absent = tmp_path / "in" / f"{numbers[0]}.csv"
        assert pesta(*flags, "ingest", mapping, absent, "--out", tmp_path / "out" / "none") != 0
    printed = capfd.readouterr()
    told += [printed.out, printed.err]
    assert "[person number]" in printed.err
    assert leaks(numbers, tmp_path / "out", told) == []
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(numbers), "ascii")
    who = tmp_path / "who.csv"
    assert pesta("reidentify", out, "--key", key, "--ids", ids, "--out", who) == 0
    assert sorted(pl.read_csv(who, infer_schema=False)["source_id"]) == sorted(numbers)
    assert who.stat().st_mode & 0o777 == 0o600


def test_no_number_of_resources_and_messages_is_left(numbers: list[str], tmp_path: Path) -> None:
    simulate(6, 1, tmp_path / "sim", forms=("fhir", "npr"))
    assert plant_ndjson(numbers, tmp_path / "sim" / "fhir", tmp_path / "fhir") > 30
    assert plant_xml(numbers, tmp_path / "sim" / "npr", tmp_path / "npr") > 10
    for form in ("fhir", "npr"):
        assert len(leaks(numbers, tmp_path / form, [])) > 3
        mapping = load_mapping(f"simulated-hospital-{form}")
        account = ingest(mapping, tmp_path / form, tmp_path / "out" / form, max_reject_share=1.0)
        assert account.totals["events"]
        assert leaks(numbers, tmp_path / "out" / form, []) == []
