"""PhysioNet 2012, sets a and b: death in hospital on five published folds, networks beside trees and scores.

The folds are those of scikit-learn's StratifiedKFold(5, shuffle=True, random_state=0) over the rows of
outcomes.parquet, in their order, stratified by death in hospital.
Bars, means over the folds: LightGBM AUROC >= 0.865, AUPRC >= 0.540; the best network alone 0.862, 0.540;
network and trees together 0.873, 0.565, and above trees alone in both paired differences. Also told:
whether the network alone reaches 0.875 and 0.575.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
from harness import arguments, finish, open_data, open_key, pesta
from sklearn.model_selection import StratifiedKFold

from pipelines.identity import Pseudonyms, load_or_make_key

TASK, TREES, TOGETHER = "icu_death_48h", "lightgbm", "ensemble"
NETWORKS = ("two_axis", "gru_d", "transformer")
TREES_BAR, NETWORK_BAR, TOGETHER_BAR, STRETCH = (0.865, 0.540), (0.862, 0.540), (0.873, 0.565), (0.875, 0.575)


def main() -> None:
    out = arguments(__doc__ or "").out
    data = open_data("challenge-2012")
    dataset, folds = out / "dataset", out / "folds.parquet"
    if not (dataset / "ingest.json").exists():
        pesta("ingest", "physionet-2012", data, "--out", dataset, "--key", open_key(dataset), "--quiet")
    _folds(data, dataset).write_parquet(folds)
    found = {}
    for name, run in (
        ("benchmark_physionet_2012", out / "run"),
        ("benchmark_physionet_2012_stay", out / "stay"),
    ):
        given = ("--set", f"dataset={dataset}", "--set", f"splits.path={folds}")
        pesta("run", name, "--out", run, *given)
        found |= json.loads((run / "metrics.json").read_text())["tasks"]
    death = found[TASK]
    models = death["models"]
    best = max((name for name in NETWORKS if name in models), key=lambda name: models[name]["mean"]["auroc"])
    gains = {row["metric"]: row for row in death["differences"] if _is_pair(row, TOGETHER, TREES)}
    verdicts = {
        "trees": _reaches(models[TREES], TREES_BAR),
        f"network alone ({best})": _reaches(models[best], NETWORK_BAR),
        "network and trees": _reaches(models[TOGETHER], TOGETHER_BAR),
        "above trees": all(gains[metric]["difference"] > 0 for metric in ("auroc", "auprc")),
    }
    for task, told in found.items():
        print(f"{task}:")
        for name, record in told["models"].items():
            print(f"  {_figure(name, record)}")
        for row in told["differences"]:
            if row["metric"] in ("auroc", "auprc") and TREES in (row["model"], row["other"]):
                print(f"  {_difference(row)}")
    verdicts_told = ", ".join(f"{name}: {'yes' if holds else 'no'}" for name, holds in verdicts.items())
    stretch = "yes" if _reaches(models[best], STRETCH) else "no"
    figures = "; ".join(_figure(name, models[name]) for name in (TREES, best, TOGETHER))
    differences = "; ".join(_difference(gains[metric]) for metric in ("auroc", "auprc"))
    finish(
        is_shown=all(verdicts.values()),
        figures=f"{figures}; {differences}; {verdicts_told}; stretch: {stretch}",
    )


def _reaches(record: dict[str, Any], bar: tuple[float, float]) -> bool:
    return bool(record["mean"]["auroc"] >= bar[0] and record["mean"]["auprc"] >= bar[1])


def _is_pair(row: dict[str, Any], model: str, other: str) -> bool:
    return {row["model"], row["other"]} == {model, other}


def _difference(row: dict[str, Any]) -> str:
    """A paired difference; the interval is the corrected resampled one over the folds."""
    return (
        f"{row['model']} less {row['other']} {row['metric']} {row['difference']:+.4f}"
        f" ({row['low']:+.4f} to {row['high']:+.4f})"
    )


def _figure(name: str, record: dict[str, Any]) -> str:
    mean, sd = record["mean"], record["sd"]
    seconds = record.get("cost", {}).get("fit_core_seconds")
    cost = "" if seconds is None else f" {seconds:.0f} core-s a fold"
    return (
        f"{name} AUROC {mean['auroc']:.4f} ± {sd['auroc']:.4f} AUPRC {mean['auprc']:.4f} ± {sd['auprc']:.4f}"
        f" Brier {mean['brier']:.4f} slope {mean['calibration_slope']:.2f}{cost}"
    )


def _folds(data: Path, dataset: Path) -> pl.DataFrame:
    """subject_id, split, fold of the published folds; tuning patients are drawn from training by the run."""
    outcomes = pl.read_parquet(data / "outcomes.parquet")
    ids = outcomes["RecordID"].cast(pl.String)
    subjects = Pseudonyms(load_or_make_key(open_key(dataset), dataset), "physionet-2012").of("subject", ids)
    died = outcomes["In-hospital_death"].to_numpy()
    parts = []
    splitter = StratifiedKFold(5, shuffle=True, random_state=0)
    for number, (_, held_out) in enumerate(splitter.split(died, died)):
        is_held_out = pl.Series("row", range(outcomes.height)).is_in(held_out.tolist())
        split = pl.select(
            pl.when(is_held_out).then(pl.lit("held_out")).otherwise(pl.lit("train"))
        ).to_series()
        parts.append(
            pl.DataFrame({"subject_id": subjects, "split": split}).with_columns(fold=pl.lit(number, pl.Int32))
        )
    return pl.concat(parts)


if __name__ == "__main__":
    main()
