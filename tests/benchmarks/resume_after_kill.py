"""A run killed five times at random moments ends with the predictions of one left alone."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from harness import arguments, finish, pesta, simulated_dataset

from phenotype.trajectory import frame_digest

N_KILLS = 5
SEED = 20261121


def main() -> None:
    out = arguments(__doc__ or "").out
    left_alone, killed = out / "left-alone", out / "killed"
    dataset = simulated_dataset(out, n_patients=1000, seed=7)
    undisturbed = pesta("run", "demo", "--out", left_alone, "--set", f"dataset={dataset}", "--quiet")
    moments = random.Random(SEED)
    waits = [moments.uniform(0.02, 0.17) * undisturbed.wall_seconds for _ in range(N_KILLS)]
    kills = [_run_and_kill(dataset, killed, seconds) for seconds in waits]
    pesta("run", "demo", "--out", killed, "--set", f"dataset={dataset}", "--quiet")
    expected, found = _predictions(left_alone), _predictions(killed)
    is_equal = expected == found and bool(expected)
    where = ", ".join(
        f"{seconds:.0f} s" + ("" if was_killed else " (already done)") for seconds, was_killed in kills
    )
    finish(
        is_shown=is_equal and sum(was_killed for _, was_killed in kills) == N_KILLS,
        figures=f"killed after {where}; {len(found)} prediction files, "
        + ("all bit-equal to the undisturbed run's" if is_equal else "NOT equal to the undisturbed run's"),
    )


def _run_and_kill(dataset: Path, out: Path, seconds: float) -> tuple[float, bool]:
    program = str(Path(sys.executable).with_name("pesta"))
    command = [program, "run", "demo", "--out", str(out), "--set", f"dataset={dataset}", "--quiet"]
    running = subprocess.Popen(command, start_new_session=True)
    time.sleep(seconds)
    was_running = running.poll() is None
    running.send_signal(signal.SIGKILL)
    running.wait()
    return seconds, was_running


def _predictions(folder: Path) -> dict[str, str]:
    files = sorted((folder / "predictions").rglob("*.parquet"))
    return {str(file.relative_to(folder)): frame_digest(pl.read_parquet(file)) for file in files}


if __name__ == "__main__":
    main()
