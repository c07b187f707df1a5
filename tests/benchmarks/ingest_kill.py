"""An ingest killed at ten random moments goes on and ends with the digests of one left alone.

Two sources: the simulated hospital as FHIR (read in two stages, the first of which is resumed) and as plain
tables. Only the main process is killed, as the kernel does where memory ends; its workers are left to notice.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
from harness import arguments, finish, open_key, pesta

from phenotype.trajectory import frame_digest, open_dataset

N_KILLS = 10
SEED = 20261122
SOURCES = {"fhir": ("simulated-hospital-fhir", "fhir"), "tables": ("simulated-hospital", "extract")}


def main() -> None:
    out = arguments(__doc__ or "").out
    hospital = out / "hospital"
    if not (hospital / "truth").exists():
        forms = ("--form", "extract", "--form", "fhir")
        pesta("simulate", "--patients", "1500", "--seed", "3", "--out", hospital, *forms, "--quiet")
    told = []
    is_shown = True
    for name, (mapping, form) in SOURCES.items():
        n_resumed, is_equal, is_clean = _killed(mapping, hospital / form, out / name)
        is_shown &= is_equal and is_clean and (n_resumed > 0 or name != "fhir")
        told.append(
            f"{name}: {N_KILLS} kills, {n_resumed} left whole jobs that were taken over; digests "
            f"{'equal' if is_equal else 'NOT equal'}; {'nothing' if is_clean else 'SOMETHING'} left behind"
        )
    finish(is_shown=is_shown, figures="; ".join(told))


def _killed(mapping: str, source: Path, out: Path) -> tuple[int, bool, bool]:
    """How many kills left finished jobs, whether the digests are equal, whether nothing is left beside."""
    alone, killed = out / "left-alone", out / "killed"
    key = open_key(out / "dataset")
    undisturbed = pesta("ingest", mapping, source, "--out", alone, "--key", key, "--workers", "2", "--quiet")
    expected = _digests(alone)
    moments = random.Random(SEED)
    n_resumed = 0
    for _ in range(N_KILLS):
        _start_and_kill(mapping, source, killed, key, moments.uniform(0.1, 0.9) * undisturbed.wall_seconds)
        n_resumed += any((out / ".killed.ingest" / "records").glob("*-??????/counts.json"))
    pesta("ingest", mapping, source, "--out", killed, "--key", key, "--workers", "2", "--quiet")
    beside = {path.name for path in out.iterdir()} - {"left-alone", "killed", "dataset.key"}
    return n_resumed, _digests(killed) == expected, not beside


def _start_and_kill(mapping: str, source: Path, out: Path, key: Path, seconds: float) -> None:
    program = str(Path(sys.executable).with_name("pesta"))
    command = [program, "ingest", mapping, str(source), "--out", str(out), "--key", str(key)]
    running = subprocess.Popen([*command, "--workers", "2", "--quiet"])
    time.sleep(seconds)
    running.send_signal(signal.SIGKILL)
    running.wait()


def _digests(folder: Path) -> dict[str, object]:
    tables = {
        path.relative_to(folder).as_posix(): frame_digest(
            pl.read_parquet(path).drop("parent_codes", strict=False)
        )
        for path in sorted(folder.rglob("*.parquet"))
    }
    account = json.loads((folder / "ingest.json").read_text("utf-8"))
    return {"dataset": open_dataset(folder).digest, "account": account, **tables}


if __name__ == "__main__":
    main()
