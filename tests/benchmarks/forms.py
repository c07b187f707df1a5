"""Four forms of one simulated hospital against each other: the same trajectories, but for what is listed.

Run: python tests/benchmarks/forms.py --out FOLDER [--patients 1000] [--seed 1]

Bar: no event, contact, coding or window of a form differs from the extract's beyond
configs/forms/simulated-hospital.yaml, and nothing on that list is held after all.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from harness import finish, open_key, pesta

from pipelines.simulate.forms import FORMS
from pipelines.simulate.forms.comparison import compare, known_limits, stale_limits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder for datasets; kept")
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    hospital = given.out / "hospital"
    forms = [word for form in FORMS for word in ("--form", form)]
    size = ("--patients", str(given.patients), "--seed", str(given.seed))
    pesta("simulate", *size, "--out", hospital, *forms, "--quiet")
    key, told, is_shown = open_key(given.out / "dataset"), [], True
    for form in FORMS:
        mapping = "simulated-hospital" if form == "extract" else f"simulated-hospital-{form}"
        started = time.perf_counter()
        if not (given.out / form / "ingest.json").exists():
            pesta("ingest", mapping, hospital / form, "--out", given.out / form, "--key", key, "--quiet")
        told.append(f"{form} ingested in {time.perf_counter() - started:.0f} s")
    for form, limits in known_limits().items():
        differences = compare(given.out / "extract", given.out / form, limits)
        stale = stale_limits(given.out / "extract", given.out / form, limits)
        is_shown &= not stale and all(found.is_none for found in differences)
        parts = ", ".join(
            f"{found.n_equal:,} {found.part} equal, {found.n_missing:,} missing, {found.n_added:,} added"
            for found in differences
        )
        told.append(f"{form}: {parts}; {len(limits)} limits, {len(stale)} stale")
    finish(is_shown=is_shown, figures=f"{given.patients:,} patients; " + "; ".join(told))


if __name__ == "__main__":
    main()
