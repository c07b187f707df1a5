"""Splits: patients apart, temporal and site splits, files, and what is refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from pydantic import TypeAdapter
from sklearn.model_selection import KFold, StratifiedKFold

from experiments.split_config import LARGEST_SEED
from experiments.splits import SplitConfig, check_splits, make_splits
from ontology.errors import ConfigurationError, InputError
from phenotype.trajectory import CONTACTS, Dataset

CONFIG: TypeAdapter[SplitConfig] = TypeAdapter(SplitConfig)
KEYS = ["subject_id", "prediction_time"]


def config(**fields: object) -> SplitConfig:
    return CONFIG.validate_python(fields)


def rows_of(n_subjects: int, n_rows: int = 3) -> pl.DataFrame:
    """n_rows yearly rows from 2016 for each subject; contact_id = 10 * subject + row."""
    return pl.DataFrame(
        {
            "subject_id": [subject for subject in range(n_subjects) for _ in range(n_rows)],
            "prediction_time": [
                datetime(2016 + row, 1, 1) for _ in range(n_subjects) for row in range(n_rows)
            ],
            "contact_id": [10 * subject + row for subject in range(n_subjects) for row in range(n_rows)],
        },
        schema_overrides={"prediction_time": pl.Datetime("us")},
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(tmp_path)


def splits_of_patients(splits: pl.DataFrame) -> pl.DataFrame:
    return splits.group_by("fold", "subject_id").agg(pl.col("split").n_unique())


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, LARGEST_SEED),
    n_subjects=st.integers(12, 60),
    kind=st.sampled_from(["random", "folds", "time_unseen"]),
    stratify=st.booleans(),
)
def test_no_patient_stands_in_two_splits_of_a_fold(
    seed: int, n_subjects: int, kind: str, stratify: bool
) -> None:
    rows = rows_of(n_subjects)
    if kind == "time_unseen":
        # Every third patient is asked about before 2018 only, every third from then on, the rest in both.
        phase, year = pl.col("subject_id") % 3, pl.col("prediction_time").dt.year()
        rows = rows.filter(((phase == 0) & (year < 2018)) | ((phase == 1) & (year >= 2018)) | (phase == 2))
        chosen = config(
            kind="time", train_before="2018-01-01", keep_seen=False, tuning_fraction=0.4, seed=seed
        )
    else:
        more = {"n_folds": 3, "tuning_fraction": 0.3} if kind == "folds" else {}
        chosen = config(kind=kind, seed=seed, **more)
    if stratify:
        rows = rows.with_columns(boolean_value=pl.col("subject_id") % 3 == 0)
    splits = make_splits(
        rows.sample(fraction=1, shuffle=True, seed=seed % 1000), Dataset(Path("none")), chosen
    )
    assert splits_of_patients(splits)["split"].max() == 1
    assert not splits["is_seen"].any()
    assert splits.select("fold", *KEYS).is_duplicated().sum() == 0
    assert_frame_equal(splits, make_splits(rows, Dataset(Path("none")), chosen))


def test_random_fractions_are_shares_of_patients(dataset: Dataset) -> None:
    splits = make_splits(rows_of(200), dataset, config(kind="random", seed=4))
    counted = splits.group_by("split").agg(pl.col("subject_id").n_unique()).sort("split")
    assert counted.rows() == [("held_out", 40), ("train", 140), ("tuning", 20)]


def test_folds_are_those_of_scikit_learn(dataset: Dataset) -> None:
    rows = rows_of(50, n_rows=1)
    plain = make_splits(rows, dataset, config(kind="folds", n_folds=5, seed=0))
    labelled = rows.with_columns(boolean_value=pl.col("subject_id") % 7 == 0)
    stratified = make_splits(labelled, dataset, config(kind="folds", n_folds=5, seed=0))
    subjects, positive = np.arange(50), np.arange(50) % 7 == 0
    for splits, folder in ((plain, KFold), (stratified, StratifiedKFold)):
        parts = folder(5, shuffle=True, random_state=0).split(subjects, positive)
        for number, (_, held_out) in enumerate(parts):
            found = splits.filter((pl.col("fold") == number) & (pl.col("split") == "held_out"))
            assert sorted(found["subject_id"]) == held_out.tolist()


def test_tuning_patients_are_taken_from_each_folds_training_patients(dataset: Dataset) -> None:
    splits = make_splits(rows_of(50), dataset, config(kind="folds", n_folds=5, tuning_fraction=0.25))
    counted = splits.group_by("fold", "split").agg(pl.col("subject_id").n_unique())
    assert set(counted.filter(pl.col("split") == "tuning")["subject_id"]) == {10}
    assert set(counted.filter(pl.col("split") == "train")["subject_id"]) == {30}


def test_a_temporal_split_flags_patients_seen_in_training(dataset: Dataset) -> None:
    rows = rows_of(4).filter(
        ~((pl.col("subject_id") == 3) & (pl.col("prediction_time") < datetime(2018, 1, 1)))
    )
    chosen = config(kind="time", train_before="2017-01-01", tune_before="2018-01-01")
    splits = make_splits(rows, dataset, chosen)
    assert splits.filter(pl.col("split") == "train")["prediction_time"].max() == datetime(2016, 1, 1)
    held_out = splits.filter(pl.col("split") == "held_out")
    assert held_out["prediction_time"].min() == datetime(2018, 1, 1)
    assert held_out.select("subject_id", "is_seen").rows() == [(0, True), (1, True), (2, True), (3, False)]
    assert not splits.filter(pl.col("split") == "train")["is_seen"].any()


def test_reserved_patients_are_tested_and_never_train(dataset: Dataset) -> None:
    chosen = config(kind="time", train_before="2018-01-01", reserved_fraction=0.4, keep_seen=False)
    splits = make_splits(rows_of(50), dataset, chosen)
    held_out = splits.filter(pl.col("split") == "held_out")
    assert held_out["subject_id"].n_unique() == 20
    assert held_out["prediction_time"].unique().to_list() == [datetime(2018, 1, 1)]
    assert splits.filter(pl.col("split") != "held_out")["subject_id"].n_unique() == 30
    assert splits_of_patients(splits)["split"].max() == 1


def test_a_gap_keeps_outcomes_of_the_test_period_out_of_training(dataset: Dataset) -> None:
    rows = rows_of(10)
    chosen = config(kind="time", train_before="2017-06-01", tune_before="2017-12-01", gap_days=200)
    with pytest.raises(ConfigurationError, match="no row falls in split tuning"):
        make_splits(rows, dataset, chosen)
    without = config(kind="time", train_before="2017-06-01", gap_days=200, tuning_fraction=0.2)
    trained = make_splits(rows, dataset, without).filter(pl.col("split") == "train")
    assert trained["prediction_time"].unique().to_list() == [datetime(2016, 1, 1)]


def test_calendar_splits_of_nominal_times_are_refused(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "dataset.json").write_text(json.dumps({"nominal_anchor": "2012-01-01T00:00:00"}))
    with pytest.raises(ConfigurationError, match="true dates"):
        make_splits(rows_of(9), Dataset(tmp_path), config(kind="time", train_before="2017-01-01"))


def test_a_site_split_keeps_patients_of_two_sites_out_of_training(tmp_path: Path) -> None:
    rows = rows_of(30)
    # Patients 0-9 at A only, 10-19 at B only, 20-29 first at A, then at B; contact 0 has no hospital.
    hospital = (
        pl.when(pl.col("subject_id") < 10).then(pl.lit("A")).when(pl.col("subject_id") < 20).then(pl.lit("B"))
    )
    hospital = hospital.when(pl.col("contact_id") % 10 == 0).then(pl.lit("A")).otherwise(pl.lit("B"))
    hospital = pl.when(pl.col("contact_id") == 0).then(None).otherwise(hospital)
    contacts = rows.select("contact_id", "subject_id", hospital_id=hospital)
    missing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in CONTACTS.items()
        if name not in contacts.columns
    ]
    contacts.with_columns(missing).write_parquet(tmp_path / "contacts.parquet")
    splits = make_splits(rows, Dataset(tmp_path), config(kind="site", held_out=["B"]))
    held_out = splits.filter(pl.col("split") == "held_out")
    assert held_out.height == 30 + 20
    assert set(held_out["subject_id"]) == set(range(10, 30))
    assert splits.filter(pl.col("split") != "held_out").height == 30 - 1
    assert splits_of_patients(splits)["split"].max() == 1
    with pytest.raises(ConfigurationError, match="no contact at these hospitals"):
        make_splits(rows, Dataset(tmp_path), config(kind="site", held_out=["C"]))


def test_random_rows_leak_and_are_flagged(dataset: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    splits = make_splits(rows_of(100), dataset, config(kind="random_rows"))
    assert splits.filter(pl.col("split") == "held_out").height == 60
    assert splits.filter(pl.col("split") == "held_out")["is_seen"].mean() > 0.5
    assert "leak" in caplog.text


def test_a_split_file_is_followed(dataset: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "splits.parquet"
    names = ["train"] * 6 + ["held_out"] * 2
    frames = [
        pl.DataFrame({"subject_id": range(8), "split": names[fold:] + names[:fold], "fold": [fold] * 8})
        for fold in range(2)
    ]
    pl.concat(frames).write_parquet(file)
    chosen = config(kind="file", path=file, tuning_fraction=0.5)
    assert chosen.n_folds == 2  # type: ignore[union-attr]
    splits = make_splits(rows_of(9), dataset, chosen)
    assert set(splits["subject_id"]) == set(range(8))
    second = splits.filter((pl.col("fold") == 1) & (pl.col("split") == "held_out"))
    assert set(second["subject_id"]) == {5, 6}
    n_tuning = (
        splits.filter(pl.col("split") == "tuning").group_by("fold").agg(pl.col("subject_id").n_unique())
    )
    assert n_tuning["subject_id"].to_list() == [3, 3]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"subject_id": [1, 1, 2, 3], "split": ["train", "held_out", "tuning", "train"]},
            "more than one split",
        ),
        ({"subject_id": [1, 2], "split": ["train", "test"]}, "unknown split names"),
        ({"subject_id": [1, 2], "part": ["train", "tuning"]}, "lacks columns"),
        ({"subject_id": [1, 2], "split": ["train", "held_out"], "fold": [1, 3]}, "not numbered from 0"),
    ],
)
def test_a_faulty_split_file_is_refused(
    table: dict[str, list[object]], message: str, dataset: Dataset, tmp_path: Path
) -> None:
    file = tmp_path / "splits.parquet"
    pl.DataFrame(table).write_parquet(file)
    with pytest.raises(ConfigurationError, match=message):
        make_splits(rows_of(5), dataset, config(kind="file", path=file))


def test_a_missing_split_file_is_told(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        make_splits(rows_of(5), dataset, config(kind="file", path=tmp_path / "none.parquet"))


def test_every_empty_split_is_told_at_once(dataset: Dataset) -> None:
    early = config(kind="time", train_before=datetime(2010, 1, 1), tune_before=datetime(2011, 1, 1))
    with pytest.raises(ConfigurationError) as told:
        make_splits(rows_of(5), dataset, early)
    assert [problem.what for problem in told.value.problems] == [
        "no row falls in split train",
        "no row falls in split tuning",
    ]


def test_fewer_patients_than_folds_is_told(dataset: Dataset) -> None:
    with pytest.raises(ConfigurationError, match="fewer patients than folds"):
        make_splits(rows_of(3), dataset, config(kind="folds", n_folds=5))


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "random", "fractions": {"train": 0.5, "tuning": 0.1, "held_out": 0.2}},
        {"kind": "time", "train_before": "2018-01-01", "tune_before": "2017-01-01"},
        {"kind": "folds", "n_folds": 1},
        {"kind": "by_ward"},
        {"kind": "random", "sed": 3},
    ],
)
def test_a_split_that_means_nothing_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        config(**fields)


def test_a_leak_is_found(dataset: Dataset) -> None:
    splits = make_splits(rows_of(50), dataset, config(kind="random"))
    first = splits["subject_id"][0]
    is_later = (pl.col("subject_id") == first) & (
        pl.col("prediction_time") > datetime(2016, 1, 1) + timedelta(1)
    )
    other = pl.when(pl.col("split") == "train").then(pl.lit("held_out")).otherwise(pl.lit("train"))
    leaking = splits.with_columns(split=pl.when(is_later).then(other).otherwise("split"))
    with pytest.raises(ConfigurationError, match="1 patients"):
        check_splits(leaking, config(kind="random"))
