"""What docs/fhir.md says of each resource, from hand-written resources to the finished dataset.

Times without an offset are Norwegian and stored in UTC; expected rows are read off the page by hand.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np

from pipelines.identity.policy import IdentityPolicy

LOINC, SCT = "http://loinc.org", "http://snomed.info/sct"
ICD10_NO = "urn:oid:2.16.578.1.12.4.1.1.7110"
ATC = "http://www.whocc.no/atc"
KARI = {"reference": "Patient/kari"}
STAY = {"reference": "Encounter/stay"}


ELEVEN = "01865010059"
"""A synthetic birth number: 1 June 1950 with 80 added to the month; its control digits 5 and 9 by hand from
the weights 3 7 6 1 8 9 4 5 2 and 5 4 3 2 7 6 5 4 3 2."""


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def patient(**more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "kari", "birthDate": "1950-06-01", "gender": "female", **more}


def encounter(**more: Any) -> dict[str, Any]:
    told = {
        "resourceType": "Encounter",
        "id": "stay",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": KARI,
        "period": {"start": "2021-02-01T08:00:00Z", "end": "2021-02-05T12:00:00Z"},
    }
    return {**told, **more}


def fact(kind: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": f"{kind.lower()}-{len(str(more))}", **more}


def hour(day: int, at: int = 0) -> datetime:
    return datetime(2021, 2, day, at)


STATIC: tuple[Any, ...] = (
    (None, "SEX//female"),
    (datetime(1950, 5, 31, 23), "MEDS_BIRTH"),  # Norway had no summer time in 1950: +01:00
    (hour(1, 8), "CONTACT//inpatient"),
    (hour(5, 12), "CONTACT_END//inpatient"),
)


def beside(result: Any) -> list[tuple[Any, ...]]:
    """Times and codes of events but those of the patient and the contact."""
    return [row for row in result.facts("time", "code") if row not in STATIC]


def test_a_patient_tells_birth_death_sex_home_and_citizenship(ingested: Any) -> None:
    no_basis = "http://hl7.no/fhir/StructureDefinition/"
    county = {"url": f"{no_basis}no-basis-municipalitycode", "valueCoding": {"code": "4601"}}
    now = {"period": {"start": "2020-03-01"}, "district": "Bergen", "_district": {"extension": [county]}}
    home = {
        "period": {"start": "2010-03-01"},
        "extension": [
            {
                "url": f"{no_basis}no-basis-propertyinformation",
                "extension": [{"url": "municipality", "valueCoding": {"code": "0301", "display": "Oslo"}}],
            },
            {"url": f"{no_basis}no-basis-urban-district", "valueCoding": {"code": "030105"}},
        ],
    }
    country = {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-citizenship",
        "extension": [{"url": "code", "valueCodeableConcept": {"coding": [{"code": "NO"}]}}],
    }
    district = {"url": f"{no_basis}no-basis-urban-district", "valueCoding": {"code": "030102"}}
    given = patient(deceasedDateTime="2021-03-01", address=[home, now], extension=[country, district])
    assert ingested(given).facts("time", "code") == [
        (None, "BYDEL//030102"),
        (None, "CITIZENSHIP//NO"),
        (None, "SEX//female"),
        (datetime(1950, 5, 31, 23), "MEDS_BIRTH"),
        (datetime(2010, 2, 28, 23), "BYDEL//030105"),
        (datetime(2010, 2, 28, 23), "KOMMUNE//0301"),
        (datetime(2020, 2, 29, 23), "KOMMUNE//4601"),
        (datetime(2021, 3, 1, 22, 59, 59), "MEDS_DEATH"),  # a day's last second
    ]


def test_who_is_meant_however_they_are_named(ingested: Any) -> None:
    fnr = "urn:oid:2.16.578.1.12.4.1.4.1"
    old = {**patient(), "id": "old", "link": [{"type": "replaced-by", "other": KARI}]}
    given = patient(
        identifier=[
            {"system": "http://hospital.example/pid", "value": "77"},
            {"system": fnr, "value": ELEVEN},
        ]
    )
    readings = [
        fact(
            "Flag",
            subject=subject,
            status="active",
            code=concept(SCT, str(100 + number)),
            period={"start": "2021-02-01"},
        )
        for number, subject in enumerate(
            [
                KARI,
                {"reference": "https://server.example/fhir/Patient/kari/_history/2"},
                {"identifier": {"system": fnr, "value": ELEVEN}},
                {"identifier": {"system": "http://hospital.example/pid", "value": "77"}},
                {"reference": "Patient/old"},
            ]
        )
    ]
    for number, reading in enumerate(readings):
        reading["id"] = f"flag-{number}"
    result = ingested(given, old, *readings)
    flags = result.events.filter(result.events["code"].str.starts_with("FLAG//"))
    assert flags.height == 5
    assert result.events["subject_id"].n_unique() == 1
    assert result.fates("rows_ignored") == {"replaced by another Patient": 1}


def test_an_encounter_is_a_contact_with_its_codings(ingested: Any) -> None:
    icu = {"resourceType": "Location", "id": "icu", "type": [{"coding": [{"code": "ICU"}]}]}
    hospital = {
        "resourceType": "Organization",
        "id": "oslo",
        "identifier": [{"system": "urn:oid:2.16.578.1.12.4.1.4.102", "value": "4204100"}],
    }
    stay = encounter(
        priority={"coding": [{"code": "EM"}]},
        serviceProvider={"reference": "Organization/oslo"},
        hospitalization={
            "admitSource": {"coding": [{"code": "gp"}]},
            "dischargeDisposition": {"coding": [{"code": "home"}]},
        },
        location=[
            {
                "location": {"reference": "Location/icu"},
                "period": {"start": "2021-02-02T08:00:00Z", "end": "2021-02-03T08:00:00Z"},
            }
        ],
        diagnosis=[
            {"condition": {"reference": "Condition/b"}, "rank": 2},
            {"condition": {"reference": "Condition/a"}, "rank": 1},
        ],
        reasonCode=[concept(SCT, "386661006")],
    )
    main = {
        "resourceType": "Condition",
        "id": "a",
        "subject": KARI,
        "encounter": STAY,
        "code": concept(ICD10_NO, "A41.9"),
    }
    other = {**main, "id": "b", "code": concept(ICD10_NO, "I10"), "recordedDate": "2021-02-02T10:00:00Z"}
    unlisted = {**main, "id": "c", "code": concept(ICD10_NO, "E11.9")}
    result = ingested(patient(), icu, hospital, stay, main, other, unlisted)
    contacts = result.contacts.sort("start_time").select(
        "start_time", "end_time", "care_level", "urgency", "hospital_id", "admitted_from", "discharged_to"
    )
    assert contacts.rows() == [
        (hour(1, 8), hour(5, 12), "inpatient", "acute", "RESH:4204100", "referral", "home"),
        (hour(2, 8), hour(3, 8), "icu", None, "RESH:4204100", None, None),
    ]
    codings = result.codings.sort("code").select("system", "code", "role", "group_no", "coded_time")
    assert codings.rows() == [
        ("ICD10-NO", "A41.9", "main", 2, hour(5, 12)),
        ("ICD10-NO", "E11.9", "other", None, hour(5, 12)),
        ("ICD10-NO", "I10", "other", 1, hour(2, 10)),
    ]
    assert set(beside(result)) == {
        (hour(1, 8), "ENCOUNTER_REASON//SCT//386661006"),
        (hour(2, 8), "CONTACT//icu"),
        (hour(2, 8), "LOCATION//Location/icu"),
        (hour(2, 10), "ICD10-NO//I10"),
        (hour(3, 8), "CONTACT_END//icu"),
        (hour(5, 12), "ICD10-NO//A41.9"),
        (hour(5, 12), "ICD10-NO//E11.9"),
    }


def test_what_did_not_happen_is_ignored_under_its_name(ingested: Any) -> None:
    code = concept(SCT, "1")
    resources = [
        encounter(status="planned"),
        fact("Condition", subject=KARI, code=code, verificationStatus={"coding": [{"code": "refuted"}]}),
        fact("Observation", subject=KARI, code=code, status="entered-in-error", valueInteger=1),
        fact(
            "Observation",
            subject={"reference": "Group/1"},
            code=code,
            status="final",
            issued="2021-02-01T08:00:00Z",
        ),
        fact("Procedure", subject=KARI, code=code, status="not-done"),
        fact(
            "MedicationRequest", subject=KARI, status="active", intent="plan", medicationCodeableConcept=code
        ),
        fact("ServiceRequest", subject=KARI, status="active", intent="order", code=code, doNotPerform=True),
        fact("Immunization", patient=KARI, status="not-done", vaccineCode=code),
        fact("MedicationStatement", subject=KARI, status="not-taken", medicationCodeableConcept=code),
        fact("Organization", name="Sykehuset"),
        fact("Claim", status="active"),
    ]
    result = ingested(patient(), *resources)
    assert beside(result) == []
    assert result.fates("rows_ignored") == {
        "contact did not take place": 1,
        "refuted": 1,
        "entered in error": 1,
        "not about a patient": 1,
        "not carried out": 2,
        "proposal or plan": 1,
        "not to be done": 1,
        "not taken": 1,
        "no fact about a patient": 1,
        "resource type Claim is not read": 1,
    }
    assert result.fates("rows_rejected") == {}


def test_what_lacks_a_subject_a_time_or_a_code_is_rejected_for_that(ingested: Any) -> None:
    whole = {
        "subject": KARI,
        "status": "final",
        "code": concept(LOINC, "1-8"),
        "issued": "2021-02-01T08:00:00Z",
    }
    lacking = [
        {
            "resourceType": "Observation",
            "id": name,
            **{key: value for key, value in whole.items() if key != name},
        }
        for name in ("subject", "code", "issued")
    ]
    result = ingested(patient(), *lacking, fact("Observation", **{**whole, "issued": "i fjor"}))
    assert result.fates("rows_rejected") == {"no subject": 1, "empty code": 1, "no time": 2}
    assert beside(result) == []


def test_medicines_are_told_apart_by_what_was_done_with_them(ingested: Any) -> None:
    drug = concept(ATC, "J01CE01")
    dose = {"value": 1.2, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"}
    medication = {"resourceType": "Medication", "id": "m1", "code": concept(ATC, "J01DD04")}
    resources = [
        medication,
        encounter(),
        fact(
            "MedicationRequest",
            subject=KARI,
            encounter=STAY,
            status="active",
            intent="order",
            medicationCodeableConcept=drug,
            authoredOn="2021-02-01",
            dosageInstruction=[{"doseAndRate": [{"doseQuantity": dose}]}],
        ),
        fact(
            "MedicationAdministration",
            subject=KARI,
            context=STAY,
            status="completed",
            medicationReference={"reference": "Medication/m1"},
            dosage={"dose": dose},
            effectivePeriod={"start": "2021-02-01T10:00:00Z", "end": "2021-02-01T10:30:00Z"},
        ),
        fact(
            "MedicationStatement",
            subject=KARI,
            status="active",
            medicationReference={"display": "noe hvitt"},
            dateAsserted="2021-02-02",
        ),
        fact(
            "MedicationAdministration",
            subject=KARI,
            status="completed",
            context=STAY,
            contained=[
                {"resourceType": "Medication", "id": "mix", "ingredient": [{"itemCodeableConcept": drug}]}
            ],
            medicationReference={"reference": "#mix"},
            effectiveDateTime="2021-02-01T11:00:00Z",
        ),
    ]
    result = ingested(patient(), *resources)
    columns = ("time", "code", "numeric_value", "unit", "known_time", "text_value")
    assert [row for row in result.facts(*columns) if row[:2] not in STATIC] == [
        (
            datetime(2021, 1, 31, 23),
            "MEDICATION_REQUEST//ATC//J01CE01",
            float_of(1.2),
            "g",
            datetime(2021, 2, 1, 22, 59, 59),
            None,
        ),
        (hour(1, 10), "ATC//J01DD04", float_of(1.2), "g", datetime(2021, 2, 1, 10, 30), None),
        (hour(1, 11), "ATC//J01CE01", None, None, None, None),
        (
            datetime(2021, 2, 1, 23),
            "MEDICATION_STATEMENT//FHIR_TEXT//MedicationStatement",
            None,
            None,
            datetime(2021, 2, 2, 22, 59, 59),
            None,
        ),
    ]
    given = result.events.filter(result.events["contact_id"].is_not_null())
    assert given.filter(given["code"].str.contains("ATC")).height == 3


def float_of(value: float) -> float:
    """As 32 bits hold it."""
    return float(np.float32(value))


def test_the_other_types_have_the_codes_of_the_page(ingested: Any) -> None:
    code = concept(SCT, "1")
    when = "2021-02-02T10:00:00Z"
    period = {"start": when, "end": "2021-02-03T10:00:00Z"}
    resources = [
        encounter(),
        fact("EpisodeOfCare", patient=KARI, status="finished", period=period),
        fact(
            "Condition",
            subject=KARI,
            code=code,
            onsetDateTime=when,
            abatementDateTime="2021-02-04",
            verificationStatus={"coding": [{"code": "provisional"}]},
        ),
        fact(
            "DiagnosticReport",
            subject=KARI,
            status="final",
            code=code,
            effectiveDateTime=when,
            conclusion="Kari har",
            conclusionCode=[concept(SCT, "2")],
        ),
        fact(
            "Procedure",
            subject=KARI,
            encounter=STAY,
            status="completed",
            code=concept("urn:oid:2.16.578.1.12.4.1.1.7210", "JKA21"),
        ),
        fact("Immunization", patient=KARI, status="completed", vaccineCode=code, occurrenceDateTime=when),
        fact(
            "AllergyIntolerance",
            patient=KARI,
            recordedDate=when,
            criticality="high",
            reaction=[{"substance": code}],
        ),
        fact("Specimen", subject=KARI, type=code, collection={"collectedDateTime": when}),
        fact(
            "ServiceRequest",
            subject=KARI,
            status="active",
            intent="order",
            code=code,
            authoredOn=when,
            priority="urgent",
        ),
        fact(
            "RiskAssessment",
            subject=KARI,
            status="final",
            method=code,
            occurrenceDateTime=when,
            prediction=[{"outcome": concept(SCT, "3"), "probabilityDecimal": 0.25}],
        ),
        fact("Flag", subject=KARI, status="active", code=code, period=period),
        fact(
            "DocumentReference",
            subject=KARI,
            status="current",
            date=when,
            type=code,
            content=[{"attachment": {"title": "Kari"}}],
        ),
    ]
    result = ingested(patient(), *resources)
    facts = [
        row for row in result.facts("time", "code", "text_value", "numeric_value") if row[:2] not in STATIC
    ]
    at = hour(2, 10)
    assert facts == sorted(
        [
            (at, "EPISODE_OF_CARE//unspecified", None, None),
            (hour(3, 10), "EPISODE_OF_CARE_END//unspecified", None, None),
            (at, "SCT//1", "provisional", None),
            (datetime(2021, 2, 4, 22, 59, 59), "CONDITION_END//SCT//1", None, None),
            (at, "REPORT//SCT//1", None, None),
            (at, "REPORT//SCT//1", "SCT//2", None),
            (hour(5, 12), "NCSP//JKA21", None, None),
            (at, "SCT//1", None, None),
            (at, "ALLERGY//SCT//1", "high", None),
            (at, "SPECIMEN//SCT//1", None, None),
            (at, "SERVICE_REQUEST//SCT//1", "urgent", None),
            (at, "SCORE//SCT//1", "SCT//3", 0.25),
            (at, "FLAG//SCT//1", None, None),
            (hour(3, 10), "FLAG_END//SCT//1", None, None),
            (at, "DOCUMENT//SCT//1", None, None),
        ],
        key=repr,
    )
    assert result.codings.select("system", "code", "role").rows() == [("NCSP", "JKA21", "procedure")]


def test_free_text_stays_out_and_the_event_stays(ingested: Any) -> None:
    said = fact(
        "Observation",
        subject=KARI,
        status="final",
        code={"text": "Hudfarge til Kari"},
        issued="2021-02-01T08:00:00Z",
        valueString="blek",
    )
    result = ingested(patient(), said)
    assert beside(result) == [(hour(1, 8), "FHIR_TEXT//Observation")]
    words = result.events.select(text=result.events["text_value"], sent=result.events["sent_value"])
    assert words.null_count().row(0) == (words.height, words.height)


def test_the_lineage_has_what_was_sent(ingested: Any) -> None:
    sent = fact(
        "Observation",
        subject=KARI,
        status="final",
        issued="2021-02-01T08:00:00Z",
        code={
            "coding": [
                {"system": LOINC, "code": "1988-5"},
                {"system": "urn:oid:2.16.578.1.12.4.1.1.7280", "code": "NPU19748"},
            ]
        },
        valueQuantity={
            "value": 5,
            "comparator": "<",
            "unit": "mg/l",
            "system": "http://unitsofmeasure.org",
            "code": "mg/L",
        },
    )
    result = ingested(patient(), sent)
    row = result.events.filter(result.events["code"] == "NLK//NPU19748").row(0, named=True)
    assert (row["numeric_value"], row["unit"], row["text_value"]) == (5.0, "mg/L", "<")
    assert (row["sent_value"], row["sent_unit"], row["sent_alternates"]) == ("<5", "mg/l", "LOINC//1988-5")


def test_facts_of_an_encounter_that_was_an_error_or_is_not_there_have_no_contact(ingested: Any) -> None:
    reading = fact(
        "Observation",
        subject=KARI,
        encounter=STAY,
        status="final",
        code=concept(LOINC, "1-8"),
        issued="2021-02-01T09:00:00Z",
    )
    elsewhere = {**reading, "id": "elsewhere", "encounter": {"reference": "Encounter/not-here"}}
    result = ingested(patient(), encounter(status="entered-in-error"), reading, elsewhere)
    contacts = result.events.filter(result.events["code"] == "LOINC//1-8")["contact_id"]
    assert contacts.to_list() == [None, None]
    assert result.contacts.height == 0


def test_the_policy_may_keep_free_text(ingested: Any) -> None:
    said = fact(
        "Observation",
        subject=KARI,
        status="final",
        code={"text": "Hudfarge"},
        issued="2021-02-01T08:00:00Z",
        valueString="blek",
    )
    kept = IdentityPolicy(name="kept", title="kept", free_text="keep")
    result = ingested(patient(), said, policy=kept)
    assert (hour(1, 8), "FHIR_TEXT//Observation", "Hudfarge: blek") in result.facts(
        "time", "code", "text_value"
    )


def test_a_coding_of_a_contact_is_no_older_than_the_contact(ingested: Any) -> None:
    """Of a list of problems: recorded ten years before, listed by the contact nobody knows when."""
    condition = {"resourceType": "Condition", "subject": KARI, "verificationStatus": None}
    old = {**condition, "id": "old", "code": concept(ICD10_NO, "I10"), "recordedDate": "2011-01-01"}
    same_day = {**condition, "id": "day", "code": concept(ICD10_NO, "E11.9"), "recordedDate": "2021-02-01"}
    own = {**old, "id": "own", "code": concept(ICD10_NO, "J18.9"), "encounter": STAY}
    stay = encounter(
        diagnosis=[
            {"condition": {"reference": "Condition/old"}, "rank": 1},
            {"condition": {"reference": "Condition/day"}},
        ]
    )
    result = ingested(patient(), stay, old, same_day, own)
    assert result.codings.sort("code").select("code", "coded_time").rows() == [
        ("E11.9", datetime(2021, 2, 1, 22, 59, 59)),  # the day's end in Norway, after the contact's start
        ("I10", hour(5, 12)),
        ("J18.9", hour(5, 12)),
    ]


def test_what_tells_no_time_is_known_at_the_end_of_its_contact(ingested: Any) -> None:
    """A report, an order at discharge or a score may have been made on the last day."""
    about = {"subject": KARI, "encounter": STAY}
    drug = {"medicationCodeableConcept": concept(ATC, "N02BE01")}
    result = ingested(
        patient(),
        encounter(),
        fact("DiagnosticReport", status="final", code=concept(LOINC, "11502-2"), **about),
        fact("MedicationRequest", status="active", intent="order", **drug, **about),
        fact("ServiceRequest", status="active", intent="order", code=concept(SCT, "1"), **about),
        fact("RiskAssessment", status="final", code=concept(SCT, "2"), **about),
        fact("Flag", status="active", code=concept(SCT, "3"), **about),
        fact("AllergyIntolerance", patient=KARI, encounter=STAY, code=concept(SCT, "4")),
        fact("Procedure", status="completed", code=concept(SCT, "5"), **about),
    )
    known = {code: known for code, known in result.facts("code", "known_time") if code and known}
    assert known == dict.fromkeys(
        (
            "REPORT//LOINC//11502-2",
            "MEDICATION_REQUEST//ATC//N02BE01",
            "SERVICE_REQUEST//SCT//1",
            "SCORE//SCT//2",
            "FLAG//SCT//3",
            "ALLERGY//SCT//4",
        ),
        hour(5, 12),
    )


def test_a_record_that_was_merged_again_and_again_is_the_last_one(ingested: Any) -> None:
    """Merged three times, each record with a fact of its own; one record's successor is not in the input."""
    chain = ["first", "second", "third", "kari"]
    records = [
        patient(id=name, link=[{"type": "replaced-by", "other": {"reference": f"Patient/{successor}"}}])
        for name, successor in zip(chain, [*chain[1:], "gone"], strict=True)
    ]
    flags = [
        fact("Flag", status="active", code=concept(SCT, "1"), period={"start": "2021-02-01"})
        | {"subject": {"reference": f"Patient/{name}"}, "id": name}
        for name in chain
    ]
    result = ingested(*records, *flags)
    told = result.events.filter(result.events["code"].str.starts_with("FLAG//"))
    assert (told.height, told["subject_id"].n_unique()) == (4, 1)
