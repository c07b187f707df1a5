"""The spreadsheet of a case for its unit: stays to open and findings with room for answers; pseudonyms only.

Every text is written as text, so nothing that stands in the data can become a formula or a link.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phenotype.coding.cases.reviews import HEADINGS
from phenotype.report.coding_lines import CasePage, FindingLine, StayLine

ANSWER_CHOICES = ("enig", "uenig", "kan ikke avgjøre")
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""**Source:** OWASP, CSV Injection."""
LONGEST_CELL = 32_000
SOME_DAY = dt.datetime(2000, 1, 1)
"""Stands for when the workbook was made, so that the same case gives the same bytes."""
_STAY_COLUMNS: Sequence[tuple[str, int]] = (
    ("Rekkefølge / rank", 10),
    ("Opphold / stay_id", 23),
    ("Les også / other stays", 23),
    ("Antall funn / findings", 9),
    ("Sannsynlighet / probability", 13),
    ("Beløp / amount (NOK)", 24),
    ("Forventet tilbakeført / expected recovery (NOK)", 20),
    ("Timer / hours", 8),
    ("Vurdering / verdict", 20),
    ("Utvalg / drawn", 12),
)
_FINDING_COLUMNS: Sequence[tuple[str, int]] = (
    ("Rekkefølge / rank", 10),
    (HEADINGS["finding_id"], 19),
    (HEADINGS["stay_id"], 23),
    ("Kontakt / contact_id", 23),
    ("Hva / what", 44),
    ("Kodet / coded", 34),
    ("Foreslått / suggested", 34),
    ("Sannsynlighet / probability", 13),
    ("Beløp / amount (NOK)", 24),
    ("Hvorfor / why", 50),
    ("Forklaring som gjelder / explanation that holds", 30),
    (HEADINGS["drawn"], 12),
    (HEADINGS["answer"], 16),
    (HEADINGS["reason"], 44),
    (HEADINGS["reviewer_role"], 16),
    (HEADINGS["date"], 13),
)
_TO_FILL_IN = (HEADINGS["answer"], HEADINGS["reason"], HEADINGS["reviewer_role"], HEADINGS["date"])
_READ_ME = (
    (
        "Funnene er maskinelle: et funn er en tvil, ikke en feil.",
        "Findings are made by machine: doubts, not errors.",
    ),
    (
        "Åpne oppholdene i rekkefølge. Svar på arket Funn: enig (kodingen er feil), uenig, kan ikke avgjøre.",
        "Open the stays in order. Answer on the sheet Funn: enig (it is wrong), uenig, kan ikke avgjøre.",
    ),
    (
        "Begrunn uenig og kan ikke avgjøre. Skriv ingenting som identifiserer pasienter.",
        "Give a reason for uenig and kan ikke avgjøre. Write nothing that identifies a patient.",
    ),
    (
        "Opphold og kontakter er pseudonymer; den som har nøkkelen, finner dem igjen i journalsystemet.",
        "Stays and contacts are pseudonyms; whoever keeps the key finds them in the record system.",
    ),
    (
        "Opphold merket tilfeldig er trukket tilfeldig, for å vise om sannsynlighetene holder.",
        "Stays marked tilfeldig were drawn at random, to show whether probabilities hold.",
    ),
)
_DRAWN = {"ranked": "rangert", "random": "tilfeldig", "": ""}


def write_sheet(file: Path, page: CasePage, stays: Sequence[StayLine]) -> None:
    """Write the spreadsheet of a case.

    Args:
        file: where.
        page: what the case's page says, in Norwegian.
        stays: all stays of the case, in Norwegian.
    """
    import xlsxwriter

    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "in_memory": True,
    }
    with xlsxwriter.Workbook(file, {**options, "default_date_format": "yyyy-mm-dd"}) as book:
        book.set_properties({"title": page.title, "created": SOME_DAY})
        forms = {
            "text": book.add_format({"text_wrap": True, "valign": "top"}),
            "quoted": book.add_format({"text_wrap": True, "valign": "top", "quote_prefix": True}),
            "head": book.add_format(
                {"bold": True, "text_wrap": True, "valign": "top", "bottom": 1, "bg_color": "#e6eef0"}
            ),
            "fill": book.add_format(
                {
                    "text_wrap": True,
                    "valign": "top",
                    "bg_color": "#fdf6e3",
                    "border": 1,
                    "border_color": "#dde2e6",
                }
            ),
            "title": book.add_format({"bold": True, "font_size": 14}),
        }
        _about(book.add_worksheet("Les meg"), page, forms)
        _stays(book.add_worksheet("Opphold"), stays, forms)
        _findings(book.add_worksheet("Funn"), stays, forms)


def _put(
    sheet: Any, row: int, column: int, value: str | int, forms: dict[str, Any], *, form: str = "text"
) -> None:
    """A cell: counts as numbers, everything else as text that stays text."""
    if isinstance(value, int):
        sheet.write_number(row, column, value, forms[form])
        return
    text = value[:LONGEST_CELL]
    chosen = "quoted" if form == "text" and text.startswith(STARTS_A_FORMULA) else form
    sheet.write_string(row, column, text, forms[chosen])


def _about(sheet: Any, page: CasePage, forms: dict[str, Any]) -> None:
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 2, 80)
    _put(sheet, 0, 0, page.title, forms, form="title")
    facts = (
        ("Sak / case", page.case_id),
        ("Enhet / unit", page.unit),
        ("Periode / period", page.period),
        ("Sammenlignet med / against", page.against),
        ("Tallene viser / figures", page.lead or "–"),
        ("Beløp om alt bekreftes / amount", page.amount),
        ("Forventet tilbakeført / expected recovery", page.expected),
        *((f"Regel / rule: {rule.title}", f"{rule.says} ({'; '.join(rule.sources)})") for rule in page.rules),
    )
    for at, (name, value) in enumerate(facts, start=2):
        _put(sheet, at, 0, name, forms)
        _put(sheet, at, 1, value, forms)
    for at, (norwegian, english) in enumerate(_READ_ME, start=len(facts) + 3):
        _put(sheet, at, 1, norwegian, forms)
        _put(sheet, at, 2, english, forms)


def _heads(sheet: Any, columns: Sequence[tuple[str, int]], forms: dict[str, Any]) -> None:
    for at, (name, width) in enumerate(columns):
        sheet.set_column(at, at, width)
        _put(sheet, 0, at, name, forms, form="head")
    sheet.freeze_panes(1, 2)
    sheet.set_landscape()
    sheet.set_paper(9)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)


def _stays(sheet: Any, stays: Sequence[StayLine], forms: dict[str, Any]) -> None:
    _heads(sheet, _STAY_COLUMNS, forms)
    for at, stay in enumerate(stays, start=1):
        cells: tuple[str | int, ...] = (
            stay.rank,
            stay.stay,
            ", ".join(stay.others),
            len(stay.findings),
            stay.probability,
            stay.amount,
            stay.expected,
            stay.hours,
            stay.verdict,
            _DRAWN[stay.drawn],
        )
        for column, value in enumerate(cells):
            _put(sheet, at, column, value, forms)


def _findings(sheet: Any, stays: Sequence[StayLine], forms: dict[str, Any]) -> None:
    _heads(sheet, _FINDING_COLUMNS, forms)
    names = [name for name, _ in _FINDING_COLUMNS]
    lines = [(stay, finding) for stay in stays for finding in stay.findings]
    for at, (stay, finding) in enumerate(lines, start=1):
        for column, value in enumerate(_finding_cells(stay, finding)):
            _put(sheet, at, column, value, forms)
        for name in _TO_FILL_IN:
            sheet.write_blank(at, names.index(name), None, forms["fill"])
    if lines:
        column = names.index(HEADINGS["answer"])
        sheet.data_validation(
            1,
            column,
            len(lines),
            column,
            {
                "validate": "list",
                "source": list(ANSWER_CHOICES),
                "error_title": "Svar / answer",
                "error_message": "enig, uenig, kan ikke avgjøre",
            },
        )
        sheet.autofilter(0, 0, len(lines), len(names) - 1)


def _finding_cells(stay: StayLine, finding: FindingLine) -> tuple[str | int, ...]:
    return (
        stay.rank,
        finding.finding_id,
        stay.stay,
        finding.contact,
        finding.title,
        finding.code,
        finding.suggested,
        finding.probability,
        finding.amount,
        "\n".join(finding.reasons),
        ", ".join(finding.holding),
        _DRAWN[stay.drawn],
    )
