"""Pages of an audit: figures stand where readers look, small counts and texts that bite do not get out."""

from __future__ import annotations

import datetime as dt
import html
import re
import runpy
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import openpyxl
import polars as pl
import pytest

from phenotype.coding.cases.cases import Case, make_cases
from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Capacity, Effort
from phenotype.coding.cases.reviews import HEADINGS, REVIEWS, read_reviews
from phenotype.coding.drift.lines import CauseMark, DriftLine, DriftPoint
from phenotype.coding.rates.funnels import FunnelLimit, FunnelPlot, FunnelPoint
from phenotype.report.coding_letter import LetterTexts
from pipelines.render.audit import AuditContent, write_audit
from pipelines.render.audit_charts import joined_points

FRAMES_FILE = Path(__file__).parents[2] / "phenotype" / "coding" / "coding_frames.py"
FRAMES = SimpleNamespace(**runpy.run_path(str(FRAMES_FILE)))
finding, item, rule_of = FRAMES.finding, FRAMES.item, FRAMES.rule_of
CONFIGS = Path(str(resources.files("configs"))) / "coding"
NASTY = '=HYPERLINK("http://x")<script>alert(1)</script>{{7*7}}|[a](b)'
TODAY = dt.date(2026, 11, 22)
BIG = 7_000_000_000_000_000_000
"""Pseudonyms have 63 bits."""


def content(n: int = 12, nasty: str = "Spine surgery", n_priced: int = 6, **more: object) -> AuditContent:
    """n stays of one unit in which a rule is broken, n_priced of them priced; two more in another unit."""
    rows, items, reasons = [], [], []
    for number in range(n + 2):
        unit = "H1/A" if number < n else "H2/B"
        amount = 10_000.0 + number if number < n_priced else None
        name = f"{number:016x}"
        rows.append(
            finding(
                name,
                "spine",
                unit_id=unit,
                title=nasty,
                amount_low_nok=0.0 if amount else None,
                amount_high_nok=amount,
            )
        )
        items.append(item(name, BIG + number))
        reasons.append({"finding_id": name, "rank": 1, "concept": None, "contribution": None, "text": nasty})
    found = FRAMES.found_of(rows, items, reasons)
    record = FRAMES.record_of([(BIG + number, BIG + number, number) for number in range(n + 2)])
    coverage = FRAMES.coverage_of([("spine", "H1/A", "2024", 100, n), ("spine", "H2/B", "2024", 400, 2)])
    rule = rule_of("spine", title=nasty, title_nb="Ryggkirurgi", says_nb=f"Regel {nasty}")
    names = CaseNames.of([rule], [])
    effort = Effort(hours_a_stay=0.5, hours_a_further_finding=0.1, nok_an_hour=900, source="test")
    cases = make_cases(found, FRAMES.units_of([]), record, coverage=coverage, names=names, effort=effort)
    return AuditContent(
        title=nasty,
        today=TODAY,
        found=found,
        record=record,
        cases=cases,
        coverage=coverage,
        names=names,
        explanations=InnocentExplanations.load(CONFIGS / "innocent_explanations.yaml"),
        letters=LetterTexts.load(CONFIGS / "letter.yaml"),
        effort=effort,
        **{"capacity": Capacity(stays=5), **more},
    )


def written(folder: Path, audit: AuditContent) -> tuple[str, Case, Path]:
    """The index, the case of H1/A and the folder of its files."""
    index = write_audit(folder, audit).read_text("utf-8")
    case = next(case for case in audit.cases if case.unit_id == "H1/A")
    return index, case, folder / "cases"


def spaced(text: str) -> str:
    """The text with usual spaces for those that never break."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def words(page: str) -> str:
    """What a reader sees of a page."""
    body = re.sub(r"<style>.*?</style>|<svg.*?</svg>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_the_index_tells_what_a_case_is_worth_against_whom_and_what_to_open_first(tmp_path):
    index, case, _ = written(tmp_path, content())
    told = words(index)
    # 12 of 100 against 2 of 400: 0.5 expected, 24 times as many.
    assert (
        "2024: 12 of 100 (12.0%) where 0.5 would be expected at the others' rate, 24.0 times as many" in told
    )
    # .9 x half of 10 000 to 10 005: 6 x 4 501.125 = 27 006.75.
    assert "NOK\u00a027\u202f007" in index
    assert "NOK\u00a00 to 60\u202f015" in index
    assert f'href="cases/{case.case_id}.html"' in index
    row = re.search(r"<tr><th scope=\"row\"><a.*?</tr>", index, re.DOTALL)
    assert row
    assert re.findall(r'<td class="n"[^>]*>(.*?)</td>', row[0])[:3] == ["12", "5", "11"]


def test_the_index_hides_what_is_about_fewer_than_five_patients(tmp_path):
    index, _, _ = written(tmp_path, content())
    assert "1 case of fewer than 5 patients" in words(index)
    # The two stays of H2/B: no count, no money, no rate, and no total that gives them away.
    told = words(index)
    assert "2 of 400" not in told
    assert "12 findings" in told
    assert not re.search(r"\b14 (?!contacts)", told)
    assert "of 12 stays bring" in index
    assert re.search(r"spine 500 ≥ 12 ≥ 2.4% 0", told)


def test_amounts_about_fewer_than_five_patients_are_hidden_where_the_count_is_not(tmp_path):
    index, case, place = written(tmp_path, content(n_priced=4))
    # .9 x half of 10 000 to 10 003: 4 x 4 500.675 = 18 002.70.
    assert "18\u202f003" not in index
    assert ">12<" in index
    assert "NOK\u00a018\u202f003" in (place / f"{case.case_id}.html").read_text("utf-8")
    assert " kr" not in (place / f"{case.case_id}.letter.nb.md").read_text("utf-8")


def test_what_is_broken_by_few_and_what_could_not_be_judged_stands_with_its_reason(tmp_path):
    audit = content()
    reasons = pl.DataFrame(
        [
            {
                "rule_id": "spine",
                "unit_id": "H1/A",
                "period": "2024",
                "judged": 0,
                "broken": 0,
                "not_judgeable": n,
                "reason": r,
            }
            for n, r in ((40, "no end"), (3, "no main condition"))
        ],
        schema=audit.coverage.schema,
    )
    rare = FRAMES.coverage_of([("rare", "H1/A", "2024", 50, 3)])
    changed = {
        "coverage": pl.concat([audit.coverage, reasons, rare]),
        "names": CaseNames.of([rule_of("spine"), rule_of("rare")], []),
    }
    index, _, _ = written(tmp_path, AuditContent(**{**vars(audit), **changed}))
    told = words(index)
    # Two reasons: the small one is hidden, and the other, which subtraction would give away, too.
    assert "43 no end: hidden; no main condition: < 5" in told
    assert re.search(r"rare 50 < 5 0", told)
    assert "e+0" not in told


def test_pages_hold_no_script_fetch_nothing_and_keep_texts_as_texts(tmp_path):
    write_audit(tmp_path, content(nasty=NASTY))
    pages = [tmp_path / "index.html", *sorted((tmp_path / "cases").glob("*.html"))]
    assert len(pages) == 1 + 3 + 3  # whoever breaks a rule that leaves no choice is written to
    for file in pages:
        page = file.read_text("utf-8")
        assert "<script" not in page
        assert "49" not in words(page).replace("49,", "")
        assert "default-src 'none'" in page.replace("&#39;", "'")
        assert not re.search(r"<[^>]+\s(?:style|onerror|src)=", page)
        for link in re.findall(r'href="([^"#]+)"', page):
            assert (file.parent / link).is_file(), link
        assert len(re.findall(r"<h1[ >]", page)) == 1
        assert re.search(r'<html lang="(en|nb)">', page)


def test_a_case_page_lists_its_stays_in_order_with_codes_and_what_they_are_worth(tmp_path):
    _, case, place = written(tmp_path, content())
    page = (place / f"{case.case_id}.html").read_text("utf-8")
    stays = re.findall(r'<td><span class="id">(\d+)</span>', page)
    assert stays[:6] == [str(BIG + number) for number in (5, 4, 3, 2, 1, 0)]
    assert len(stays) == 12
    assert words(page).count("to open") >= 5
    assert "ICD10-NO//" not in words(page)
    assert "M54.16 → M48.06" in words(page)
    assert "For the unit alone" in page


def test_the_sheet_holds_texts_only_whole_pseudonyms_and_comes_back_as_reviews(tmp_path):
    _, case, place = written(tmp_path, content(nasty=NASTY))
    file = place / f"{case.case_id}.xlsx"
    book = openpyxl.load_workbook(file)
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell.coordinate for cell in cells if cell.data_type == "f" or cell.hyperlink]
    bites = [cell for cell in cells if isinstance(cell.value, str) and cell.value.startswith("=")]
    assert bites
    assert all(cell.style and cell.quotePrefix for cell in bites)
    sheet = book["Funn"]
    heads = [cell.value for cell in sheet[1]]
    for number, answer in enumerate(("enig", "uenig", "kan ikke avgjøre"), start=2):
        told = {"answer": answer, "reason": "sett i journal", "reviewer_role": "koder", "date": TODAY}
        for name, value in told.items():
            sheet.cell(number, heads.index(HEADINGS[name]) + 1, value)
    book.save(tmp_path / "svar.xlsx")
    asked = case.openings.select("stay_id", finding_id=pl.col("finding_ids").list.first())
    reviews = read_reviews(tmp_path / "svar.xlsx", asked)
    assert reviews["answer"].to_list() == ["agree", "disagree", "cannot_tell"]
    assert reviews["stay_id"].to_list() == [BIG + 5, BIG + 4, BIG + 3]


def test_letters_ask_in_both_languages_name_no_stay_and_accuse_nobody(tmp_path):
    _, case, place = written(tmp_path, content())
    norwegian = (place / f"{case.case_id}.letter.nb.md").read_text("utf-8")
    english = (place / f"{case.case_id}.letter.en.md").read_text("utf-8")
    assert "22. november 2026" in norwegian
    assert "22 November 2026" in english
    assert "2024: 12 av 100 (12,0 %), mot 0,5 forventet" in norwegian
    assert "0–60 015 kr. Beløpet gjelder de 6" in spaced(norwegian)
    assert "NOK 0 to 60 015" in spaced(english)
    assert "[frist]" in norwegian
    assert "[deadline]" in english
    for letter in (norwegian, english):
        assert not re.search(r"7000000000\d+", letter)
        assert not re.search(r"{\w+}", letter)
    page = (place / f"{case.case_id}.letter.nb.html").read_text("utf-8")
    assert '<html lang="nb">' in page
    plain = norwegian.replace("\\", "")
    for paragraph in re.findall(r"<p>(.*?)</p>", page):
        assert words(paragraph)[:60] in plain


def test_a_letter_about_few_patients_tells_neither_how_many_nor_how_much(tmp_path):
    _, case, place = written(tmp_path, content(n=4))
    letter = (place / f"{case.case_id}.letter.nb.md").read_text("utf-8")
    assert "færre enn 5 opphold" in letter
    assert " kr" not in letter
    assert "forholdstall" not in letter.lower()


def of_sixteen(n: int) -> AuditContent:
    """n of a unit's 16 stays break the rule, so that 16 - n are left over; of another unit 2 of 400."""
    audit = content(n=n)
    coverage = FRAMES.coverage_of([("spine", "H1/A", "2024", 16, n), ("spine", "H2/B", "2024", 400, 2)])
    effort = audit.effort
    cases = make_cases(
        audit.found, FRAMES.units_of([]), audit.record, coverage=coverage, names=audit.names, effort=effort
    )
    return AuditContent(**{**vars(audit), "coverage": coverage, "cases": cases})


def test_few_that_are_left_over_cannot_be_read_off_anything(tmp_path):
    index, case, place = written(tmp_path, of_sixteen(13))
    book = openpyxl.load_workbook(place / f"{case.case_id}.xlsx")
    sheet = " ".join(str(cell.value) for one in book for row in one.iter_rows() for cell in row)
    pages = [
        index,
        *(
            (place / f"{case.case_id}.{end}").read_text("utf-8")
            for end in ("html", "letter.nb.md", "letter.en.md")
        ),
    ]
    for page in pages:
        assert re.search(r"2024: 13(,| where) (mot )?0[,.]1 ", words(page)), words(page)
    assert "2024: 13, mot 0,1 forventet" in sheet
    for told in [sheet, *map(words, pages)]:
        assert not re.search(r"13 (of|av) 16|81[.,]\d", told)
    shown, other, there = written(tmp_path, of_sixteen(11))
    assert "2024: 11 of 16 (68.8%)" in words(shown)
    assert "2024: 11 av 16 (68,8" in (there / f"{other.case_id}.letter.nb.md").read_text("utf-8")


def test_the_same_audit_gives_the_same_files(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_audit(tmp_path / name, content())
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 1 + 6 + 6
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_cases_beyond_the_most_stand_on_the_index_without_files_and_old_files_go(tmp_path):
    audit = content()
    write_audit(tmp_path, audit)
    index = write_audit(tmp_path, audit, most_cases=1).read_text("utf-8")
    assert len(list((tmp_path / "cases").glob("*.xlsx"))) == 1
    assert len(re.findall(r'href="cases/', index)) == 1


def test_an_audit_without_findings_says_so(tmp_path):
    audit = content()
    none = {"found": FRAMES.found_of([], []), "cases": ()}
    told = words(written_index(tmp_path, AuditContent(**{**vars(audit), **none})))
    assert "There are no findings." in told
    assert "No finding is about a stay." in told


def written_index(folder: Path, audit: AuditContent) -> str:
    return write_audit(folder, audit).read_text("utf-8")


def test_funnels_name_a_flagged_unit_but_none_of_few_patients(tmp_path):
    points = tuple(
        FunnelPoint(
            unit_id=f"U{n}", n=50, n_observed=seen, expected=5.0, value=seen / 5, is_flagged=is_flagged
        )
        for n, (seen, is_flagged) in enumerate(((20, True), (3, True), (5, False)))
    )
    limits = tuple(FunnelLimit(n=n, low95=0.2, high95=2.0, low998=0.1, high998=3.0) for n in (1.0, 5.0, 10.0))
    plot = FunnelPlot(
        measure="m",
        title="Share of Z03",
        period="2024",
        target=1.0,
        is_share=False,
        points=points,
        limits=limits,
    )
    index = written_index(tmp_path, content(funnels=(plot,)))
    (drawn,) = re.findall(r'<svg[^>]*class="funnel".*?</svg>', index, re.DOTALL)
    assert "Share of Z03, 2024: 3 units, 2 out of limits" in drawn
    assert re.findall(r">(U\d)<", drawn) == ["U0"]
    assert drawn.count("<circle") == 3


def months(counts: list[tuple[int, int]]) -> tuple[DriftPoint, ...]:
    return tuple(
        DriftPoint(month=dt.date(2024, n + 1, 1), n=total, observed=seen, expected=seen, expected_own=seen)
        for n, (total, seen) in enumerate(counts)
    )


def test_months_are_joined_until_none_counts_one_to_four():
    joined = joined_points(months([(20, 2), (20, 2), (20, 3), (20, 6), (20, 0), (20, 4)]))
    assert [(point.n, point.observed) for point in joined] == [(60, 7), (60, 10)]
    assert joined_points(months([(20, 2)])) == []


def test_lines_over_time_show_known_causes_in_words(tmp_path):
    line = DriftLine(
        unit="H1/A",
        measure="m",
        title="Share with complication",
        points=months([(50, 10)] * 12),
        causes=(
            CauseMark(
                date=dt.date(2024, 6, 1),
                id="rule",
                title="The rule began",
                title_nb="Regelen",
                kind="rule",
                explains=True,
            ),
        ),
    )
    told = words(written_index(tmp_path, content(drift=(line,))))
    assert "The rule began, 2024-06-01: explains a change that units made together" in told


@pytest.mark.parametrize("n", [0, 1])
def test_a_capacity_of_nothing_or_one_is_drawn(tmp_path, n):
    index, _, _ = written(tmp_path, content(capacity=Capacity(stays=n)))
    assert f"The first {n} of 12 stays" in index


def test_what_is_answered_is_not_opened_again_and_answers_are_held_against_what_was_expected(tmp_path):
    audit = content()
    answers = [
        {
            "finding_id": f"{number:016x}",
            "stay_id": BIG + number,
            "answer": "agree" if number < 5 else "disagree",
            "reason": NASTY,
            "reviewer_role": "koder",
            "date": TODAY,
            "drawn": "ranked",
        }
        for number in range(6)
    ]
    reviews = pl.DataFrame(answers, schema=REVIEWS)
    index, case, place = written(tmp_path, AuditContent(**{**vars(audit), "reviews": reviews}))
    page = (place / f"{case.case_id}.html").read_text("utf-8")
    stays = re.findall(r'<td><span class="id">(\d+)</span>', page)
    assert sorted(stays[:6]) == [str(BIG + number) for number in range(6, 12)]
    assert words(page).count("answered") == 6
    assert "Agreed: 5; disagreed: 1; cannot tell, or not at one: 0." in words(page)
    # Reasons are reviewers' own words, which may name somebody: they are kept, and shown nowhere.
    assert "HYPERLINK" not in page
    assert "HYPERLINK" not in index
    # 6 answers by .9 each: 5.4 expected to be agreed with. One disagreed: a small count, so it is hidden.
    assert "coding rule opened for its rank 6 hidden hidden 0 as expected" in words(index)
    assert "Stays to open in all 6" in words(index)
