"""A rare outcome and published splits through the command line: what is refused, and what is run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from phenotype.labels import find_outcomes, to_labels
from phenotype.tasks import load_task
from phenotype.trajectory import open_dataset
from pipelines import cli

TASK = "stay_death_30d_24h"
RUN = {
    "name": "splits",
    "tasks": [TASK],
    "models": {"NEWS2": {"kind": "ward", "score": "NEWS2"}},
    "evaluation": {"n_bootstrap": 20},
    "reasons": {"n_highest": 1, "n_lowest": 0, "n_population": 5},
    "tracking": {"enabled": False},
}


def run(place: Path, dataset: Path, splits: dict[str, object]) -> int:
    """The exit status of `pesta run` into place/run."""
    given = RUN | {"dataset": str(dataset), "splits": splits}
    (place / "run.yaml").write_text(yaml.safe_dump(given, sort_keys=False), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pesta", "run", str(place / "run.yaml"), "--out", str(place / "run")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


def patients(dataset: Path) -> tuple[list[int], list[int]]:
    """Patients with the outcome and without."""
    task = load_task(TASK)
    labels = to_labels(find_outcomes(open_dataset(dataset), task)[0], task)
    positive = labels.filter(pl.col("boolean_value"))["subject_id"].unique().sort().to_list()
    return positive, sorted(set(labels["subject_id"]) - set(positive))


def test_positives_that_are_all_in_one_fold_refuse_the_run_before_anything_is_trained(
    small_hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In fold 0 they are held out, in fold 1 they train: both folds are named, with what helps."""
    positive, negative = patients(small_hospital)
    names = ["train", "tuning", "held_out"]
    frames = [
        pl.DataFrame(
            {
                "subject_id": positive + negative,
                "split": [where] * len(positive) + [names[n % 3] for n in range(len(negative))],
                "fold": [fold] * (len(positive) + len(negative)),
            }
        )
        for fold, where in enumerate(("held_out", "train"))
    ]
    pl.concat(frames).write_parquet(tmp_path / "splits.parquet")
    assert run(tmp_path, small_hospital, {"kind": "file", "path": str(tmp_path / "splits.parquet")}) != 0
    told = capsys.readouterr().err
    assert told.count(f"task {TASK} cannot be learnt and judged") == 4
    for where in (
        "fold 0, split train",
        "fold 0, split tuning",
        "fold 1, split tuning",
        "fold 1, split held_out",
    ):
        assert where in told
    assert f"{len(positive)} patients have rows with the outcome" in told
    assert "Traceback" not in told
    assert not list((tmp_path / "run").rglob("model.json"))


def test_five_published_splits_whose_tests_overlap_are_run(small_hospital: Path, tmp_path: Path) -> None:
    positive, negative = patients(small_hospital)
    everybody = sorted(positive + negative)
    draw = np.random.default_rng(11)
    paths = []
    for number in range(5):
        rows = draw.permutation(len(everybody))
        parts = np.split(rows, [int(0.7 * len(rows)), int(0.85 * len(rows))])
        paths.append(tmp_path / f"split{number}.npz")
        np.savez(paths[-1], idx_train=parts[0], idx_val=parts[1], idx_test=parts[2])
    (tmp_path / "order.txt").write_text("\n".join(map(str, everybody)))
    splits = {"kind": "file", "path": [str(path) for path in paths], "order": str(tmp_path / "order.txt")}
    assert run(tmp_path, small_hospital, splits) == 0
    record = json.loads((tmp_path / "run" / "metrics.json").read_text())["tasks"][TASK]
    folds = record["models"]["NEWS2"]["folds"]
    risks = pl.read_parquet(tmp_path / "run" / "risks.parquet")
    keys = ["subject_id", "prediction_time", "task", "model"]
    assert len(folds) == 5
    assert not risks.select(keys).is_duplicated().any()
    assert any("held-out parts overlap" in text for text in record["warnings"])
    assert risks.height == record["n_rows"] < sum(fold["n_rows"] for fold in folds)
    assert (tmp_path / "run" / "report" / "index.html").exists()
