"""PhysioNet 2012, sets a and b: LightGBM on five published folds, death in hospital.

The folds are those of scikit-learn's StratifiedKFold(5, shuffle=True, random_state=0) over the rows of
outcomes.parquet, in their order, stratified by death in hospital.
Bars: mean AUROC >= 0.865 and AUPRC >= 0.540 for death in hospital.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from harness import arguments, finish, open_data, open_key, pesta
from sklearn.model_selection import StratifiedKFold

from pipelines.identity import Pseudonyms, load_or_make_key

AUROC_BAR, AUPRC_BAR = 0.865, 0.540


def main() -> None:
    out = arguments(__doc__ or "").out
    data = open_data("challenge-2012")
    dataset, folds = out / "dataset", out / "folds.parquet"
    if not (dataset / "ingest.json").exists():
        pesta("ingest", "physionet-2012", data, "--out", dataset, "--key", open_key(dataset), "--quiet")
    _folds(data, dataset).write_parquet(folds)
    run = out / "run"
    pesta(
        "run",
        "benchmark_physionet_2012",
        "--out",
        run,
        "--set",
        f"dataset={dataset}",
        "--set",
        f"splits.path={folds}",
    )
    tasks = json.loads((run / "metrics.json").read_text())["tasks"]
    mean = tasks["icu_death_48h"]["models"]["lightgbm"]["mean"]
    figures = "; ".join(
        f"{task}: " + ", ".join(_figure(name, record) for name, record in found["models"].items())
        for task, found in tasks.items()
    )
    finish(is_shown=mean["auroc"] >= AUROC_BAR and mean["auprc"] >= AUPRC_BAR, figures=figures)


def _figure(name: str, record: dict) -> str:
    mean, sd = record["mean"], record["sd"]
    return (
        f"{name} AUROC {mean['auroc']:.4f} ± {sd['auroc']:.4f} AUPRC {mean['auprc']:.4f} ± {sd['auprc']:.4f}"
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
