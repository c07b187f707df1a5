"""docs/coding_rules.md names all that the sources say, and every rule stands in it as its file has it."""

from __future__ import annotations

from pathlib import Path

from phenotype.coding.rules.catalogue import Catalogue, catalogue_document, rules_document
from phenotype.coding.rules.rules import load_rules

DOCUMENT = Path(__file__).parents[5] / "docs" / "coding_rules.md"
NAMED = [
    "AU-25/3262",
    "AU-25/3263",
    "AU-25/3264",
    "AU-25/3265",
    "AU-25/3266",
    "AU-25/3267",
    "AU-25/3268",
    "AU-24/10226",
    "AU-24/10234",
    "AU-24/19011",
    "AU-24/10236",
    "AU-24/10230",
    "AU-23/7563",
    "AU-21/4750",
    "AU-18/1820",
    "AU-2025-CC",
    "AU-21/4753",
    "AU-20/3958",
    "AU-20/3956",
    "AU-19/2881",
    "AU-19/27629",
    "AU-17/5573",
    "AU-17/28390",
    "AU-17/11400",
    "AU-21/4751",
    "AU-21/4752",
    "AU-21/4749",
    "AU-20/4286",
    "KV-COVID",
    "KV-Z03",
    "KV-D37",
    "KV-MULTI",
    "KV-AST",
    "KV-470",
    "KV-MAIN",
    "KV-OTHER",
    "KV-DOC",
    "KV-VALID",
    "KV-FLUKT",
    "PH-1",
    "PH-2",
    "PH-3",
    "PH-4",
    "PH-5",
    "PH-6",
    "PH-7",
    "PH-8",
    "PH-9",
    "PH-10",
    "PH-11",
]
"""Ids of the sources, copied by hand from the collection of facts; changes for 2025 bear no ids there."""


def test_every_id_of_the_sources_is_a_rule_a_rate_or_has_a_reason_why_it_is_neither() -> None:
    entries = {entry.id: entry for entry in Catalogue.load().entries}
    assert [name for name in NAMED if name not in entries] == []
    assert len(entries) == len(Catalogue.load().entries)


def test_the_catalogue_and_the_rules_name_each_other() -> None:
    entries = Catalogue.load().entries
    rules = {rule.id: rule for rule in load_rules()}
    assert {name for entry in entries for name in entry.rules} == set(rules)
    known = {entry.id for entry in entries}
    assert {reference for rule in rules.values() for reference in rule.reference} <= known
    assert all(rule.reference for rule in rules.values())


def test_the_document_is_that_of_the_files() -> None:
    _, _, rest = DOCUMENT.read_text("utf-8").partition("## What is said, and what became of it\n\n")
    catalogue, _, rules = rest.partition("## The rules\n\n")
    told = "write catalogue_document() and rules_document() below the headings of docs/coding_rules.md"
    assert catalogue == catalogue_document(Catalogue.load()) + "\n", told
    assert rules == rules_document(), told
