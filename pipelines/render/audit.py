"""The pages of an audit: index.html; for each case a page, a spreadsheet for the unit, draft letters."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from phenotype.coding.cases.cases import Case
from phenotype.coding.cases.explanations import InnocentExplanations
from phenotype.coding.cases.names import CaseNames
from phenotype.coding.cases.order import Capacity, Effort, order_stays, recovery_curve, within_capacity
from phenotype.coding.cases.review_correction import CHECKS, answer_counts, check_reviews, settled
from phenotype.coding.cases.reviews import REVIEWS
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.drift.lines import DriftLine
from phenotype.coding.findings import Found
from phenotype.coding.rates.funnels import FunnelPlot
from phenotype.explain.wording import count_words
from phenotype.report.coding_agreement import AgreementTable
from phenotype.report.coding_audit import (
    case_lines,
    check_lines,
    coverage_lines,
    not_judged_lines,
    shown_part,
    totals,
)
from phenotype.report.coding_case import CaseBook
from phenotype.report.coding_letter import LetterTexts, make_letter
from phenotype.report.money import Language, day_words, plain_number, share_words
from pipelines.render.audit_charts import draw_curve, draw_drift, draw_funnel
from pipelines.render.audit_letters import audit_page, letter_html, letter_text
from pipelines.render.audit_sheet import write_sheet

STAYS_SHOWN = 40
MOST_LINES = 300
MOST_CHARTS = 24
LANGUAGES: tuple[Language, ...] = ("nb", "en")


@dataclass(frozen=True)
class AuditContent:
    """All that the pages of an audit are made of.

    Attributes:
        title: what was audited.
        today: the day that letters are dated.
        found: every finding, probabilities as corrected by reviewers.
        record: the coded record.
        cases: what `make_cases` gives.
        coverage: columns of RULE_COVERAGE, of rules and measures.
        names: what rules, measures and codes are called.
        explanations: what innocent explanations are called.
        letters: the words of the letters.
        effort: what opening a stay costs.
        capacity: how many stays can be opened in all.
        looked_at: rule_id, explanation, looked_at, held, as rules were judged; null = not told.
        funnels: the funnels to draw, the most telling first.
        drift: the lines to draw, the most telling first.
        agreement: codes beside phenotypes that data show.
        supplements: (unit, measure, period) -> the table that the committee asks for.
        reviews: columns of REVIEWS.
        stated: the findings with the probabilities before the answers, by which answers are checked; null =
            found's.
        not_judged: what could not be judged, priced or compared, and how often.
        provenance: name and value: versions and digests.
    """

    title: str
    today: dt.date
    found: Found
    record: CodedRecord
    cases: tuple[Case, ...]
    coverage: pl.DataFrame
    names: CaseNames
    explanations: InnocentExplanations
    letters: LetterTexts
    effort: Effort
    capacity: Capacity = field(default_factory=Capacity)
    looked_at: pl.DataFrame | None = None
    funnels: Sequence[FunnelPlot] = ()
    drift: Sequence[DriftLine] = ()
    agreement: Sequence[AgreementTable] = ()
    supplements: Mapping[tuple[str, str, str], pl.DataFrame] = field(default_factory=dict)
    reviews: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REVIEWS))
    stated: pl.DataFrame | None = None
    not_judged: Sequence[tuple[str, int]] = ()
    provenance: Sequence[tuple[str, str]] = ()


def write_audit(folder: Path, audit: AuditContent, *, most_cases: int = 100) -> Path:
    """Write index.html and, for the first cases, cases/ID.html, .xlsx, and .letter.nb and .en (.html, .md).

    A case that is about nothing unusual has no letters (see `letter_purpose`).

    Pages hold no script and fetch nothing. index.html shows no count of 1 to 4 patients and may leave the
    hospital; what lies in cases/ names stays by pseudonym and is for the unit alone. Letters may become
    public.

    Args:
        folder: the audit folder; must be there. Files of earlier cases in its cases/ are replaced as a whole.
        audit: what the pages say.
        most_cases: how many cases, in the order given, get files of their own; the index lists the first 300
            of each kind.

    Returns:
        The path of index.html.
    """
    answered = frozenset(settled(audit.reviews)["finding_id"].to_list())
    open_findings = audit.found.findings.filter(~pl.col("finding_id").is_in(list(answered)))
    unanswered = Found(open_findings, audit.found.items, audit.found.reasons)
    chosen = within_capacity(order_stays(unanswered, audit.record.contacts, audit.effort), audit.capacity)
    book = CaseBook(
        audit.found,
        audit.names,
        audit.explanations,
        contacts=audit.record.contacts,
        chosen=chosen,
        answered=answered,
    )
    with_files = audit.cases[:most_cases]
    place = folder / "cases"
    place.mkdir(exist_ok=True)
    for file in place.iterdir():
        if file.suffix in {".html", ".xlsx", ".md"}:
            file.unlink()
    for case in with_files:
        _write_case(place, case, book, audit)
    index = folder / "index.html"
    index.write_text(_index(audit, unanswered, chosen, with_files), "utf-8")
    return index


def _index(audit: AuditContent, unanswered: Found, chosen: pl.DataFrame, with_files: Sequence[Case]) -> str:
    stays = audit.record.contacts.select("stay_id", "subject_id").unique("stay_id", keep="any")
    lines = case_lines(
        audit.cases, chosen, dict(stays.iter_rows()), frozenset(case.case_id for case in with_files)
    )
    has_stays = [bool(case.openings["probability"].count()) for case in audit.cases]
    shown_lines = [(line, has) for line, has in zip(lines, has_stays, strict=True) if not line.is_hidden]
    shown = shown_part(audit.cases, audit.found)
    is_rule = pl.col("rule_id").is_in(list(audit.names.says))
    to_open = shown_part(audit.cases, unanswered)
    priced = shown_part(audit.cases, audit.found, with_money=True)
    public = order_stays(to_open, audit.record.contacts, audit.effort).filter(
        pl.col("probability").is_not_null()
    )
    return audit_page(
        "audit.html",
        title=audit.title,
        today=day_words(audit.today),
        totals=totals(
            audit.cases,
            shown,
            audit.record,
            public.height,
            order_stays(priced, audit.record.contacts, audit.effort),
        ),
        capacity=audit.capacity,
        effort=audit.effort,
        curve=draw_curve(recovery_curve(public), chosen.height) if public.height else None,
        cases=[line for line, has in shown_lines if has][:MOST_LINES],
        rate_cases=[line for line, has in shown_lines if not has][:MOST_LINES],
        small_cases=[line for line in lines if line.is_hidden][:MOST_LINES],
        n_small_cases=sum(line.is_hidden for line in lines),
        n_more_cases=sum(max(n - MOST_LINES, 0) for n in Counter(has for _, has in shown_lines).values()),
        rules=coverage_lines(
            audit.coverage.filter(is_rule),
            audit.found,
            audit.record,
            audit.names,
            audit.looked_at,
            shown=shown,
        ),
        measures=coverage_lines(
            audit.coverage.filter(~is_rule),
            audit.found,
            audit.record,
            audit.names,
            shown=shown,
            of_rates=True,
        ),
        funnels=[(plot, draw_funnel(plot)) for plot in audit.funnels[:MOST_CHARTS]],
        n_more_funnels=max(len(audit.funnels) - MOST_CHARTS, 0),
        drift=[(one, draw_drift(one, is_public=True)) for one in audit.drift[:MOST_CHARTS]],
        n_more_drift=max(len(audit.drift) - MOST_CHARTS, 0),
        agreement=audit.agreement,
        checks=check_lines(_checks(audit)),
        n_reviews=audit.reviews.height,
        not_judged=not_judged_lines(audit.not_judged),
        provenance=audit.provenance,
    )


def _checks(audit: AuditContent) -> pl.DataFrame:
    """Answers against the probabilities stated before them; no rows without answers."""
    if not audit.reviews.height:
        return pl.DataFrame(schema=CHECKS)
    return check_reviews(audit.found.findings if audit.stated is None else audit.stated, audit.reviews)


def _write_case(place: Path, case: Case, book: CaseBook, audit: AuditContent) -> None:
    answers = answer_counts(audit.reviews, case.finding_ids) if audit.reviews.height else {}
    pages = {language: book.page(case, answers, STAYS_SHOWN, language) for language in LANGUAGES}
    measures = {rate.measure for rate in case.rates}
    html = audit_page(
        "audit_case.html",
        page=pages["en"],
        title_nb=case.title.nb,
        today=day_words(audit.today),
        curve=draw_curve(recovery_curve(case.openings), pages["en"].n_to_open)
        if case.openings["probability"].count() > 1
        else None,
        funnels=[
            (plot, draw_funnel(plot, case.unit_id))
            for plot in audit.funnels
            if plot.measure in measures and any(point.unit_id == case.unit_id for point in plot.points)
        ],
        drift=[
            (one, draw_drift(one, is_public=False))
            for one in audit.drift
            if one.unit == case.unit_id and (one.measure in measures or one.measure in book.rule_ids(case))
        ],
        supplements=[
            (book.measure_words(measure), period, *_table(table))
            for (unit, measure, period), table in sorted(audit.supplements.items())
            if unit == case.unit_id and (measure in measures or measure in book.rule_ids(case))
        ],
        effort=audit.effort,
    )
    (place / f"{case.case_id}.html").write_text(html, "utf-8")
    write_sheet(place / f"{case.case_id}.xlsx", pages["nb"], book.stays(case, language="nb"))
    for language in LANGUAGES:
        words = getattr(audit.letters, language)
        letter = make_letter(case, pages[language], words, language, audit.today)
        if letter is None:
            continue
        (place / f"{case.case_id}.letter.{language}.html").write_text(letter_html(letter), "utf-8")
        (place / f"{case.case_id}.letter.{language}.md").write_text(letter_text(letter), "utf-8")


_HEADS = {
    "part": "About",
    "figure": "Figure",
    "unit": "The unit",
    "others": "Others",
    "counting": "The unit, those counted",
    "others_counting": "Others, those counted",
}


def _table(table: pl.DataFrame) -> tuple[list[tuple[str, bool]], list[list[tuple[str, bool]]]]:
    """The columns of a table in words and its rows, each cell with whether it is a figure."""
    is_figure = [dtype.is_numeric() for dtype in table.dtypes]
    heads = [_HEADS.get(name, name.replace("_", " ")) for name in table.columns]
    rows = [
        [(_cell(value, row), at) for value, at in zip(row, is_figure, strict=True)]
        for row in table.iter_rows()
    ]
    return list(zip(heads, is_figure, strict=True)), rows


def _cell(value: object, row: tuple[object, ...]) -> str:
    """A value in words: a share where its row's text says so, a count where it is whole."""
    if not isinstance(value, float):
        return "–" if value is None else count_words(value) if isinstance(value, int) else str(value)
    if any(isinstance(text, str) and text.startswith("share") for text in row):
        return share_words(value)
    if "stays" in row:
        return count_words(round(value))
    return plain_number(value, "en", 1)
