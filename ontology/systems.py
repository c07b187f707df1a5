"""The code systems by name, and how the codes of each are written: dots, case, what stands above by form."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ontology.code_forms import (
    ByLength,
    ByLetters,
    Form,
    Spelling,
    letters_then_number,
    lower_tail,
    stops,
    upper,
)

VOLVEN = "2.16.578.1.12.4.1.1"


@dataclass(frozen=True)
class System:
    """One code system.

    Attributes:
        name: as it stands before `//`.
        title: its name in words.
        language: of its labels, where it has one.
        oid: its object identifier, empty where it has none.
        urls: canonical addresses by which FHIR names it.
        placed_under: the system whose concepts of the same code stand above its own.
        forms: how its codes look and what stands above them by form; the first that fits counts.
        spelling: how letters are written; None = codes are not respelled.
        drops_letters: whether letters behind a whole code are a hospital's own and may be dropped.
        whole_digits: to how many digits a number before the dot, or one too short to be a code, is filled
            with zeros in front: tables that took codes for numbers lost them (38.9 is 038.9).
    """

    name: str
    title: str
    language: str = "en"
    oid: str = ""
    urls: tuple[str, ...] = ()
    placed_under: str | None = None
    forms: tuple[Form, ...] = ()
    spelling: Spelling | None = upper
    drops_letters: bool = False
    whole_digits: int = 0


_ICD_LEVEL = ByLength({3: "category"}, "subcategory")
_ICD10 = (Form(r"[A-Z]\d[\dA-Z][\dA-Z]{0,4}", stops(3, 4, 5, 6, 7), 3, _ICD_LEVEL),)
_ICD10_NO = (Form(r"[A-Z]\d[\dnst][\da-z]{0,3}", stops(3, 4, 5, 6), 3, _ICD_LEVEL),)
_ICD9CM = (
    Form(r"\d{3,5}", stops(3, 4, 5), 3, _ICD_LEVEL),
    Form(r"V\d{2,4}", stops(3, 4, 5), 3, _ICD_LEVEL),
    Form(r"E\d{3,4}", stops(4, 5), 4, ByLength({4: "category"}, "subcategory")),
)
_ICD9PCS = (Form(r"\d{2,4}", stops(2, 3, 4), 2, ByLength({2: "category"}, "subcategory")),)
_ICPC2 = (
    Form(r"[A-Z-](\d\d\d{0,5})?", stops(1, 3, 4, 7, 8), None, ByLength({1: "chapter", 3: "rubric"}, "local")),
)
_ATC_LEVELS = {
    1: "main_group",
    3: "therapeutic_subgroup",
    4: "pharmacological_subgroup",
    5: "chemical_subgroup",
}
_ATC = (
    Form(
        r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?",
        stops(1, 3, 4, 5, 7),
        None,
        ByLength(_ATC_LEVELS, "substance"),
    ),
)
_PROCEDURE = (Form(r"[A-Z]{1,4}(\d[\dA-Z]{1,2})?", letters_then_number, None, ByLetters()),)
_ICD11 = (
    Form(
        r"[\dA-Z][A-HJ-NP-Z]\d[\dA-Z][\dA-Z]{0,2}",
        stops(4, 5, 6),
        4,
        ByLength({4: "category"}, "subcategory"),
    ),
)
_NLK = (Form(r"(NPU|NOR)\d{5}", stops(8), None, ByLength({}, "analysis")),)

SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        System(
            "ICD10",
            "ICD-10, WHO",
            oid="2.16.840.1.113883.6.3",
            urls=("http://hl7.org/fhir/sid/icd-10",),
            forms=_ICD10,
            drops_letters=True,
        ),
        System(
            "ICD10-NO",
            "ICD-10, Norwegian edition",
            "nb",
            oid=f"{VOLVEN}.7110",
            urls=("http://hl7.org/fhir/sid/icd-10-no",),
            placed_under="ICD10",
            forms=_ICD10_NO,
            spelling=lower_tail,
            drops_letters=True,
        ),
        System(
            "ICD10CM",
            "ICD-10-CM, United States",
            oid="2.16.840.1.113883.6.90",
            urls=("http://hl7.org/fhir/sid/icd-10-cm",),
            placed_under="ICD10",
            forms=_ICD10,
        ),
        System(
            "ICD9CM",
            "ICD-9-CM diagnoses, United States",
            oid="2.16.840.1.113883.6.103",
            urls=("http://hl7.org/fhir/sid/icd-9-cm", "http://terminology.hl7.org/CodeSystem/icd9cm"),
            forms=_ICD9CM,
            whole_digits=3,
        ),
        System(
            "ICD9PCS",
            "ICD-9-CM procedures, United States",
            oid="2.16.840.1.113883.6.104",
            forms=_ICD9PCS,
            whole_digits=2,
        ),
        System(
            "ICPC2",
            "ICPC-2",
            "nb",
            oid=f"{VOLVEN}.7170",
            urls=("http://hl7.org/fhir/sid/icpc-2",),
            forms=_ICPC2,
        ),
        System("NCSP", "NCSP, surgery", "nb", f"{VOLVEN}.7210", forms=_PROCEDURE, drops_letters=True),
        System("NCMP", "NCMP, medical procedures", "nb", f"{VOLVEN}.7220", forms=_PROCEDURE),
        System(
            "NCRP",
            "NCRP, radiology",
            "nb",
            f"{VOLVEN}.7270",
            ("http://helsedir.no/fhir/CodeSystem/no-kodeverk-7270-ncrp",),
            forms=_PROCEDURE,
        ),
        System("ATC", "ATC", "en", f"{VOLVEN}.7180", ("http://www.whocc.no/atc",), forms=_ATC),
        System(
            "NLK",
            "Norwegian laboratory code system (NPU)",
            "nb",
            f"{VOLVEN}.7280",
            ("http://helsedir.no/fhir/CodeSystem/no-kodeverk-7280-nlk",),
            forms=_NLK,
        ),
        System(
            "LOINC",
            "LOINC",
            oid="2.16.840.1.113883.6.1",
            urls=("http://loinc.org",),
        ),
        System(
            "SCT",
            "SNOMED CT",
            oid="2.16.840.1.113883.6.96",
            urls=("http://snomed.info/sct",),
        ),
        System(
            "ICD11",
            "ICD-11 for mortality and morbidity statistics",
            urls=("http://id.who.int/icd/release/11/mms",),
            forms=_ICD11,
        ),
        System("CIIO", "Catheter infection indications ontology", spelling=None),
        System("AAENOTE", "Annotations of adverse event notes", spelling=None),
    )
}
"""**Source:** identifiers as published by Direktoratet for e-helse (Volven 7010-7305), HL7 terminology and
the Norwegian base profiles; forms from the systems' own manuals (ICD-10 volume 2, section 2.4; ICD-9-CM
official guidelines, section I.A; WHO Collaborating Centre, Guidelines for ATC classification, chapter I;
NOMESCO Classification of Surgical Procedures, introduction)."""


ALIASES: Mapping[str, str] = {
    "DIAGNOSIS//ICD//9": "ICD9CM",
    "DIAGNOSIS//ICD//10": "ICD10CM",
    "PROCEDURE//ICD//9": "ICD9PCS",
    "PROCEDURE//ICD//10": "ICD10PCS",
}
"""Systems as MEDS extracts of MIMIC-IV name them before their codes: DIAGNOSIS//ICD//10//A419."""


def parts(concept: str) -> tuple[str, str]:
    """System and code of `SYSTEM//code`, or of one of ALIASES; the system is empty where there is no `//`."""
    system, slashes, code = concept.partition("//")
    if code.startswith("ICD//"):
        edition, _, bare = code.removeprefix("ICD//").partition("//")
        named = ALIASES.get(f"{system}//ICD//{edition}")
        if named and bare:
            return named, bare
    return (system, code) if slashes else ("", concept)


def by_system(concept: str) -> str:
    """A code with its system's own name before it: DIAGNOSIS//ICD//10//A419 -> ICD10CM//A419."""
    system, code = parts(concept)
    return f"{system}//{code}" if system else concept


def compact(code: str) -> str:
    """A code without what hospitals vary in: dots, spaces, case, and marks behind it (dagger, asterisk)."""
    return code.upper() if code.isalnum() else _FILLING.sub("", code).upper().rstrip(_MARKS)


def spelled(system: str, code: str) -> str:
    """A code as its system writes it: `a419 ` -> `A41.9`; unchanged where the system is not known.

    Args:
        system: a name of SYSTEMS.
        code: the code as sent.
    """
    return reading(system, code).written


def without_letters(system: str, code: str) -> str | None:
    """The code without the letters that a hospital put behind it: `A41.9V` -> `A41.9`.

    Returns:
        The shorter code as its system writes it; None where there are no such letters, or where letters at
        the end are the system's own.
    """
    known = SYSTEMS.get(system)
    if known is None or not known.drops_letters or not code.rstrip(_END)[-1:].isalpha():
        return None
    shorter = compact(code).rstrip(string.ascii_uppercase)
    return spelled(system, shorter) if shorter else None


def above_by_form(system: str, code: str) -> tuple[str, ...]:
    """What stands above a code by its form alone, nearest first: A41.90 -> A41.9, A41.

    Args:
        system: a name of SYSTEMS.
        code: as sent or as the system writes it.

    Returns:
        Codes as the system writes them; none where the system or the form is not known.
    """
    return reading(system, code).above


def level_by_form(system: str, code: str) -> str | None:
    """The level of a code by its form alone: category for A41, substance for J01CF05; None without a form."""
    return reading(system, code).level


def levels_by_form(system: str) -> frozenset[str]:
    """All levels that codes of a system have by form; none where it has no forms."""
    known = SYSTEMS.get(system)
    return frozenset(name for form in known.forms for name in form.level.all) if known else frozenset()


def has_own_groups(system: str) -> bool:
    """Whether what stands above a code by form is a concept even where no list names it.

    It is not in an edition that is placed under another system: that one's concepts stand there.
    """
    known = SYSTEMS.get(system)
    return known is not None and known.placed_under is None and bool(known.forms)


class Reading(NamedTuple):
    """What the form of a code tells of it.

    Attributes:
        written: the code as its system writes it; as sent where the system is not known.
        above: what stands above it by form, nearest first.
        level: its level, None where it has no form of the system.
    """

    written: str
    above: tuple[str, ...] = ()
    level: str | None = None


@lru_cache(maxsize=100_000)
def reading(system: str, code: str) -> Reading:
    """What the form of a code tells of it; an unknown system tells nothing."""
    known = SYSTEMS.get(system)
    if known is None or known.spelling is None:
        return Reading(code)
    bare = known.spelling(compact(_filled(known, code) if known.whole_digits else code))
    form = _form(known, bare)
    if form is None and "-" in bare:
        joined = known.spelling(bare.replace("-", ""))
        form = None if _form(known, bare.split("-")[0]) else _form(known, joined)
        bare = joined if form else bare
    if form is None:
        return Reading(bare)
    return Reading(form.dotted(bare), form.above(bare), form.level(bare))


def _filled(system: System, code: str) -> str:
    """The code with the zeros that its number lost in front."""
    whole, dot, rest = code.strip().partition(".")
    if whole.isascii() and whole.isdecimal() and (dot or len(whole) < system.whole_digits):
        return f"{whole.zfill(system.whole_digits)}{dot}{rest}"
    return code


def _form(system: System, bare: str) -> Form | None:
    for form in system.forms:
        if form.fits(bare):
            return form
    return None


_MARKS = "*+†‡#!"
_END = _MARKS + string.whitespace
_FILLING = re.compile(r"[\s.\u00ad\u200b\ufeff]+")
"""Dots, spaces, and the signs that cannot be seen: soft hyphen, zero-width space, byte order mark."""
