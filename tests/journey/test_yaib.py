"""Cohorts in YAIB's form: every published row is asked about, with its label, which no model sees."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from phenotype.cases import Cases
from phenotype.labels import find_outcomes, to_labels
from phenotype.tasks import load_task
from phenotype.trajectory import Dataset, open_dataset
from pipelines.sources.extract import ingest, load_mapping

DATA = Path(__file__).parents[3] / "shared" / "data"
START = datetime(2000, 1, 1)
VITALS = {
    "hr": "heart_rate",
    "resp": "respiratory_rate",
    "o2sat": "spo2",
    "sbp": "systolic_bp",
    "dbp": "diastolic_bp",
    "map": "mean_bp",
    "temp": "temperature",
}
TASKS = {"mortality24": "yaib_mortality_24h", "sepsis": "yaib_sepsis_hourly", "los": "yaib_discharge_24h"}


def cohort(task: str) -> Path:
    folder = DATA / "mimic-iii-demo" / "yaib" / task
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    return folder


def build(given: Path, task: str, out: Path) -> Dataset:
    """A dataset whose subject ids are the stays' own, so that rows can be laid beside the source's."""
    account = ingest(
        load_mapping(f"yaib-{task}"), given, out, n_shards=2, key_path=out.with_name("key"), keep_ids=True
    )
    assert account.is_closed
    assert account.n_rejected == 0
    return open_dataset(out)


@pytest.mark.parametrize("task", list(TASKS))
def test_every_published_row_has_its_published_label(task: str, tmp_path: Path) -> None:
    given = cohort(task)
    dataset = build(given, task, tmp_path / "dataset")
    question = load_task(TASKS[task])
    outcomes, _ = find_outcomes(dataset, question)
    labels = to_labels(outcomes, question)
    published = pl.read_parquet(given / "outc.parquet")
    # The row of hour t is over an hour later; of mortality24 the last row is that of hour 24.
    hours = pl.col("time").dt.total_hours() if "time" in published.columns else pl.lit(24)
    is_positive = pl.col("label") <= 24 if task == "los" else pl.col("label").cast(pl.Boolean)
    expected = published.select(
        subject_id=pl.col("stay_id").cast(pl.Int64),
        prediction_time=(pl.lit(START) + pl.duration(hours=hours + 1)).cast(pl.Datetime("us")),
        boolean_value=is_positive,
    ).sort("subject_id", "prediction_time")
    assert labels.equals(expected)


@pytest.mark.parametrize("task", list(TASKS))
def test_a_model_sees_the_cells_of_the_hours_that_are_over_and_nothing_else(
    task: str, tmp_path: Path
) -> None:
    given = cohort(task)
    dataset = build(given, task, tmp_path / "dataset")
    published = pl.read_parquet(given / "dyn.parquet")
    cells = published.unpivot(index=["stay_id", "time"], variable_name="name").drop_nulls("value")
    code = pl.col("name").replace_strict(VITALS, default=None)
    expected = cells.select(
        subject_id=pl.col("stay_id").cast(pl.Int64),
        time=(pl.lit(START) + pl.col("time") + timedelta(hours=1)).cast(pl.Datetime("us")),
        code=pl.coalesce("VITAL//" + code, "YAIB//" + pl.col("name")),
        numeric_value=pl.col("value").cast(pl.Float32),
    )
    rows = expected.group_by("subject_id").agg(
        prediction_time=pl.col("time").max(), contact_id=pl.lit(None, pl.Int64)
    )
    seen = Cases(dataset, rows.sort("subject_id")).events().collect()
    assert not seen["code"].str.contains("LABEL|DEATH|CONTACT_END").any()
    measured = seen.filter(pl.col("code").str.contains("^(VITAL|YAIB)//") & pl.col("time").is_not_null())
    measured = measured.filter(pl.col("code") != "YAIB//hour")
    assert (measured["known_time"].is_null() | (measured["known_time"] == measured["time"])).all()
    order = ["subject_id", "time", "code", "numeric_value"]
    assert measured.select(order).sort(order).equals(expected.select(order).sort(order))
    others = set(seen["code"].unique()) - set(measured["code"].unique())
    assert others <= {
        "AGE",
        "SEX//female",
        "SEX//male",
        "YAIB//height",
        "YAIB//weight",
        "YAIB//hour",
        "CONTACT//icu",
    }


def test_when_a_record_ends_is_known_only_after_its_last_row(tmp_path: Path) -> None:
    """The record of a septic stay is cut off six hours after the onset: its end would tell."""
    dataset = build(cohort("sepsis"), "sepsis", tmp_path / "dataset")
    ends = dataset.events().filter(pl.col("code") == "CONTACT_END//icu").collect()
    last = (
        dataset.events()
        .filter(pl.col("code") == "YAIB//hour")
        .group_by("subject_id")
        .agg(last=pl.col("time").max())
    )
    late = ends.join(last.collect(), on="subject_id")
    assert late.height == 115
    assert (late["known_time"] > late["last"]).all()


def test_mortality24_does_not_tell_how_long_a_stay_was(tmp_path: Path) -> None:
    dataset = build(cohort("mortality24"), "mortality24", tmp_path / "dataset")
    assert dataset.contacts()["end_time"].is_null().all()
    assert dataset.contacts()["discharged_to"].value_counts().sort("discharged_to").rows() == [
        ("alive", 78),
        ("death", 21),
    ]
    assert not dataset.events().collect()["code"].str.contains("CONTACT_END|DEATH|LABEL").any()
