"""Which trends the quality page draws, from the details of the checks that look at months."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from markupsafe import Markup

from ontology.labels import label_of
from phenotype.explain.wording import count_words, number_words
from pipelines.quality.results import QualityResult
from pipelines.quality.rules import LateArrival, MonthlyRate, Silence
from pipelines.quality.wording import SMALLEST_SHOWN, share_words
from pipelines.render.quality_charts import Point, Trend, draw_trend

MOST_GROUPS = 9
"""How many groups a figure draws: those with wrong months first, then the largest."""
LEAST_MONTHS = 6
LEAST_IN_MONTH = 20
"""Months with fewer facts are left out where shares are drawn."""
SYSTEM_NAMES: Mapping[str, str] = {
    "MEDS_BIRTH": "Births",
    "VITAL": "Vital signs",
    "NLK": "Laboratory (NLK)",
    "CONTACT": "Contacts, begin",
    "CONTACT_END": "Contacts, end",
    "BLOOD_CULTURE": "Blood cultures",
}


@dataclass(frozen=True)
class Figure:
    """One set of small charts.

    Attributes:
        check_id: the check that it belongs to.
        title: its heading.
        note: how to read it.
        charts: drawn trends.
        n_left_out: groups that are not drawn.
    """

    check_id: str
    title: str
    note: str
    charts: tuple[Markup, ...]
    n_left_out: int


def draw_figures(result: QualityResult) -> list[Figure]:
    """The figures of all checks that look at months and found any, in the order of the checks."""
    found = []
    for check in result.checks:
        details = result.details.get(check.id)
        way = _WAYS.get(type(check.rule))
        if details is None or way is None or not details.height:
            continue
        trends, note = way(check.rule, details)
        ranked = sorted(trends, key=_rank)
        charts = tuple(draw_trend(trend) for trend in ranked[:MOST_GROUPS])
        if charts:
            left_out = max(len(ranked) - MOST_GROUPS, 0)
            found.append(Figure(check.id, _TITLES[type(check.rule)](check.rule), note, charts, left_out))
    return found


def _rank(trend: Trend) -> tuple[int, float, str]:
    n_marked = sum(point.is_marked for point in trend.points)
    return (-n_marked, -sum(point.value or 0.0 for point in trend.points), trend.title)


def _shown(value: float) -> float:
    """A count as it is drawn: 1 to 4 as none."""
    return 0.0 if value < SMALLEST_SHOWN else value


def _silence(rule: object, details: pl.DataFrame) -> tuple[list[Trend], str]:
    """Months of each group by how many patients or contacts there were."""
    assert isinstance(rule, Silence)  # noqa: S101  by the type of the rule
    what = "patients" if rule.by == "system" else "contacts"
    trends = [
        _trend(
            group,
            [
                Point(row["month"], _shown(row["n_present"]), bool(row["is_silent"]))
                for row in rows.iter_rows(named=True)
            ],
            None,
            lambda top: f"most in a month: {count_words(round(top))} {what}",
        )
        for group, rows in _by_group(details, "group")
    ]
    note = (
        f"{what.capitalize()} a month; red: fewer than {share_words(rule.share)} of the months before. "
        "Counts from 1 to 4 are drawn as none."
    )
    return trends, note


def _rate(rule: object, details: pl.DataFrame) -> tuple[list[Trend], str]:
    """Months of each unit by what was counted for each contact."""
    assert isinstance(rule, MonthlyRate)  # noqa: S101  by the type of the rule
    what = "diagnoses" if rule.rate == "diagnoses_per_contact" else "events"
    trends = [
        _trend(
            group,
            [
                Point(row["month"], row["rate"], bool(row["is_far"]))
                for row in rows.iter_rows(named=True)
                if row["n_contacts"] >= SMALLEST_SHOWN
            ],
            rows["usual"][0],
            lambda top: f"most in a month: {number_words(round(top, 2))} {what} a contact",
        )
        for group, rows in _by_group(details, "group")
    ]
    note = (
        f"{what.capitalize()} for each contact that began in the month; pale: the unit's median; red: more "
        f"than {number_words(rule.factor)} times it, or less than that part. Months with fewer than "
        f"{rule.n_in_month} contacts are left out."
    )
    return trends, note


def _late(rule: object, details: pl.DataFrame) -> tuple[list[Trend], str]:
    """Months of each code system by the share that became known late."""
    assert isinstance(rule, LateArrival)  # noqa: S101  by the type of the rule
    trends = []
    for group, rows in _by_group(details.filter(pl.col("n_rows") >= LEAST_IN_MONTH), "concept"):
        points = [
            Point(dt.date.fromisoformat(f"{row['month']}-01"), _shown(row["n_violated"]) / row["n_rows"])
            for row in rows.iter_rows(named=True)
        ]
        trends.append(
            _trend(group, points, None, lambda top: f"largest share in a month: {share_words(top)}")
        )
    note = (
        f"Share of facts that became known more than {number_words(rule.hours / 24)} days after they "
        f"happened, by month of happening. Months with fewer than {LEAST_IN_MONTH} facts are left out; 1 to "
        "4 late ones are drawn as none."
    )
    return trends, note


def _trend(
    group: str, points: Sequence[Point], usual: float | None, top_words: Callable[[float], str]
) -> Trend:
    """A line of months with its words."""
    top = max((point.value for point in points if point.value is not None), default=0.0)
    n_marked = sum(point.is_marked for point in points)
    title = group_label(group)
    words = f"{title}: {len(points)} months, {top_words(top)}" + (
        f", {n_marked} of them marked" if n_marked else ""
    )
    return Trend(title, tuple(points), usual, top_words(top), words)


def _by_group(details: pl.DataFrame, column: str) -> list[tuple[str, pl.DataFrame]]:
    """Each group's months in order; groups with few months are left out, they show no trend."""
    parts = details.sort(column, "month").partition_by(column, maintain_order=True)
    return [(str(part[column][0]), part) for part in parts if part.height >= LEAST_MONTHS]


def group_label(group: str) -> str:
    """What a code, a system or another group is called."""
    if "//" in group:
        return f"{label_of(group)} ({group.partition('//')[2]})"
    return SYSTEM_NAMES.get(group, group)


_WAYS: Mapping[type, Callable[[object, pl.DataFrame], tuple[list[Trend], str]]] = {
    Silence: _silence,
    MonthlyRate: _rate,
    LateArrival: _late,
}
_TITLES: Mapping[type, Callable[..., str]] = {
    Silence: lambda rule: {
        "system": "Patients a month, by code system",
        "hospital_id": "Contacts a month, by hospital",
        "unit_id": "Contacts a month, by unit",
    }[rule.by],
    MonthlyRate: lambda rule: (
        "Diagnoses a contact, by unit and month"
        if rule.rate == "diagnoses_per_contact"
        else "Events a contact, by unit and month"
    ),
    LateArrival: lambda _: "What arrives late, by code system and month",
}
