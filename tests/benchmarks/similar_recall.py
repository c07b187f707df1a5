"""The approximate index of similar patients finds what looking at every pair finds: recall of the nearest.

120,000 states of 64 numbers in 400 overlapping groups, past the number from which the index answers by
itself; 300 of them are asked for their ten most similar others by both methods. Bar: recall >= 0.95.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
from harness import arguments, finish, pesta

N_STATES, WIDTH, N_GROUPS, N_ASKED, K = 120_000, 64, 400, 300, 10
BAR = 0.95


def main() -> None:
    out = arguments(__doc__ or "").out
    out.mkdir(parents=True, exist_ok=True)
    states = out / "deep_phenotypes.parquet"
    draw = np.random.default_rng(17)
    groups = draw.normal(size=(N_GROUPS, WIDTH))
    drawn = groups[draw.integers(0, N_GROUPS, N_STATES)] + draw.normal(size=(N_STATES, WIDTH))
    table = pl.DataFrame({"subject_id": np.arange(N_STATES), "state": drawn.astype(np.float32)})
    table.with_columns(
        pl.col("state").cast(pl.List(pl.Float32)), time=pl.lit(datetime(2020, 1, 1), pl.Datetime("us"))
    ).write_parquet(states)
    asked = [word for subject in range(N_ASKED) for word in ("--subject", str(subject))]
    pairs, seconds = {}, {}
    for method in ("exact", "approximate"):
        found = out / f"similar_{method}.parquet"
        done = pesta(
            "population", "similar", states, "--out", found, "-k", str(K), "--method", method, *asked
        )
        seconds[method] = done.wall_seconds
        pairs[method] = set(pl.read_parquet(found).select("subject_id", "similar_subject_id").rows())
    recall = len(pairs["exact"] & pairs["approximate"]) / len(pairs["exact"])
    figures = (
        f"recall of the {K} nearest among {N_STATES:,} states: {recall:.3f}; "
        f"{N_ASKED} asked: {seconds['exact']:.0f} s exact, {seconds['approximate']:.0f} s by the index, built"
    )
    finish(is_shown=recall >= BAR, figures=figures)


if __name__ == "__main__":
    main()
