"""Codes and units of generated R4 resources: Norwegian systems in all their spellings, others, local ones."""

from __future__ import annotations

VOLVEN = "urn:oid:2.16.578.1.12.4.1.1"
SCT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
CODES: dict[str, list[tuple[str | None, str, str]]] = {
    "condition": [
        (f"{VOLVEN}.7110", "A41.9", "Uspesifisert sepsis"),
        (f"{VOLVEN}.7110", "j189", "Uspesifisert pneumoni"),
        ("http://hl7.org/fhir/sid/icd-10-no", "E11.9", "Diabetes mellitus type 2"),
        ("2.16.578.1.12.4.1.1.7170", "R81", "Lungebetennelse"),
        ("http://hl7.org/fhir/sid/icd-10", "I21.9", "Acute myocardial infarction"),
        (SCT, "91302008", "Sepsis"),
        ("http://acme.example/koder", "øre//1", "Lokal kode"),
        (None, "U99", "uten system"),
    ],
    "analysis": [
        (f"{VOLVEN}.7280", "NPU19748", "P-CRP"),
        ("http://helsedir.no/fhir/CodeSystem/no-kodeverk-7280-nlk", "NPU18016", "P-Kreatinin"),
        (LOINC, "1988-5", "CRP"),
        (LOINC, "718-7", "Hemoglobin"),
        (LOINC, "8310-5", "Body temperature"),
        (SCT, "27113001", "Body weight"),
        ("http://acme.example/lab", "Hb", "Hemoglobin"),
    ],
    "procedure": [
        (f"{VOLVEN}.7210", "JEA00", "Appendektomi"),
        (f"{VOLVEN}.7220", "wurx30", "Innleggelse"),
        (f"{VOLVEN}.7270", "SXR0AD", "RG thorax"),
        (SCT, "73761001", "Colonoscopy"),
        (f"{VOLVEN}.7275", "ZZ01", "Samlet kode"),
    ],
    "drug": [
        ("http://www.whocc.no/atc", "J01CA01", "Ampicillin"),
        (f"{VOLVEN}.7180", "b01ab05", "Enoksaparin"),
        ("http://www.nlm.nih.gov/research/umls/rxnorm", "1049502", "Oxycodone"),
        (SCT, "387207008", "Ibuprofen"),
    ],
    "vaccine": [
        ("http://hl7.org/fhir/sid/cvx", "140", "Influenza"),
        ("http://www.whocc.no/atc", "J07BB02", "Influensavaksine"),
    ],
    "type": [
        (SCT, "185347001", "Encounter for problem"),
        (f"{VOLVEN}.8406", "1", "Døgnopphold"),
        ("http://acme.example/type", "kontroll", "Kontroll"),
    ],
}
SENT_UNITS = [
    {"unit": "mg/L", "system": "http://unitsofmeasure.org", "code": "mg/L"},
    {"unit": "g/dL", "system": "http://unitsofmeasure.org", "code": "g/dL"},
    {"unit": "mg/dL", "code": "mg/dL"},
    {"unit": "tabletter"},
    {"unit": "kapsel", "system": "http://snomed.info/sct", "code": "732937005"},
    {"code": "mmol/L"},
    {},
]
