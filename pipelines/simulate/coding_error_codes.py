"""Errors in how contacts are coded: sepsis twice, Z03 or U07 first, asterisk alone, codes out of date."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from pipelines.simulate.coding_error_record import Groups, Kind, Place, Record, add_procedure, icd10
from pipelines.simulate.coding_errors import Family

SEPSIS, FAILURE = "A419", "R651"
SEPSIS_CATEGORIES = ("A40", "A41")
OF_DEVICES = ("T814", "T802", "T827")
MICROBES = {
    "J13": ("A403", None),
    "N10": ("A415", "B962"),
    "K830": ("A415", "B961"),
    "L031": ("A400", "B950"),
}
"""Focus -> the sepsis code and the code of the organism that name the same organism as the focus does."""
OBSERVED = ("Z038", "Z035", "Z034")
"""Observation for suspected conditions: no main condition. **Source:** Avregningsutvalget 21/4753."""
DAGGERS = {"H360": "E113", "G632": "E114", "N083": "E112", "F009": "G309"}
RETIRED = {"NCMP//GAGX05": "NCMP//WBGM37", "NCRP//TNB0AT": "NCRP//TNX0YT", "NCRP//TNG0AT": "NCRP//TNX0YT"}
"""Codes until the end of 2024, and what replaced them. **Source:** Helsedirektoratet, 11 June 2024."""
RETIRED_FROM, BORN = datetime(2025, 1, 1), datetime(2025, 1, 1)
BORN_CODE, BEFORE_IT = "K6380", "K912"
FIBRINOLYTIC = "B01AD02"
VISITS = "POL"


@dataclass(frozen=True)
class Coded:
    """A contact as it may be miscoded.

    Attributes:
        contact_id, patient_id: as in the extract.
        start, end: when.
        is_septic: whether the patient had sepsis.
    """

    contact_id: int
    patient_id: int
    start: datetime
    end: datetime
    is_septic: bool = False


Edit = Callable[[Record, Coded, int, np.random.Generator], list[Place]]
"""Codes a contact anew, by the number of the kind of error or look-alike; returns where the truth points."""


def tell(record: Record, family: Family, coded: Coded, places: Sequence[Place], *, is_error: bool) -> None:
    """Write a case into the truth, and keep its contact from other families."""
    kind: Kind = "planted" if is_error else "look_alike"
    record.used[coded.contact_id] = family
    if not is_error:
        places = [replace(place, right_code=place.code) for place in places]
    record.tell(family, kind, list(places))


def _at(coded: Coded, code: str, right: str | None, group: int, number: int) -> Place:
    return Place(
        coded.contact_id, coded.patient_id, icd10(code), right and icd10(right), group + 1, number + 1
    )


def _main(groups: Groups) -> str:
    return groups[0][0]


def _without_sepsis(groups: Groups) -> Groups:
    """Condition groups without what says sepsis, with or without organ failure."""
    kept = [
        [code for code in group if code[:3] not in SEPSIS_CATEGORIES and code not in ("R651", "R572", "B377")]
        for group in groups
    ]
    return [group for group in kept if group]


def double_sepsis_error(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """Sepsis with unknown focus beside its known focus: first, or second with organ failure as well."""
    groups = record.groups[coded.contact_id] = _without_sepsis(record.groups[coded.contact_id])
    right = FAILURE if coded.is_septic else None
    if variant % 2 == 0:
        groups.insert(0, [SEPSIS])
        return [_at(coded, SEPSIS, right, 0, 0)]
    groups.insert(1, [SEPSIS])
    groups.append([FAILURE])
    return [_at(coded, SEPSIS, None, 1, 0)]


def double_sepsis_look_alike(
    record: Record, coded: Coded, variant: int, rng: np.random.Generator
) -> list[Place]:
    """A known focus with organ failure; sepsis and focus of one organism; sepsis of a device or wound."""
    groups = record.groups[coded.contact_id] = _without_sepsis(record.groups[coded.contact_id])
    if variant % 3 == 0:
        groups.append([FAILURE])
        return [_at(coded, FAILURE, FAILURE, len(groups) - 1, 0)]
    if variant % 3 == 1:
        focus = list(MICROBES)[int(rng.integers(len(MICROBES)))]
        sepsis, organism = MICROBES[focus]
        groups[0] = [focus, *([organism] if organism else [])]
    else:
        groups[0], sepsis = [OF_DEVICES[int(rng.integers(len(OF_DEVICES)))]], SEPSIS
    groups.insert(1, [sepsis])
    return [_at(coded, sepsis, sepsis, 1, 0)]


def observed_error(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """Observation, or a state after the virus, as the main condition in place of the symptom."""
    groups = record.groups[coded.contact_id]
    right = _main(groups)
    wrong = "U099" if variant % 5 == 4 else OBSERVED[variant % len(OBSERVED)]
    groups[0] = [wrong]
    return [_at(coded, wrong, right, 0, 0)]


def observed_look_alike(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """The symptom first and the observation beside it; a feared complaint in a person without a diagnosis."""
    groups = record.groups[coded.contact_id]
    if variant % 3 == 2:
        groups[0] = ["Z711"]
        return [_at(coded, "Z711", "Z711", 0, 0)]
    beside = "U099" if variant % 5 == 4 else OBSERVED[variant % len(OBSERVED)]
    groups.insert(1, [beside])
    return [_at(coded, beside, beside, 1, 0)]


def virus_error(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """The code of the virus first, before the pneumonia that it caused."""
    record.groups[coded.contact_id][0] = ["U071", "J128"]
    return [_at(coded, "U071", "J128", 0, 0)]


def virus_look_alike(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """Viral pneumonia first, the code of the virus after it in its group."""
    record.groups[coded.contact_id][0] = ["J128", "U071"]
    return [_at(coded, "U071", "U071", 0, 1)]


def asterisk_error(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """A manifestation without what it is a manifestation of."""
    groups = record.groups[coded.contact_id]
    group = _with_asterisk(groups, variant)
    star = groups[group][-1]
    dagger = DAGGERS[star]
    groups[group] = [star]
    return [_at(coded, star, dagger, group, 0)]


def asterisk_look_alike(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """A manifestation after its cause, in one group."""
    groups = record.groups[coded.contact_id]
    group = _with_asterisk(groups, variant)
    star = groups[group][-1]
    return [_at(coded, star, star, group, len(groups[group]) - 1)]


def _with_asterisk(groups: Groups, variant: int) -> int:
    """The group with a dagger and asterisk pair; one of diabetes or dementia becomes such a pair."""
    for number, group in enumerate(groups):
        if group[-1] in DAGGERS:
            return number
    for number, group in enumerate(groups):
        if group[0][:3] == "E11":
            star = ("H360", "G632", "N083")[variant % 3]
            groups[number] = [DAGGERS[star], star]
            return number
    number = next(number for number, group in enumerate(groups) if group[0] in ("G309", "F03"))
    groups[number] = ["G309", "F009"]
    return number


def can_have_asterisk(groups: Groups) -> bool:
    """Whether a contact's coding holds a pair, or what may become one."""
    return any(
        group[-1] in DAGGERS or group[0][:3] == "E11" or group[0] in ("G309", "F03") for group in groups
    )


def retired_error(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """A code after its last year, or before its first."""
    when = _middle(coded)
    if coded.end < BORN:
        return _add_code(record, coded, BORN_CODE, BEFORE_IT)
    if coded.start < RETIRED_FROM:
        return []
    code = list(RETIRED)[variant % len(RETIRED)]
    add_procedure(record, coded.contact_id, coded.patient_id, code, when)
    return [Place(coded.contact_id, coded.patient_id, code, RETIRED[code])]


def retired_look_alike(record: Record, coded: Coded, variant: int, rng: np.random.Generator) -> list[Place]:
    """The same code in its years, also on a day of them in a stay that ends after; or what replaced it."""
    code = list(RETIRED)[variant % len(RETIRED)]
    if coded.start < RETIRED_FROM:
        when = _middle(coded) if coded.end < RETIRED_FROM else coded.start
        add_procedure(record, coded.contact_id, coded.patient_id, code, when)
        return [Place(coded.contact_id, coded.patient_id, code, code)]
    if variant % 3 == 2:
        return _add_code(record, coded, BORN_CODE, BORN_CODE)
    replacement = RETIRED[code]
    when = _middle(coded)
    add_procedure(record, coded.contact_id, coded.patient_id, replacement, when)
    if replacement == "NCMP//WBGM37":
        record.add(
            "drugs",
            {
                "kontakt_id": coded.contact_id,
                "patient_id": coded.patient_id,
                "atc": FIBRINOLYTIC,
                "given_time": when,
                "dose": 10.0,
                "dose_unit": "mg",
            },
        )
    return [Place(coded.contact_id, coded.patient_id, replacement, replacement)]


def _add_code(record: Record, coded: Coded, code: str, right: str) -> list[Place]:
    groups = record.groups[coded.contact_id]
    groups.append([code])
    return [_at(coded, code, right, len(groups) - 1, 0)]


def _middle(coded: Coded) -> datetime:
    middle = coded.start + (coded.end - coded.start) / 2
    return middle.replace(second=0, microsecond=0)


EDITS: dict[str, tuple[Edit, Edit]] = {
    "double_sepsis": (double_sepsis_error, double_sepsis_look_alike),
    "observed": (observed_error, observed_look_alike),
    "virus": (virus_error, virus_look_alike),
    "asterisk_alone": (asterisk_error, asterisk_look_alike),
    "retired_code": (retired_error, retired_look_alike),
}
"""What makes an error and what makes a look-alike; Z03 and U07 as main conditions are two of one family."""
