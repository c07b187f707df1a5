"""Other conditions dropped though the record shows them, added though absent, or left out honestly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from pipelines.simulate import coding_error_kidney as kidney
from pipelines.simulate.coding import Cases
from pipelines.simulate.coding_error_record import Kind, Place, Record, icd10
from pipelines.simulate.coding_error_stays import possible_codes
from pipelines.simulate.disease import DISEASES
from pipelines.simulate.drugs import CHRONIC, Drug

CLEAR_OF = ("dropped_secondary", "added_secondary", "double_sepsis")
"""Families whose contacts are no look-alikes of other conditions; the rest leave those as they are."""
GIVEN_SHARE = 0.8
"""Of the look-alikes of dropped conditions, to whom a drug of the condition is given for another reason."""
N_COMPARED = 40
"""Among how many stays drawn the most similar one is taken for a look-alike."""


@dataclass
class Conditions:
    """What patients truly had, and what the record shows of it.

    Attributes:
        cases: the stays, for the codes that their patients would have.
        stays: rows of `coding_error_stays.coded_stays` by number of the stay.
        true: stay -> condition -> condition group, dotless.
        plantable: (stay, condition) of those that may be dropped: chronic diseases and kidney injury.
        traces: (stay, condition) -> how many of two traces it has: its drugs in the stay, its code before it.
    """

    cases: Cases
    stays: dict[int, dict[str, Any]]
    true: dict[int, dict[str, list[str]]] = field(default_factory=dict)
    plantable: set[tuple[int, str]] = field(default_factory=set)
    traces: dict[tuple[int, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, cases: Cases, stays: pl.DataFrame, true: pl.DataFrame, shown: pl.DataFrame) -> Conditions:
        """From frames of `coding_error_stays`."""
        rows = {int(row["stay"]): row for row in stays.iter_rows(named=True)}
        made = cls(cases, rows, {stay: {} for stay in rows})
        for stay, condition, codes, is_plantable in true.select(
            "stay", "condition", "codes", "is_plantable"
        ).iter_rows():
            if stay in made.true:
                made.true[stay][condition] = codes
                if is_plantable:
                    made.plantable.add((stay, condition))
        for stay, condition in shown.select("stay", "condition").iter_rows():
            made.traces[stay, condition] = made.traces.get((stay, condition), 0) + 1
        return made

    def contact(self, stay: int) -> int:
        """The contact where a stay is coded."""
        return int(self.stays[stay]["contact_id"])

    def patient(self, stay: int) -> int:
        """The patient of a stay."""
        return int(self.stays[stay]["patient_id"])


def leave_out_honestly(
    record: Record, conditions: Conditions, share: float, rng: np.random.Generator
) -> None:
    """Drop a share of the true other conditions, whatever the hospital, year and disease."""
    for stay, true in conditions.true.items():
        groups = record.groups.get(conditions.contact(stay), [])
        for codes in true.values():
            if rng.random() < share and codes in groups[1:]:
                groups.remove(codes)


def tell_honest(record: Record, conditions: Conditions) -> None:
    """Write every true condition that is not coded, and was not dropped by planting, into the truth."""
    planted = {
        (place.contact_id, (place.right_code or "")[:12])
        for _, family, kind, place in record.places
        if family == "dropped_secondary" and kind == "planted"
    }
    for stay, true in conditions.true.items():
        contact = conditions.contact(stay)
        coded = {code[:3] for group in record.groups.get(contact, []) for code in group}
        for codes in true.values():
            right = icd10(codes[0])
            if codes[0][:3] not in coded and (contact, right[:12]) not in planted:
                place = Place(contact, conditions.patient(stay), None, right)
                record.tell("dropped_secondary", "honest", [place])


@dataclass
class Secondary:
    """Plants dropped and added other conditions.

    Attributes:
        record: where.
        conditions: what patients truly had.
        rng: the source of chance.
    """

    record: Record
    conditions: Conditions
    rng: np.random.Generator

    def __post_init__(self) -> None:
        """What is given already."""
        self.given = set(self.record.tables["drugs"].select("kontakt_id", "atc").iter_rows())

    def drop(self, stays: Sequence[int], n_errors: int, n_alike: int) -> None:
        """Drop conditions that the record shows; look-alikes are similar stays without them.

        To most look-alikes a drug of the condition is given, for another reason.
        """
        untouched = [stay for stay in stays if self.conditions.contact(stay) not in self.record.used]
        able = [(stay, self._coded(stay, (1, 2))) for stay in untouched]
        able = [(stay, names) for stay, names in able if names]
        chosen = [able[int(row)] for row in self.rng.permutation(len(able))[:n_errors]]
        dropped: list[tuple[int, str]] = []
        for stay, names in chosen:
            name = names[int(self.rng.integers(len(names)))]
            codes = self.conditions.true[stay][name]
            self.record.groups[self.conditions.contact(stay)].remove(codes)
            self._tell("dropped_secondary", "planted", stay, (None, icd10(codes[0])))
            dropped.append((stay, name))
        pool = _Pool(self.record, self.conditions, stays)
        for number in range(min(n_alike, len(dropped) * n_alike // max(n_errors, 1))):
            like, name = dropped[number % len(dropped)]
            similar = pool.most_similar(like, name, self.rng)
            if similar is not None:
                code = possible_codes(self.conditions.cases, similar, name)[0]
                if name in CHRONIC and self.rng.random() < GIVEN_SHARE:
                    self._give(similar, CHRONIC[name][int(self.rng.integers(len(CHRONIC[name])))])
                self._tell("dropped_secondary", "look_alike", similar, (None, icd10(code)))

    def add(self, stays: Sequence[int], n_errors: int, n_alike: int) -> None:
        """Add conditions that are not there; look-alikes are true ones that little else shows."""
        faint: list[tuple[int, list[str]]] = []
        for n_traces in ((0,), (1,)):
            there = [(stay, self._coded(stay, n_traces)) for stay in stays]
            there = [(stay, names) for stay, names in there if names]
            faint += [there[int(row)] for row in self.rng.permutation(len(there))]
        n_told = 0
        for stay, names in faint:
            contact = self.conditions.contact(stay)
            if n_told < n_alike and self.record.used.get(contact) not in CLEAR_OF:
                codes = self.conditions.true[stay][names[int(self.rng.integers(len(names)))]]
                code, group_no = icd10(codes[0]), self.record.groups[contact].index(codes) + 1
                self._tell("added_secondary", "look_alike", stay, (code, code), group_no=group_no)
                self.record.used[contact] = "added_secondary"
                n_told += 1
        free = [stay for stay in stays if self.conditions.contact(stay) not in self.record.used]
        n_errors = n_errors * n_told // n_alike if n_alike else n_errors
        for row in self.rng.permutation(len(free))[:n_errors]:
            self._add_one(free[int(row)])

    def _add_one(self, stay: int) -> None:
        groups = self.record.groups[self.conditions.contact(stay)]
        coded = {code[:3] for group in groups for code in group}
        lacking = [
            codes
            for name in (*DISEASES, kidney.CONDITION)
            if name not in self.conditions.true[stay]
            and (codes := possible_codes(self.conditions.cases, stay, name))[0][:3] not in coded
        ]
        if lacking:
            groups.append(list(lacking[int(self.rng.integers(len(lacking)))]))
            self._tell("added_secondary", "planted", stay, (icd10(groups[-1][0]), None), group_no=len(groups))

    def _give(self, stay: int, drug: Drug) -> None:
        """A dose of a drug in a stay, where it is not given already."""
        start, end = (self.conditions.stays[stay][name] for name in ("contact_start", "end_time"))
        given = start + float(self.rng.uniform(0.1, 0.8)) * min(end - start, timedelta(days=1))
        contact = self.conditions.contact(stay)
        if (contact, drug.atc) not in self.given:
            self.given.add((contact, drug.atc))
            self.record.add(
                "drugs",
                {
                    "kontakt_id": contact,
                    "patient_id": self.conditions.patient(stay),
                    "atc": drug.atc,
                    "given_time": given.replace(second=0, microsecond=0),
                    "dose": drug.dose,
                    "dose_unit": drug.unit,
                },
            )

    def _tell(
        self,
        family: str,
        kind: Kind,
        stay: int,
        codes: tuple[str | None, str | None],
        *,
        group_no: int | None = None,
    ) -> None:
        code, right_code = codes
        contact = self.conditions.contact(stay)
        code_no = None if group_no is None else 1
        place = Place(contact, self.conditions.patient(stay), code, right_code, group_no, code_no)
        self.record.used.setdefault(contact, family)
        self.record.tell(family, kind, [place])

    def _coded(self, stay: int, n_traces: tuple[int, ...]) -> list[str]:
        """Conditions coded beside the main one of a stay that have so many traces."""
        contact = self.conditions.contact(stay)
        if self.record.used.get(contact) in CLEAR_OF:
            return []
        others = self.record.groups.get(contact, [])[1:]
        return [
            name
            for name, codes in self.conditions.true[stay].items()
            if (stay, name) in self.conditions.plantable
            and self.conditions.traces.get((stay, name), 0) in n_traces
            and codes in others
        ]


class _Pool:
    """Stays whose other conditions are untouched, by reason; gives the most similar ones out once each."""

    def __init__(self, record: Record, conditions: Conditions, stays: Sequence[int]) -> None:
        self.record, self.conditions = record, conditions
        self.taken: set[int] = set()
        self.by_reason: dict[object, list[int]] = {}
        for stay in stays:
            if record.used.get(conditions.contact(stay)) not in CLEAR_OF:
                self.by_reason.setdefault(conditions.stays[stay]["reason"], []).append(stay)

    def most_similar(self, like: int, lacking: str, rng: np.random.Generator) -> int | None:
        """The stay of the same reason, without a condition, nearest in age and number of diseases."""
        there = self.by_reason.get(self.conditions.stays[like]["reason"], [])
        if not there:
            return None
        drawn = [there[int(row)] for row in rng.integers(0, len(there), N_COMPARED)]
        able = [
            stay for stay in drawn if lacking not in self.conditions.true[stay] and stay not in self.taken
        ]
        if not able:
            return None
        nearest = min(able, key=lambda stay: (self._distance(like, stay, lacking), stay))
        self.taken.add(nearest)
        return nearest

    def _distance(self, like: int, stay: int, lacking: str) -> float:
        ages = [float(self.conditions.stays[one]["age"]) for one in (like, stay)]
        diseases = [
            {name for name in self.conditions.true[one] if (one, name) in self.conditions.plantable}
            - {lacking}
            for one in (like, stay)
        ]
        return abs(ages[0] - ages[1]) / 10.0 + len(diseases[0] ^ diseases[1])
