"""A hospital's dataset is checked: the simulated one has no fatal fault, and planted ones are told.

The command line is driven where it offers the checks; what stands behind it is called as it calls it.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from pipelines.quality.checking import check_quality
from pipelines.quality.demands import demanded_problems
from pipelines.quality.lines import quality_lines
from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of a small simulated hospital."""
    folder = tmp_path_factory.mktemp("quality")
    simulate(120, 3, folder / "hospital", None)
    ingest(load_mapping("simulated-hospital"), folder / "hospital" / "extract", folder / "dataset")
    return folder / "dataset"


def test_the_simulated_hospital_fails_no_fatal_check_and_no_convention(hospital, tmp_path):
    result = check_quality(hospital, None, tmp_path / "quality")
    failed = {check.severity for check in result.checks if result.state(check.id) == "failed"}
    assert not failed & {"fatal", "convention"}
    lines = list(quality_lines(result))
    assert lines[0].startswith(f"{len(result.checks)} checks, ")
    assert "No fatal check failed." in (tmp_path / "quality" / "index.html").read_text("utf-8")
    told = json.loads((tmp_path / "quality" / "results.json").read_text("utf-8"))
    assert {check["state"] for check in told["checks"]} <= {"passed", "failed", "shown", "not applicable"}


def test_no_pseudonym_stands_on_the_page_or_in_the_tables(hospital, tmp_path):
    out = tmp_path / "quality"
    check_quality(hospital, None, out)
    subjects = pl.read_parquet(sorted((hospital / "data").glob("*.parquet")))["subject_id"].unique()
    texts = [(out / name).read_text("utf-8") for name in ("index.html", "results.json")]
    texts += [pl.read_parquet(file).write_json() for file in sorted(out.rglob("*.parquet"))]
    whole = "\n".join(texts)
    assert not [1 for subject in subjects if str(subject) in whole]


def test_a_hospital_that_changed_its_unit_is_stopped_by_a_demand(hospital, tmp_path):
    # Creatinine in mg/dL since 2021 (1 mg/dL = 88.4 umol/L).
    changed = tmp_path / "changed"
    (changed / "data").mkdir(parents=True)
    is_changed = (pl.col("code") == "NLK//NPU04998") & (pl.col("time").dt.year() >= 2021)
    for shard in sorted((hospital / "data").glob("*.parquet")):
        pl.read_parquet(shard).with_columns(
            pl.when(is_changed)
            .then(pl.col("numeric_value") / 88.4)
            .otherwise("numeric_value")
            .cast(pl.Float32),
            pl.when(is_changed).then(pl.lit("mg/dL")).otherwise("unit").alias("unit"),
        ).write_parquet(changed / "data" / shard.name)
    assert demanded_problems(hospital, ["laboratory-unit-change"]) == []
    (problem,) = demanded_problems(changed, ["laboratory-unit-change"])
    assert "NLK//NPU04998" in problem.where
    assert demanded_problems(changed, ["laboratory-unit-change"], ["laboratory-unit-change"]) == []


def test_own_checks_are_asked_beside_the_shipped_ones_and_their_faults_told(hospital, tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\ntitle: Our own\nversion: '1'\nchecks:\n"
        "  - {id: no-crp, title: results of CRP, why: To see that it is asked., category: plausibility,\n"
        "     level: concept, severity: convention, table: events, source: us, advice: none,\n"
        "     rule: {type: condition, table: events, among: \"system = 'NLK'\",\n"
        "       wrong: \"code = 'NLK//NPU19748'\"}}\n",
        "utf-8",
    )
    result = check_quality(hospital, [str(own), "born-once"])
    assert [check.id for check in result.checks] == ["no-crp", "born-once"]
    assert result.state("no-crp") == "failed"
    own.write_text(own.read_text("utf-8").replace("code = 'NLK", "kode = 'NLK"), "utf-8")
    with pytest.raises(ConfigurationError, match="a condition that cannot be read"):
        check_quality(hospital, [str(own)])
