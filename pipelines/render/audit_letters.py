"""A draft letter as a page and as plain Markdown: the same words twice."""

from __future__ import annotations

from markupsafe import Markup

from phenotype.report.coding_letter import Letter, LetterTable
from pipelines.render.pages import TEMPLATES, content_policy, render_page
from pipelines.render.text import plain


def letter_html(letter: Letter) -> str:
    """The letter as a page that prints on A4."""
    return audit_page("audit_letter.html", letter=letter)


def audit_page(template: str, **content: object) -> str:
    """A page of an audit, with the style sheet of audits."""
    style = "\n".join((TEMPLATES / name).read_text("utf-8") for name in ("style.css", "audit.css"))
    return render_page(
        template,
        style=Markup(style),  # noqa: S704  our own files
        policy=content_policy(style),
        **content,
    )


def letter_text(letter: Letter) -> str:
    """The letter as Markdown; texts from the data cannot become markup."""
    lines = [f"> {plain(letter.draft)}", ""]
    lines += [f"{plain(name)}: {_field(text)}  " for name, text in letter.fields]
    lines += ["", f"# {plain(letter.subject)}", ""]
    for paragraph in letter.paragraphs:
        lines += [plain(paragraph), ""]
    for table in letter.tables:
        lines += [*_table(table), ""]
    lines += [f"## {plain(letter.asks_title)}", ""]
    lines += [f"{number}. {plain(ask)}" for number, ask in enumerate(letter.asks, start=1)]
    lines.append("")
    for paragraph in letter.closing:
        lines += [_field(paragraph), ""]
    lines += [*(f"{_field(part)}  " for part in letter.signature), ""]
    lines += [f"{plain(letter.attachments_title)}: {'; '.join(plain(one) for one in letter.attachments)}", ""]
    return "\n".join(lines)


def _field(text: str) -> str:
    """A text whose square brackets mark what the case officer fills in."""
    return plain(text).replace("\\[", "[").replace("\\]", "]")


def _table(table: LetterTable) -> list[str]:
    def row(cells: tuple[str, ...]) -> str:
        """One line of the table."""
        return "| " + " | ".join(plain(cell) for cell in cells) + " |"

    rule = "|" + " --- |" * len(table.heads)
    return [f"## {plain(table.title)}", "", row(table.heads), rule, *(row(cells) for cells in table.rows)]
