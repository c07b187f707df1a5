"""What references mean: examples of HL7 FHIR R4, 2.3 References, and of Synthea's Bundles, by hand."""

import pytest

from pipelines.sources.fhir.options import FhirOptions
from pipelines.sources.fhir.references import Resolver, contained_resource


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("Patient/034AB16", "Patient/034AB16"),
        ("http://fhir.hl7.org/svc/StructureDefinition/c8973a22-2b5b-4e76-9c66-00639c99e61b",
         "StructureDefinition/c8973a22-2b5b-4e76-9c66-00639c99e61b"),
        ("https://example.org/fhir/Observation/1x2/_history/2", "Observation/1x2"),
        ("Observation/1x2/_history/2", "Observation/1x2"),
        ("urn:uuid:0C3151BD-1CBF-4D64-B04D-CD9187A4C6E0", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
        ("urn:oid:1.2.3", "urn:oid:1.2.3"),
        ("Practitioner?identifier=http://hl7.org/fhir/sid/us-npi|9999998199",
         "identifier:http://hl7.org/fhir/sid/us-npi|9999998199"),
        ("Patient?identifier=urn%3Asys%7C77", "identifier:urn:sys|77"),
        ("Patient?name=somebody", None),
        ("Patient?identifier=a|b&active=true", None),
        ("x" * 5_000, None),
    ],
)  # fmt: skip
def test_an_address_has_one_name(address: str, name: str | None) -> None:
    assert Resolver(FhirOptions()).name_of(address) == name


def test_only_the_bases_that_are_given_mean_the_resources_at_hand() -> None:
    resolver = Resolver(FhirOptions(server_bases=("https://ours.example/r4/",)))
    assert resolver.name_of("https://ours.example/r4/Patient/1") == "Patient/1"
    assert resolver.name_of("https://theirs.example/r4/Patient/1") == "https://theirs.example/r4/Patient/1"


def test_references_are_told_by_address_bundle_container_or_identifier() -> None:
    references = [
        {"reference": "urn:uuid:A1"},
        {"reference": "#p"},
        {"reference": "#"},
        {"identifier": {"system": "urn:s", "value": "5"}},
        {"display": "somebody"},
        None,
    ]
    names = ["Observation/1#inner"] * len(references)
    scopes = [{"urn:uuid:A1": "Patient/7"}] * len(references)
    told = Resolver(FhirOptions()).targets(references, names, scopes=scopes)
    assert told == ["Patient/7", "Observation/1#p", "Observation/1", "identifier:urn:s|5", None, None]


def test_a_contained_resource_is_found_by_its_fragment() -> None:
    container = {"contained": [{"resourceType": "Medication", "id": "m"}]}
    assert contained_resource({"reference": "#m"}, container) == {"resourceType": "Medication", "id": "m"}
    assert contained_resource({"reference": "#n"}, container) is None
    assert contained_resource({"reference": "Medication/m"}, container) is None


def test_a_reference_that_is_no_text_is_a_wrong_type() -> None:
    with pytest.raises(TypeError):
        Resolver(FhirOptions()).targets([{"reference": 5}], ["Observation/1"])
