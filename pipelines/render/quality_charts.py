"""Charts of the quality page: one small line a group, month by month, with what is usual and what is not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipelines.render.svg import (
    ACCENT,
    BAND,
    FAINT,
    FOR,
    INK,
    MUTED,
    RULE,
    drawing,
    element,
    label,
    line,
    path,
)

WIDTH, HEIGHT = 292.0, 104.0
LEFT, RIGHT, TOP, BOTTOM = 4.0, 288.0, 34.0, 84.0
LONGEST_TITLE = 38
LONGEST_MONTH = 31


@dataclass(frozen=True)
class Point:
    """One month of a group.

    Attributes:
        month: its first day.
        value: what is drawn; null = a gap.
        is_marked: whether the month is one that the check counts as wrong.
    """

    month: dt.date
    value: float | None
    is_marked: bool = False


@dataclass(frozen=True)
class Trend:
    """A line of months.

    Attributes:
        title: of what group.
        points: its months in order.
        usual: a level to compare with; null = none.
        top_words: the largest value, in words.
        words: what the line shows, for those who cannot see it.
    """

    title: str
    points: tuple[Point, ...]
    usual: float | None
    top_words: str
    words: str


def draw_trend(trend: Trend) -> Markup:
    """One group's months as a line from zero, wrong months as red dots, the usual level as a pale line."""
    months = [point.month for point in trend.points]
    first, last = months[0], months[-1]
    span = max((last - first).days, 1)
    top = (
        max([point.value for point in trend.points if point.value is not None] + [trend.usual or 0.0]) or 1.0
    )

    def at(month: dt.date) -> float:
        """The horizontal place of a month."""
        return LEFT + (RIGHT - LEFT) * (month - first).days / span

    def height(value: float) -> float:
        """The vertical place of a value."""
        return BOTTOM - (BOTTOM - TOP) * value / top

    level = (
        [line(LEFT, height(trend.usual), RIGHT, height(trend.usual), stroke=BAND, stroke_width=3)]
        if trend.usual is not None
        else []
    )
    placed = [(at(p.month), height(p.value), p) for p in trend.points if p.value is not None]
    return drawing(
        WIDTH,
        HEIGHT,
        trend.words,
        label(LEFT, 13, _short(trend.title), fill=INK, font_size=12, font_weight=600),
        label(LEFT, 27, trend.top_words, font_size=9.5),
        line(LEFT, TOP, RIGHT, TOP, stroke=RULE, stroke_dasharray="1 3"),
        *level,
        line(LEFT, BOTTOM, RIGHT, BOTTOM, stroke=FAINT),
        *_runs(placed),
        *_marks(placed),
        label(LEFT, HEIGHT - 6, f"{first:%b %Y}", font_size=9.5, fill=MUTED),
        label(RIGHT, HEIGHT - 6, f"{last:%b %Y}", font_size=9.5, fill=MUTED, text_anchor="end"),
        class_="series",
    )


def _short(title: str) -> str:
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def _runs(placed: Sequence[tuple[float, float, Point]]) -> list[Markup]:
    """Lines through months that follow each other; a month alone is a dot."""
    runs: list[list[tuple[float, float]]] = []
    previous: dt.date | None = None
    for x, y, point in placed:
        follows = previous is not None and (point.month - previous).days <= LONGEST_MONTH
        if follows:
            runs[-1].append((x, y))
        else:
            runs.append([(x, y)])
        previous = point.month
    lines = [path(run, stroke=ACCENT) for run in runs if len(run) > 1]
    dots = [
        element("circle", cx=run[0][0], cy=run[0][1], r=1.5, fill=ACCENT) for run in runs if len(run) == 1
    ]
    return [*lines, *dots]


def _marks(placed: Sequence[tuple[float, float, Point]]) -> list[Markup]:
    return [element("circle", cx=x, cy=y, r=2.6, fill=FOR) for x, y, point in placed if point.is_marked]
