"""The open data sets through `pesta ingest`: every file's account closes, counts are as published.

The expected counts are the publishers' own (each data set's page and paper, repeated in its PROVENANCE.md).
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from harness import arguments, finish, open_data, pesta
from pyarrow import parquet

from phenotype.trajectory import Dataset, open_dataset

Count = Callable[[Dataset], int]


def n_events(beginning: str = "") -> Count:
    """How many events have a code that begins so."""

    def count(dataset: Dataset) -> int:
        begins = pl.col("code").str.starts_with(beginning)
        return int(dataset.events().filter(begins).select(pl.len()).collect().item())

    return count


def n_subjects(dataset: Dataset) -> int:
    """How many subjects have events."""
    return int(dataset.events().select(pl.col("subject_id").n_unique()).collect().item())


def n_contacts(*, known: str = "contact_id", level: str | None = None) -> Count:
    """How many contacts have a column that is not null, of one care level or of all."""

    def count(dataset: Dataset) -> int:
        contacts = dataset.contacts().filter(pl.col(known).is_not_null())
        return (contacts.filter(pl.col("care_level") == level) if level else contacts).height

    return count


def n_codings(role: str) -> Count:
    """How many codings are procedures ("procedure") or conditions ("condition")."""

    def count(dataset: Dataset) -> int:
        is_procedure = pl.col("role") == "procedure"
        return dataset.codings().filter(is_procedure if role == "procedure" else ~is_procedure).height

    return count


def n_hospitals(dataset: Dataset) -> int:
    """How many hospitals have contacts."""
    return dataset.contacts()["hospital_id"].drop_nulls().n_unique()


@dataclass(frozen=True)
class Source:
    """One data set: its mapping, its folder, and what must be in it.

    Attributes:
        counts: what is counted -> (expected, how it is counted in the dataset).
        rows: table -> rows that became something.
    """

    mapping: str
    folder: str
    counts: dict[str, tuple[int, Count]]
    rows: dict[str, int]


SOURCES = (
    Source(
        "mimic-iii",
        "mimic-iii-demo",
        {
            "patients": (100, n_subjects),
            "coded diagnoses": (1_761, n_codings("condition")),
            "diagnosis events": (1_761, n_events("ICD9CM//")),
            "ICU stays": (136, n_contacts(level="icu")),
            "deaths": (100, n_events("MEDS_DEATH")),
        },
        {"admissions": 129, "diagnoses_icd": 1_761},
    ),
    Source(
        "mimic-iv-demo-meds",
        "mimic-iv-demo-meds",
        {"events": (916_166, n_events()), "deaths": (31, n_events("MEDS_DEATH"))},
        {"events": 916_166},
    ),
    Source(
        "mimic-iv",
        "mimic-iv-ed-demo",
        {
            "patients": (64, n_subjects),
            "ED stays": (222, n_contacts(level="emergency")),
            "coded diagnoses": (545, n_codings("condition")),
        },
        {"edstays": 222, "triage": 222, "diagnosis": 545},
    ),
    Source(
        "eicu",
        "eicu-demo",
        {"hospitals": (186, n_hospitals), "hospital stays": (2_174, n_subjects)},
        {"patient": 2_520},
    ),
    Source(
        "diabetes-130",
        "diabetes130",
        {
            "patients": (71_518, n_subjects),
            "encounters": (101_766, n_contacts()),
            "readmitted within 30 days": (11_357, n_events("LABEL//readmitted_within_30d")),
            "readmitted later": (35_545, n_events("LABEL//readmitted_after_30d")),
        },
        {"encounters": 101_766},
    ),
    Source(
        "norway-sepsis",
        "sepsis-survival-norway",
        {
            "admissions": (110_204, n_contacts()),
            "women": (52_231, n_events("SEX//female")),
            "deaths": (8_105, n_events("MEDS_DEATH")),
        },
        {"admissions": 110_204},
    ),
    Source(
        "physionet-2012",
        "challenge-2012",
        {"stays": (8_000, n_contacts(known="discharged_to"))},
        {"outcomes": 8_000},
    ),
    Source("physionet-2019", "challenge-2019", {"patients": (20_336, n_subjects)}, {}),
)


def n_rows(file: Path) -> int:
    """How many rows a file holds, by another reader than Pesta's."""
    if file.suffix == ".parquet":
        return int(parquet.ParquetFile(file).metadata.num_rows)
    opener = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as text:
        return sum(1 for _ in csv.reader(text)) - 1


def open_accounts(account: dict[str, Any], data: Path) -> list[str]:
    """The files whose rows are not the rows read, or these not the rows used, ignored and rejected."""
    return [
        f"{file['table']}/{file['file']}"
        for file in account["files"]
        if file["rows_read"] != n_rows(data / file["file"])
        or file["rows_read"]
        != file["rows_used"] + sum(file["rows_ignored"].values()) + sum(file["rows_rejected"].values())
    ]


def faults_of(source: Source, out: Path) -> tuple[str, list[str]]:
    """A data set's figures, and what is not as it must be."""
    data, path = open_data(source.folder), out / source.mapping
    if not (path / "ingest.json").exists():
        pesta("ingest", source.mapping, data, "--out", path, "--quiet")
    pesta("check", path)
    account, dataset = json.loads((path / "ingest.json").read_text()), open_dataset(path)
    faults = [f"{file} is not closed" for file in open_accounts(account, data)]
    found = {name: count(dataset) for name, (_, count) in source.counts.items()}
    faults += [
        f"{name}: {found[name]:,} for {expected:,}"
        for name, (expected, _) in source.counts.items()
        if found[name] != expected
    ]
    used = {name: sum(f["rows_used"] for f in account["files"] if f["table"] == name) for name in source.rows}
    faults += [
        f"rows of {name}: {used[name]:,} for {rows:,}"
        for name, rows in source.rows.items()
        if used[name] != rows
    ]
    n_read = sum(file["rows_read"] for file in account["files"])
    n_rejected = sum(sum(file["rows_rejected"].values()) for file in account["files"])
    told = [
        *(f"{count:,} {name}" for name, count in found.items()),
        *(f"{n:,} rows of {t}" for t, n in used.items()),
    ]
    line = (
        f"{source.mapping}: {len(account['files'])} files, {n_read:,} rows, {n_rejected:,} rejected, "
        + ", ".join(told)
    )
    return line, [f"{source.mapping}: {fault}" for fault in faults]


def main() -> None:
    out = arguments(__doc__ or "").out
    shown = [faults_of(source, out) for source in SOURCES]
    faults = [fault for _, found in shown for fault in found]
    finish(is_shown=not faults, figures="; ".join([*faults, *(line for line, _ in shown)]))


if __name__ == "__main__":
    main()
