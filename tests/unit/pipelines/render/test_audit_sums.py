"""Sums of an audit's pages: money counted once, amounts that go both ways, no small count by subtraction."""

from __future__ import annotations

import datetime as dt
import html
import re
import runpy
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

from phenotype.coding.cases.cases import make_cases
from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Effort
from phenotype.report.coding_letter import LetterTexts
from pipelines.render.audit import AuditContent, write_audit

FRAMES = SimpleNamespace(
    **runpy.run_path(str(Path(__file__).parents[2] / "phenotype" / "coding" / "coding_frames.py"))
)
CONFIGS = Path(str(resources.files("configs"))) / "coding"


def pages(folder: Path, findings: list[tuple[str, str, int, float, float]], coverage=()) -> tuple[str, str]:
    """Index and English letter in words; findings are rule, year, contact and the ends of the amount."""
    names = [f"{number:016x}" for number in range(len(findings))]
    found = FRAMES.found_of(
        [
            FRAMES.finding(name, rule, period=year, amount_low_nok=low, amount_high_nok=high)
            for name, (rule, year, _, low, high) in zip(names, findings, strict=True)
        ],
        [FRAMES.item(name, contact) for name, (_, _, contact, *_) in zip(names, findings, strict=True)],
    )
    record = FRAMES.record_of([(n, n, n) for n in sorted({contact for _, _, contact, *_ in findings})])
    rules = CaseNames.of([FRAMES.rule_of(rule) for rule in sorted({one[0] for one in findings})], [])
    effort = Effort(hours_a_stay=0.5, hours_a_further_finding=0.1, nok_an_hour=900, source="test")
    told = FRAMES.coverage_of(list(coverage))
    cases = make_cases(found, FRAMES.units_of([]), record, coverage=told, names=rules, effort=effort)
    audit = AuditContent(
        title="An audit",
        today=dt.date(2026, 11, 22),
        found=found,
        record=record,
        cases=cases,
        coverage=told,
        names=rules,
        explanations=InnocentExplanations.load(CONFIGS / "innocent_explanations.yaml"),
        letters=LetterTexts.load(CONFIGS / "letter.yaml"),
        effort=effort,
    )
    index = write_audit(folder, audit).read_text("utf-8")
    letter = (folder / "cases" / f"{cases[0].case_id}.letter.en.html").read_text("utf-8")
    return words(index), words(letter)


def words(page: str) -> str:
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u202f", " ").split())


def test_money_of_a_contact_that_is_doubted_in_two_cases_is_counted_once(tmp_path):
    # Six contacts, each doubted by two rules of different families: 1000 by one, 600 by the other.
    both = [("a", 1000.0), ("b", 600.0)]
    index, _ = pages(tmp_path, [(rule, "2024", n, nok, nok) for n in range(6) for rule, nok in both])
    assert "If every finding is right NOK 6 000" in index
    assert "Expected recovery NOK 5 400" in index


def test_an_amount_that_may_go_either_way_is_written_as_such(tmp_path):
    _, letter = pages(tmp_path, [("a", "2024", n, -1000.0, 50.0) for n in range(6)])
    assert "from NOK 6 000 in the hospital's favour to NOK 300 in the payer's" in letter
    assert "−" not in letter


def test_money_in_the_hospitals_favour_is_told_as_such_and_puts_no_case_first(tmp_path):
    findings = [("a", "2024", n, -9000.0, -9000.0) for n in range(6)]
    findings += [("b", "2024", n, 1000.0, 1000.0) for n in range(10, 16)]
    index, letter = pages(tmp_path, findings)
    # .9 x 6 x 1 000 comes back; .9 x 6 x 9 000 would go the other way.
    assert "Expected recovery NOK 5 400" in index
    assert "Expected in the hospitals' favour NOK 48 600" in index
    first, second = index.index("Title of b"), index.index("Title of a")
    assert first < second
    assert "NOK 48 600 in the hospital's favour" in index[second:]
    assert "−" not in index
    assert "estimated at NOK 6 000." in letter


def test_the_years_of_a_rule_do_not_give_a_small_year_away(tmp_path):
    # 8 stays in 2024 and 3 in 2025: the letter says 11, so that 8 beside it would tell of the 3.
    findings = [("a", "2024" if n < 8 else "2025", n, 0.0, 0.0) for n in range(11)]
    counts = {("H1/A", "2024"): 8, ("H1/A", "2025"): 3, ("H2/A", "2024"): 2, ("H2/A", "2025"): 2}
    coverage = [("a", unit, year, 20, n) for (unit, year), n in counts.items()]
    index, letter = pages(tmp_path, findings, coverage)
    assert "11 of 40" in index
    assert "It concerns 11 stays" in letter
    assert "11 of 40" in letter
    assert "Figures of the case" not in letter


def test_a_rate_of_some_years_is_not_told_where_the_other_stays_are_few(tmp_path):
    # 8 stays in 2024, 3 in 2025, when no other unit was judged: "8 of 20" beside 11 stays tells of the 3.
    findings = [("a", "2024" if n < 8 else "2025", n, 0.0, 0.0) for n in range(11)]
    coverage = [("a", "H1/A", "2024", 20, 8), ("a", "H1/A", "2025", 20, 3), ("a", "H2/A", "2024", 20, 2)]
    index, letter = pages(tmp_path, findings, coverage)
    assert "8 of 20" not in index
    assert "8 of 20" not in letter
    assert "Figures of the case" not in letter
