"""docs/valuesets.md says what the value set files say, of every shipped set."""

from __future__ import annotations

from pathlib import Path

from ontology.valuesets.document import valueset_document
from ontology.valuesets.sets import load_family, load_valueset, valueset_names

DOCUMENT = Path(__file__).parents[4] / "docs" / "valuesets.md"


def test_the_document_is_that_of_the_files() -> None:
    _, _, sets = DOCUMENT.read_text("utf-8").partition("## Shipped value sets\n\n")
    told = "write valueset_document() below '## Shipped value sets' in docs/valuesets.md"
    assert sets == valueset_document(), told


def test_every_shipped_set_stands_there_with_its_sources_and_review() -> None:
    text = DOCUMENT.read_text("utf-8")
    for name in valueset_names():
        values = load_valueset(name)
        family, _, group = name.partition("/")
        if group:
            assert f"| {group} | {load_family(family).groups[group].title}" in text
        else:
            assert f"### {name}\n\n{values.title}. Version {values.version}.\n" in text
            assert all(f"- Source: {source.strip()}" in text for source in values.sources)
            assert f"- Review: {values.review.strip()}" in text
