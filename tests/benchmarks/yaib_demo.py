"""YAIB's demo cohorts (MIMIC-III, eICU): its labels as published, its nested folds, every model in one table.

Folds are made as YAIB makes them: an outer StratifiedKFold(5) gives the test stays of each repetition, an
inner one divides the others into training and tuning; both shuffled with seed 42, over stays in the order of
the outcomes, stratified by whether any row is positive. They are given to `pesta run` as arrays of row
numbers. Of the repetitions and inner folds as many are run as two cores do in ten minutes.
Bars: every published row is asked about and has its published label; LightGBM on eICU's mortality24 AUROC
>= 0.72; and no model above 0.97 anywhere, which a label that leaked would give.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from harness import arguments, finish, open_data, pesta
from sklearn.model_selection import StratifiedKFold

AUROC_BAR, LEAK_BAR, SEED = 0.72, 0.97, 42
MOST_HOURS = 24


@dataclass(frozen=True)
class Cohort:
    """One cohort, and how much of YAIB's cross-validation is run on it."""

    source: str
    folder: str
    task: str
    config: str
    n_repetitions: int
    n_inner: int


COHORTS = (
    Cohort("mimic-iii-demo", "mortality24", "yaib_mortality_24h", "benchmark_yaib_mortality", 5, 2),
    Cohort("eicu-demo", "mortality24", "yaib_mortality_24h", "benchmark_yaib_mortality", 5, 1),
    Cohort("mimic-iii-demo", "los", "yaib_discharge_24h", "benchmark_yaib_los", 2, 1),
    Cohort("eicu-demo", "los", "yaib_discharge_24h", "benchmark_yaib_los", 1, 1),
    Cohort("eicu-demo", "sepsis", "yaib_sepsis_hourly", "benchmark_yaib_sepsis", 2, 1),
)
"""MIMIC's sepsis is not among them: one stay of 115 has it, and no split can be judged on that."""


def main() -> None:
    out = arguments(__doc__ or "").out
    lines, faults = [], []
    for cohort in COHORTS:
        data = open_data(cohort.source) / "yaib" / cohort.folder
        place = out / f"{cohort.source}-{cohort.folder}"
        dataset, run = place / "dataset", place / "run"
        if not (dataset / "ingest.json").exists():
            pesta("ingest", f"yaib-{cohort.folder}", data, "--out", dataset, "--keep-ids", "--quiet")
        labels = _labels(data, cohort)
        folds, stays = _folds(labels, cohort, place)
        given = (f"dataset={dataset}", f"splits.path={folds}", f"splits.order={stays}")
        pesta("run", cohort.config, "--out", run, *(part for one in given for part in ("--set", one)))
        faults += _label_faults(labels, cohort, run)
        record = json.loads((run / "metrics.json").read_text())["tasks"][cohort.task]["models"]
        faults += [
            f"{name} on {place.name} has AUROC {found['mean']['auroc']:.3f}: does it see its label?"
            for name, found in record.items()
            if found["mean"]["auroc"] > LEAK_BAR
        ]
        if place.name == "eicu-demo-mortality24" and record["lightgbm"]["mean"]["auroc"] < AUROC_BAR:
            faults.append(f"LightGBM below {AUROC_BAR} on {place.name}")
        n_rounds = cohort.n_repetitions * cohort.n_inner
        told = ", ".join(_figure(name, found) for name, found in record.items())
        lines.append(f"{place.name} ({n_rounds} rounds): {told}")
    finish(is_shown=not faults, figures="; ".join(faults + lines))


def _figure(name: str, record: dict[str, Any]) -> str:
    def told(measure: str) -> str:
        sd = record["sd"][measure]
        return f"{record['mean'][measure]:.3f}" + ("" if sd is None else f" ± {sd:.3f}")

    return f"{name} {told('auroc')} / {told('auprc')} in {record['cost']['fit_core_seconds']} core-s"


def _labels(data: Path, cohort: Cohort) -> pl.DataFrame:
    """stay_id, hour (25 where the task asks once) and is_positive of each published row, in their order."""
    outcomes = pl.read_parquet(data / "outc.parquet")
    hour = pl.col("time").dt.total_hours() + 1 if "time" in outcomes.columns else pl.lit(25)
    is_positive = pl.col("label") <= MOST_HOURS if cohort.folder == "los" else pl.col("label") == 1
    if outcomes["label"].dtype == pl.Boolean:
        is_positive = pl.col("label")
    return outcomes.select(
        pl.col("stay_id").cast(pl.Int64), hour=hour.cast(pl.Int64), is_positive=is_positive
    )


def _folds(labels: pl.DataFrame, cohort: Cohort, place: Path) -> tuple[Path, Path]:
    """Files of the folds, as arrays of row numbers, and of the stays whose rows they number."""
    stays = labels.group_by("stay_id", maintain_order=True).agg(pl.col("is_positive").any())
    positive = stays["is_positive"].to_numpy()
    outer = StratifiedKFold(5, shuffle=True, random_state=SEED)
    folds = []
    for dev, test in list(outer.split(positive, positive))[: cohort.n_repetitions]:
        inner = StratifiedKFold(5, shuffle=True, random_state=SEED)
        for train, tuning in list(inner.split(dev, positive[dev]))[: cohort.n_inner]:
            parts = {"train": dev[train], "val": dev[tuning], "test": test}
            folds.append({name: np.sort(part).tolist() for name, part in parts.items()})
    files = place / "folds.json", place / "stays.parquet"
    files[0].write_text(json.dumps(folds))
    stays.select(subject_id="stay_id").write_parquet(files[1])
    return files


def _label_faults(labels: pl.DataFrame, cohort: Cohort, run: Path) -> list[str]:
    """What the run asked about beside, or answered otherwise than, the published rows."""
    start = pl.datetime(2000, 1, 1, time_unit="us")
    asked = pl.concat(
        [pl.read_parquet(file) for file in sorted((run / "labels").glob(f"{cohort.task}*.parquet"))]
    ).unique()
    told = asked.select(
        stay_id="subject_id",
        hour=(pl.col("prediction_time") - start).dt.total_hours(),
        is_positive="boolean_value",
    )
    keys = ["stay_id", "hour"]
    both = labels.join(told, on=keys, how="full", suffix="_told")
    n_other = both.filter(pl.col("is_positive").ne_missing(pl.col("is_positive_told"))).height
    return [f"{cohort.source} {cohort.folder}: {n_other} rows differ from the published"] if n_other else []


if __name__ == "__main__":
    main()
