"""A disk that is full at eleven different moments of an ingest: one clear message, and nothing half-written.

The dataset is written to small file systems in memory (Linux user and mount namespaces, no rights needed).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness import arguments, finish, open_key, pesta

from ontology.errors import StorageError

N_SIZES = 12
_INSIDE = "PESTA_FULL_DISK_INSIDE"
SOURCES = {"simulated-hospital-fhir": "fhir", "simulated-hospital": "extract"}


def main() -> None:
    out = arguments(__doc__ or "").out.resolve()
    if _INSIDE not in os.environ:
        _enter_namespace()
    hospital = out / "hospital"
    if not (hospital / "truth").exists():
        forms = ("--form", "extract", "--form", "fhir")
        pesta("simulate", "--patients", "400", "--seed", "5", "--out", hospital, *forms, "--quiet")
    told, is_shown = [], True
    for mapping, form in SOURCES.items():
        key = open_key(out / mapping)
        needed = _needed_bytes(mapping, hospital / form, out / f"whole-{form}", key)
        ends = [
            _on_small_disk(mapping, hospital / form, out, key, needed * n // N_SIZES)
            for n in range(1, N_SIZES)
        ]
        faults = [fault for fault in ends if fault]
        is_shown &= not faults
        n_full = sum(fault is not None for fault in ends)
        told.append(
            f"{form}: {n_full} of {len(ends)} sizes were too small; " + ("; ".join(faults) or "all told so")
        )
    finish(is_shown=is_shown, figures=". ".join(told))


def _enter_namespace() -> None:
    """Start again where file systems can be mounted; where that is impossible end, saying so."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-Urm", "true"], check=False).returncode:
        finish(is_shown=None, figures="not run: user namespaces (unshare -Urm) are not to be had here")
    os.environ[_INSIDE] = "1"
    os.execv(str(unshare), [str(unshare), "-Urm", sys.executable, *sys.argv])  # noqa: S606 no shell


def _needed_bytes(mapping: str, source: Path, whole: Path, key: Path) -> int:
    """What the dataset takes; the work on the way takes more."""
    pesta("ingest", mapping, source, "--out", whole, "--key", key, "--quiet")
    return sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())


def _on_small_disk(mapping: str, source: Path, out: Path, key: Path, n_bytes: int) -> str | None:
    """What is wrong with how it ended: empty where all was told as it should be, None where it had room."""
    disk = out / "disk"
    disk.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={n_bytes}", "tmpfs", str(disk)], check=True)
    try:
        program = str(Path(sys.executable).with_name("pesta"))
        command = [program, "ingest", mapping, str(source), "--out", str(disk / "dataset"), "--key", str(key)]
        done = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False, timeout=300)
        left = sorted(path.name for path in disk.iterdir())
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    if done.returncode == 0:
        return None
    faults = []
    if done.returncode != StorageError.exit_status:
        faults.append(f"exit status {done.returncode}")
    if "1 problem" not in done.stderr or "Traceback" in done.stderr or "room on the disk" not in done.stderr:
        faults.append(f"message: {done.stderr[:300]}")
    if left:
        faults.append(f"left behind: {left}")
    return ", ".join(faults)


if __name__ == "__main__":
    main()
