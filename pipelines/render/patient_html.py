"""One patient's page as HTML: the words of the page with their drawings."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup

from phenotype.explain.reasons import Reason
from phenotype.explain.wording import MINUS
from phenotype.report.patient import PatientPage
from pipelines.render.drawings import draw_risks, draw_series, draw_timeline
from pipelines.render.marks import range_bar, risk_dots, signed_bar
from pipelines.render.pages import render_page

MIN_DOMAIN = 0.02
"""A domain that weighs less than this, in log odds, has no line of its own."""


def patient_html(page: PatientPage, text_file: str) -> str:
    """The page of one patient.

    Args:
        page: what it says.
        text_file: the name of the same page as plain text, to link to.
    """
    trajectory = page.trajectory
    history = trajectory.history
    return render_page(
        "patient.html",
        page=page,
        text_file=text_file,
        dots=risk_dots(page.risk),
        range_bar=range_bar(page.risk, page.usual, page.band) if page.usual else None,
        history=draw_timeline(history, page.anchor, "Whole history") if history else None,
        recent=draw_timeline(trajectory.recent, page.anchor, "Last days"),
        series=[draw_series(series, page.prediction_time, page.anchor) for series in trajectory.series],
        risks=draw_risks(page.risks, page.usual, page.anchor) if page.risks else None,
        bar=_bars(page),
        domain_bar=_domain_bars(page),
        domains=[
            part for part in (page.reasons.domains if page.reasons else ()) if abs(part.phi) >= MIN_DOMAIN
        ],
        log_odds=log_odds,
    )


def _bars(page: PatientPage) -> Any:
    """Draws a reason's bar; all bars of a page share one scale."""
    listed = (*page.reasons_for, *page.reasons_against, *page.care)
    largest = max((abs(reason.phi) for reason in listed), default=1.0)

    def bar(reason: Reason) -> Markup:
        """The bar of one reason, with its interval."""
        return signed_bar(reason.phi, reason.low, reason.high, largest, log_odds(reason.phi))

    return bar


def _domain_bars(page: PatientPage) -> Any:
    """Draws a domain's bar, on a scale of the domains' own."""
    domains = page.reasons.domains if page.reasons else ()
    largest = max((abs(part.phi) for part in domains), default=1.0)

    def bar(phi: float) -> Markup:
        """The bar of one domain."""
        return signed_bar(phi, phi, phi, largest, log_odds(phi))

    return bar


def log_odds(phi: float) -> str:
    """A contribution in log odds, signed: +0.84."""
    return f"{phi:+.2f}".replace("-", MINUS)
