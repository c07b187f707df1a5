"""Two processes (gloo) train to the same loss as one, within 1e-5: networks of every kind.

With `accumulate: 2` each process works on one of a step's two batches, dropout and all; the model `whole` has
one batch a step, of which each process takes half, and no dropout, whose draws would part them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import yaml
from harness import arguments, finish, pesta, simulated_dataset

from ontology.configuration import find_config

CONFIGURATION = "benchmark_training"
TASK = "stay_prolonged_24h"
BAR = 1e-5


def main() -> None:
    out = arguments(__doc__ or "").out
    dataset = simulated_dataset(out, n_patients=1000, seed=7)
    models = list(yaml.safe_load(find_config("runs", CONFIGURATION).read_text("utf-8"))["models"])
    for n_devices in (1, 2):
        sets = [f"dataset={dataset}", *(f"models.{model}.devices={n_devices}" for model in models)]
        given = [word for one in sets for word in ("--set", one)]
        pesta("run", CONFIGURATION, "--out", _run(out, n_devices), *given, "--quiet")
    apart = {model: _apart(out, model) for model in models}
    figures = "; ".join(
        f"{model}: {n_epochs} epochs, tuning losses at most {loss:.1e} apart, risks {risk:.1e}"
        for model, (n_epochs, loss, risk) in apart.items()
    )
    finish(is_shown=all(loss <= BAR for _, loss, _ in apart.values()), figures=figures)


def _run(out: Path, n_devices: int) -> Path:
    return out / f"processes-{n_devices}"


def _apart(out: Path, model: str) -> tuple[int, float, float]:
    """Epochs trained, and the largest differences of an epoch's tuning loss and of a held-out risk."""
    epochs = [json.loads((_run(out, n) / "epochs" / TASK / f"{model}.json").read_text()) for n in (1, 2)]
    if len(epochs[0]) != len(epochs[1]):
        return len(epochs[1]), float("inf"), float("inf")
    losses = np.array(epochs)[:, :, 1]
    file = Path("predictions", TASK, model, "held_out.parquet")
    risks = [pl.read_parquet(_run(out, n) / file)["predicted_boolean_probability"].to_numpy() for n in (1, 2)]
    return (
        len(epochs[0]),
        float(np.abs(losses[0] - losses[1]).max()),
        float(np.abs(risks[0] - risks[1]).max()),
    )


if __name__ == "__main__":
    main()
