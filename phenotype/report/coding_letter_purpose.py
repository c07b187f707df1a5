"""What a letter about a case may ask: an inquiry, a letter for information, or none.

**Source:** how the settlement committee judges a case: a unit's rate deviates, the registry is asked for
detail, then come a letter, the medical answer, and settlement or new rules (Avregningsutvalget, Directorate
of Health). It works for the payer: it writes neither about too few nor about what is as expected. A coding
adviser may want to tell a unit that conditions seem to be left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from phenotype.coding.cases.cases import Case
from phenotype.coding.drift.lines import ALL_UNITS

Purpose = Literal["inquiry", "information"]
LEFT_OUT = frozenset({"missing", "unspecific"})
"""Kinds of findings that say that too little is coded."""
NO_LETTER_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "within": "No letter is drafted: the unit does not differ from what is expected of it beyond chance.",
        "more": "No letter is drafted: the change has a known cause, or all units share it.",
        "fewer": "No letter is drafted: the change has a known cause, or all units share it.",
        "alone": "No letter is drafted: what was found is for information, or is about all units.",
    },
    "nb": {
        "within": "Det er ikke laget brev: enheten skiller seg ikke klart fra det som er forventet.",
        "more": "Det er ikke laget brev: endringen har en kjent årsak, eller gjelder alle enheter.",
        "fewer": "Det er ikke laget brev: endringen har en kjent årsak, eller gjelder alle enheter.",
        "alone": "Det er ikke laget brev: funnene er til orientering, eller gjelder alle enheter.",
    },
}


def letter_purpose(case: Case) -> Purpose | None:
    """What a letter about a case is for; None: there is nothing to write about.

    inquiry: more than expected, or stays that are doubted where there is nobody to be held against, or that
    break a rule which leaves no choice, though others break it as often.
    information: fewer than expected, conditions that seem to be left out, or money in the hospital's favour.
    """
    is_usual = case.deviation == "within" and case.severity != "error"
    if case.unit_id == ALL_UNITS or case.severity == "information" or is_usual:
        return None
    is_owed = case.expected_nok is not None and case.expected_nok < 0
    if case.deviation == "fewer" or is_owed or LEFT_OUT.issuperset(case.kinds):
        return "information"
    return "inquiry"
