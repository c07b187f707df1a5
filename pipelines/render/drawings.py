"""Drawings of one patient's trajectory: the time line, values as small multiples, risk over time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import pairwise

from markupsafe import Markup

from phenotype.explain.record import unit_words
from phenotype.explain.sentences import band_words
from phenotype.explain.wording import day_number, number_words, percent_words
from phenotype.report.patient import UsualRange
from phenotype.report.timeline import CARE_LEVELS, Lane, Series, Timeline
from pipelines.render.svg import (
    ACCENT,
    BAND,
    FAINT,
    FOR,
    INK,
    MUTED,
    PAPER,
    RULE,
    drawing,
    element,
    label,
    line,
    path,
)

WIDTH = 940.0
LEFT = 150.0
RIGHT = 926.0
LANE = 22.0
CONTACT_FILLS = {
    "icu": "#3f7480",
    "inpatient": "#7fa5ad",
    "emergency": "#b58a5a",
    "day": "#c3d3d6",
    "outpatient": "#c3d3d6",
}
JOINED_WITHIN = dt.timedelta(hours=48)
SERIES_WIDTH, SERIES_HEIGHT = 292.0, 92.0


def draw_timeline(timeline: Timeline, anchor: dt.datetime | None, name: str) -> Markup:
    """Contacts as bands and events as ticks, in lanes by domain, up to the prediction."""
    at = _scale(timeline.start, timeline.end, LEFT, RIGHT)
    top = 24.0
    rows = [
        part for place, lane in enumerate(timeline.lanes) for part in _lane(lane, top + 26 + LANE * place, at)
    ]
    bottom = top + 30 + LANE * len(timeline.lanes)
    axis = _axis(timeline, at, bottom, anchor)
    title = f"{name}: " + (
        "; ".join(f"{lane.domain} {lane.n_events} events" for lane in timeline.lanes) or "no events"
    )
    return drawing(
        WIDTH,
        bottom + 24,
        title,
        *axis,
        *_bands(timeline, at, top),
        *rows,
        line(RIGHT, 14, RIGHT, bottom, stroke=FOR, stroke_width=1.75),
        label(RIGHT, 10, "prediction", text_anchor="end", fill=FOR, font_weight=600),
        class_="timeline",
    )


def _bands(timeline: Timeline, at: Callable[[dt.datetime], float], top: float) -> list[Markup]:
    """Contacts as bands; one that goes on at the prediction reaches it."""
    parts = [label(0, top + 13, "Contacts", fill=INK)]
    for band in timeline.bands:
        start, end = at(band.start), at(band.end or timeline.end)
        words = CARE_LEVELS.get(band.care_level, band.care_level)
        fill = CONTACT_FILLS.get(band.care_level, "#c3d3d6")
        shape = element("rect", x=start, y=top, width=max(end - start, 2.5), height=18, fill=fill, rx=1.5)
        parts.append(element("g", element("title", band.label), shape))
        if end - start > 6.2 * len(words) + 10:
            white = band.care_level == "icu"
            parts.append(label(start + 6, top + 13, words, fill=PAPER if white else INK, font_size=11))
    return parts


def _lane(lane: Lane, y: float, at: Callable[[dt.datetime], float]) -> list[Markup]:
    """One domain's events; what the hospital did is drawn hollow."""
    middle = y + LANE / 2
    parts = [
        label(0, middle + 4, lane.domain, fill=INK),
        label(LEFT - 12, middle + 4, f"{lane.n_events}", text_anchor="end", font_size=10),
        line(LEFT, middle, RIGHT, middle, stroke="#edf0f2"),
    ]
    for mark in lane.marks:
        x, size = at(mark.time), min(3.0 + 0.9 * mark.n_events**0.5, 6.5)
        said = element("title", f"{mark.n_events} × {mark.words}" if mark.n_events > 1 else mark.words)
        colours = {"fill": PAPER, "stroke": ACCENT} if lane.is_care else {"fill": ACCENT, "stroke": "none"}
        shape = element("rect", x=x - 1.5, y=middle - size, width=3, height=2 * size, rx=1, **colours)
        parts.append(element("g", said, shape))
    return parts


def _axis(
    timeline: Timeline, at: Callable[[dt.datetime], float], bottom: float, anchor: dt.datetime | None
) -> list[Markup]:
    """Quiet vertical lines at round instants, named below."""
    parts = [line(LEFT, bottom, RIGHT, bottom, stroke=FAINT)]
    for time, words in _round_instants(timeline.start, timeline.end, anchor):
        x = at(time)
        parts.append(line(x, 24, x, bottom, stroke="#e9edf0"))
        if x < RIGHT - 26 or time == timeline.end:
            side = "start" if x <= LEFT + 16 else "end" if x > RIGHT - 26 else "middle"
            parts.append(label(x, bottom + 16, words, text_anchor=side))
    return parts


def _round_instants(
    start: dt.datetime, end: dt.datetime, anchor: dt.datetime | None
) -> list[tuple[dt.datetime, str]]:
    """Round instants between two, at most about a dozen, with their names."""
    span = end - start
    if span > dt.timedelta(days=900):
        step = 1 if span < dt.timedelta(days=12 * 365) else 5
        years = range(start.year + 1, end.year + 1)
        return [(dt.datetime(year, 1, 1), str(year)) for year in years if year % step == 0]
    if span > dt.timedelta(days=60):
        step = 1 if span < dt.timedelta(days=365) else 3
        months = [(year, month) for year in range(start.year, end.year + 1) for month in range(1, 13, step)]
        firsts = [dt.datetime(year, month, 1) for year, month in months]
        return [(first, f"{first:%b %Y}") for first in firsts if start < first < end]
    hours = next(
        (step for step in (1, 2, 3, 6, 12, 24, 48, 96, 168) if span / dt.timedelta(hours=step) <= 12), 168
    )
    midnight = dt.datetime(start.year, start.month, start.day)
    found = []
    time = midnight
    while time <= end:
        if time > start:
            found.append((time, _hour_words(time, anchor)))
        time += dt.timedelta(hours=hours)
    return found


def _hour_words(time: dt.datetime, anchor: dt.datetime | None) -> str:
    if time.hour:
        return f"{time:%H:%M}"
    return f"day {day_number(time, anchor)}" if anchor else f"{time.day} {time:%b}"


def draw_series(series: Series, end: dt.datetime, anchor: dt.datetime | None) -> Markup:
    """One code's values with the usual band behind them and the last value marked."""
    left, right, top, bottom = 4.0, SERIES_WIDTH - 66, 30.0, SERIES_HEIGHT - 14
    at = _scale(series.start, end, left, right)
    low, high = _extent(series)

    def height(value: float) -> float:
        """The vertical place of a value."""
        return bottom - (bottom - top) * (value - low) / (high - low)

    points = [(at(time), height(value)) for time, value in zip(series.times, series.values, strict=True)]
    band = []
    if series.low is not None or series.high is not None:
        ceiling = top if series.high is None else max(min(height(series.high), bottom), top)
        floor = bottom if series.low is None else max(min(height(series.low), bottom), top)
        thick = max(floor - ceiling, 1.0)
        band = [element("rect", x=left, y=ceiling, width=right - left, height=thick, fill=BAND)]
    x, y = points[-1]
    beside = min(y, SERIES_HEIGHT - 20)
    return drawing(
        SERIES_WIDTH,
        SERIES_HEIGHT,
        series_words(series),
        label(left, 13, series.label, fill=INK, font_size=12, font_weight=600),
        *band,
        line(left, bottom, right, bottom, stroke=RULE),
        path(points, stroke="#6f8f97" if len(points) > 60 else ACCENT),
        *(
            element("circle", cx=px, cy=py, r=1.5, fill=ACCENT)
            for px, py in (points[:-1] if len(points) <= 60 else [])
        ),
        element("circle", cx=x, cy=y, r=3, fill=FOR),
        label(
            right + 8, beside + 4, number_words(series.values[-1]), fill=INK, font_size=13, font_weight=600
        ),
        label(right + 8, beside + 17, series.unit, font_size=9.5),
        line(right, top, right, bottom, stroke=FOR, stroke_width=1, stroke_dasharray="2 2"),
        label(left, SERIES_HEIGHT - 2, _start_words(series.start, anchor), font_size=9.5, fill=MUTED),
        class_="series",
    )


def _start_words(start: dt.datetime, anchor: dt.datetime | None) -> str:
    return f"from day {day_number(start, anchor)}" if anchor else f"from {start.day} {start:%b %Y}"


def series_words(series: Series) -> str:
    """What a series shows, in a sentence for those who cannot see it."""
    smallest, largest = number_words(min(series.values)), number_words(max(series.values))
    unit = unit_words(series.unit)
    span = f"all {largest}{unit}" if smallest == largest else f"between {smallest} and {largest}{unit}"
    words = f"{series.label}: {len(series.values)} values, {span}"
    usual = ""
    if series.low is not None or series.high is not None:
        usual = f"; usual {band_words(series.low, series.high)}"
    return f"{words}, last {series.last_words}{usual}"


def _extent(series: Series) -> tuple[float, float]:
    """The values' span with a little air, reaching to the usual band where it is near."""
    low, high = min(series.values), max(series.values)
    span = (high - low) or abs(high) * 0.1 or 1.0
    for edge in (series.low, series.high):
        if edge is not None and low - span <= edge <= high + span:
            low, high = min(low, edge), max(high, edge)
    air = 0.08 * ((high - low) or 1.0)
    return low - air, high + air


def draw_risks(
    risks: Sequence[tuple[dt.datetime, float]], usual: UsualRange | None, anchor: dt.datetime | None
) -> Markup:
    """The patient's risk at each prediction so far, over where the middle half of risks lies."""
    start, end = risks[0][0], risks[-1][0]
    at = _scale(start, end, 54.0, RIGHT)
    top_risk = max([risk for _, risk in risks] + ([usual.p95] if usual else [])) * 1.1 or 0.01
    top, bottom = 12.0, 120.0

    def height(risk: float) -> float:
        """The vertical place of a risk."""
        return bottom - (bottom - top) * min(risk / top_risk, 1.0)

    behind: list[Markup] = []
    if usual is not None:
        tall = max(height(usual.p25) - height(usual.p75), 1.0)
        behind.append(element("rect", x=54, y=height(usual.p75), width=RIGHT - 54, height=tall, fill=BAND))
    marks = [(0.0, "0%"), (top_risk / 1.1, percent_words(top_risk / 1.1))]
    scale = [label(46, height(risk) + 4, words, text_anchor="end", font_size=10.5) for risk, words in marks]
    names = [
        label(at(time), bottom + 16, words, text_anchor="middle")
        for time, words in _round_instants(start, end, anchor)
    ]
    x, y = at(end), height(risks[-1][1])
    title = (
        f"Risk at {len(risks)} predictions, from {percent_words(risks[0][1])} to "
        f"{percent_words(risks[-1][1])}; highest {percent_words(max(risk for _, risk in risks))}"
    )
    return drawing(
        WIDTH,
        bottom + 24,
        title,
        *behind,
        line(54, bottom, RIGHT, bottom, stroke=FAINT),
        *scale,
        *names,
        *_joined([(time, at(time), height(risk)) for time, risk in risks]),
        element("circle", cx=x, cy=y, r=4, fill=FOR),
        class_="risks",
    )


def _joined(points: Sequence[tuple[dt.datetime, float, float]]) -> list[Markup]:
    """Predictions as dots, joined where they lie near each other: between stays there is no risk."""
    dots = [element("circle", cx=x, cy=y, r=2.4, fill=FOR) for _, x, y in points] if len(points) <= 60 else []
    lines = [
        line(x1, y1, x2, y2, stroke=FOR, stroke_width=1.75, stroke_linecap="round")
        for (before, x1, y1), (after, x2, y2) in pairwise(points)
        if after - before <= JOINED_WITHIN
    ]
    return [*lines, *dots]


def _scale(start: dt.datetime, end: dt.datetime, left: float, right: float) -> Callable[[dt.datetime], float]:
    span = (end - start).total_seconds() or 1.0
    return lambda time: left + (right - left) * max(0.0, min(1.0, (time - start).total_seconds() / span))
