"""One file a patient, as PhysioNet publishes it, and parquet of the same patients: identical events.

Both go through the command line with one key, and are compared by a digest over all columns but lineage.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from harness import arguments, finish, open_data, pesta

from phenotype.trajectory import frame_digest, open_dataset


@dataclass(frozen=True)
class Pair:
    """One challenge: raw files of some patients, and parquet files that hold these and other patients.

    Attributes:
        raw: pattern of the raw files under the folder's raw_samples.
        id_column: where parquet rows have the id that raw files have as their name.
        tables: the parquet files.
    """

    mapping: str
    folder: str
    raw: str
    id_column: str
    tables: tuple[str, ...]


PAIRS = (
    Pair(
        "physionet-2012",
        "challenge-2012",
        "set-*/*.txt",
        "RecordID",
        ("set-a.parquet", "set-b.parquet", "outcomes.parquet"),
    ),
    Pair("physionet-2019", "challenge-2019", "training_setA/*.psv", "patient_id", ("training_setA.parquet",)),
)


def prepare(pair: Pair, raw: Path, converted: Path) -> int:
    """Raw files in one folder, the same patients' parquet rows in another; how many patients these are."""
    data = open_data(pair.folder)
    for file in (data / "raw_samples").glob(pair.raw):
        copy = raw / file.relative_to(data / "raw_samples")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    converted.mkdir(parents=True, exist_ok=True)
    patients = sorted(file.stem for file in raw.glob(pair.raw))
    is_sampled = pl.col(pair.id_column).cast(pl.String).is_in(patients)
    for table in pair.tables:
        pl.read_parquet(data / table).filter(is_sampled).write_parquet(converted / table)
    for answers in data.glob("Outcomes-?.txt"):
        lines = answers.read_text().splitlines()
        kept = [lines[0], *(line for line in lines[1:] if line.split(",")[0] in patients)]
        (raw / answers.name).write_text("\n".join(kept) + "\n")
    return len(patients)


def compare(pair: Pair, out: Path) -> tuple[str, bool]:
    """The figures of one challenge, and whether the two ways agree."""
    raw, converted, key = out / f"{pair.mapping}-raw", out / f"{pair.mapping}-parquet", out / "key"
    n_patients = prepare(pair, raw, converted)
    digests, n_events = [], []
    for source in (raw, converted):
        path = source.with_name(f"{source.name}-dataset")
        pesta("ingest", pair.mapping, source, "--out", path, "--key", key, "--quiet")
        dataset = open_dataset(path)
        events = dataset.events().drop("lineage_id").collect()
        n_events.append(events.height)
        digests.append([frame_digest(frame) for frame in (events, dataset.contacts(), dataset.observation())])
    are_equal = digests[0] == digests[1] and n_events[0] > 0 and n_patients > 0
    told = f"{n_patients} patients, {n_events[0]:,} events raw and {n_events[1]:,} from parquet"
    return f"{pair.mapping}: {told}, {'identical' if are_equal else 'DIFFERENT'}", are_equal


def main() -> None:
    out = arguments(__doc__ or "").out
    shown = [compare(pair, out) for pair in PAIRS]
    finish(is_shown=all(equal for _, equal in shown), figures="; ".join(line for line, _ in shown))


if __name__ == "__main__":
    main()
