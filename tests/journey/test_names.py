"""A run with an own ontology, rolled-up features and phenotypes, from the code list to the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from experiments.config import RunConfig
from ontology.errors import ConfigurationError
from ontology.release import load_ontology
from phenotype.phenotypes import PHENOTYPES, definitions_of
from pipelines.ontology import build
from pipelines.phenotyping import phenotype_dataset
from pipelines.progress import Progress
from pipelines.run import report_again, run_experiment
from pipelines.score import score_dataset

TASK = "stay_prolonged_24h"
DEFINITION = """
name: many_antibiotics
title: Three antibiotics of a stay
version: "1"
sources: [an example]
review: nobody
per: stay
confirmed: {at_least: {n: %d, of: {events: antibiotics_systemic}, same: stay}}
"""


def make_ontology(folder: Path, text: str) -> Path:
    """A release with a Norwegian yearly list of two codes of the reader's own words."""
    rows = [
        {"code": "A419", "text": text},
        {"code": "J189", "text": "Lungebetennelse uten nærmere angivelse"},
    ]
    (folder / "list.json").write_text(json.dumps(rows), "utf-8")
    (folder / "lists.yaml").write_text(
        "name: own\nsystems:\n  - reader: icd10_no\n    paths: {2024: list.json}\n", "utf-8"
    )
    list(build(folder / "lists.yaml", folder / "release"))
    return folder / "release"


def make_config(dataset: Path, folder: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "name": "names",
            "dataset": dataset,
            "ontology": folder / "release",
            "tasks": [TASK],
            "phenotypes": ["suspected_infection", str(folder / "mine.yaml")],
            "features": {
                "windows": ["full"],
                "aggregations": ["count"],
                "min_subjects": 20,
                "roll_up": [
                    {"system": "ICD10", "level": "block"},
                    {"system": "ATC", "level": "therapeutic_subgroup", "keep_codes": False},
                ],
            },
            "models": {"lightgbm": {"kind": "lightgbm", "n_seeds": 1, "max_trees": 30, "patience": 10}},
            "splits": {"kind": "random", "fractions": {"train": 0.6, "tuning": 0.2, "held_out": 0.2}},
            "evaluation": {"n_bootstrap": 20},
            "reasons": {"n_highest": 1, "n_lowest": 1, "n_population": 10},
            "tracking": {"enabled": False},
            "engine": {"kind": "local", "workers": 2},
        }
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    make_ontology(folder, "Sepsis, uspesifisert")
    (folder / "mine.yaml").write_text(DEFINITION % 3, "utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(small_hospital: Path, place: Path) -> Path:
    run_experiment(make_config(small_hospital, place), place / "run", Progress(is_quiet=True))
    return place / "run"


def test_the_manifest_names_the_release_and_workers_used_it(finished: Path, place: Path) -> None:
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["ontology_digest"] == load_ontology(place / "release").digest
    columns = pl.read_parquet(finished / "bundle" / TASK / "lightgbm" / "columns.parquet")
    labels = dict(columns.select("code", "label").iter_rows())
    assert any(code.startswith("ICD10//") for code in labels)
    assert "ATC//J01" in labels
    assert not any(code.startswith("ATC//J01C") for code in labels)


def test_phenotypes_are_a_file_and_a_section_of_the_report(finished: Path) -> None:
    phenotypes = pl.read_parquet(finished / "phenotypes.parquet")
    assert phenotypes.schema == PHENOTYPES
    assert {"suspected_infection", "many_antibiotics"} <= set(phenotypes["phenotype"])
    assert definitions_of(finished / "phenotypes.parquet")["many_antibiotics"]["meaning"]
    page = (finished / "report" / "index.html").read_text("utf-8")
    assert "Three antibiotics of a stay" in page
    assert '<section class="task" id="phenotypes">' in page


def test_the_verb_gives_what_the_run_gave(finished: Path, small_hospital: Path, place: Path) -> None:
    names = ["suspected_infection", str(place / "mine.yaml")]
    phenotype_dataset(small_hospital, place / "again.parquet", names, place / "release")
    assert pl.read_parquet(place / "again.parquet").equals(pl.read_parquet(finished / "phenotypes.parquet"))


def test_another_ontology_is_refused_by_scoring_and_by_the_report(
    finished: Path, small_hospital: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = finished / "bundle" / TASK / "lightgbm"
    with pytest.raises(ConfigurationError, match="another ontology"):
        score_dataset(bundle, small_hospital, tmp_path / "risks.parquet")
    monkeypatch.setenv("PESTA_ONTOLOGY", str(place / "release"))
    assert score_dataset(bundle, small_hospital, tmp_path / "risks.parquet") > 100
    monkeypatch.delenv("PESTA_ONTOLOGY")
    kept = tmp_path / "kept"
    shutil.move(place / "release", kept)
    make_ontology(place, "Blodforgiftning")
    with pytest.raises(ConfigurationError, match="ontology"):
        report_again(finished, ())
    shutil.rmtree(place / "release")
    shutil.move(kept, place / "release")


def test_a_changed_definition_makes_it_another_run(finished: Path, small_hospital: Path, place: Path) -> None:
    (place / "mine.yaml").write_text(DEFINITION % 4, "utf-8")
    with pytest.raises(ConfigurationError, match="phenotypes digest differs"):
        run_experiment(make_config(small_hospital, place), finished, Progress(is_quiet=True))
    (place / "mine.yaml").write_text(DEFINITION % 3, "utf-8")
