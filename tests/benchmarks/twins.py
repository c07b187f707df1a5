"""Planted twins are each other's nearest neighbours by the deep phenotype, in 95 % of cases.

A simulated hospital, scenario twins: one patient in ten stands in the extract a second time under another
id, some days earlier, times moved by minutes and values by a few per cent. A population-wide model is
pretrained on another hospital's patients of the same scenario (another seed), so that it has seen none of the
twins; then the state where each record ends is exported and searched. A case is one of a pair, in either
direction. Beside it stands a search by the approximate index.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl
from harness import finish, open_key, pesta

BAR = 0.95
FULL, SMALL = {"patients": 3000, "learn": 1500, "epochs": 4}, {"patients": 400, "learn": 400, "epochs": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and models; kept")
    parser.add_argument("--small", action="store_true", help="few patients, to see that it works")
    given = parser.parse_args()
    size, out = SMALL if given.small else FULL, given.out
    learn = _hospital(out / "learn", size["learn"], seed=41)
    twins = _hospital(out / "twins", size["patients"], seed=42)
    model, states = out / "model", out / "deep_phenotypes.parquet"
    if not (model / "model.json").exists():
        settings = (f"dataset={learn}", f"network.max_epochs={size['epochs']}")
        pesta("pretrain", "simulated", "--out", model, *(word for one in settings for word in ("--set", one)))
    pesta("population", "states", model, twins, "--out", states)
    pairs = pl.read_parquet(out / "twins" / "hospital" / "truth" / "twins.parquet")
    shares = {
        method: _share(states, out / f"similar_{method}.parquet", method, pairs)
        for method in ("exact", "approximate")
    }
    n_subjects = pl.read_parquet(states)["subject_id"].n_unique()
    figures = (
        f"{2 * pairs.height} cases among {n_subjects:,} patients: nearest neighbour is the twin in "
        f"{100 * shares['exact'][0]:.1f} % (exact), "
        f"{100 * shares['approximate'][0]:.1f} % (approximate index); "
        f"among the ten nearest in {100 * shares['exact'][1]:.1f} %"
    )
    finish(is_shown=shares["exact"][0] >= BAR, figures=figures)


def _hospital(out: Path, n_patients: int, seed: int) -> Path:
    """The dataset of a simulated hospital with twins; subject ids are the hospital's own numbers."""
    hospital, dataset = out / "hospital", out / "dataset"
    if not (dataset / "ingest.json").exists():
        size = ("--patients", str(n_patients), "--seed", str(seed), "--scenario", "twins")
        pesta("simulate", *size, "--out", hospital, "--quiet")
        read = ("ingest", "simulated-hospital", hospital / "extract", "--out", dataset)
        pesta(*read, "--key", open_key(dataset), "--keep-ids", "--quiet")
    return dataset


def _share(states: Path, found: Path, method: str, pairs: pl.DataFrame) -> tuple[float, float]:
    """In which share of the cases the twin is the nearest, and among the ten nearest."""
    pesta("population", "similar", states, "--out", found, "-k", "10", "--method", method)
    both = pl.concat(
        [
            pairs.select(subject_id="patient_id", twin="twin_id"),
            pairs.select(subject_id="twin_id", twin="patient_id"),
        ]
    ).cast(pl.Int64)
    hits = both.join(pl.read_parquet(found), on="subject_id").filter(
        pl.col("similar_subject_id") == pl.col("twin")
    )
    nearest = hits.filter(pl.col("rank") == 1)["subject_id"].n_unique()
    return nearest / both.height, hits["subject_id"].n_unique() / both.height


if __name__ == "__main__":
    main()
