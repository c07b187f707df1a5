"""How stays are coded: what a coder makes of what the patient had, with the known weaknesses of coding.

Groups are numbered as NPR's Tilstand (tilstNr, 1 = main condition), codes inside a group as Kode (kodeNr).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.simulate.course import Course
from pipelines.simulate.cultures import NAMES_OF_ORGANISMS, ORGANISMS
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.reasons import IS_INFECTION, NAMES, REASONS

CHRONIC_CODES: dict[str, tuple[tuple[str, ...], ...]] = {
    "diabetes": (("E11.9",), ("E11.2", "N08.3")),
    "copd": (("J44.9",), ("J44.9",)),
    "heart_failure": (("I50.9",), ("I50.9",)),
    "ckd": (("N18.3",), ("N18.4",)),
    "dementia": (("F03",), ("G30.9", "F00.9")),
    "immunosuppression": (("M05.9",), ("D84.9",)),
    "liver": (("K74.6",), ("K70.3",)),
}
"""Disease -> the codes of its milder and its worse form; a second code joins the first one's group."""
WORSE_FROM = 1.5
CANCERS_OF_WOMEN, CANCERS_OF_MEN = ("C50.9", "C18.9", "C34.9", "C50.9"), ("C61", "C18.9", "C34.9", "C61")
BLOOD_CANCERS = ("C83.3", "C90.0", "C91.1")
BACKGROUND = (
    ("I10", 0.35),
    ("I48.9", 0.16),
    ("I25.1", 0.14),
    ("E78.0", 0.08),
    ("I69.4", 0.06),
    ("Z96.6", 0.06),
)
ORGAN_FAILURES = ("N17.9", "J96.0", "D69.6", "F05.9", "I95.9", "E87.2")
ORGAN_FAILURE_CODED, SHOCK_FORCE, ORGANISM_CODED = 0.45, 1.5, 0.4
CLEAR_ORGANISM = 0.7
"""Share of explicit A40/A41 coding that names the organism where a culture has shown it (our assumption)."""
FOCUS_OF_LATE = ("N39.0", "J18.9", "T81.4", "T80.2")


@dataclass(frozen=True)
class Codes:
    """One row a coded diagnosis, ordered by stay, group and code."""

    stay: np.ndarray
    group_no: np.ndarray
    code_no: np.ndarray
    code: np.ndarray


@dataclass(frozen=True)
class CodingRates:
    """The coding parameters that hold for each stay, (n_stays,) each; see `scenario.Coding`."""

    sepsis_sensitivity: np.ndarray
    sepsis_ppv: np.ndarray
    known_focus_share: np.ndarray
    unknown_focus_share: np.ndarray
    other_condition_share: np.ndarray


def main_codes(course: Course, is_haematological: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The true main code of every stay, drawn from its reason, (n_stays,) str."""
    chosen = np.empty(len(course.stays.person), dtype="<U6")
    uniform = rng.random(len(chosen))
    for index, reason in enumerate(REASONS):
        mask = course.stays.reason == index
        limits = np.cumsum(list(reason.codes.values()))
        chosen[mask] = np.array(list(reason.codes))[np.searchsorted(limits / limits[-1], uniform[mask])]
    blood = (course.stays.reason == NAMES.index("cancer_complication")) & is_haematological
    chosen[blood] = np.array(BLOOD_CANCERS)[(uniform[blood] * len(BLOOD_CANCERS)).astype(int)]
    return chosen


@dataclass(frozen=True)
class Cases:
    """What a coder has before them; one row a stay.

    Attributes:
        course: the stays.
        main: true main code, (n_stays,) str.
        organism: what caused the sepsis, if any; index into NAMES_OF_ORGANISMS.
        is_grown: whether that grew in a blood culture.
        traits: fixed uniform draws of each stay's person, (n_stays, 8): who has which background condition.
        is_haematological: whether the person's cancer, if any, is of the blood.
        is_female: whether the person is a woman.
    """

    course: Course
    main: np.ndarray
    organism: np.ndarray
    is_grown: np.ndarray
    traits: np.ndarray
    is_haematological: np.ndarray
    is_female: np.ndarray


def code_stays(cases: Cases, rates: CodingRates, rng: np.random.Generator) -> Codes:
    """The coded diagnoses of all stays, as coding is done where and when each ended."""
    stays, force, main, n_stays = cases.course.stays, cases.course.force, cases.main, len(cases.main)
    septic = np.isfinite(stays.onset)
    late, infection = septic & (stays.onset > stays.admitted + 1.0), IS_INFECTION[stays.reason]
    explicit = septic & (rng.random(n_stays) < rates.sepsis_sensitivity)
    explicit |= _falsely_coded(cases.course, septic, rates, rng)
    style = rng.random(n_stays)
    with_focus = explicit & (style < rates.known_focus_share)
    without_focus = explicit & ~with_focus & (style < rates.known_focus_share + rates.unknown_focus_share)
    both = explicit & ~with_focus & ~without_focus
    sepsis = _sepsis_code(cases.organism, cases.is_grown & (rng.random(n_stays) < CLEAR_ORGANISM))
    focus = np.where(infection, main, np.array(FOCUS_OF_LATE)[rng.integers(0, 4, n_stays)])
    book = _Book(n_stays)
    book.add(np.ones(n_stays, dtype=bool), np.where(without_focus & ~late, sepsis, main))
    named = np.array([ORGANISMS[name][1] for name in NAMES_OF_ORGANISMS])[cases.organism]
    germ = cases.is_grown & infection & (named != "") & (rng.random(n_stays) < ORGANISM_CODED)
    book.add(germ & ~without_focus, named, is_new_group=False)
    book.add((with_focus | both) & (focus != main), focus)
    book.add((without_focus & late) | both, sepsis)
    book.add(with_focus | both, np.where((force > SHOCK_FORCE) & septic, "R57.2", "R65.1"))
    _add_organ_failures(book, cases.course, septic, rng)
    _add_chronic(book, cases, rates, rng)
    return book.close()


def _falsely_coded(
    course: Course, septic: np.ndarray, rates: CodingRates, rng: np.random.Generator
) -> np.ndarray:
    """Infections without sepsis coded as sepsis, so many that the positive predictive value is met."""
    candidates = IS_INFECTION[course.stays.reason] & ~septic
    weight = candidates * (1.0 + np.maximum(course.stays.level, 0.0))
    expected = septic * rates.sepsis_sensitivity * (1.0 / rates.sepsis_ppv - 1.0)
    _, habit = np.unique(np.stack([rates.sepsis_sensitivity, rates.sepsis_ppv]), axis=1, return_inverse=True)
    wanted, there = np.bincount(habit, expected), np.bincount(habit, weight)
    share = weight * (wanted / np.maximum(there, 1.0))[habit]
    return np.asarray(rng.random(len(septic)) < share)


def _sepsis_code(organism: np.ndarray, is_named: np.ndarray) -> np.ndarray:
    named = np.array([ORGANISMS[name][0] for name in NAMES_OF_ORGANISMS])[organism]
    return np.where(is_named, named, "A41.9")


def _add_organ_failures(book: _Book, course: Course, septic: np.ndarray, rng: np.random.Generator) -> None:
    """Acute organ failure as other conditions: often in sepsis, sometimes in other severe illness."""
    share = np.where(septic, ORGAN_FAILURE_CODED * np.minimum(course.force, 1.5) / 2.2, 0.0)
    share += 0.05 * np.maximum(course.stays.level, 0.0)
    for code in ORGAN_FAILURES:
        book.add(
            rng.random(len(share)) < share * (0.8 if code in {"N17.9", "J96.0"} else 0.3),
            np.full(len(share), code),
        )


def _add_chronic(book: _Book, cases: Cases, rates: CodingRates, rng: np.random.Generator) -> None:
    """Chronic conditions that the coder mentions, and the common background of old age."""
    course, main, n_stays = cases.course, cases.main, len(cases.main)
    for name, (milder, worse) in CHRONIC_CODES.items():
        severity = course.severity[:, DISEASES.index(name)]
        is_worse = severity > WORSE_FROM
        code = np.where(is_worse, worse[0], milder[0])
        coded = (severity > 0) & (rng.random(n_stays) < rates.other_condition_share) & (code != main)
        book.add(coded, code)
        if len(worse) > 1:
            book.add(coded & is_worse, np.full(n_stays, worse[1]), is_new_group=False)
    has_cancer = course.severity[:, DISEASES.index("cancer")] > 0
    code = cancer_codes(cases.traits[:, 6], cases.is_haematological, cases.is_female)
    book.add(has_cancer & (rng.random(n_stays) < rates.other_condition_share) & (code != main), code)
    for number, (background, share) in enumerate(BACKGROUND):
        has = cases.traits[:, number] < share * np.clip((course.age - 40.0) / 35.0, 0.1, 1.5)
        mentioned = has & (rng.random(n_stays) < rates.other_condition_share) & (main != background)
        book.add(mentioned, np.full(n_stays, background))


def cancer_codes(uniform: np.ndarray, is_haematological: np.ndarray, is_female: np.ndarray) -> np.ndarray:
    """The code of each person's cancer, by a fixed uniform draw, its kind and sex."""
    index = (uniform * len(CANCERS_OF_MEN)).astype(int)
    solid = np.where(is_female, np.array(CANCERS_OF_WOMEN)[index], np.array(CANCERS_OF_MEN)[index])
    blood = np.array(BLOOD_CANCERS)[(uniform * len(BLOOD_CANCERS)).astype(int)]
    return np.asarray(np.where(is_haematological, blood, solid))


class _Book:
    """Collects the codes of all stays, group by group, and numbers them."""

    def __init__(self, n_stays: int) -> None:
        self.groups = np.zeros(n_stays, dtype=np.int64)
        self.codes = np.zeros(n_stays, dtype=np.int64)
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, mask: np.ndarray, code: np.ndarray, *, is_new_group: bool = True) -> None:
        """Code some stays: in a new group, or as a further code of the stay's last group."""
        rows = np.flatnonzero(mask)
        if is_new_group:
            self.groups[rows] += 1
            self.codes[rows] = 0
        self.codes[rows] += 1
        self.parts.append((rows, self.groups[rows].copy(), self.codes[rows].copy(), code[rows].astype("<U6")))

    def close(self) -> Codes:
        """All codes, ordered by stay, group and code number."""
        stay, group, number, code = (
            np.concatenate([part[index] for part in self.parts]) for index in range(4)
        )
        order = np.lexsort((number, group, stay))
        return Codes(stay[order], group[order], number[order], code[order])
