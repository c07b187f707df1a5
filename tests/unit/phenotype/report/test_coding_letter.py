"""Who is written to, and what about: more than expected, what is left out, or nobody."""

from __future__ import annotations

import datetime as dt
import runpy
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from phenotype.coding.cases.cases import Case, make_cases
from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Effort
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import Found
from phenotype.report.coding_case import CaseBook
from phenotype.report.coding_letter import Letter, LetterTexts, make_letter
from phenotype.report.coding_letter_purpose import letter_purpose

FRAMES = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "coding" / "coding_frames.py")))
CONFIGS = Path(str(resources.files("configs"))) / "coding"
EFFORT = Effort(hours_a_stay=1, hours_a_further_finding=0.5, nok_an_hour=1000, source="test")
NAMES = CaseNames.of([FRAMES.rule_of("spine")], [FRAMES.measure_of("depth")])


def case_of(
    *,
    kind: str = "rule",
    rule: str = "spine",
    n: int = 12,
    coverage: tuple[tuple[str, str, str, int, int], ...] = (),
    rates: tuple[dict[str, Any], ...] = (),
    reasons: tuple[dict[str, Any], ...] = (),
    **more: Any,
) -> tuple[Case, CaseBook]:
    """A case of n findings, each about a stay of its own."""
    names = [f"{number:02}" for number in range(n)]
    found = FRAMES.found_of(
        [FRAMES.finding(name, rule, kind=kind, **more) for name in names],
        [FRAMES.item(name, number) for number, name in enumerate(names)],
        [{"finding_id": "00", "rank": 1} | reason for reason in reasons],
    )
    record = FRAMES.record_of([(number, number, number) for number in range(n)])
    told = FRAMES.coverage_of(list(coverage))
    cases = make_cases(found, FRAMES.units_of(list(rates)), record, coverage=told, names=NAMES, effort=EFFORT)
    return cases[0], book_of(found, record)


def book_of(found: Found, record: CodedRecord) -> CaseBook:
    """The book of findings of which no stay was drawn at random."""
    return CaseBook(
        found,
        NAMES,
        InnocentExplanations.load(CONFIGS / "innocent_explanations.yaml"),
        contacts=record.contacts,
        chosen=pl.DataFrame(schema={"stay_id": pl.Int64, "how": pl.String}),
    )


def rate(observed: float, expected: float, *, is_flagged: bool) -> dict[str, Any]:
    """A rate of the measure in H1/A."""
    return {
        "unit_id": "H1/A",
        "measure": "depth",
        "period": "2024",
        "n": 100,
        "observed": observed,
        "expected": expected,
        "ratio": observed / expected,
        "low": 0.1,
        "high": 9.0,
        "is_flagged": is_flagged,
    }


def broken(own: int, others: int) -> tuple[tuple[str, str, str, int, int], ...]:
    """Of 100 contacts each, how many of the unit and of the ward of its name elsewhere break the rule."""
    return (("spine", "H1/A", "2024", 100, own), ("spine", "H2/A", "2024", 100, others))


RATE = {"kind": "unit_rate", "rule": "depth", "probability": None, "n": 1}
DRIFT = RATE | {"kind": "drift"}


@pytest.mark.parametrize(
    ("what", "deviation", "purpose"),
    [
        ({"coverage": broken(12, 2)}, "more", "inquiry"),
        ({"coverage": broken(12, 0)}, "more", "inquiry"),
        ({"coverage": broken(12, 11)}, "within", "inquiry"),
        ({"coverage": broken(12, 11), "severity": "review"}, "within", None),
        ({"coverage": broken(12, 40), "severity": "review"}, "within", None),
        # one more than nobody else is chance
        ({"coverage": broken(1, 0), "n": 1, "severity": "review"}, "within", None),
        ({}, "alone", "inquiry"),
        (RATE | {"rates": (rate(30, 10, is_flagged=True),)}, "more", "inquiry"),
        (RATE | {"rates": (rate(10, 30, is_flagged=True),)}, "fewer", "information"),
        (RATE | {"rates": (rate(30, 28, is_flagged=False),), "severity": "review"}, "within", None),
        ({"kind": "missing", "rule": "expected/ICD10-NO//A41"}, "alone", "information"),
        ({"kind": "unspecific", "rule": "expected/ICD10-NO//A41"}, "alone", "information"),
        ({"kind": "unsupported", "rule": "expected/ICD10-NO//A41"}, "alone", "inquiry"),
        ({"amount_low_nok": -900.0, "amount_high_nok": -900.0}, "alone", "information"),
        ({"severity": "information"}, "alone", None),
        (DRIFT | {"reasons": ({"contribution": 0.7},), "severity": "review"}, "more", "inquiry"),
        (DRIFT | {"reasons": ({"contribution": -0.7},), "severity": "review"}, "fewer", "information"),
        (DRIFT | {"reasons": ({"contribution": 0.7},), "severity": "information"}, "more", None),
        (DRIFT | {"reasons": ({"contribution": 0.7},), "unit_id": "all units"}, "more", None),
    ],
)
def test_who_is_written_to_and_for_what(what: dict[str, Any], deviation: str, purpose: str | None) -> None:
    case, _ = case_of(**what)
    assert (case.deviation, letter_purpose(case)) == (deviation, purpose)


def letter_of(language: str, **what: Any) -> Letter | None:
    case, book = case_of(**what)
    texts = LetterTexts.load(CONFIGS / "letter.yaml")
    page = book.page(case, {}, 10, language)
    return make_letter(case, page, getattr(texts, language), language, dt.date(2026, 11, 22))


def text_of(letter: Letter | None) -> str:
    assert letter is not None
    return " ".join([letter.subject, *letter.paragraphs, letter.asks_title, *letter.asks, *letter.closing])


def test_a_letter_about_a_rule_that_all_break_says_that_the_unit_does_not_differ() -> None:
    usual, more = ({"coverage": broken(12, others), "n": 12} for others in (11, 2))
    assert "does not clearly differ" in text_of(letter_of("en", **usual))
    assert "skiller seg ikke klart" in text_of(letter_of("nb", **usual))
    assert "does not clearly differ" not in text_of(letter_of("en", **more))


def test_a_letter_about_fewer_than_expected_asks_for_nothing_and_claims_nothing() -> None:
    few = RATE | {"rates": (rate(10, 30, is_flagged=True),), "amount_low_nok": -5e4, "amount_high_nok": -5e4}
    norwegian, english = text_of(letter_of("nb", **few)), text_of(letter_of("en", **few))
    assert norwegian.startswith("Til orientering om kodepraksis")
    assert english.startswith("For information about coding practice")
    assert "frist" not in norwegian
    assert "Anmodning" not in norwegian
    assert "deadline" not in english
    assert "avkorting" not in norwegian
    assert "50" not in norwegian


def test_a_letter_about_more_asks_for_a_medical_assessment_by_a_date() -> None:
    many = {"coverage": broken(12, 2)}
    assert text_of(letter_of("nb", **many)).startswith("Anmodning om medisinskfaglig vurdering")
    assert "[frist]" in text_of(letter_of("nb", **many))
    assert "for information" not in text_of(letter_of("en", **many)).split("estimated")[0].lower()


def test_nothing_unusual_is_written_to_nobody_and_the_page_says_so() -> None:
    assert letter_of("nb", coverage=broken(12, 11), severity="review") is None
    case, book = case_of(coverage=broken(12, 11), severity="review")
    page = book.page(case, {}, 10, "nb")
    assert page.letter == ""
    assert page.no_letter.startswith("Det er ikke laget brev")
    assert "ingen klar forskjell" in page.lead


def test_what_nobody_else_does_is_the_figure_that_tells_most() -> None:
    case, book = case_of(coverage=broken(12, 0))
    page = book.page(case, {}, 10)
    assert page.lead == "2024: 12 of 100 (12.0%) where none would be expected at the others' rate."


def test_few_priced_stays_left_over_are_not_told() -> None:
    case, _ = case_of()
    assert case.n_stays == 12
    for n_priced, told in ((9, "the stays that could be priced"), (6, "the 6 stays that could be priced")):
        amounts = [
            FRAMES.finding(
                f"{n:02}",
                "spine",
                **({"amount_low_nok": 10.0, "amount_high_nok": 10.0} if n < n_priced else {}),
            )
            for n in range(12)
        ]
        found = FRAMES.found_of(amounts, [FRAMES.item(f"{n:02}", n) for n in range(12)])
        record = FRAMES.record_of([(n, n, n) for n in range(12)])
        (one,) = make_cases(
            found, FRAMES.units_of([]), record, coverage=FRAMES.coverage_of([]), names=NAMES, effort=EFFORT
        )
        book = book_of(found, record)
        words = LetterTexts.load(CONFIGS / "letter.yaml").en
        letter = make_letter(one, book.page(one, {}, 10), words, "en", dt.date(2026, 11, 22))
        assert told in text_of(letter)


@pytest.mark.parametrize("contribution", [0.0, float("nan"), None])
def test_a_change_in_neither_direction_is_not_told_to_be_fewer(contribution: float | None) -> None:
    case, _ = case_of(**DRIFT | {"reasons": ({"contribution": contribution},), "severity": "review"})
    assert case.deviation == "alone"


def test_what_cutting_a_rate_brings_is_told_where_it_cuts_and_not_of_few() -> None:
    money = RATE | {"n": 6, "amount_low_nok": 1e4, "amount_high_nok": 2e4}
    flagged = money | {"rates": (rate(30, 10, is_flagged=True),)}
    assert "the amount at issue is NOK" in text_of(letter_of("en", **flagged))
    nothing = flagged | {"amount_low_nok": 0.0, "amount_high_nok": 0.0}
    few = money | {"rates": (rate(3, 0.5, is_flagged=True),)}
    for what in (nothing, few):
        assert "NOK" not in text_of(letter_of("en", **what))


def test_a_case_of_no_known_severity_is_written_to_nobody() -> None:
    case, _ = case_of(severity=None)
    assert (case.severity, letter_purpose(case)) == ("information", None)
