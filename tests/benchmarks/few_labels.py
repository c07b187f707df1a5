"""Pretraining helps where labels are few: 100, 1,000 and 10,000 labelled patients of a simulated hospital.

A population-wide model is pretrained on the whole records of the patients who are not held out; the outcome
itself is left out of what it reads and foretells. Then a network that starts from it, the same network
untrained, the pretrained body with a head alone, and LightGBM are fitted to the same labelled patients,
several draws of each number, and judged on the same held-out patients, beside the true risk. Bars: over the
draws, the pretrained network's AUROC lies above the untrained one's at 100 and 1,000 labelled patients by
more than two standard errors of the paired differences, and not below it by more than 0.005 at 10,000.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, open_key, pesta
from sklearn.metrics import roc_auc_score

TASK = "planted_decline"
NETWORKS = ("untrained", "pretrained", "frozen")
NO_WORSE = 0.005


@dataclass(frozen=True)
class Size:
    """How large the benchmark is.

    Attributes:
        n_patients: of the hospital.
        n_held_out: of them.
        draws: labelled patients -> how often so many are drawn.
        epochs: labelled patients -> the most epochs of a network.
        pretraining_epochs: of the population-wide model.
    """

    n_patients: int
    n_held_out: int
    draws: dict[int, int]
    epochs: dict[int, int]
    pretraining_epochs: int


FULL = Size(16_500, 3_000, {100: 5, 1_000: 3, 10_000: 2}, {100: 30, 1_000: 12, 10_000: 4}, 4)
SMALL = Size(600, 200, {100: 2, 250: 1}, {100: 4, 250: 3}, 2)
TUNING_SHARE = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and runs; kept")
    parser.add_argument("--small", action="store_true", help="few patients, to see that it works")
    given = parser.parse_args()
    size, out = (SMALL if given.small else FULL), given.out
    dataset = _dataset(out, size)
    truth = pl.read_parquet(out / "hospital" / "truth" / "risks.parquet").filter(pl.col("task") == TASK)
    held_out, labelled, others = _parted(truth, dataset, size)
    left_out, model = out / "left_out.parquet", out / "model"
    parts = ((held_out, "held_out"), (labelled, "train"), (others, "train"))
    pl.concat([_split(*part) for part in parts]).write_parquet(left_out)
    if not (model / "model.json").exists():
        settings = {
            "dataset": dataset,
            "leave_out": left_out,
            "network.max_epochs": size.pretraining_epochs,
        }
        pesta("pretrain", "simulated", "--out", model, *_set(settings))
    asked = truth.filter(pl.col("patient_id").is_in(held_out.tolist()))
    figures, is_shown = [f"true risk {roc_auc_score(asked['outcome'], asked['risk']):.4f}"], True
    for n, n_draws in size.draws.items():
        found = _run(out, size, n, dataset, model, _draws(held_out, labelled, n, n_draws))
        figures.append(f"{n:,} labelled, {n_draws} draws: {_told(found)}")
        is_shown &= _holds(found, is_few=n < max(size.draws))
    finish(is_shown=is_shown if not given.small else None, figures="; ".join(figures))


def _dataset(out: Path, size: Size) -> Path:
    hospital, dataset = out / "hospital", out / "dataset"
    if not (dataset / "ingest.json").exists():
        made = ("--patients", str(size.n_patients), "--seed", "31", "--scenario", "few-labels")
        pesta("simulate", *made, "--out", hospital, "--quiet")
        read = ("ingest", "simulated-hospital", hospital / "extract", "--out", dataset)
        pesta(*read, "--key", open_key(dataset), "--keep-ids", "--quiet")
    return dataset


def _parted(truth: pl.DataFrame, dataset: Path, size: Size) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Held-out patients; those with a question, in the order in which they are labelled; and all others."""
    shards = sorted((dataset / "data").rglob("*.parquet"))
    subjects = pl.concat([pl.read_parquet(file, columns=["subject_id"]) for file in shards])["subject_id"]
    drawn = np.random.default_rng(7).permutation(subjects.unique().sort().to_numpy())
    held_out, others = drawn[: size.n_held_out], drawn[size.n_held_out :]
    asked = np.isin(others, truth["patient_id"].to_numpy())
    return held_out, others[asked], others[~asked]


def _split(subjects: np.ndarray, split: str, fold: int = 0) -> pl.DataFrame:
    return pl.DataFrame({"subject_id": subjects}).with_columns(
        split=pl.lit(split), fold=pl.lit(fold, pl.Int32)
    )


def _draws(held_out: np.ndarray, labelled: np.ndarray, n: int, n_draws: int) -> pl.DataFrame:
    """Each draw as a fold: n labelled patients, a quarter of them to tune, and all held-out ones."""
    folds = []
    for number in range(n_draws):
        drawn = np.random.default_rng([n, number]).permutation(labelled)[:n]
        n_tuning = round(TUNING_SHARE * n)
        parts = ((held_out, "held_out"), (drawn[:n_tuning], "tuning"), (drawn[n_tuning:], "train"))
        folds += [_split(subjects, split, number) for subjects, split in parts]
    return pl.concat(folds)


def _run(  # noqa: PLR0917 what is fitted to what
    out: Path, size: Size, n: int, dataset: Path, model: Path, draws: pl.DataFrame
) -> dict[str, list[float]]:
    """The held-out AUROC of each model in each draw."""
    file, run = out / f"draws_{n}.parquet", out / f"run_{n}"
    draws.write_parquet(file)
    settings: dict[str, object] = {"dataset": dataset, "splits.path": file}
    for name in NETWORKS:
        settings[f"models.{name}.max_epochs"] = size.epochs[n]
    for name in NETWORKS[1:]:
        settings[f"models.{name}.pretrained"] = model
    pesta("run", "benchmark_few_labels", "--out", run, *_set(settings))
    (task,) = json.loads((run / "metrics.json").read_text())["tasks"].values()
    return {name: [fold["auroc"] for fold in record["folds"]] for name, record in task["models"].items()}


def _set(settings: dict[str, object]) -> list[str]:
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


def _difference(found: dict[str, list[float]], one: str, other: str) -> tuple[float, float]:
    """The mean paired difference of two models over the draws, and its standard error."""
    differences = [a - b for a, b in zip(found[one], found[other], strict=True)]
    spread = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.inf
    return statistics.fmean(differences), spread


def _holds(found: dict[str, list[float]], *, is_few: bool) -> bool:
    mean, error = _difference(found, "pretrained", "untrained")
    return mean > 2 * error if is_few else mean > -NO_WORSE


def _told(found: dict[str, list[float]]) -> str:
    levels = ", ".join(f"{name} {statistics.fmean(of):.4f}" for name, of in found.items())
    paired = ", ".join(
        "pretrained - {} {:+.4f} ({:.4f})".format(other, *_difference(found, "pretrained", other))
        for other in ("untrained", "lightgbm")
    )
    return f"AUROC {levels}; {paired}"


if __name__ == "__main__":
    main()
