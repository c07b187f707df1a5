"""`pesta ingest` of mixed R4 resources equals a slow path through fhir.resources objects: no difference.

Events (subject, time, known_time, code, value, text, unit, contact, and the other codes that the lineage
keeps), contacts and codings are compared as multisets. The slow path is tests/oracle/fhir_slow.py, written
from docs/fhir.md.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(1, str(Path(__file__).parents[1] / "oracle"))
from fhir_generated_parts import FNR, MRN, TARGETS, UNITS, VISITS
from fhir_resources import resources, write_ndjson
from fhir_slow import Slow
from fhir_slow_facts import Fact
from harness import arguments, finish, open_key, pesta

from pipelines.identity import Pseudonyms
from pipelines.identity.keys import load_key

PREFERRED = {
    "*": ["ICD10-NO", "NLK", "ATC", "NCSP", "NCMP"],
    "Observation": ["NLK", "LOINC"],
    "Flag": ["SCT"],
}
NAME = "fhir-compared"
MAPPING = f"""\
extends: fhir-r4
name: {NAME}
title: Generated resources
max_reject_share: 0.2
options:
  preferred_systems: {PREFERRED}
  subject_identifiers: ["{FNR}", "{MRN}"]
  contact_identifiers: ["{VISITS}"]
  units: {UNITS}
  validate_at_least: 0
  validate_share: 0.0
"""
POLICY = "format: 1\ntitle: Everything is kept, for comparing\nfree_text: keep\n"
EVENT = ["subject_id", "time", "known_time", "code", "numeric_value", "text_value", "unit", "contact_id"]
EVENT += ["sent_alternates"]
CONTACT = [
    "contact_id",
    "subject_id",
    "referral_period_id",
    "start_time",
    "end_time",
    "care_level",
    "urgency",
]
CONTACT += ["unit_id", "hospital_id", "admitted_from", "discharged_to"]
CODING = ["contact_id", "group_no", "role", "system", "code", "coded_time"]
Rows = Counter[tuple[Any, ...]]


def ingested(made: list[dict[str, Any]], out: Path, n_files: int = 2) -> Path:
    """The dataset of generated resources, by the command line."""
    write_ndjson(made, out / "fhir", n_files)
    (out / "mapping.yaml").write_text(MAPPING, "utf-8")
    (out / "policy.yaml").write_text(POLICY, "utf-8")
    dataset = out / "dataset"
    key = open_key(dataset)
    identity = ("--identity", out / "policy.yaml")
    pesta("ingest", out / "mapping.yaml", out / "fhir", "--out", dataset, "--key", key, *identity, "--quiet")
    return dataset


def expected(made: list[dict[str, Any]]) -> Slow:
    """What the slow path makes of them."""
    slow = Slow(made, PREFERRED, [FNR, MRN], [VISITS], TARGETS)
    slow.run()
    return slow


def differences(dataset: Path, slow: Slow) -> dict[str, tuple[Rows, Rows]]:
    """Of events, contacts and codings: what only the dataset has, and what only the slow path has."""
    pseudonyms = Pseudonyms(load_key(dataset.with_name(f"{dataset.name}.key")), NAME)

    def subject(text: str | None) -> int | None:
        return _id(pseudonyms, "subject", text)

    def contact(text: str | None) -> int | None:
        return _id(pseudonyms, "contact", text)

    def told(fact: Fact) -> tuple[Any, ...]:
        value = _float32(fact.value)
        known, unit, of = fact.known_time, fact.unit, contact(fact.contact)
        return (
            subject(fact.person),
            fact.time,
            known,
            fact.code,
            value,
            fact.text,
            unit,
            of,
            fact.alternates,
        )

    events: Rows = Counter(map(told, slow.facts))
    contacts: Rows = Counter(
        (contact(name), subject(person), _id(pseudonyms, "referral", referral), *rest)
        for name, person, referral, *rest in slow.contacts
    )
    codings: Rows = Counter((contact(name), *rest) for name, *rest in slow.codings)
    lineage = pl.read_parquet(dataset / "lineage.parquet", columns=["lineage_id", "sent_alternates"])
    ours = pl.read_parquet(dataset / "data" / "*.parquet").join(lineage, on="lineage_id", how="left")
    made = {
        "events": (_rows(ours, EVENT), events),
        "contacts": (_rows(pl.read_parquet(dataset / "contacts.parquet"), CONTACT), contacts),
        "codings": (_rows(pl.read_parquet(dataset / "codings.parquet"), CODING), codings),
    }
    return {name: (ours - theirs, theirs - ours) for name, (ours, theirs) in made.items()}


def _rows(frame: pl.DataFrame, columns: list[str]) -> Rows:
    return Counter(frame.select(columns).iter_rows())


def _id(pseudonyms: Pseudonyms, kind: Any, text: str | None) -> int | None:
    return None if text is None else pseudonyms.of(kind, pl.Series([text]))[0]


def _float32(value: float | None) -> float | None:
    return None if value is None else pl.Series([value], dtype=pl.Float32)[0]


if __name__ == "__main__":
    folder = arguments(__doc__ or "").out
    made = resources(10_000, 1)
    slow = expected(made)
    found = differences(ingested(made, folder), slow)
    n_wrong = sum(part.total() for parts in found.values() for part in parts)
    types = len({one["resourceType"] for one in made})
    counts = f"{len(slow.facts):,} events, {len(slow.contacts):,} contacts, {len(slow.codings):,} codings"
    finish(
        is_shown=n_wrong == 0,
        figures=f"{len(made):,} resources of {types} types: {counts}; {n_wrong} differences",
    )
