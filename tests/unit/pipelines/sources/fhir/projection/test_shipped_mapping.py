"""The shipped mapping reads every table of the projection; its page tells types, options and an example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.projection import LOOKUPS, RESOURCE_TYPES, SCHEMAS
from pipelines.sources.mapping import load_mapping

PAGE = Path(__file__).parents[6] / "docs" / "fhir.md"
TYPES = {
    *("Patient", "Encounter", "EpisodeOfCare", "Condition", "Observation", "DiagnosticReport", "Procedure"),
    *("MedicationRequest", "MedicationAdministration", "MedicationStatement", "Immunization"),
    *("AllergyIntolerance", "Specimen", "Location", "Organization", "ServiceRequest", "RiskAssessment"),
    *("Flag", "DocumentReference"),
}
"""Those that must be read; Medication is read beside them."""


def test_every_type_is_read_and_told_on_the_page() -> None:
    assert TYPES | {"Medication"} == RESOURCE_TYPES
    text = PAGE.read_text("utf-8")
    assert [name for name in RESOURCE_TYPES if name not in text] == []


def test_the_mapping_has_every_table_and_no_other() -> None:
    mapping = load_mapping("fhir-r4")
    assert set(mapping.tables) == set(SCHEMAS)
    assert set(SCHEMAS) >= LOOKUPS
    assert all(not mapping.tables[name].events for name in LOOKUPS)
    # two resources that say the same are two facts, so no table rejects equal rows
    assert {table.duplicates for table in mapping.tables.values()} == {"keep"}


def test_the_example_on_the_page_is_a_mapping(tmp_path: Path) -> None:
    example = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]
    file = tmp_path / "my-hospital.yaml"
    file.write_text(example, "utf-8")
    mapping = load_mapping(file)
    assert mapping.options["preferred_systems"]["Condition"] == ["SCT"]
    assert mapping.tables["Observation"].filter[0].name == "not final"
    FhirOptions.model_validate(mapping.options)


@pytest.mark.parametrize("name", list(FhirOptions.model_fields))
def test_every_option_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE.read_text("utf-8")
