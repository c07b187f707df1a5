"""One patient's page as plain Markdown, for screen readers and for tests: the same data, no drawing."""

from __future__ import annotations

import re
from collections.abc import Iterable

from phenotype.explain.reasons import Reason
from phenotype.explain.wording import (
    MINUS,
    about_100_words,
    long_instant_words,
    number_words,
    percent_words,
)
from phenotype.report.patient import PatientPage
from phenotype.report.phenotypes import PatientPhenotype
from pipelines.render.drawings import series_words


def patient_text(page: PatientPage) -> str:
    """The page of one patient as Markdown; texts from the record cannot become markup."""
    when = long_instant_words(page.prediction_time, page.anchor)
    who = ", ".join(part for part in (page.age, page.sex, page.place) if part)
    lines = [
        f"# Patient {page.subject_id}",
        "",
        "For research, not a diagnosis.",
        "",
        plain(f"{page.task.title}. {page.task.question}"),
        plain(f"{who}. Prediction of {when}."),
        "",
        "## Risk",
        "",
        plain(f"{about_100_words(page.risk)} patients with a record like this {page.task.they_do}."),
        *_record(page),
        *[f"- {plain(title)}: {percent_words(risk)}" for title, risk in page.other_models],
        "",
        *_reasons("Speaks for", page.reasons_for),
        *_reasons("Speaks against", page.reasons_against),
        *_reasons("Care already given", page.care),
        *_listed("Named states", [_phenotype_words(one, page) for one in page.phenotypes]),
        *_listed("Not known at the prediction", page.not_known),
        *_listed("Measured values", [series_words(series) for series in page.trajectory.series]),
        "## What happened then",
        "",
        plain(page.afterwards.outcome),
        "",
        plain(f"{page.model.title}, {page.model.version}, {page.model.date}."),
        "",
    ]
    return "\n".join(lines)


def _record(page: PatientPage) -> list[str]:
    lines = []
    if page.band is not None:
        lines.append(f"Of {page.band.n_subjects} other patients with a similar risk, {page.band.words}.")
    if page.usual is not None:
        lines.append(
            plain(
                f"The middle half of {page.usual.whose} lies between {percent_words(page.usual.p25)} "
                f"and {percent_words(page.usual.p75)}."
            )
        )
    return lines


def _phenotype_words(one: PatientPhenotype, page: PatientPage) -> str:
    value = "" if one.value is None else f", value {number_words(one.value)}"
    return f"{one.title}: {one.state}, since {long_instant_words(one.since, page.anchor)}{value}"


def _reasons(heading: str, reasons: Iterable[Reason]) -> list[str]:
    return _listed(
        heading, [f"{reason.sentence} ({f'{reason.phi:+.2f}'.replace('-', MINUS)})" for reason in reasons]
    )


def _listed(heading: str, lines: Iterable[str]) -> list[str]:
    items = [f"- {plain(line)}" for line in lines]
    return [f"## {heading}", "", *items, ""] if items else []


def plain(words: str) -> str:
    """A text on one line with Markdown's and HTML's signs made harmless."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", re.sub(r"\s+", " ", words))
