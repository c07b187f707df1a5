"""Example folders in tests/examples/tasks: a small hospital, a task, and what comes out by hand count."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml
from polars.testing import assert_frame_equal

from phenotype.labels import apply_threshold, find_outcomes
from phenotype.outcomes import OUTCOMES
from phenotype.tasks import load_task
from phenotype.trajectory import CONTACTS, EVENTS, OBSERVATION, Dataset

FOLDER = Path(__file__).parent / "tasks"
EXAMPLES = sorted(folder.name for folder in FOLDER.iterdir())


def read(file: Path, schema: pl.Schema) -> pl.DataFrame:
    """A text table with the columns of a schema; those that the file lacks are null."""
    texts = pl.read_csv(file, infer_schema=False)
    return texts.select(
        pl.lit(None, dtype=dtype).alias(name)
        if name not in texts.columns
        else pl.col(name).str.to_datetime("%Y-%m-%d %H:%M", time_unit="us")
        if dtype == pl.Datetime
        else pl.col(name).cast(dtype)
        for name, dtype in schema.items()
    )


def write_dataset(folder: Path, out: Path, n_shards: int, seed: int | None) -> Dataset:
    """The example's tables as a dataset; with a seed, rows shuffled and spread over shards."""
    events = read(folder / "events.csv", EVENTS)
    contacts = read(folder / "contacts.csv", CONTACTS)
    observation = read(folder / "observation.csv", OBSERVATION)
    if seed is not None:
        events, contacts, observation = (
            table.sample(fraction=1, shuffle=True, seed=seed) for table in (events, contacts, observation)
        )
    (out / "data").mkdir(parents=True)
    for shard in range(n_shards):
        mine = events.filter(pl.col("subject_id") % n_shards == shard)
        mine.write_parquet(out / "data" / f"{shard}.parquet")
    contacts.write_parquet(out / "contacts.parquet")
    observation.write_parquet(out / "observation.parquet")
    return Dataset(out)


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(("n_shards", "seed"), [(1, None), (7, 3)], ids=["as written", "shuffled, 7 shards"])
def test_an_example_comes_out_as_worked_out_by_hand(
    name: str, n_shards: int, seed: int | None, tmp_path: Path
) -> None:
    folder = FOLDER / name
    config = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    task = load_task(config["task"])
    outcomes, attrition = find_outcomes(write_dataset(folder, tmp_path / "d", n_shards, seed), task)
    outcomes = apply_threshold(outcomes, task, config.get("threshold_hours"))
    expected = read(folder / "expected_outcomes.csv", OUTCOMES)
    assert_frame_equal(outcomes.drop("stay_hours"), expected.drop("stay_hours"), check_row_order=True)
    steps = pl.read_csv(folder / "expected_attrition.csv")
    assert_frame_equal(attrition.drop("description"), steps, check_dtypes=False)
