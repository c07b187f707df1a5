"""Names of code systems: Norwegian object identifiers in all forms, FHIR's list, a rule for the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ontology.systems import SYSTEMS, parts
from pipelines.sources.fhir.systems import (
    IDENTIFIER_SYSTEMS,
    NO_SYSTEM,
    PERSON_SYSTEMS,
    identifier_name,
    same_system,
    system_name,
)

_WRITTEN = {
    # Norwegian systems: number under Volven, as told by the base profiles and HL7Norway/kodeverk
    "urn:oid:2.16.578.1.12.4.1.1.7110": "ICD10-NO",
    "2.16.578.1.12.4.1.1.7110": "ICD10-NO",
    "URN:OID:2.16.578.1.12.4.1.1.7110": "ICD10-NO",
    "http://hl7.org/fhir/sid/icd-10-no": "ICD10-NO",
    "urn:oid:2.16.578.1.12.4.1.1.7170": "ICPC2",
    "http://hl7.org/fhir/sid/icpc-2": "ICPC2",
    "urn:oid:2.16.840.1.113883.6.139": "ICPC2",
    "urn:oid:2.16.578.1.12.4.1.1.7180": "ATC",
    "http://www.whocc.no/atc": "ATC",
    "https://www.whocc.no/atc/": "ATC",
    "urn:oid:2.16.578.1.12.4.1.1.7210": "NCSP",
    "urn:oid:2.16.578.1.12.4.1.1.7220": "NCMP",
    "urn:oid:2.16.578.1.12.4.1.1.7270": "NCRP",
    "http://helsedir.no/fhir/CodeSystem/no-kodeverk-7270-ncrp": "NCRP",
    "http://helsedir.no/fhir/CodeSystem/no-kodeverk-7280-nlk": "NLK",
    "http://ehelse.no/fhir/CodeSystem/no-kodeverk-7280": "NLK",
    "urn:oid:2.16.578.1.12.4.1.1.7275": "NKPK",
    "urn:oid:2.16.578.1.12.4.1.1.7010": "NORPAT",
    "urn:oid:2.16.578.1.12.4.1.1.7020": "NO-PROCEDURE",
    "urn:oid:2.16.578.1.12.4.1.1.8406": "VOLVEN-8406",
    "http://ehelse.no/fhir/CodeSystem/no-kodeverk-8660": "VOLVEN-8660",
    "https://volven.no/produkt.asp?open_f=true&id=476764&catID=3&subID=8&subCat=61&oid=9060": "VOLVEN-9060",
    "https://finnkode.helsedirektoratet.no/adm/collections/7461?q=egenandels": "VOLVEN-7461",
    # FHIR R4, terminologies-systems.html
    "http://loinc.org": "LOINC",
    "urn:oid:2.16.840.1.113883.6.1": "LOINC",
    "http://snomed.info/sct": "SCT",
    "http://snomed.info/sct|http://snomed.info/sct/900000000000207008": "SCT",
    "http://snomed.info/sct/900000000000207008/version/20200131": "SCT",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXNORM",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://unitsofmeasure.org": "UCUM",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD10PCS",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    # everything else: by the rule that the function's documentation states
    "http://terminology.hl7.org/CodeSystem/v3-ActCode": "terminology.hl7.org/CodeSystem/v3-ActCode",
    "https://www.ACME.org//devices/Clinical codes/": "acme.org/devices/Clinical_codes",
    "urn:oid:2.16.840.1.113883.6.238": "OID-2.16.840.1.113883.6.238",
    "urn:ietf:rfc:3986": "urn:ietf:rfc:3986",
    "Lokal-lab": "Lokal-lab",
    "": NO_SYSTEM,
    "  ": NO_SYSTEM,
    "http://": NO_SYSTEM,
}


@pytest.mark.parametrize(("sent", "name"), _WRITTEN.items())
def test_a_code_system_has_one_name_however_it_is_called(sent: str, name: str) -> None:
    assert system_name(sent) == name


def test_every_system_of_the_ontology_is_found_by_its_address_and_its_object_identifier() -> None:
    for system in SYSTEMS.values():
        for address in system.urls:
            assert system_name(address) == system.name
        if system.oid:
            assert system_name(system.oid) == system_name(f"urn:oid:{system.oid}") == system.name


@given(st.text(max_size=400))
def test_a_name_is_short_and_leaves_the_code_behind_it_readable(sent: str) -> None:
    name = system_name(sent)
    assert name
    assert len(name) <= 120
    assert parts(f"{name}//7.1//x") == (name, "7.1//x")


def test_long_addresses_that_differ_at_the_end_have_different_names() -> None:
    address = "http://example.org/" + "a" * 500
    assert system_name(address + "1") != system_name(address + "2")


def test_identifier_systems_of_norwegian_persons_and_organisations_are_known_in_both_forms() -> None:
    assert identifier_name("urn:oid:2.16.578.1.12.4.1.4.1") == "fodselsnummer"
    assert identifier_name("http://hl7.no/fhir/NamingSystem/DNR") == "d-nummer"
    assert identifier_name("2.16.578.1.12.4.1.4.3") == "felles-hjelpenummer"
    assert identifier_name("urn:oid:2.16.578.1.12.4.1.4.4") == "hpr-nummer"
    assert identifier_name("urn:oid:2.16.578.1.12.4.1.4.5") == "duf-nummer"
    assert identifier_name("urn:oid:2.16.578.1.12.4.1.2") == "her-id"
    assert identifier_name("urn:oid:2.16.578.1.12.4.1.4.101") == "organisasjonsnummer"
    assert identifier_name("urn:oid:2.16.578.1.12.4.1.4.102") == "resh-id"
    assert identifier_name("https://hospital.example/mrn") == "hospital.example/mrn"
    assert all(identifier_name(system) == name for system, name in IDENTIFIER_SYSTEMS.items())


def test_forms_of_one_identifier_system_are_compared_as_one() -> None:
    number = "urn:oid:2.16.578.1.12.4.1.4.1"
    assert same_system("2.16.578.1.12.4.1.4.1") == number
    assert same_system("http://hl7.no/fhir/NamingSystem/FNR") == number
    assert same_system(number) == number
    assert same_system("https://hospital.example/mrn") == "https://hospital.example/mrn"
    assert PERSON_SYSTEMS[0] == number
