"""The short names of code systems and identifier systems that FHIR calls by address or object identifier."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from ontology.systems import SYSTEMS, VOLVEN

NO_SYSTEM = "NO-SYSTEM"
"""The name before the codes of a coding without a system."""

PERSONS = "2.16.578.1.12.4.1.4"
"""The branch of Norway's object identifiers under which those of persons and organisations stand."""

IDENTIFIER_SYSTEMS: Mapping[str, str] = MappingProxyType(
    {
        f"{PERSONS}.1": "fodselsnummer",
        f"{PERSONS}.2": "d-nummer",
        f"{PERSONS}.3": "felles-hjelpenummer",
        f"{PERSONS}.4": "hpr-nummer",
        f"{PERSONS}.5": "duf-nummer",
        "2.16.578.1.12.4.1.2": "her-id",
        f"{PERSONS}.101": "organisasjonsnummer",
        f"{PERSONS}.102": "resh-id",
        f"{PERSONS}.107": "apotek-id",
        "http://hl7.no/fhir/NamingSystem/FNR": "fodselsnummer",
        "http://hl7.no/fhir/NamingSystem/DNR": "d-nummer",
        "http://hl7.no/fhir/NamingSystem/FHNR": "felles-hjelpenummer",
        "http://hl7.no/fhir/NamingSystem/HPR": "hpr-nummer",
        "http://hl7.no/fhir/NamingSystem/DUFN": "duf-nummer",
        "http://hl7.no/fhir/NamingSystem/HERid": "her-id",
        "http://data.brreg.no/begrep/28155": "organisasjonsnummer",
        "http://dips.no/fhir/namingsystem/dips-patientid": "dips-patientid",
        "http://dips.no/fhir/namingsystem/dips-nprid": "dips-nprid",
        "http://dips.no/fhir/namingsystem/dips-omsorgsepisodeid": "dips-omsorgsepisodeid",
        "http://dips.no/fhir/namingsystem/dips-procedureid": "dips-procedureid",
        "http://hl7.org/fhir/sid/us-ssn": "us-ssn",
        "http://hl7.org/fhir/sid/us-npi": "us-npi",
    }
)
"""Object identifiers (bare) and addresses of identifier systems -> our names.

**Source:** NamingSystem resources of the Norwegian base profiles (HL7Norway/basisprofiler-r4) and of
HL7Norway/kodeverk; DIPS Core implementation guide (R4, draft); FHIR R4 identifier-registry.html.
"""

PERSON_SYSTEMS: tuple[str, ...] = tuple(f"urn:oid:{PERSONS}.{number}" for number in (1, 2, 3, 5))
"""Identifier systems that name a person throughout Norway: fødselsnummer, D-number, FH-number, DUF-number."""

_VOLVEN_NAMES = {"7020": "NO-PROCEDURE", "7010": "NORPAT", "7275": "NKPK"} | {
    system.oid.removeprefix(f"{VOLVEN}."): system.name
    for system in SYSTEMS.values()
    if system.oid.startswith(f"{VOLVEN}.")
}
"""Norwegian code systems that are named by more than their number: number -> name."""

_MORE_NAMES = {
    "2.16.840.1.113883.6.139": "ICPC2",
    "2.16.840.1.113883.6.73": "ATC",
    "2.16.840.1.113883.6.4": "ICD10PCS",
    "http://hl7.org/fhir/sid/icd-10-pcs": "ICD10PCS",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD10PCS",
    "http://www.cms.gov/medicare/coding/icd10": "ICD10PCS",
    "2.16.840.1.113883.6.88": "RXNORM",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXNORM",
    "2.16.840.1.113883.12.292": "CVX",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "2.16.840.1.113883.6.8": "UCUM",
    "http://unitsofmeasure.org": "UCUM",
    "2.16.840.1.113883.6.69": "NDC",
    "http://hl7.org/fhir/sid/ndc": "NDC",
    "2.16.840.1.113883.6.12": "CPT",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "2.16.840.1.113883.6.43.1": "ICDO3",
    "http://terminology.hl7.org/CodeSystem/icd-o-3": "ICDO3",
    "1.2.840.10008.2.16.4": "DCM",
    "http://dicom.nema.org/resources/ontology/DCM": "DCM",
    "2.16.840.1.113883.6.24": "MDC",
    "urn:iso:std:iso:11073:10101": "MDC",
    "urn:iso:std:iso:3166": "ISO3166",
    "urn:ietf:bcp:47": "BCP47",
}
"""**Source:** FHIR R4 4.0.1, terminologies-systems.html (addresses and object identifiers of external code
systems); the ICPC-2 NamingSystem of the Norwegian base profiles."""

_OID = re.compile(r"(?:urn:oid:)?([0-2](?:\.(?:0|[1-9]\d*)){2,})", re.IGNORECASE)
_VOLVEN_ADDRESS = re.compile(
    r"no-kodeverk-(\d{4})(?!\d)"
    r"|volven\.no/.*[?&]oid=(\d{4})(?!\d)"
    r"|finnkode\.(?:ehelse|helsedirektoratet)\.no/adm/collections/(\d{4})(?!\d)",
    re.IGNORECASE,
)
_SNOMED_EDITION = re.compile(r"https?://snomed\.info/x?sct/\d+(?:/.*)?", re.IGNORECASE)
_SCHEME = re.compile(r"(?:https?://)?(?:www\.)?", re.IGNORECASE)
_UNREADABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\ufeff]+")
_MOST_LETTERS = 120


@lru_cache(maxsize=65_536)
def system_name(system: str) -> str:
    """Our name of a code system: what stands before `//` in an event's code.

    Systems of ontology.systems and of this file have their short names, however they are called: by address,
    with http or https, with a version behind `|`, by object identifier bare or as `urn:oid:`. A Norwegian
    administrative system has the name `VOLVEN-` and its number, from its object identifier, from
    `.../no-kodeverk-NNNN-name`, or from its page at volven.no or finnkode. Any other object identifier is
    `OID-` and itself. Any other address is itself without scheme, `www.` and a slash behind, with the host
    in small letters, spaces as `_` and repeated slashes as one, so that `//` never stands in a name; one that
    is longer than 120 letters is cut and ends in a digest of the whole.

    Args:
        system: `Coding.system` as sent.
    """
    bare = _UNREADABLE.sub("_", system.split("|", 1)[0].strip()).strip("_")
    if not bare:
        return NO_SYSTEM
    known = _NAMES.get(_key(bare))
    if known:
        return known
    oid = _OID.fullmatch(bare)
    if oid:
        number = oid[1].removeprefix(f"{VOLVEN}.")
        return f"VOLVEN-{number}" if number != oid[1] else f"OID-{oid[1]}"
    norwegian = _VOLVEN_ADDRESS.search(bare)
    if norwegian:
        number = next(filter(None, norwegian.groups()))
        return _VOLVEN_NAMES.get(number, f"VOLVEN-{number}")
    return "SCT" if _SNOMED_EDITION.fullmatch(bare) else _readable(bare)


def identifier_name(system: str) -> str:
    """Our name of an identifier system: of IDENTIFIER_SYSTEMS, else as `system_name` makes it.

    Args:
        system: `Identifier.system` as sent.
    """
    return _IDENTIFIERS.get(_key(system.split("|", 1)[0].strip())) or system_name(system)


def same_system(system: str) -> str:
    """One form of an identifier system for comparing: a national one as `urn:oid:`, any other as sent.

    `urn:oid:2.16.578.1.12.4.1.4.1`, the bare number and `http://hl7.no/fhir/NamingSystem/FNR` are one system.

    Args:
        system: `Identifier.system` as sent.
    """
    stripped = system.strip()
    return _NATIONAL.get(_key(stripped), stripped)


def _key(address: str) -> str:
    """What forms of one address share: without `urn:oid:`, scheme, `www.` and a slash or hash behind."""
    lowered = address.lower().removeprefix("urn:oid:")
    return _SCHEME.sub("", lowered, count=1).rstrip("/#")


def _readable(address: str) -> str:
    """A name for an address that no table has."""
    short = _SCHEME.sub("", address, count=1)
    host, slash, path = short.partition("/")
    name = re.sub(r"/{2,}", "/", f"{host.lower() if slash or '.' in host else host}{slash}{path}").strip("/")
    if not name:
        return NO_SYSTEM
    if len(name) <= _MOST_LETTERS:
        return name
    digest = hashlib.sha256(address.encode("utf-8", "backslashreplace")).hexdigest()
    return f"{name[: _MOST_LETTERS - 13]}-{digest[:12]}"


_NAMES = (
    {_key(address): name for address, name in _MORE_NAMES.items()}
    | {f"{VOLVEN}.{number}": name for number, name in _VOLVEN_NAMES.items()}
    | {_key(address): one.name for one in SYSTEMS.values() for address in (one.oid, *one.urls) if address}
)
_IDENTIFIERS = {_key(address): name for address, name in IDENTIFIER_SYSTEMS.items()}
_NATIONAL = {
    _key(address): f"urn:oid:{oid}"
    for oid, name in IDENTIFIER_SYSTEMS.items()
    if oid.startswith("2.16.578.")
    for address, other in IDENTIFIER_SYSTEMS.items()
    if other == name
}
