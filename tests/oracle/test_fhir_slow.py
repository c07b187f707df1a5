"""Three hundred mixed R4 resources: the command line and the slow path of fhir.resources objects agree."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from fhir_equals_slow import differences, expected, ingested
from fhir_resources import resources

from pipelines.sources.fhir.validation import faults


@pytest.fixture(scope="module")
def made() -> list[dict[str, object]]:
    """The resources; valid R4, or nothing would be shown."""
    generated = resources(300, 7)
    assert [fault for one in generated for fault in faults(one)] == []
    assert len({one["resourceType"] for one in generated}) == 21
    return generated


def test_the_bulk_way_equals_the_slow_way(made: list[dict[str, object]], tmp_path: Path) -> None:
    """Events with subjects, times, codes, values, texts, units and contacts; contacts; codings."""
    slow = expected(made)
    assert len(slow.facts) > 250
    assert len(slow.contacts) > 10
    found = differences(ingested(made, tmp_path), slow)
    assert {name: parts for name, parts in found.items() if any(parts)} == {}
