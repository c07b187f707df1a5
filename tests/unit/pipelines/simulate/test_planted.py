"""Planted outcomes come as often as their stated risk says, are told by the record, and disturb nothing."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ontology.errors import ConfigurationError
from phenotype.labels import find_outcomes, to_labels
from phenotype.tasks import load_task
from phenotype.trajectory import open_dataset
from pipelines.simulate.hospital import simulate
from pipelines.simulate.scenario import load_scenario
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

N_PATIENTS = 500
TASKS = ("planted_decline", "planted_order")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    simulate(N_PATIENTS, 7, folder, load_scenario("known-risk"))
    return folder


def risks(folder: Path, task: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "truth" / "risks.parquet").filter(task=task)


def events(folder: Path) -> pl.DataFrame:
    return pl.read_csv(folder / "extract" / "planted.csv", try_parse_dates=True)


@pytest.mark.parametrize("task", TASKS)
def test_outcomes_come_as_often_as_their_risk_says(planted: Path, task: str) -> None:
    rows = risks(planted, task)
    risk, outcome = rows["risk"].to_numpy(), rows["outcome"].to_numpy()
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0)):
        inside = (risk >= low) & (risk < high)
        expected, spread = risk[inside].sum(), np.sqrt((risk * (1 - risk))[inside].sum())
        assert abs(outcome[inside].sum() - expected) <= 3.5 * max(spread, 1.0)


def test_the_labels_that_the_tasks_make_are_the_truths_outcomes(planted: Path, tmp_path: Path) -> None:
    ingest(load_mapping("simulated-hospital"), planted, tmp_path / "out", n_shards=2, keep_ids=True)
    for asked in map(load_task, TASKS):
        labels = to_labels(find_outcomes(open_dataset(tmp_path / "out"), asked)[0], asked)
        truth = risks(planted, asked.name).select(
            pl.col("patient_id").alias("subject_id"),
            pl.col("prediction_time").cast(pl.Datetime("us")),
            pl.col("outcome").alias("boolean_value"),
        )
        assert labels.equals(truth.sort("subject_id", "prediction_time"))


def test_the_order_of_the_pair_decides_and_its_counts_do_not(planted: Path) -> None:
    rows = risks(planted, "planted_order").with_columns(pl.col("prediction_time").cast(pl.Datetime("us")))
    pair = rows.join(events(planted), on="patient_id").filter(
        pl.col("code").is_in(["alpha", "beta"]),
        pl.col("time") < pl.col("prediction_time"),
        pl.col("time") > pl.col("prediction_time").dt.offset_by("-30d"),
    )
    by_row = pair.group_by("patient_id", "prediction_time").agg(
        pl.col("code").sort_by("time").first().alias("first"), pl.len(), pl.col("risk").first()
    )
    assert by_row["len"].unique().to_list() == [2]
    high, low = (by_row.filter(first=code)["risk"].unique() for code in ("alpha", "beta"))
    without = rows.join(by_row, on=["patient_id", "prediction_time"], how="anti")["risk"].unique()
    assert len(high) == len(low) == len(without) == 1
    assert high[0] > without[0] > low[0]
    assert (high[0] + low[0]) / 2 == pytest.approx(without[0])


def test_questions_of_a_patient_lie_further_apart_than_the_horizon(planted: Path) -> None:
    rows = risks(planted, "planted_order").sort("patient_id", "prediction_time")
    gaps = rows.select(pl.col("prediction_time").diff().over("patient_id")).drop_nulls().to_series()
    assert gaps.min() > load_scenario("known-risk").planted.horizon


def test_a_later_record_holds_nothing_from_before(planted: Path) -> None:
    begin = pl.lit("2021-01-01").str.to_datetime()
    for name, time in (
        ("contacts", "innDatoTid"),
        ("laboratory", "sampled_time"),
        ("movements", "from_time"),
    ):
        table = pl.read_csv(planted / "extract" / f"{name}.csv", try_parse_dates=True)
        assert table.filter(pl.col(time) < begin).is_empty()
    admitted = pl.read_csv(planted / "extract" / "contacts.csv").filter(omsorgsniva=1)
    assert admitted["patient_id"].n_unique() == N_PATIENTS


def test_the_default_scenario_plants_nothing(hospital: Path) -> None:
    assert not (hospital / "extract" / "planted.csv").exists()
    assert not (hospital / "truth" / "twins.parquet").exists()


def test_a_faulty_planting_is_refused_with_its_faults(tmp_path: Path) -> None:
    file = tmp_path / "given.yaml"
    file.write_text(
        textwrap.dedent(
            """
            based_on: default
            name: mine
            planted:
              outcomes:
                - {task: planted_order, code: late_event, base: -2, order_contrast: 0.5,
                   values: [{analyte: gold, weight: 1, centre: 1, scale: 1}]}
            """
        ),
        "utf-8",
    )
    with pytest.raises(ConfigurationError, match="gold"):
        load_scenario(file)
