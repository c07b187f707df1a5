"""What the page and the sheet of a case hold, as typed lines in which everything is in words already."""

from __future__ import annotations

from collections.abc import Mapping

from phenotype.task_parts import Frozen


class FindingLine(Frozen):
    """One doubt as a page writes it; contact and evidence are pseudonyms and numbers of the dataset."""

    finding_id: str
    kind: str
    title: str
    contact: str
    code: str
    suggested: str
    probability: str
    amount: str
    reasons: tuple[str, ...]
    holding: tuple[str, ...]


class StayLine(Frozen):
    """One stay to open.

    Attributes:
        rank: in the order of opening, within the case.
        stay: its pseudonym.
        others: stays that must be read beside it.
        probability: that at least one finding is right, in words.
        amount: what the payer would get back.
        expected: the same by probability.
        hours: that opening takes.
        verdict: whether opening pays off.
        drawn: ranked, random, or empty where it is beyond the capacity.
        findings: what is doubted, the most probable first.
    """

    rank: int
    stay: str
    others: tuple[str, ...]
    probability: str
    amount: str
    expected: str
    hours: str
    verdict: str
    drawn: str
    findings: tuple[FindingLine, ...]


class RateLine(Frozen):
    """One rate as a page writes it."""

    measure: str
    title: str
    period: str
    n: str
    observed: str
    expected: str
    ratio: str
    limits: str
    against: str
    verdict: str


class ExplanationLine(Frozen):
    """One innocent explanation as a page writes it."""

    title: str
    looked_at: str
    held: str
    verdict: str


class RuleWords(Frozen):
    """What a rule of the case says, and where it is written."""

    title: str
    says: str
    sources: tuple[str, ...]


class CasePage(Frozen):
    """What the page of one case says, in one language.

    Attributes:
        case_id: of the case.
        title: what it is about.
        unit: whose coding.
        period: over what time.
        kinds: how it was found.
        severity: the gravest of its findings.
        against: whom the unit is held against.
        lead: one sentence: what deviates, and by how much.
        letter: what a draft letter is for: inquiry or information; empty where none is drafted.
        no_letter: why none is drafted.
        n_findings, n_contacts, n_stays, n_subjects: how many.
        n_to_open: stays within the capacity.
        expected_right: stays expected to be wrongly coded.
        amount, expected: what the payer would get back if all findings are right, and by probability.
        rate_amount: what cutting the unit to the expected rate would bring; empty where it is not priced.
        priced: how many stays have a price, in words.
        rules: what the rules of the case say.
        rates: what measures and rules say of the unit.
        silent: rules and measures of the case that found nothing in the unit.
        explanations: innocent explanations that were looked at.
        titles_differ: whether the findings on the page have more than one title.
        common: what is said of most findings on the page, once.
        stays: the first stays to open, without what is common.
        n_more: how many more there are, in the sheet.
        answers: how many findings reviewers agreed with, disagreed with, or could not tell.
    """

    case_id: str
    title: str
    unit: str
    period: str
    kinds: str
    severity: str
    against: str
    lead: str
    letter: str
    no_letter: str
    n_findings: int
    n_contacts: int
    n_stays: int
    n_subjects: int
    n_to_open: int
    expected_right: str
    amount: str
    expected: str
    rate_amount: str
    priced: str
    rules: tuple[RuleWords, ...]
    rates: tuple[RateLine, ...]
    silent: tuple[str, ...]
    explanations: tuple[ExplanationLine, ...]
    titles_differ: bool
    common: tuple[str, ...]
    stays: tuple[StayLine, ...]
    n_more: int
    answers: Mapping[str, int]
