"""All shipped definitions on a small simulated hospital: the same for any rows, shards and other patients."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotype.definitions.text import load_definitions
from phenotype.phenotypes import derive_phenotypes
from phenotype.trajectory import Dataset, open_dataset
from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping

DATASET_WIDE = {"prolonged_stay_p75", "prolonged_stay_p90", "prolonged_stay_mean_2sd"}
"""Definitions that compare a stay with all stays of the dataset, as their files say."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("hospital")
    simulate(60, 11, folder / "raw")
    ingest(load_mapping("simulated-hospital"), folder / "raw" / "extract", folder / "meds")
    return open_dataset(folder / "meds")


@pytest.fixture(scope="module")
def found(hospital: Dataset) -> pl.DataFrame:
    return derive_phenotypes(hospital, load_definitions())


def rewritten(dataset: Dataset, out: Path, n_shards: int, *, only_odd: bool = False) -> Dataset:
    """The dataset with its rows shuffled over other shards, perhaps every second patient alone."""
    subjects = dataset.events().select("subject_id").unique().collect()["subject_id"].sort()
    kept = subjects.gather_every(2) if only_odd else subjects
    tables = {"contacts": dataset.contacts(), "codings": dataset.codings()}
    contacts = tables["contacts"].filter(pl.col("subject_id").is_in(kept.implode()))
    codings = tables["codings"].filter(pl.col("contact_id").is_in(contacts["contact_id"].implode()))
    events = dataset.events().collect().filter(pl.col("subject_id").is_in(kept.implode()))
    (out / "data").mkdir(parents=True)
    for name, table in (("contacts", contacts), ("codings", codings)):
        table.sample(fraction=1, shuffle=True, seed=5).write_parquet(out / f"{name}.parquet")
    shuffled = events.sample(fraction=1, shuffle=True, seed=7)
    for shard in range(n_shards):
        mine = shuffled.filter(pl.col("subject_id") % n_shards == shard)
        mine.write_parquet(out / "data" / f"{shard}.parquet")
    return Dataset(out)


def test_many_definitions_are_met(found: pl.DataFrame) -> None:
    assert found["phenotype"].n_unique() > 40


@pytest.mark.parametrize("n_shards", [1, 5])
def test_rows_and_shards_change_nothing(
    hospital: Dataset, found: pl.DataFrame, tmp_path: Path, n_shards: int
) -> None:
    again = derive_phenotypes(rewritten(hospital, tmp_path / "d", n_shards), load_definitions())
    assert_frame_equal(again, found, check_exact=True)


def test_other_patients_change_only_what_is_compared_with_the_whole_dataset(
    hospital: Dataset, found: pl.DataFrame, tmp_path: Path
) -> None:
    half = rewritten(hospital, tmp_path / "d", 2, only_odd=True)
    again = derive_phenotypes(half, load_definitions())
    subjects = half.events().select("subject_id").unique().collect()["subject_id"]
    own = pl.col("phenotype").is_in(sorted(DATASET_WIDE)).not_()
    before = found.filter(own & pl.col("subject_id").is_in(subjects.implode()))
    assert before.height > 0
    assert_frame_equal(again.filter(own), before, check_exact=True)
