"""What every benchmark shares: the open data, running `pesta` as a user does, the line of results."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

DATA_VARIABLE = "PESTA_OPEN_DATA"
"""The folder of open data sets; by default the folder shared/data beside the checkout."""


def open_data(name: str) -> Path:
    """The folder of one open data set; ends the benchmark, saying so, where it is absent."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get(DATA_VARIABLE, default)) / name
    if not folder.is_dir():
        finish(is_shown=None, figures=f"not run: {folder} is absent (set {DATA_VARIABLE})")
    return folder


def open_key(dataset: Path) -> Path:
    """A key that is no secret, beside a dataset of open data, so that figures can be made again."""
    file = dataset.with_name(f"{dataset.name}.key")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(hashlib.sha256(b"open data need no secret").hexdigest() + "\n", "ascii")
    file.chmod(0o600)
    return file


@dataclass(frozen=True)
class Finished:
    """A command that ended well.

    Attributes:
        wall_seconds: from start to end.
        peak_mb: the largest resident set of the process or a child of it.
        output: standard output and error together.
    """

    wall_seconds: float
    peak_mb: float
    output: str


def pesta(*arguments: str | Path) -> Finished:
    """Run `pesta` in a process of its own; its failure ends the benchmark with its output."""
    program = Path(sys.executable).with_name("pesta")
    return run([str(program), *map(str, arguments)])


def simulated_dataset(out: Path, *, n_patients: int, seed: int) -> Path:
    """The dataset of a simulated hospital in out/dataset, made where it is not there yet."""
    hospital, dataset = out / "hospital", out / "dataset"
    if not (dataset / "ingest.json").exists():
        pesta("simulate", "--patients", str(n_patients), "--seed", str(seed), "--out", hospital, "--quiet")
        key = open_key(dataset)
        pesta("ingest", "simulated-hospital", hospital / "extract", "--out", dataset, "--key", key, "--quiet")
    return dataset


def run(command: list[str], cwd: Path | None = None) -> Finished:
    """Run a command to its end; its failure ends the benchmark with its output."""
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, check=False
    )
    wall = time.perf_counter() - started
    peak = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024
    if done.returncode:
        finish(
            is_shown=False,
            figures=f"{' '.join(command[:3])} ended with {done.returncode}\n{done.stdout[-3000:]}",
        )
    return Finished(wall, peak, done.stdout)


def own_peak_mb() -> float:
    """The largest resident set of this process so far.

    Not ru_maxrss, which a process inherits from the one that started it (getrusage(2), execve(2)).
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def arguments(what: str) -> argparse.Namespace:
    """The command line that every benchmark has: `--out`, a folder for what it makes, kept for resuming."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets and runs; kept")
    return parser.parse_args()


def finish(*, is_shown: bool | None, figures: str) -> None:
    """Print the result as the last line and end: 0 shown, 1 not shown, 77 not run."""
    print(json.dumps({"is_shown": is_shown, "figures": figures}))
    raise SystemExit({True: 0, False: 1, None: 77}[is_shown])
