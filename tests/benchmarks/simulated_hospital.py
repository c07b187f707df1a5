"""The simulated hospital with known risks: how near models come to the Bayes optimum on fresh patients.

Run: python tests/benchmarks/simulated_hospital.py --out FOLDER [--patients 20000] [--fresh 50000] [--latent]

Scenario known-risk is simulated twice, with other seeds. Models are trained on the first hospital (tuning
patients included) and scored on all patients of the second. The truth's risk of a planted outcome is a stated
function of what the record shows at the prediction, so its AUROC is the best that any model can have.

Bars, for the network, on the fresh patients: AUROC within 0.015 of the truth's, for planted_decline and for
planted_order; calibration slope within 1 ± 0.05 for planted_decline; and of planted_order, which the order of
two early events alone decides, no count feature tells anything: each one's AUROC, and that of boosted trees
on all of them, within 0.5 ± 0.02.

`--latent` adds, as context, two ordinary tasks, whose true risks depend on what no record shows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from harness import finish, pesta
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from phenotype.cases import Cases
from phenotype.feature_spec import FeatureSpec
from phenotype.trajectory import open_dataset

NETWORK, COUNTS = "network", "counts"
DECLINE, ORDER = "planted_decline", "planted_order"
SEEDS = {"train": 101, "fresh": 202}
GAP_BAR, SLOPE_BAR, COUNT_BAR = 0.015, 0.05, 0.02
WINDOWS = ("24h", "30d", "full")
MIN_ROWS = 200
KEYS = ["subject_id", "prediction_time"]


def main() -> None:
    given = _arguments()
    out: Path = given.out
    train = _dataset(out / "train", given.patients, SEEDS["train"])
    fresh = _dataset(out / "fresh", given.fresh, SEEDS["fresh"])
    truth = _truth(out / "fresh")
    figures = _figures("benchmark_simulated", train, fresh, truth, out / "run")
    figures |= _figures("benchmark_simulated_order", train, fresh, truth, out / "run-order")
    if given.latent:
        _figures("benchmark_simulated_latent", train, fresh, truth, out / "run-latent")
    name, distance, n_features = _strongest_count(fresh, truth.filter(task=ORDER), out)
    decline, order = figures[DECLINE, NETWORK], figures[ORDER, NETWORK]
    trees_on_counts = figures[ORDER, COUNTS]["auroc"]
    is_shown = (
        max(decline["gap"], order["gap"]) <= GAP_BAR
        and abs(decline["slope"] - 1) <= SLOPE_BAR
        and max(distance, abs(trees_on_counts - 0.5)) <= COUNT_BAR
    )
    finish(
        is_shown=is_shown,
        figures=f"{given.patients} patients to train on, {given.fresh} fresh ones; "
        + "; ".join(f"{task} {model}: {_told(found)}" for (task, model), found in figures.items())
        + f"; {ORDER}, strongest of {n_features} count features: |AUROC - 0.5| {distance:.4f} ({name})",
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and runs; kept")
    parser.add_argument("--patients", type=int, default=20_000, help="to train on")
    parser.add_argument("--fresh", type=int, default=50_000, help="to score")
    parser.add_argument("--latent", action="store_true", help="two ordinary tasks as well")
    return parser.parse_args()


def _dataset(folder: Path, n_patients: int, seed: int) -> Path:
    """The dataset of a hospital, whose subject_ids are the hospital's patient_ids."""
    hospital, dataset = folder / "hospital", folder / "dataset"
    if not (hospital / "truth" / "risks.parquet").exists():
        pesta(
            "simulate", "--patients", str(n_patients), "--seed", str(seed), "--scenario", "known-risk",
            "--out", hospital, "--quiet",
        )  # fmt: skip
    if not (dataset / "ingest.json").exists():
        pesta("ingest", "simulated-hospital", hospital, "--out", dataset, "--keep-ids", "--quiet")
    return dataset


def _truth(folder: Path) -> pl.DataFrame:
    """subject_id, prediction_time, task, true_risk, outcome."""
    risks = pl.read_parquet(folder / "hospital" / "truth" / "risks.parquet")
    return risks.select(
        pl.col("patient_id").alias("subject_id"),
        pl.col("prediction_time").cast(pl.Datetime("us")),
        "task",
        pl.col("risk").alias("true_risk"),
        "outcome",
    )


def _figures(
    config: str, train: Path, fresh: Path, truth: pl.DataFrame, run: Path
) -> dict[tuple[str, str], dict[str, float]]:
    """By task and model, what the fresh patients say of the bundles of a run on the training patients."""
    pesta("run", config, "--out", run, "--set", f"dataset={train}", "--quiet")
    figures = {}
    for bundle in sorted((run / "bundle").glob("*/*")):
        task, model = bundle.parent.name, bundle.name
        scored = run / "fresh" / f"{task}.{model}.parquet"
        if not scored.exists():
            scored.parent.mkdir(exist_ok=True)
            pesta("score", "--bundle", bundle, "--data", fresh, "--out", scored, "--quiet")
        figures[task, model] = _compared(pl.read_parquet(scored), truth.filter(task=task))
        print(f"{task:24s} {model:14s} {_told(figures[task, model])}", flush=True)
    return figures


def _compared(scored: pl.DataFrame, truth: pl.DataFrame) -> dict[str, float]:
    """AUROC of a model and of the truth, and the model's calibration, on the rows that both have."""
    rows = scored.with_columns(pl.col("prediction_time").cast(pl.Datetime("us"))).join(truth, on=KEYS)
    outcome, risk = rows["outcome"].to_numpy(), rows["risk"].to_numpy().clip(1e-6, 1 - 1e-6)
    logit = np.log(risk / (1 - risk))
    auroc, best = (float(roc_auc_score(outcome, rows[name])) for name in ("risk", "true_risk"))
    is_one_risk = np.ptp(logit) == 0
    refit = None if is_one_risk else LogisticRegression(C=np.inf, max_iter=1000).fit(logit[:, None], outcome)
    return {
        "n": rows.height,
        "positive": float(outcome.mean()),
        "auroc": auroc,
        "bayes": best,
        "gap": best - auroc,
        "slope": float(refit.coef_[0, 0]) if refit is not None else float("nan"),
        "observed_expected": float(outcome.mean() / risk.mean()),
    }


def _told(found: dict[str, float]) -> str:
    return (
        f"AUROC {found['auroc']:.4f}, Bayes {found['bayes']:.4f}, gap {found['gap']:.4f}, "
        f"slope {found['slope']:.3f}, O/E {found['observed_expected']:.3f} ({found['n']} rows)"
    )


def _strongest_count(fresh: Path, truth: pl.DataFrame, out: Path) -> tuple[str, float, int]:
    """Name and |AUROC - 0.5| of the count feature that tells most, and how many there are.

    A feature that fewer than MIN_ROWS rows have is left out: it cannot move an AUROC.
    """
    kept = out / "count-features.parquet"
    if not kept.exists():
        rows = truth.sort(KEYS)
        cases = Cases(open_dataset(fresh), rows.select(KEYS).with_columns(contact_id=pl.lit(None, pl.Int64)))
        tables = [_count_aurocs(cases, rows["outcome"].to_numpy(), window) for window in WINDOWS]
        pl.concat(tables).write_parquet(kept)
    found = pl.read_parquet(kept).with_columns((pl.col("auroc") - 0.5).abs().alias("distance"))
    strongest = found.sort("distance", descending=True).row(0, named=True)
    return strongest["name"], strongest["distance"], found.height


def _count_aurocs(cases: Cases, outcome: np.ndarray, window: str) -> pl.DataFrame:
    """name, auroc of each count in a window."""
    matrix = cases.features(FeatureSpec(windows=(window,), aggregations=("count",)))
    cells, found = matrix.values.tocsc(), []
    for number, (name, kind) in enumerate(matrix.columns.select("name", "aggregation").iter_rows()):
        column = cells[:, [number]].toarray()[:, 0]
        if kind == "count" and (column > 0).sum() >= MIN_ROWS:
            found.append((name, float(roc_auc_score(outcome, column))))
    return pl.DataFrame(found, schema={"name": pl.String, "auroc": pl.Float64}, orient="row")


if __name__ == "__main__":
    main()
