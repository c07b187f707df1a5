"""10,000 synthetic person numbers planted in every field of tables, FHIR and NPR messages: none is left.

Not in the datasets (every byte and every cell of every file, names of files), not in what the commands print,
with --verbose and in errors too. Whoever holds the key finds all persons again; without it, or under another
key, nobody does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
from harness import arguments, finish, pesta
from identity_planting import TABLE_FIELDS, leaks, person_numbers, plant_ndjson, plant_tables, plant_xml

N_NUMBERS = 10_000
N_FILES = 50
N_PATIENTS = 60


def main() -> None:
    out = arguments(__doc__ or "").out
    shutil.rmtree(out / "identity", ignore_errors=True)
    folder = out / "identity"
    numbers = person_numbers(N_NUMBERS)
    mapping = plant_tables(numbers, folder / "tables", N_FILES)
    pesta(
        "simulate", "--patients", str(N_PATIENTS), "--out", folder / "sim", "--form", "fhir", "--form", "npr"
    )
    n_fhir = plant_ndjson(numbers, folder / "sim" / "fhir", folder / "fhir")
    n_npr = plant_xml(numbers, folder / "sim" / "npr", folder / "npr")
    sources = {
        "tables": (str(mapping), folder / "tables"),
        "fhir": ("simulated-hospital-fhir", folder / "fhir"),
        "npr": ("simulated-hospital-npr", folder / "npr"),
    }
    found, n_read = [], {}
    for name, (mapping_name, given) in sources.items():
        told, n_read[name] = ingest_and_fail(
            mapping_name, given, folder / "out" / name, folder / f"{name}.key"
        )
        found += [f"{name}: {place}" for place in leaks(numbers, folder / "out" / name, told)]
    n_found, n_other = identified(numbers, folder)
    figures = (
        f"{N_NUMBERS:,} numbers in {len(TABLE_FIELDS) + 3} fields of tables, {n_fhir} kinds of place in FHIR "
        f"and {n_npr} attributes of NPR: {len(found)} places with a number left"
        + (f" ({'; '.join(sorted(set(found))[:8])})" if found else "")
        + f"; events: {', '.join(f'{count:,} {name}' for name, count in n_read.items())}"
        + f"; the key's holder finds {n_found:,} persons; under another key {n_other} pseudonyms are equal"
    )
    is_shown = not found and n_found == N_NUMBERS and n_other == 0 and all(n_read.values())
    finish(is_shown=is_shown, figures=figures)


def ingest_and_fail(mapping: str, given: Path, dataset: Path, key: Path) -> tuple[list[str], int]:
    """Ingest, then fail on purpose in three ways; what was printed, and how many events were written."""
    kept = ["--max-reject-share", "1", "--key", str(key)]
    told = [run("--verbose", "ingest", mapping, str(given), "--out", str(dataset), *kept, is_good=True)]
    beside = str(dataset.with_name(f"{dataset.name}-none"))
    for flags in ([], ["--verbose"]):
        refused = [*flags, "ingest", mapping, str(given), "--out", beside, "--max-reject-share", "0"]
        told.append(run(*refused, is_good=False))
        nowhere = next(path for path in sorted(given.rglob("*")) if path.is_file())
        told.append(run(*flags, "ingest", mapping, str(nowhere / "x"), "--out", beside, is_good=False))
        told.append(run(*flags, "check", str(nowhere), is_good=False))
    events = pl.scan_parquet(dataset / "data" / "*.parquet").select(pl.len()).collect().item()
    return told, int(events)


def run(*command: str, is_good: bool) -> str:
    """What a command prints; it must end well, or must not."""
    program = str(Path(sys.executable).with_name("pesta"))
    done = subprocess.run([program, *command], capture_output=True, text=True, check=False)
    if (done.returncode == 0) is not is_good:
        finish(
            is_shown=False, figures=f"pesta {command[0]} ended with {done.returncode}: {done.stderr[-2000:]}"
        )
    return done.stdout + done.stderr


def identified(numbers: list[str], folder: Path) -> tuple[int, int]:
    """How many persons the key's holder finds, and how many pseudonyms another key shares with it."""
    ids = folder / "ids.txt"
    ids.write_text("\n".join(numbers), encoding="ascii")
    dataset = folder / "out" / "tables"
    pesta("reidentify", dataset, "--key", folder / "tables.key", "--ids", ids, "--out", folder / "who.csv")
    who = pl.read_csv(folder / "who.csv", schema_overrides={"source_id": pl.String})
    is_right = who["source_id"].is_in(numbers).all() and (folder / "who.csv").stat().st_mode & 0o077 == 0
    mapping, given = str(folder / "planted.yaml"), str(folder / "tables")
    again = folder / "out-other"
    run("ingest", mapping, given, "--out", str(again), "--key", str(folder / "other.key"), is_good=True)
    none = ["--ids", str(ids), "--out", str(folder / "none.csv")]
    run("reidentify", str(dataset), "--key", str(folder / "other.key"), *none, is_good=False)
    ours, others = (
        pl.scan_parquet(place / "data" / "*.parquet").select("subject_id").unique().collect()
        for place in (dataset, again)
    )
    n_equal = ours.join(others, on="subject_id").height
    return who["subject_id"].n_unique() if is_right else 0, n_equal


if __name__ == "__main__":
    main()
