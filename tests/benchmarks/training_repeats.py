"""The same seed twice gives the same weights on a CPU; a training that was killed ends as one left alone.

Networks of every kind. The third run is killed N_KILLS times, each a random moment after a new checkpoint.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml
from harness import arguments, finish, pesta, simulated_dataset

from ontology.configuration import find_config

CONFIGURATION = "benchmark_training"
TASK = "stay_prolonged_24h"
N_KILLS = 3
SEED = 20261122


def main() -> None:
    out = arguments(__doc__ or "").out
    dataset = simulated_dataset(out, n_patients=1000, seed=7)
    models = list(yaml.safe_load(find_config("runs", CONFIGURATION).read_text("utf-8"))["models"])
    runs = {name: out / name for name in ("first", "second", "killed")}
    pesta("run", CONFIGURATION, "--out", runs["first"], "--set", f"dataset={dataset}", "--quiet")
    pesta("run", CONFIGURATION, "--out", runs["second"], "--set", f"dataset={dataset}", "--quiet")
    moments = random.Random(SEED)
    n_killed = sum(_run_and_kill(dataset, runs["killed"], moments.uniform(0, 1)) for _ in range(N_KILLS))
    pesta("run", CONFIGURATION, "--out", runs["killed"], "--set", f"dataset={dataset}", "--quiet")
    weights = {name: {model: _weights(run, model) for model in models} for name, run in runs.items()}
    losses = {name: {model: _losses(run, model) for model in models} for name, run in runs.items()}
    repeats = weights["first"] == weights["second"]
    resumes = weights["first"] == weights["killed"] and losses["first"] == losses["killed"]
    finish(
        is_shown=repeats and resumes and n_killed == N_KILLS,
        figures=f"{', '.join(models)}: weights of two runs {_said(repeats)}; "
        f"killed {n_killed} times in training, weights and every epoch's loss {_said(resumes)}",
    )


def _said(is_equal: bool) -> str:
    return "equal to the bit" if is_equal else "NOT equal"


def _run_and_kill(dataset: Path, out: Path, seconds: float) -> bool:
    """Whether the run was killed in a training, so many seconds after a new checkpoint."""
    program = str(Path(sys.executable).with_name("pesta"))
    command = [program, "run", CONFIGURATION, "--out", str(out), "--set", f"dataset={dataset}", "--quiet"]
    before = _checkpoints(out)
    running = subprocess.Popen(command, start_new_session=True)
    while running.poll() is None and _checkpoints(out) <= before:
        time.sleep(0.01)
    time.sleep(seconds)
    was_running = running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    return was_running


def _checkpoints(run: Path) -> set[tuple[str, int]]:
    """Checkpoints in the run's work folder, each epoch's another."""
    found = set()
    for file in run.glob("work/**/last.ckpt"):
        try:
            found.add((str(file), file.stat().st_mtime_ns))
        except FileNotFoundError:
            # the fit ended between the two
            continue
    return found


def _weights(run: Path, model: str) -> str:
    """The digest of a bundle's tensors."""
    manifest = json.loads((run / "bundle" / TASK / model / "model.json").read_text("utf-8"))
    return str(manifest["files"]["tensors.safetensors"])


def _losses(run: Path, model: str) -> list[list[float]]:
    """Each epoch's tuning loss."""
    return list(json.loads((run / "epochs" / TASK / f"{model}.json").read_text("utf-8")))


if __name__ == "__main__":
    main()
