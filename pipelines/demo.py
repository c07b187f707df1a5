"""The embedded default: a simulated hospital taken through the whole main job."""

from __future__ import annotations

import hashlib
from pathlib import Path

from experiments.config import load_run_config
from pipelines.progress import Progress
from pipelines.run import run_experiment
from pipelines.simulate.hospital import simulate
from pipelines.sources.extract import ingest
from pipelines.sources.mapping import load_mapping


def run_demo(out: Path, *, n_patients: int, seed: int, progress: Progress) -> Path:
    """Simulate, ingest, run; what stands from an earlier try is used.

    Args:
        out: the folder for hospital/, dataset/ and run/.
        n_patients: simulated patients.
        seed: of the simulation and the run.
        progress: where steps are told.

    Returns:
        The report's index.html.
    """
    hospital, dataset = out / "hospital", out / "dataset"
    if not (hospital / "extract").exists():
        with progress.step(f"simulating {n_patients} patients"):
            simulate(n_patients, seed, hospital)
    if not (dataset / "ingest.json").exists():
        with progress.step("ingesting the extract"):
            key = _open_key(out / "dataset.key", seed)
            ingest(load_mapping("simulated-hospital"), hospital / "extract", dataset, key_path=key)
    config = load_run_config("demo", [f"dataset={dataset}", f"seed={seed}"])
    report = run_experiment(config, out / "run", progress)
    progress.say(f"\nDone in {progress.elapsed_seconds:.0f} s. The report: {report.resolve()}")
    return report


def _open_key(file: Path, seed: int) -> Path:
    """A key that follows from the seed: simulated patients have no secret, and a demo can be made again."""
    file.write_text(hashlib.sha256(f"simulated hospital {seed}".encode()).hexdigest() + "\n", "ascii")
    file.chmod(0o600)
    return file
