"""FHIR resources of contacts and what is coded at them: EpisodeOfCare, Encounter, Condition, Procedure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from pipelines.simulate.forms import fhir_codes as codes
from pipelines.simulate.forms.fhir_people import hospitals, units

_CLASSES = {1: ("IMP", "inpatient encounter"), 2: ("SS", "short stay"), 3: ("AMB", "ambulatory")}
_PRIORITIES = {1: ("EM", "emergency"), 2: ("UR", "urgent"), 3: ("UR", "urgent"), 4: ("EL", "elective")}
"""**Source:** HL7 v3 ActCode, ActPriority; day treatment is a short stay, innmateHast 2 and 3 are urgent."""
_LEVELS = {1: "døgnopphold", 2: "dagbehandling", 3: "poliklinisk"}
_ADMITTED = {"sykehjem": "nursing", "annen avdeling": "hosp-trans"}
_DISCHARGED = {"hjem": "home", "sykehjem": "long", "annen avdeling": "other-hcf"}
_DEAD = 2
_SYSTEMS = {"K": "NCSP", "M": "NCMP", "R": "NCRP"}


def episodes_of_care(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One EpisodeOfCare a referral period."""
    periods = (
        tables["contacts"]
        .group_by("henvisningsperiodeID", "patient_id")
        .agg(pl.col("innDatoTid").min())
        .sort("henvisningsperiodeID")
    )
    for period in codes.with_instants(periods).iter_rows(named=True):
        yield {
            "resourceType": "EpisodeOfCare",
            "id": str(period["henvisningsperiodeID"]),
            "identifier": [codes.identifier(codes.REFERRAL, period["henvisningsperiodeID"])],
            "status": "active",
            "patient": codes.patient(period["patient_id"]),
            "period": {"start": period["innDatoTid"]},
        }


def encounters(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Encounter a contact, with its diagnoses by rank."""
    diagnoses = _diagnoses(tables["conditions"])
    provider, place = hospitals(tables), units(tables)
    for contact in codes.with_instants(tables["contacts"]).iter_rows(named=True):
        period = codes.without_nulls({"start": contact["innDatoTid"], "end": contact["utDatoTid"]})
        kind, name = _CLASSES[contact["omsorgsniva"]]
        urgency, urgency_name = _PRIORITIES[contact["innmateHast"]]
        unit = codes.reference("Location", place[contact["sykehus"], contact["enhet"]])
        yield codes.without_nulls(
            {
                "resourceType": "Encounter",
                "id": f"kontakt-{contact['kontakt_id']}",
                "identifier": [codes.identifier(codes.EPISODE, contact["kontakt_id"])],
                "status": "finished" if contact["utDatoTid"] else "in-progress",
                "class": {"system": f"{codes.TERMINOLOGY}/v3-ActCode", "code": kind, "display": name},
                "type": [
                    codes.coding(
                        codes.CARE_LEVEL, str(contact["omsorgsniva"]), _LEVELS[contact["omsorgsniva"]]
                    )
                ],
                "priority": codes.coding(f"{codes.TERMINOLOGY}/v3-ActPriority", urgency, urgency_name),
                "subject": codes.patient(contact["patient_id"]),
                "episodeOfCare": [codes.reference("EpisodeOfCare", contact["henvisningsperiodeID"])],
                "period": period,
                "diagnosis": diagnoses.get(contact["kontakt_id"]),
                "hospitalization": _hospitalization(contact),
                "location": [{"location": {**unit, "display": contact["enhet"]}, "period": period}],
                "serviceProvider": {
                    **codes.reference("Organization", provider[contact["sykehus"]]),
                    "display": contact["sykehus"],
                },
            }
        )


def _hospitalization(contact: Mapping[str, Any]) -> dict[str, Any]:
    """Where from and where to: HL7's code first where there is one, then the hospital's own."""
    origin, target = contact["fraSted"], contact["tilSted"]
    told = {"admitSource": _place("admit-source", _ADMITTED.get(origin), origin)}
    if contact["utTilstand"] == _DEAD:
        told["dischargeDisposition"] = _place("discharge-disposition", "exp", None)
    elif target:
        told["dischargeDisposition"] = _place("discharge-disposition", _DISCHARGED[target], target)
    return told


def _place(system: str, code: str | None, own: str | None) -> dict[str, Any]:
    """A concept coded by HL7's terminology and by the hospital."""
    standard = [{"system": f"{codes.TERMINOLOGY}/{system}", "code": code}] if code else []
    return {"coding": standard + ([{"system": codes.PLACE, "code": own}] if own else [])}


def _diagnoses(conditions: pl.DataFrame) -> dict[int, list[dict[str, Any]]]:
    """Encounter.diagnosis of each contact: the condition group is the rank."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for contact, group, code in conditions.select("kontakt_id", "tilstNr", "kodeNr").iter_rows():
        use = ("DD", "Discharge diagnosis") if group == 1 else ("CM", "Comorbidity diagnosis")
        found[contact].append(
            {
                "condition": codes.reference("Condition", f"{contact}-{group}-{code}"),
                "use": codes.coding(f"{codes.TERMINOLOGY}/diagnosis-role", *use),
                "rank": group,
            }
        )
    return found


def conditions(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Condition a coded diagnosis."""
    category = codes.coding(f"{codes.TERMINOLOGY}/condition-category", "encounter-diagnosis")
    verified = codes.coding(f"{codes.TERMINOLOGY}/condition-ver-status", "confirmed")
    for row in codes.with_instants(tables["conditions"]).iter_rows(named=True):
        code = row["kodeVerdi"]
        dotted = f"{code[:3]}.{code[3:]}" if len(code) > 3 else code
        one = {"system": codes.URLS["ICD10-NO"], "version": str(row["kodeVersjon"]), "code": dotted}
        yield {
            "resourceType": "Condition",
            "id": f"{row['kontakt_id']}-{row['tilstNr']}-{row['kodeNr']}",
            "verificationStatus": verified,
            "category": [category],
            "code": {"coding": [one]},
            "subject": codes.patient(row["patient_id"]),
            "encounter": codes.encounter(row["kontakt_id"]),
            "recordedDate": row["kodet_tid"],
        }


def procedures(tables: Mapping[str, pl.DataFrame]) -> Iterator[dict[str, Any]]:
    """One Procedure a coded procedure."""
    for number, row in enumerate(codes.with_instants(tables["procedures"]).iter_rows(named=True), start=1):
        yield {
            "resourceType": "Procedure",
            "id": f"prosedyre-{number}",
            "status": "completed",
            "code": codes.coding(codes.URLS[_SYSTEMS[row["kodeverk"]]], row["kodeVerdi"]),
            "subject": codes.patient(row["patient_id"]),
            "encounter": codes.encounter(row["kontakt_id"]),
            "performedDateTime": row["startDatoTid"],
        }
