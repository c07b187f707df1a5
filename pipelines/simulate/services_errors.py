"""Services with a family of errors of their own: what a case of it looks like, right, wrong and alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

import numpy as np

from pipelines.simulate.coding_error_record import Kind, Place, icd10
from pipelines.simulate.coding_errors import Family
from pipelines.simulate.scenario import Hospital
from pipelines.simulate.services import (
    ACUTE,
    INPATIENT,
    OUTPATIENT,
    PLANNED,
    TREATMENT,
    Planned,
    Services,
    Span,
    Where,
    hours,
    nights,
    visit,
)

Written = list[tuple[int, str | None, str | None, int | None, int | None]]
"""Of a case: number of the contact, code, right code, group and code number of each place that tells it."""


@dataclass(frozen=True)
class Case:
    """One case of a service: its contacts, and the places that the truth points at."""

    contacts: tuple[Planned, ...]
    places: Written


Maker = Callable[[np.random.Generator, int], Case]
"""Makes a case: `variant` counts through the kinds of errors or look-alikes that a service knows."""

SPINE = (
    ("M54.16", "M51.1", "NCSP//ABC16"),
    ("M54.16", "M48.06", "NCSP//ABC36"),
    ("M54.16", "M48.06", "NCSP//ABC56"),
    ("M54.12", "M50.1", "NCSP//ABC21"),
)
"""Radiculopathy, what was operated on, and the operation. **Source:** Avregningsutvalget 25/3262 (2024)."""
ENDOSCOPIC = ("NCSP//JKE12", "NCSP//JKE02", "NCSP//JKE18")
OPEN, LAPAROTOMY = "NCSP//JKE00", "NCSP//JAH00"
"""**Source:** Avregningsutvalget 25/3263 (2024)."""
SCREENING, TRAINING, ASSESSMENT = "NCMP//IAAJ00", "NCMP//IEAA20", "NCMP//IAAK00"
"""**Source:** Avregningsutvalget 25/3267 (2024)."""
OBSERVED_OUTSIDE, OTHER_CHILD_CODE = "NCMP//OADC00", "NCMP//IAAB00"
"""**Source:** Avregningsutvalget 25/3268 (2024)."""
BACKGROUND = ("I10", "E78.0", "J45.9")


def _others(rng: np.random.Generator) -> list[list[str]]:
    """Other conditions that say nothing about the case."""
    return [[code] for code in BACKGROUND if rng.random() < 0.2]


def spine_error(rng: np.random.Generator, variant: int) -> Case:
    """Spine surgery whose main condition is the radiculopathy."""
    wrong, right, operation = SPINE[variant % len(SPINE)]
    return Case(
        (_operated(rng, "NKIR", [[wrong], *_others(rng)], ((operation, hours(3)),)),),
        [(0, icd10(wrong), icd10(right), 1, 1)],
    )


def spine_look_alike(rng: np.random.Generator, variant: int) -> Case:
    """Radiculopathy without surgery; surgery with the right main condition, with the radiculopathy or not."""
    wrong, right, operation = SPINE[(variant // 3) % len(SPINE)]
    if variant % 3 == 0:
        return Case(
            (_operated(rng, "NKIR", [[wrong], *_others(rng)], ()),), [(0, icd10(wrong), icd10(wrong), 1, 1)]
        )
    groups = [[right], [wrong]] if variant % 3 == 1 else [[right]]
    stay = _operated(rng, "NKIR", [*groups, *_others(rng)], ((operation, hours(3)),))
    return Case((stay,), [(0, icd10(right), icd10(right), 1, 1)])


def ercp_error(rng: np.random.Generator, variant: int) -> Case:
    """The open code beside an endoscopic one on the same day, nothing opened."""
    done = ((ENDOSCOPIC[variant % 3], hours(4)), (OPEN, hours(4)))
    stay = _operated(rng, "GAS", [["K80.5"], *_others(rng)], done)
    return Case((stay,), [(0, OPEN, None, None, None)])


def ercp_look_alike(rng: np.random.Generator, variant: int) -> Case:
    """Converted to open surgery that day, or on a later day; open alone; endoscopic alone."""
    endoscopic = ENDOSCOPIC[(variant // 4) % 3]
    done: tuple[tuple[str, timedelta], ...]
    if variant % 4 == 0:
        done = ((endoscopic, hours(3)), (OPEN, hours(5)), (LAPAROTOMY, hours(5)))
    elif variant % 4 == 1:
        done = ((endoscopic, hours(3)), (OPEN, hours(76)), (LAPAROTOMY, hours(76)))
    elif variant % 4 == 2:
        done = ((OPEN, hours(4)), (LAPAROTOMY, hours(4)))
    else:
        done = ((endoscopic, hours(4)), (ENDOSCOPIC[(variant // 4 + 1) % 3], hours(4)))
    code = done[-1][0] if variant % 4 == 3 else OPEN
    stay = _operated(rng, "GAS", [["K80.5"], *_others(rng)], done, least_nights=4 if variant % 4 == 1 else 1)
    return Case((stay,), [(0, code, code, None, None)])


def assessed_error(rng: np.random.Generator, variant: int) -> Case:
    """A neuropsychological assessment whose whole code stands at two contacts."""
    n_contacts = 3 + variant % 2
    early = int(rng.integers(1, n_contacts - 1)) if n_contacts > 3 else 1
    contacts = _series(rng, 0, n_contacts, {early, n_contacts - 1})
    return Case(
        contacts, [(early, ASSESSMENT, SCREENING, None, None), (n_contacts - 1, None, None, None, None)]
    )


def assessed_look_alike(rng: np.random.Generator, variant: int) -> Case:
    """The whole code once, when it is finished; or twice, in two assessments that lie far apart."""
    n_contacts = 3 + variant % 2
    first = _series(rng, 0, n_contacts, {n_contacts - 1})
    if variant % 3:
        return Case(first, [(n_contacts - 1, ASSESSMENT, ASSESSMENT, None, None)])
    second = _series(rng, int(rng.integers(320, 400)), 3, {2})
    places: Written = [
        (number, ASSESSMENT, ASSESSMENT, None, None) for number in (n_contacts - 1, n_contacts + 2)
    ]
    return Case((*first, *second), places)


def split_error(rng: np.random.Generator, variant: int) -> Case:
    """A planned stay cut in two, with a night at home between."""
    pause = float(rng.uniform(12.0, 22.0))
    stays = _two_stays(rng, pause, second_main="M05.9", urgency=PLANNED)
    return Case(stays, [(1, icd10("M05.9"), None, 1, 1), (0, icd10("M05.9"), icd10("M05.9"), 1, 1)])


def split_look_alike(rng: np.random.Generator, variant: int) -> Case:
    """Soon after a stay another that is acute, or for something else; or a planned one weeks later."""
    pause = float(rng.uniform(12.0, 22.0))
    if variant % 3 == 0:
        stays = _two_stays(rng, pause, second_main="M05.9", urgency=ACUTE)
    elif variant % 3 == 1:
        stays = _two_stays(rng, pause, second_main="H25.9", urgency=PLANNED, second_unit="OYE")
    else:
        stays = _two_stays(rng, float(rng.uniform(14, 42)) * 24.0, second_main="M05.9", urgency=PLANNED)
    code = icd10(stays[1].groups[0][0])
    return Case(stays, [(1, code, code, 1, 1), (0, icd10("M05.9"), icd10("M05.9"), 1, 1)])


def leave_error(rng: np.random.Generator, variant: int) -> Case:
    """A stay of one to three nights, all of them on leave."""
    n_nights = 1 + variant % 3
    return Case((_rehabilitation(rng, n_nights, n_nights),), [(0, "NPR//leave_days", None, None, None)])


def leave_look_alike(rng: np.random.Generator, variant: int) -> Case:
    """A week with a weekend at home; a short stay without leave, or with one night of it."""
    if variant % 3 == 0:
        stay = _rehabilitation(rng, int(rng.integers(5, 12)), 1 + variant % 2)
    elif variant % 3 == 1:
        stay = _rehabilitation(rng, 1 + (variant // 3) % 3, 0)
    else:
        stay = _rehabilitation(rng, 3, 1)
    return Case((stay,), [(0, "NPR//leave_days", "NPR//leave_days", None, None)])


def _operated(
    rng: np.random.Generator,
    unit: str,
    groups: list[list[str]],
    procedures: tuple[tuple[str, timedelta], ...],
    *,
    least_nights: int = 1,
) -> Planned:
    span = nights(
        0,
        7.0 + float(rng.uniform(0, 1.0)),
        least_nights + int(rng.integers(0, 3)),
        float(rng.uniform(10, 15)),
    )
    return Planned(span, unit, INPATIENT, groups, procedures)


def _series(
    rng: np.random.Generator, first_day: int, n_contacts: int, whole: set[int]
) -> tuple[Planned, ...]:
    """Contacts a fortnight or so apart; those in `whole` have the code of the whole assessment."""
    contacts, day = [], first_day
    for number in range(n_contacts):
        codes = (ASSESSMENT,) if number in whole else ((SCREENING, TRAINING) if number % 2 else (SCREENING,))
        span = visit(day, 9.0 + float(rng.uniform(0, 3)), 2.0)
        contacts.append(
            Planned(
                span,
                "NPSY",
                OUTPATIENT,
                [["F06.7"]],
                tuple((code, hours(0.5)) for code in codes),
                (("stedAktivitet", 1), ("kontaktType", TREATMENT)),
            )
        )
        day += int(rng.integers(7, 21))
    return tuple(contacts)


def _two_stays(
    rng: np.random.Generator, pause_hours: float, *, second_main: str, urgency: int, second_unit: str = "REV"
) -> tuple[Planned, ...]:
    first = nights(0, 8.5, 1 + int(rng.integers(0, 2)), 14.0 + float(rng.uniform(0, 2)))
    begin = first.end + hours(pause_hours)
    end = timedelta(days=begin.days + 1 + int(rng.integers(0, 2))) + hours(14.0)
    return (
        Planned(first, "REV", INPATIENT, [["M05.9"], *_others(rng)]),
        Planned(Span(begin, end), second_unit, INPATIENT, [[second_main]], urgency=urgency),
    )


def _rehabilitation(rng: np.random.Generator, n_nights: int, leave_days: int) -> Planned:
    span = nights(0, 9.0 + float(rng.uniform(0, 1)), n_nights, 14.0)
    return Planned(
        span, "REH", INPATIENT, [["Z50.9"], *_others(rng)], facts=(("permisjonsdogn", leave_days),)
    )


MAKERS: dict[Family, tuple[Maker, Maker]] = {
    "main_swap": (spine_error, spine_look_alike),
    "open_endoscopic": (ercp_error, ercp_look_alike),
    "once_only": (assessed_error, assessed_look_alike),
    "stay_splitting": (split_error, split_look_alike),
    "leave_equals_stay": (leave_error, leave_look_alike),
}
"""Family -> what makes an error and what makes a look-alike."""


def add_case(
    services: Services,
    family: Family,
    variant: int,
    where: Where,
    *,
    is_error: bool,
    is_broken: bool,
) -> bool:
    """Write one case of a service, with its truth; false where no patient was free for it.

    Args:
        services: what is written to.
        family: which.
        variant: the number of the kind of case.
        where: in which hospitals and days.
        is_error: what the truth says.
        is_broken: whether the case is coded as an error is.
    """
    case = MAKERS[family][0 if is_broken else 1](services.rng, variant)
    found = services.calendar.find(family, [planned.span for planned in case.contacts], where, services.rng)
    if found is None:
        return False
    patient, day = found
    ids = services.write(patient, services.calendar.hospital[patient], day, case.contacts)
    tell(services, family, patient, ids, case.places, is_error=is_error)
    return True


def add_child_case(
    services: Services,
    variant: int,
    home: Hospital,
    where: Where,
    *,
    is_error: bool,
    is_broken: bool,
) -> None:
    """Write an observation of a child: wrong where it is said to be inside the institution."""
    rng = services.rng
    n_days = max((where.until - where.first).days - 1, 1)
    day = datetime.combine(where.first, time()) + timedelta(days=int(rng.integers(n_days)))
    birth = (day - timedelta(days=float(rng.uniform(2.0, 15.0)) * 365.25)).date()
    child = services.child(home.hospital_id, home.municipalities, birth, is_girl=bool(rng.random() < 0.4))
    place, code = (1, OBSERVED_OUTSIDE) if is_broken else _child_look_alike(variant)
    contact = Planned(
        visit(0, 9.0 + float(rng.uniform(0, 4)), 1.5),
        "BARN",
        OUTPATIENT,
        [["F98.9"]],
        ((code, hours(0.2)),),
        (("stedAktivitet", place), ("kontaktType", TREATMENT)),
    )
    ids = services.write(child, home.hospital_id, day, [contact])
    right = None if is_error else code
    tell(services, "place_default", child, ids, [(0, code, right, None, None)], is_error=is_error)


def _child_look_alike(variant: int) -> tuple[int, str]:
    """Observed outside, or something else inside."""
    return (1, OTHER_CHILD_CODE) if variant % 3 == 2 else ((2, 4, 5)[(variant // 3) % 3], OBSERVED_OUTSIDE)


def tell(
    services: Services,
    family: Family,
    patient: int,
    contact_ids: Sequence[int],
    places: Written,
    *,
    is_error: bool,
) -> None:
    """Write a case into the truth, and keep its contacts from other families."""
    kind: Kind = "planted" if is_error else "look_alike"
    if not is_error:
        places = [(number, code, code, *rest) for number, code, _, *rest in places]  # type: ignore[misc]
    services.record.used.update(dict.fromkeys(contact_ids, family))
    services.record.tell(
        family,
        kind,
        [Place(contact_ids[number], patient, *rest) for number, *rest in places],  # type: ignore[arg-type]
    )
