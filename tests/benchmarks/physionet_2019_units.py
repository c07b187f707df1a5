"""PhysioNet 2019: what a new hospital may do to a sepsis alarm, pretended inside hospital A.

Trained on the patients of one kind of unit and tested on those of the others: medical on surgical, surgical
on medical, and those of unknown units on both; held-out patients of physionet_2019.py take no part. Bar:
alarms at the threshold of the configuration for another hospital gain more, in the mean of the three, than at
the threshold that is best at home, and at least a utility of 0.2.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl
from harness import finish, open_data, open_key, pesta

from experiments.config import load_run_config
from experiments.run_folder import RunFolder
from experiments.scored import ScoredRows, score_rows
from experiments.splits import HELD_OUT, TRAIN, TUNING, make_splits
from experiments.utility2019 import best_utility_threshold, score_utility
from phenotype.trajectory import open_dataset

MEDICAL, SURGICAL, UNKNOWN = "Medical ICU", "Surgical ICU", "unknown"
PAIRS = ((MEDICAL, (SURGICAL,)), (SURGICAL, (MEDICAL,)), (UNKNOWN, (MEDICAL, SURGICAL)))
CONFIGURATION, MODEL, TASK = "benchmark_physionet_2019_transport", "all", "icu_sepsis_hourly"
UTILITY_BAR = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for dataset and runs; kept")
    parser.add_argument("--patients", type=int, help="only so many of each kind of unit: a quick trial")
    asked = parser.parse_args()
    dataset, run = asked.out / "dataset", asked.out / "run_units"
    if not (dataset / "ingest.json").exists():
        data = open_data("challenge-2019")
        pesta("ingest", "physionet-2019", data, "--out", dataset, "--key", open_key(dataset), "--quiet")
    splits = asked.out / "units.parquet"
    pretended(dataset, asked.patients).write_parquet(splits)
    chosen = f"splits={{kind: file, path: {splits}, tuning_fraction: 0.15}}"
    pesta("run", CONFIGURATION, "--out", run, "--set", f"dataset={dataset}", "--set", chosen)
    prevalence = load_run_config(CONFIGURATION).evaluation.utility_prevalence
    found = [utilities(RunFolder(run, len(PAIRS)), fold, prevalence) for fold in range(len(PAIRS))]
    means = [sum(column) / len(found) for column in zip(*found, strict=True)]
    figures = "; ".join(
        f"{source} to {' and '.join(targets)}: {at_home:.3f} at the threshold best at home, {elsewhere:.3f} "
        f"at the one for elsewhere, {best:.3f} at the best"
        for (source, targets), (at_home, elsewhere, best) in zip(PAIRS, found, strict=True)
    )
    finish(
        is_shown=means[1] > means[0] and means[1] >= UTILITY_BAR,
        figures=f"mean utility {means[0]:.3f}, {means[1]:.3f}, {means[2]:.3f}; {figures}",
    )


def pretended(dataset: Path, n_patients: int | None) -> pl.DataFrame:
    """Folds with patients of one kind of unit in training and those of the others held out.

    Patients that the benchmark itself holds out are in none.
    """
    opened = open_dataset(dataset)
    contacts = opened.contacts()
    stays = contacts.select(
        "subject_id", pl.col("start_time").alias("prediction_time"), "contact_id", "unit_id"
    ).unique("subject_id", keep="first", maintain_order=True)
    split = make_splits(stays, opened, load_run_config(CONFIGURATION).splits)
    known = stays.join(split.filter(pl.col("split") != HELD_OUT), on="subject_id", how="semi")
    known = known.with_columns(pl.col("unit_id").fill_null(UNKNOWN)).sort("subject_id")
    if n_patients:
        known = known.group_by("unit_id", maintain_order=True).head(n_patients)
    folds = [
        known.filter(pl.col("unit_id").is_in([source, *targets])).select(
            "subject_id",
            pl.when(pl.col("unit_id") == source)
            .then(pl.lit(TRAIN))
            .otherwise(pl.lit(HELD_OUT))
            .alias("split"),
            pl.lit(number, pl.Int32).alias("fold"),
        )
        for number, (source, targets) in enumerate(PAIRS)
    ]
    return pl.concat(folds)


def utilities(folder: RunFolder, fold: int, prevalence: float) -> tuple[float, float, float]:
    """Utility elsewhere at the threshold best at home, at that for elsewhere, and at the best there is."""
    tuning, held_out = (
        score_rows(pl.read_parquet(folder.predictions(TASK, MODEL, split, fold)))
        for split in (TUNING, HELD_OUT)
    )
    thresholds = (
        best_utility_threshold(tuning),
        best_utility_threshold(tuning, prevalence),
        best_utility_threshold(held_out),
    )
    at_home, elsewhere, best = (_utility(held_out, threshold) for threshold in thresholds)
    return at_home, elsewhere, best


def _utility(rows: ScoredRows, threshold: float) -> float:
    return float(score_utility(rows, rows.risk >= threshold)["utility"] or 0.0)


if __name__ == "__main__":
    main()
