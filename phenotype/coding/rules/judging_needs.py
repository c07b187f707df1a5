"""Which contacts cannot be judged by a rule, and why: what the rule needs and the record does not tell.

Shapes: n contacts of a JudgedRecord. A contact has one reason: the first that holds, in the order of REASONS.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from phenotype.coding.rules.conditions import Code
from phenotype.coding.rules.judging_record import NONE, Bools, JudgedRecord
from phenotype.coding.rules.rules import Needs

REASONS = {
    "day": "neither an end nor a start is told",
    "start": "the start is not told",
    "end": "no end, or an end before the start",
    "main": "no main condition",
    "diagnosis": "no conditions",
    "procedure": "no procedures",
    "groups": "condition groups are not told",
    "code_order": "the order of codes is not told",
    "care_level": "the care level is not told",
    "urgency": "urgency is not told",
    "hospital": "the hospital is not told",
    "age": "the age is not told",
    "sex": "the sex is not told",
    "admitted_from": "where the patient came from is not told",
    "discharged_to": "where the patient went is not told",
    "groups_recorded": "the record groups no codes: each condition has one code",
}
"""What a contact must tell -> why it cannot be judged where it does not."""
_COLUMNS = {
    "care_level": "care_level",
    "urgency": "urgency",
    "hospital": "hospital_id",
    "age": "age_years",
    "sex": "sex",
    "admitted_from": "admitted_from",
    "discharged_to": "discharged_to",
}


def lacking(record: JudgedRecord, needs: Needs) -> Iterator[tuple[str, Bools]]:
    """Each reason for which contacts cannot be judged, with the contacts that it holds of, (n,)."""
    nobody = np.zeros(record.n, np.bool_)
    for name in needs.systems:
        if not has_system(record, name):
            yield f"the record has no {name}", ~nobody
    for fact in needs.recorded:
        if not record.facts_of(fact).height:
            yield f"the record tells no {fact.replace('_', ' ')}", ~nobody
    if needs.groups_recorded and not has_groups(record):
        yield REASONS["groups_recorded"], ~nobody
    for need in needs.contact:
        if need == "main":
            yield REASONS["diagnosis"], ~tells(record, "diagnosis")
        yield REASONS[need], ~tells(record, need)
    if needs.main_in:
        coded = record.found(Code(role="main", codes=(f"{needs.main_in}//*",)))
        yield f"no main condition in {needs.main_in}", ~record.contacts_with(coded)
    for fact in needs.facts:
        told = nobody.copy()
        told[record.facts_of(fact)["row"].to_numpy()] = True
        yield f"{fact.replace('_', ' ')} is not told", ~told
    for system in needs.lists:
        yield f"no dated list of {system} covers the day", record.contacts_with(_uncovered(record, system))


def has_system(record: JudgedRecord, name: str) -> bool:
    """Whether the record has any code of a system."""
    return bool(record.distinct.str.starts_with(f"{name}//").any())


def has_groups(record: JudgedRecord) -> bool:
    """Whether any condition group of the record has several codes."""
    group = record.group[record.group != NONE]
    return len(np.unique(group)) < len(group)


def tells(record: JudgedRecord, need: str) -> Bools:
    """Which contacts tell what is needed, a key of REASONS, (n,)."""
    contacts = record.contacts
    if need in _COLUMNS:
        return contacts[_COLUMNS[need]].is_not_null().to_numpy()
    if need == "end":
        ends = contacts["end_time"] >= contacts["start_time"]
        return ends.fill_null(value=False).to_numpy()
    if need in record.roles:
        return record.contacts_with(record.roles[need])
    if need == "code_order":
        return ~record.contacts_with(record.is_of_untold_place)
    return ~record.contacts_with(record.roles["diagnosis"] & _group_told(record).is_null().to_numpy())


def _group_told(record: JudgedRecord) -> pl.Series:
    return record.codings.select(pl.coalesce("condition_group_no", "group_no"))["condition_group_no"]


def _uncovered(record: JudgedRecord, system: str) -> Bools:
    """The codings of a system on days that no list of it covers, (m,)."""
    mine = record.of_system(system)
    covered = np.zeros(len(mine), np.bool_)
    spans = record.ontology.system.coverage.filter(pl.col("system") == system)
    for begin, end in spans.select("covered_from", "covered_to").iter_rows():
        first = NONE + 1 if begin is None else int(pl.Series([begin]).to_physical()[0])
        last = np.iinfo(np.int64).max if end is None else int(pl.Series([end]).to_physical()[0])
        covered |= (record.day >= first) & (record.day <= last)
    return mine & ~covered
