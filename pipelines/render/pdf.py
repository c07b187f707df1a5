"""Report pages to PDF, as they print: by WeasyPrint, the `pdf` extra, without a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ontology.errors import MissingExtraError, Problem


def write_pdfs(pages: Sequence[Path]) -> list[Path]:
    """A PDF beside each HTML page.

    Args:
        pages: self-contained HTML files.

    Returns:
        The PDFs, in the order of the pages.

    Raises:
        MissingExtraError: WeasyPrint, or the Pango library that it draws text with, is not installed.
    """
    try:
        from weasyprint import HTML
    except (ImportError, OSError) as error:
        raise MissingExtraError(
            Problem(
                "PDF needs WeasyPrint and the Pango library",
                found=type(error).__name__,
                next_step="pip install 'pesta[pdf]', and Pango from the system's packages",
            )
        ) from None
    written = []
    for page in pages:
        target = page.with_suffix(".pdf")
        HTML(filename=str(page)).write_pdf(str(target))
        written.append(target)
    return written
