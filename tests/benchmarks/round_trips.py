"""Datasets as OMOP and MEDS and back: equal digests for simulated and published data, with times."""

from __future__ import annotations

import os
import shutil
import zipfile
from pathlib import Path

import harness
import polars as pl

from phenotype.trajectory import Dataset, frame_digest, open_dataset

PATIENTS = 3000
SOURCES = {
    "mimic-iii": ("mimic-iii-demo", "mimic-iii"),
    "eicu": ("eicu-demo", "eicu"),
    "mimic-iv-meds": ("mimic-iv-demo-meds", "mimic-iv-demo-meds"),
    "synthea-omop": ("synthea-omop-27", "omop-5.4"),
}
"""Open data: folder and mapping; what is absent is left out and said."""
WAYS = (("omop", "pesta-omop"), ("meds", "meds"))


def datasets(out: Path) -> tuple[dict[str, Path], list[str]]:
    """The datasets to send round, and the names of open data that are absent."""
    made = {"simulated": harness.simulated_dataset(out, n_patients=PATIENTS, seed=1)}
    absent = []
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    root = Path(os.environ.get(harness.DATA_VARIABLE, default))
    for name, (folder, mapping) in SOURCES.items():
        source = root / folder
        if not source.is_dir():
            absent.append(name)
            continue
        archives = sorted(source.glob("*.zip"))
        if archives:
            unpacked = out / f"{name}-unpacked"
            with zipfile.ZipFile(archives[0]) as archive:
                archive.extractall(unpacked)
            source = unpacked
        target = out / name
        if not (target / "ingest.json").exists():
            key = harness.open_key(target)
            harness.pesta("ingest", mapping, source, "--out", target, "--key", key, "--quiet")
        made[name] = target
    return made, absent


def is_same(one: Dataset, other: Dataset) -> bool:
    """Whether events, contacts, windows and codings are equal, lineage aside."""
    codings = [frame_digest(dataset.codings().drop("lineage_id")) for dataset in (one, other)]
    return one.digest == other.digest and codings[0] == codings[1]


def main() -> None:
    """Send every dataset round both ways; all must come back equal."""
    out = harness.arguments("Round trips: dataset -> OMOP or MEDS -> dataset").out
    made, absent = datasets(out)
    figures, n_wrong = [], 0
    for name, dataset in made.items():
        for form, mapping in WAYS:
            there, again = out / f"{name}-as-{form}", out / f"{name}-from-{form}"
            for folder in (there, again):
                shutil.rmtree(folder, ignore_errors=True)
            written = harness.pesta("export", form, dataset, "--out", there, "--quiet")
            key = harness.open_key(again)
            read = harness.pesta(
                "ingest", mapping, there, "--out", again, "--key", key, "--keep-ids", "--quiet"
            )
            same = is_same(open_dataset(dataset), open_dataset(again))
            n_wrong += not same
            n_events = open_dataset(dataset).events().select(pl.len()).collect().item()
            figures.append(
                f"{name} {form}: {n_events:,} events {'equal' if same else 'DIFFER'}, "
                f"out {written.wall_seconds:.1f} s, in {read.wall_seconds:.1f} s"
            )
            shutil.rmtree(there)
            shutil.rmtree(again)
    if absent:
        figures.append(f"absent: {', '.join(absent)}")
    harness.finish(is_shown=n_wrong == 0, figures="; ".join(figures))


if __name__ == "__main__":
    main()
