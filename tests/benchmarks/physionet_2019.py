"""PhysioNet 2019, hospital A: hourly sepsis, patient-wise 70/10/20, threshold from tuning.

Bars: held-out hourly AUROC >= 0.80 and normalised utility >= 0.40.
"""

from __future__ import annotations

import json

from harness import arguments, finish, open_data, open_key, pesta

AUROC_BAR, UTILITY_BAR = 0.80, 0.40


def main() -> None:
    out = arguments(__doc__ or "").out
    dataset, run = out / "dataset", out / "run"
    if not (dataset / "ingest.json").exists():
        data = open_data("challenge-2019")
        pesta("ingest", "physionet-2019", data, "--out", dataset, "--key", open_key(dataset), "--quiet")
    pesta("run", "benchmark_physionet_2019", "--out", run, "--set", f"dataset={dataset}")
    models = json.loads((run / "metrics.json").read_text())["tasks"]["icu_sepsis_hourly"]["models"]
    mean = models["lightgbm"]["mean"]
    figures = "; ".join(
        f"{name}: AUROC {found['mean']['auroc']:.4f} AUPRC {found['mean']['auprc']:.4f} "
        f"utility {found['mean']['utility']:.4f} "
        f"(without patients positive at the start {found['mean']['utility_without_first_row_positive']:.4f})"
        for name, found in models.items()
    )
    finish(is_shown=mean["auroc"] >= AUROC_BAR and mean["utility"] >= UTILITY_BAR, figures=figures)


if __name__ == "__main__":
    main()
