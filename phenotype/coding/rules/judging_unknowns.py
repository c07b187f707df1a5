"""What a condition asks for and the record does not tell: why a contact may meet it, and nobody can say.

Shapes: n contacts of a JudgedRecord.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from phenotype.coding.rules.conditions import Condition, codes_of
from phenotype.coding.rules.judging_needs import REASONS, tells
from phenotype.coding.rules.judging_record import NONE, Bools, JudgedRecord

Lacking = Callable[[Condition], str | None]
"""What the dataset lacks for a `marks` condition; None where it may have marks."""
OF_ANOTHER = "of another contact of the patient: {}"
_ASKED = {
    "care_level": "care_level",
    "urgency": "urgency",
    "sex": "sex",
    "age_years": "age",
    "hours": "end",
    "nights": "end",
    "admitted_from": "admitted_from",
    "discharged_to": "discharged_to",
}
"""Key of `contact` -> what a contact must tell for it."""
MAIN_KEYS = frozenset({"main_code", "main_category"})
"""What two contacts share, or do not, of their main conditions."""


def unknowns(record: JudgedRecord, condition: Condition, lacking: Lacking) -> list[tuple[str, Bools]]:
    """Why contacts do not tell whether a condition holds, with the contacts that this may be true of.

    Args:
        record: n contacts.
        condition: any.
        lacking: of `marks` within it.

    Returns:
        Reasons with their contacts, (n,); only those with any. What lies with another contact comes last.
    """
    found = dict[str, Bools]()
    for reason, contacts in (*_own(record, condition, lacking), *_of_others(record, condition, lacking)):
        if contacts.any():
            found[reason] = found.get(reason, np.zeros(record.n, np.bool_)) | contacts
    return list(found.items())


def _own(record: JudgedRecord, condition: Condition, lacking: Lacking) -> Iterator[tuple[str, Bools]]:
    """What the contact itself does not tell."""
    everyone = np.ones(record.n, np.bool_)
    for part in _parts(condition):
        if part.contact:
            for need in dict.fromkeys(_ASKED[key] for key in part.contact.model_fields_set):
                yield REASONS[need], ~tells(record, need)
        if part.fact and not record.facts_of(part.fact.name).height:
            yield f"the record tells no {part.fact.name.replace('_', ' ')}", everyone
        if part.marks is not None and (reason := lacking(part)):
            yield reason, everyone
        is_ordered = any(code.first_code is not None for code in codes_of(part))
        if (part.code or part.together) and is_ordered:
            yield REASONS["code_order"], record.contacts_with(record.is_of_untold_place)
        if part.another:
            yield REASONS["start"], record.start == NONE
        if part.another and MAIN_KEYS & {*part.another.same, *part.another.differs}:
            yield REASONS["code_order"], record.has_untold_main


def _of_others(record: JudgedRecord, condition: Condition, lacking: Lacking) -> Iterator[tuple[str, Bools]]:
    """What other contacts do not tell, which may be true of any contact."""
    everyone = np.ones(record.n, np.bool_)
    for part in _parts(condition):
        if not part.another:
            continue
        if MAIN_KEYS & {*part.another.same, *part.another.differs} and record.has_untold_main.any():
            yield OF_ANOTHER.format(REASONS["code_order"]), everyone
        if (record.start == NONE).any():
            yield OF_ANOTHER.format(REASONS["start"]), everyone
        if part.another.where:
            for reason, contacts in unknowns(record, part.another.where, lacking):
                yield OF_ANOTHER.format(reason), everyone & contacts.any()


def _parts(condition: Condition) -> Iterator[Condition]:
    """A condition and all that it says of the contact itself."""
    yield condition
    for part in (*(condition.all or ()), *(condition.any or ())):
        yield from _parts(part)
    if condition.not_:
        yield from _parts(condition.not_)
