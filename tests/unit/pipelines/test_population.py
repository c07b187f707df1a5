"""The verbs of the population-wide model: files as described, faults told, no ids, no small counts."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from ontology.errors import BundleError, ConfigurationError, InputError
from phenotype.networks.config import TransformerConfig
from phenotype.networks.population import (
    PopulationModel,
    load_population,
    make_population_network,
    save_population,
)
from phenotype.networks.population_config import HazardsConfig
from phenotype.next_events import frequent_concepts, recorded_leaves
from phenotype.trajectory import EVENTS
from phenotype.vocabulary import fit_vocabulary
from pipelines.cli import app
from pipelines.population import find_similar, hours_of, make_clusters, query_risks

NOW = datetime(2020, 1, 1)
BODY = TransformerConfig(reading="shared", width=8, n_layers=1, n_heads=1, min_subjects=2)
SUBJECTS = range(900_001, 900_041)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty patients: half of them with heart failure, all with a value."""
    path = tmp_path_factory.mktemp("dataset")
    rows: list[tuple[int, datetime | None, str, float | None]] = []
    for subject in SUBJECTS:
        rows.append((subject, None, "SEX//male", None))
        rows.append((subject, NOW, "LAB//X", float(subject % 7)))
        if subject % 2:
            rows.append((subject, NOW + timedelta(days=1), "ICD10-NO//I50.0", None))
    names = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    frame = pl.DataFrame(rows, schema=names, orient="row")
    absent = [pl.lit(None, kind).alias(name) for name, kind in EVENTS.items() if name not in frame.columns]
    (path / "data").mkdir()
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(path / "data" / "0.parquet")
    return path


@pytest.fixture(scope="module")
def model(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model: what is promised here is what files hold, not what is learnt."""
    vocabulary = fit_vocabulary(pl.scan_parquet(dataset / "data" / "0.parquet"), 2, 4)
    dated = np.flatnonzero(~vocabulary.tokens["token"].str.starts_with("SEX").to_numpy())
    concepts = frequent_concepts(vocabulary, dated, 10)
    hazards = HazardsConfig(n_intervals=3, rank=2)
    torch.manual_seed(0)
    network = make_population_network(BODY, hazards, vocabulary, concepts).eval()
    rates, counts = network.hazards.log_rate, network.hazards.bin_level
    network.hazards.start_from(torch.full_like(rates, 1e-4), torch.zeros_like(counts))
    leaves = recorded_leaves(vocabulary, dated, concepts)
    made = PopulationModel(BODY, hazards, vocabulary, concepts, leaves, network, pl.Series([1]))
    return save_population(tmp_path_factory.mktemp("model") / "model", made, {"name": "untrained"})


@pytest.fixture(scope="module")
def states(dataset: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("states") / "deep_phenotypes.parquet"
    told = CliRunner().invoke(app, ["population", "states", str(model), str(dataset), "--out", str(out)])
    assert told.exit_code == 0, told.output
    return out


def test_horizons_are_read_and_faults_told() -> None:
    assert [hours_of(text) for text in ("24h", "30d", "1.5w", "2y")] == [24, 720, 252, 17_532]
    for wrong in ("30", "d", "-1d", "0h", "3 months", "151y", "9" * 400 + "y"):
        with pytest.raises(ConfigurationError, match="not a horizon"):
            hours_of(wrong)


def test_risks_stand_row_by_row_and_grow_with_the_horizon(dataset: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "risks.parquet"
    command = ["population", "query", str(model), str(dataset), "--out", str(out)]
    command += ["--code", "LAB//X", "--code", "ICD10-NO//I50.0", "--horizon", "30d", "--horizon", "1y"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    found = pl.read_parquet(out)
    assert found.height == 40 * 4
    assert found["risk"].is_between(0, 1).all()
    wide = found.pivot(on="horizon_hours", index=["subject_id", "concept"], values="risk")
    assert (wide["8766.0"] > wide["720.0"]).all()
    with pytest.raises(ConfigurationError, match="does not foretell"):
        query_risks(model, dataset, ["NLK//UNKNOWN"], ["1d"], None, out)
    with pytest.raises(BundleError, match="no pretrained model here"):
        query_risks(dataset, dataset, ["LAB//X"], ["1d"], None, out)


def test_states_similar_patients_and_clusters_are_files_without_anybody_told(
    dataset: Path, states: Path, tmp_path: Path
) -> None:
    table = pl.read_parquet(states)
    assert table["subject_id"].to_list() == list(SUBJECTS)
    assert table["state"].list.len().unique().to_list() == [8]
    out = tmp_path / "similar.parquet"
    command = ["population", "similar", str(states), "--out", str(out), "-k", "3", "--subject", "900001"]
    told = CliRunner().invoke(app, command)
    assert told.exit_code == 0, told.output
    assert pl.read_parquet(out)["rank"].to_list() == [1, 2, 3]
    with pytest.raises(InputError, match="none of these subjects"):
        find_similar(states, [5], 3, "auto", out)
    lines = make_clusters(states, dataset, 2, 0, tmp_path / "clusters")
    assert len(lines) == 2
    clusters = pl.read_parquet(tmp_path / "clusters" / "clusters.parquet")
    assert clusters["subject_id"].to_list() == list(SUBJECTS)
    assert not any(str(subject) in " ".join(lines) + told.output for subject in SUBJECTS)


def test_futures_are_drawn_for_whom_they_are_asked(dataset: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "futures.parquet"
    command = ["population", "futures", str(model), str(dataset), "--out", str(out), "-n", "2"]
    told = CliRunner().invoke(app, [*command, "--subject", "900002", "--horizon", "2h"])
    assert told.exit_code == 0, told.output
    found = pl.read_parquet(out)
    assert set(found["subject_id"]) <= {900_002}
    refused = CliRunner().invoke(app, [*command, "--subject", "7"])
    assert isinstance(refused.exception, InputError)


@pytest.mark.parametrize("verb", ["similar", "futures"])
def test_unknown_subjects_are_counted_and_never_named(  # noqa: PLR0917 fixtures
    verb: str, dataset: Path, model: Path, states: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two of three are unknown, one of them too long for any id; asked twice counts once; none known ends."""
    out = tmp_path / "out.parquet"
    places = {
        "similar": [str(states)],
        "futures": [str(model), str(dataset), "-n", "1", "--horizon", "2h"],
    }
    command = ["population", verb, *places[verb], "--out", str(out), "--quiet"]
    unknown = ["--subject", "123454321", "--subject", "99999999999999999999999"]
    told = CliRunner().invoke(app, [*command, *unknown, *["--subject", "900002"] * 2])
    assert told.exit_code == 0, told.output
    assert set(pl.read_parquet(out)["subject_id"]) <= {900_002}
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("2 of 3 subjects asked for have no ")
    assert "check the ids" in line
    out.unlink()
    refused = CliRunner().invoke(app, [*command, *unknown])
    assert isinstance(refused.exception, InputError)
    assert not out.exists()
    said = str(refused.exception) + line
    assert "2 of 2 subjects asked for have none; 40 other subjects have" in said
    assert not any(number in said for number in ("123454321", "99999", "900002"))


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
@pytest.mark.parametrize(
    "command",
    [
        ["population", "futures", "m", "d", "--out", "o", "--subject", "1"],
        ["population", "clusters", "s", "d", "--out", "o"],
        ["simulate", "--patients", "3", "--out", "o"],
        ["demo", "--out", "o"],
    ],
)
def test_a_seed_that_no_generator_takes_is_refused(command: list[str], seed: str) -> None:
    told = CliRunner().invoke(app, [*command, "--seed", seed])
    assert told.exit_code == 2
    assert "--seed" in told.output


def test_a_table_of_other_kinds_is_refused_without_its_cells(states: Path, tmp_path: Path) -> None:
    table = pl.read_parquet(states)
    wrong = {
        "text": table.with_columns(subject_id=pl.lit("Kari Nordmann")),
        "nobody": table.with_columns(subject_id=pl.lit(None, pl.Int64)),
        "never": table.with_columns(time=pl.lit(None, pl.Datetime("us"))),
        "number": table.with_columns(state=pl.lit("much")),
        "nothing": table.with_columns(state=pl.lit([], pl.List(pl.Float32))),
    }
    for name, frame in wrong.items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
        with pytest.raises(InputError, match="deep phenotypes") as caught:
            find_similar(tmp_path / f"{name}.parquet", None, 3, "auto", tmp_path / "out.parquet")
        assert "Nordmann" not in str(caught.value)
        assert "much" not in str(caught.value)


def test_a_pretrained_model_replaces_a_pretrained_model_and_nothing_else(model: Path, tmp_path: Path) -> None:
    """`--out ~/data` must not cost anybody their data."""
    population = load_population(model)
    save_population(tmp_path / "new", population, {"name": "one"})
    save_population(tmp_path / "new", population, {"name": "two"})
    (tmp_path / "new" / "thesis.txt").write_text("years of work", "utf-8")
    (tmp_path / "file").write_text("mine", "utf-8")
    for place in (tmp_path / "new", tmp_path, tmp_path / "file"):
        with pytest.raises(ConfigurationError, match="something else than a pretrained model"):
            save_population(place, population, {"name": "three"})
    assert (tmp_path / "new" / "thesis.txt").read_text("utf-8") == "years of work"
