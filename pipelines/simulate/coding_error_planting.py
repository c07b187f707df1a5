"""Plants coding errors and innocent look-alikes in the tables of an extract, and tells the truth apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time

import numpy as np
import polars as pl

from pipelines.simulate.clock import END
from pipelines.simulate.coding import Cases
from pipelines.simulate.coding_error_codes import (
    EDITS,
    FAILURE,
    SEPSIS_CATEGORIES,
    Coded,
    can_have_asterisk,
    tell,
)
from pipelines.simulate.coding_error_kidney import code_as_shown, kidney_injuries
from pipelines.simulate.coding_error_record import Groups, Record
from pipelines.simulate.coding_error_secondary import (
    Conditions,
    Secondary,
    leave_out_honestly,
    tell_honest,
)
from pipelines.simulate.coding_error_stays import (
    coded_stays,
    shown_by_drugs,
    shown_by_history,
    true_conditions,
)
from pipelines.simulate.coding_errors import OF_SERVICES, CodingErrors, FamilyPlanting
from pipelines.simulate.scenario import Hospital
from pipelines.simulate.services import Calendar, Services, Where
from pipelines.simulate.services_errors import add_case, add_child_case
from pipelines.simulate.world import World

FOCI = ("J18", "J15", "J13", "N10", "N39", "K83", "K81", "K65", "A46", "L03", "L02")
"""Main conditions that are an infection with a known focus."""
CLINIC = "POL"
AT_CLINIC = {"retired_code": 0.5, "asterisk_alone": 0.5}
"""Share of the cases of a family that stand at visits to the clinic rather than at stays."""
SHARE_OF_VIRUS = 0.3
"""Share of the cases of Z03, U07 and U09 as main conditions that are of U07."""
Tables = Mapping[str, pl.DataFrame]


def plant_errors(
    plan: CodingErrors,
    tables: Tables,
    world: World,
    cases: Cases,
    hospitals: Sequence[Hospital],
    *,
    rng: np.random.Generator,
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """The tables with what is planted, and the truth of it.

    Where there is too little to plant in, a family is planted in what there is, errors and look-alikes in the
    proportion asked for.

    Args:
        plan: what to plant.
        tables: the extract's tables.
        world: what really happened.
        cases: what the coder had before them.
        hospitals: the scenario's.
        rng: the source of chance.

    Returns:
        The tables of the extract, among them contact_facts where a service tells any; truth/coding_errors.
    """
    return _Planter(plan, tables, world, cases, hospitals, rng).planted()


@dataclass
class _Planter:
    plan: CodingErrors
    tables: Tables
    world: World
    cases: Cases
    hospitals: Sequence[Hospital]
    rng: np.random.Generator

    def __post_init__(self) -> None:
        """Open the record and look at the stays."""
        self.record = Record.open(self.tables)
        contacts = self.tables["contacts"].select(
            "kontakt_id", unit="enhet", hospital="sykehus", contact_start="innDatoTid"
        )
        self.stays = coded_stays(self.world, self.cases).join(
            contacts, left_on="contact_id", right_on="kontakt_id", how="inner", maintain_order="left"
        )
        self.injured = kidney_injuries(self.tables["laboratory"], self.stays)
        true = pl.concat([true_conditions(self.cases), self.injured]).sort("stay", "condition")
        shown = pl.concat(
            [
                shown_by_drugs(self.tables["drugs"], self.stays),
                shown_by_history(self.tables["conditions"], self.stays, true),
                *[self.injured.select("stay", "condition")] * 2,
            ]
        )
        self.conditions = Conditions.of(self.cases, self.stays, true, shown)
        self.services = Services(self.record, Calendar.of(dict(self.tables)), self.rng)

    def planted(self) -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
        """Everything, one family after the other in the order of the plan."""
        self._name_sepsis_once()
        self._code_kidney_injury()
        secondary = Secondary(self.record, self.conditions, self.rng)
        leave_out_honestly(self.record, self.conditions, self.plan.honest_under_coding, self.rng)
        for planting in self.plan.families:
            n_errors, n_alike = self._numbers(planting)
            if planting.family in OF_SERVICES:
                self._in_services(planting, n_errors, n_alike)
            elif planting.family == "dropped_secondary":
                secondary.drop(self._stays(planting), n_errors, n_alike)
            elif planting.family == "added_secondary":
                secondary.add(self._stays(planting), n_errors, n_alike)
            else:
                self._in_codes(planting, n_errors, n_alike)
        tell_honest(self.record, self.conditions)
        return self.record.closed(), self.record.truth()

    def _name_sepsis_once(self) -> None:
        """Where sepsis stands beside its focus by no plan, the focus and organ failure stay."""
        for groups in self.record.groups.values():
            if groups[0][0][:3] in FOCI:
                for group in groups[1:]:
                    if group[0][:3] in SEPSIS_CATEGORIES:
                        group[:] = [FAILURE]
                failures = [group for group in groups if group == [FAILURE]]
                for group in failures[1:]:
                    groups.remove(group)

    def _code_kidney_injury(self) -> None:
        """Kidney injury is coded beside the main condition where creatinine shows it."""
        injured = set(self.injured["stay"])
        for stay, contact in self.stays.select("stay", "contact_id").iter_rows():
            code_as_shown(self.record.groups[contact], is_shown=stay in injured)

    def _numbers(self, planting: FamilyPlanting) -> tuple[int, int]:
        """How many errors and look-alikes."""
        n_stays = self._in_place(planting, of_units=True).height
        n_errors = round(planting.rate * n_stays)
        if planting.look_alike_rate is not None:
            return n_errors, round(planting.look_alike_rate * n_stays)
        return n_errors, n_errors * self.plan.n_look_alikes

    def _in_place(self, planting: FamilyPlanting, *, of_units: bool) -> pl.DataFrame:
        """The stays that end where and when a family is planted."""
        there = self.stays.filter(
            pl.col("end_time") >= datetime.combine(planting.from_date, time()),
            pl.col("end_time") < datetime.combine(planting.until_date or END.date(), time()),
        )
        if planting.hospitals:
            there = there.filter(pl.col("hospital").is_in(planting.hospitals))
        if planting.units and of_units:
            there = there.filter(pl.col("unit").is_in(planting.units))
        return there

    def _stays(self, planting: FamilyPlanting) -> list[int]:
        return [int(stay) for stay in self._in_place(planting, of_units=True)["stay"]]

    def _in_services(self, planting: FamilyPlanting, n_errors: int, n_alike: int) -> None:
        places = [
            hospital
            for hospital in self.hospitals
            if not planting.hospitals or hospital.hospital_id in planting.hospitals
        ]
        names = tuple(hospital.hospital_id for hospital in places)
        where = Where(names, planting.from_date, planting.until_date or END.date())
        share = np.array([hospital.share for hospital in places])
        for is_error, n_cases in ((True, n_errors), (False, n_alike)):
            for variant in range(n_cases):
                told = {"is_error": is_error, "is_broken": is_error or self._is_right_all_the_same()}
                if planting.family == "place_default":
                    home = places[int(self.rng.choice(len(places), p=share / share.sum()))]
                    add_child_case(self.services, variant, home, where, **told)
                else:
                    add_case(self.services, planting.family, variant, where, **told)

    def _in_codes(self, planting: FamilyPlanting, n_errors: int, n_alike: int) -> None:
        """Families that code stays or visits anew."""
        at_clinic = AT_CLINIC.get(planting.family, 0.0)
        if planting.family == "z03_u07_main":
            of_virus = self._coded(planting, lambda row: row["reason"] == "pneumonia", _is_focus)
            of_symptom = self._coded(planting, lambda row: row["reason"] == "other_acute", _is_symptom)
            parts = [("virus", of_virus, SHARE_OF_VIRUS), ("observed", of_symptom, 1.0 - SHARE_OF_VIRUS)]
        elif planting.family == "double_sepsis":
            parts = [
                (
                    "double_sepsis",
                    self._coded(planting, lambda row: bool(row["is_infection"]), _is_focus),
                    1.0,
                )
            ]
        else:
            able = can_have_asterisk if planting.family == "asterisk_alone" else bool
            stays = self._coded(planting, lambda row: True, able)
            parts = [
                (planting.family, self._visits(planting, able), at_clinic),
                (planting.family, stays, 1.0 - at_clinic),
            ]
        for name, coded, share in parts:
            self._edit(planting, name, coded, (round(share * n_errors), round(share * n_alike)))

    def _edit(
        self, planting: FamilyPlanting, name: str, coded: Sequence[Coded], wanted: tuple[int, int]
    ) -> None:
        """Errors first in those with sepsis where it is about sepsis; then look-alikes in the others."""
        n_errors, n_alike = wanted
        if sum(wanted) > len(coded):
            n_errors = n_errors * len(coded) // sum(wanted)
            n_alike = len(coded) - n_errors
        order = [coded[int(row)] for row in self.rng.permutation(len(coded))]
        if name == "double_sepsis":
            septic = [one for one in order if one.is_septic]
            half = len(septic) // 2
            order = septic[:half] + [one for one in order if not one.is_septic] + septic[half:]
        error, look_alike = EDITS[name]
        for is_error, edit, chosen in (
            (True, error, order[:n_errors]),
            (False, look_alike, order[len(order) - n_alike :]),
        ):
            for variant, one in enumerate(chosen):
                is_broken = is_error or self._is_right_all_the_same()
                places = (error if is_broken else edit)(self.record, one, variant, self.rng)
                if places:
                    tell(self.record, planting.family, one, places, is_error=is_error)

    def _is_right_all_the_same(self) -> bool:
        return bool(self.rng.random() < self.plan.right_all_the_same)

    def _coded(
        self,
        planting: FamilyPlanting,
        is_able: Callable[[dict[str, object]], bool],
        fits: Callable[[Groups], bool],
    ) -> list[Coded]:
        """Stays of one contact that no family has taken."""
        there = self._in_place(planting, of_units=True).filter(n_contacts=1)
        found = []
        for row in there.iter_rows(named=True):
            contact = int(row["contact_id"])
            groups = self.record.groups.get(contact)
            if contact not in self.record.used and groups and is_able(row) and fits(groups):
                found.append(
                    Coded(contact, row["patient_id"], row["start_time"], row["end_time"], row["is_septic"])
                )
        return found

    def _visits(self, planting: FamilyPlanting, fits: Callable[[Groups], bool]) -> list[Coded]:
        """Visits to the clinic that no family has taken."""
        first = datetime.combine(planting.from_date, time())
        until = datetime.combine(planting.until_date or END.date(), time())
        there = self.tables["contacts"].filter(
            pl.col("enhet") == CLINIC, pl.col("utDatoTid") >= first, pl.col("utDatoTid") < until
        )
        if planting.hospitals:
            there = there.filter(pl.col("sykehus").is_in(planting.hospitals))
        columns = there.select("kontakt_id", "patient_id", "innDatoTid", "utDatoTid")
        found = []
        for contact, patient, start, end in columns.iter_rows():
            groups = self.record.groups.get(contact)
            if contact not in self.record.used and groups and fits(groups):
                found.append(Coded(contact, patient, start, end))
        return found


def _is_focus(groups: Groups) -> bool:
    return groups[0][0][:3] in FOCI


def _is_symptom(groups: Groups) -> bool:
    return groups[0][0].startswith("R")
