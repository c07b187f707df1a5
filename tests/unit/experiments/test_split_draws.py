"""A rare outcome: splits are drawn by answer where chance failed, and left alone where it did not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from experiments.one_sided import one_sided_problems
from experiments.split_draws import Answers, draw_parts
from experiments.splits import SplitConfig, make_splits
from phenotype.trajectory import Dataset

CONFIG: TypeAdapter[SplitConfig] = TypeAdapter(SplitConfig)
NOWHERE = Dataset(Path("none"))


def rows_with(positives: set[int], n_subjects: int = 60) -> pl.DataFrame:
    """Three rows a patient; of patients with the outcome the last row is positive."""
    rows = [(subject, year) for subject in range(n_subjects) for year in (2016, 2017, 2018)]
    return pl.DataFrame(
        {
            "subject_id": [subject for subject, _ in rows],
            "prediction_time": [datetime(year, 1, 1) for _, year in rows],
            "boolean_value": [subject in positives and year == 2018 for subject, year in rows],
        },
        schema_overrides={"prediction_time": pl.Datetime("us")},
    )


def positives_by_split(rows: pl.DataFrame, **fields: Any) -> pl.DataFrame:
    """fold, split and n: how many patients have the outcome there, 0 included."""
    splits = make_splits(rows, NOWHERE, CONFIG.validate_python(fields))
    labelled = splits.join(rows, on=["subject_id", "prediction_time"])
    with_outcome = pl.col("subject_id").filter(pl.col("boolean_value")).n_unique()
    return labelled.group_by("fold", "split").agg(n=with_outcome).sort("fold", "split")


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["random", "folds", "site_like_file"])
def test_each_split_gets_a_patient_with_a_rare_outcome(kind: str, seed: int, tmp_path: Path) -> None:
    """Four of 60 patients: a tuning tenth drawn blindly would have none of them two times in three."""
    rows = rows_with({3, 17, 31, 45})
    fields: dict[str, Any] = {"kind": kind, "seed": seed}
    if kind == "folds":
        fields["n_folds"] = 2
    if kind == "site_like_file":
        held_out = [subject in {3, *range(46, 60)} for subject in range(60)]
        names = ["held_out" if is_out else "train" for is_out in held_out]
        pl.DataFrame({"subject_id": range(60), "split": names}).write_parquet(tmp_path / "s.parquet")
        fields = {"kind": "file", "path": tmp_path / "s.parquet", "seed": seed}
    assert min(positives_by_split(rows, **fields)["n"].to_list()) >= 1


def test_a_draw_that_serves_is_not_drawn_again() -> None:
    """The same patients are split alike whether a task's answers are known or not, where chance served."""
    rows = rows_with(set(range(0, 60, 2)))
    for seed in range(10):
        config = CONFIG.validate_python({"kind": "random", "seed": seed})
        assert make_splits(rows, NOWHERE, config).equals(
            make_splits(rows.drop("boolean_value"), NOWHERE, config)
        )


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(6, 80),
    n_positive=st.integers(3, 40),
    seed=st.integers(0, 1000),
    shares=st.sampled_from([(0.7, 0.1, 0.2), (0.98, 0.01, 0.01), (0.05, 0.9, 0.05)]),
)
def test_every_patient_is_drawn_once_and_no_part_is_one_sided(
    n: int, n_positive: int, seed: int, shares: tuple[float, ...]
) -> None:
    positive = np.arange(n) < min(n_positive, n - 3)
    answers = Answers(positive, ~positive)
    parts = draw_parts(n, shares, seed, answers)
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    if positive.sum() >= 3:
        assert all(answers.are_both_in(part) for part in parts)
    again = draw_parts(n, shares, seed, answers)
    assert all(np.array_equal(one, other) for one, other in zip(parts, again, strict=True))


def test_fewer_patients_with_the_outcome_than_folds_are_told_and_not_warned_of_by_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counted = positives_by_split(rows_with({3, 31}), kind="folds", n_folds=5)
    assert counted.filter(pl.col("split") == "held_out")["n"].to_list().count(0) == 3
    assert "2 patients for 5 folds have the rarer answer" in caplog.text
    few = rows_with({0, 1, 2}, n_subjects=6)
    assert positives_by_split(few, kind="folds", n_folds=5, tuning_fraction=0.3).height == 15


@pytest.mark.parametrize(
    ("positives", "step"),
    [
        ({0}, "1 patients have rows with the outcome, and train, tuning and held_out need one each"),
        ({0, 1, 2, 3}, "4 patients have rows with the outcome: let splits be drawn by answer"),
    ],
)
def test_a_split_with_one_answer_is_told_with_what_helps(positives: set[int], step: str) -> None:
    """Patients 0 to 5 train, 6 and 7 tune, 8 and 9 are held out; the outcome is among the first only."""
    parts = {
        name: (np.array([subject in positives for subject in subjects]), pl.Series("subject_id", subjects))
        for name, subjects in (("train", [*range(6), 5]), ("tuning", [6, 7]), ("held_out", [8, 9]))
    }
    problems = one_sided_problems("rare", 3, parts)
    assert [problem.where for problem in problems] == ["fold 3, split tuning", "fold 3, split held_out"]
    assert all(problem.found == "2 rows, 0 of them positive" for problem in problems)
    assert all((problem.next_step or "").startswith(step) for problem in problems)
    assert one_sided_problems("rare", 0, {"train": (np.array([True, False]), pl.Series([1, 2]))}) == []
