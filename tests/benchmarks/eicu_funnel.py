"""The eICU demo's 186 hospitals on a funnel: deaths observed against deaths expected by APACHE IVa.

A case is a hospital stay with the prediction of its first unit stay. Stays without a prediction (-1: not
computed, or no row) are counted and left out of judgement. Shown if every hospital is on the table, no
hospital is flagged for being small, and no flag remains that chance would give.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from harness import arguments, finish, open_data, open_key, pesta

from phenotype.coding.rates.funnel_plots import funnel_plot
from phenotype.coding.rates.given_rates import judge_given
from phenotype.contacts import stays
from phenotype.trajectory import Dataset, open_dataset

PREDICTION = "SCORE//APACHE-IVa//predicted_hospital_mortality"
MEASURE = "death_by_apache"
N_HOSPITALS, MEDIAN_STAYS = 186, 12
"""Of the demo, in unit stays."""
LEVEL = 0.05


def cases(dataset: Dataset) -> pl.DataFrame:
    """unit_id, period, observed and expected of every hospital stay."""
    contacts = dataset.contacts()
    predicted = (
        dataset.events()
        .filter((pl.col("code") == PREDICTION) & pl.col("numeric_value").is_not_null())
        .select("subject_id", "time", "contact_id", expected=pl.col("numeric_value").cast(pl.Float64))
        .sort("subject_id", "time", "contact_id")
        .group_by("subject_id", maintain_order=True)
        .agg(pl.col("expected").first())
        .collect()
    )
    return (
        stays(contacts)
        .join(predicted, on="subject_id", how="left", maintain_order="left")
        .select(
            unit_id="hospital_id",
            period=pl.lit("all"),
            observed=pl.col("is_dead").cast(pl.Int64),
            expected="expected",
        )
    )


def main() -> None:
    given = arguments(__doc__ or "")
    folder, dataset = open_data("eicu-demo"), given.out / "dataset"
    if not (dataset / "ingest.json").exists():
        pesta("ingest", "eicu", folder, "--out", dataset, "--key", open_key(dataset), "--quiet")
    rows = cases(open_dataset(Path(dataset)))
    units = judge_given(rows, measure=MEASURE)
    units.write_csv(given.out / "hospitals.csv")
    plot = funnel_plot(units, MEASURE, "all", "Hospital deaths against APACHE IVa")
    (given.out / "funnel.json").write_text(plot.model_dump_json(indent=1), "utf-8")
    sizes = rows.group_by("unit_id").len()["len"]
    judged = units.filter(pl.col("reason").is_null())
    small = units.filter(pl.col("is_flagged") & (pl.col("n") <= MEDIAN_STAYS)).height
    beyond = judged.filter(pl.col("p") <= LEVEL).height
    reasons = units.drop_nulls("reason")["reason"].value_counts(sort=True).rows()
    words = [
        f"{units.height} hospitals, median {float(np.median(sizes.to_numpy())):.0f} hospital stays",
        f"{int(units['n'].sum()):,} of {rows.height:,} with a prediction",
        f"deaths {float(units['observed'].sum()):.0f} of {float(units['expected'].sum()):.1f} expected",
        f"{judged.height} judged, {beyond} beyond exact 95 % limits",
        f"{int(units['is_flagged'].sum())} flagged after false-discovery control",
        f"{small} of them with {MEDIAN_STAYS} stays or fewer",
        f"tau2 {float(units['tau2'].to_numpy().max()):.4f}",
        "not judged: " + ", ".join(f"{n} {reason}" for reason, n in reasons),
    ]
    is_shown = units.height == N_HOSPITALS and small == 0 and beyond <= LEVEL * judged.height
    finish(is_shown=is_shown, figures="; ".join(words))


if __name__ == "__main__":
    main()
