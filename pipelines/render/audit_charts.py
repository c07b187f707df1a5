"""Charts of an audit: what opening more stays brings, funnels of units, practice over time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import polars as pl
from markupsafe import Markup

from phenotype.coding.drift.lines import DriftLine, DriftPoint
from phenotype.coding.rates.funnels import FunnelLimit, FunnelPlot, FunnelPoint
from phenotype.report.money import plain_number
from phenotype.report.suppression import MIN_CELL, is_small
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

WIDTH, HEIGHT = 470.0, 250.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 458.0, 24.0, 206.0
TITLE_Y = 10.0
MOST_CURVE_POINTS = 240
LONGEST_NAME = 22
HIGHEST_RATIO = 8.0
"""Ratios above stand on the upper edge of a funnel, with their figure."""


def draw_curve(curve: pl.DataFrame, n_capacity: int) -> Markup:
    """Expected recovery, or stays expected to be wrong where nothing comes back, against stays opened.

    Money in the hospital's favour is a line of its own, never set off.

    Args:
        curve: columns of `phenotype.coding.cases.order.CURVE`.
        n_capacity: how many stays can be opened.
    """
    is_money = bool((curve["expected_nok"] > 0).any())
    values = curve["expected_nok" if is_money else "expected_right"].to_list()
    favour = curve["favour_nok"].to_list() if is_money else []
    n, top = len(values), max([*values, *favour, 1e-9])
    at, height = _scale(0, n, LEFT, RIGHT), _scale(0, top * 1.05, BOTTOM, TOP)
    places = sorted({*range(0, n, max(n // MOST_CURVE_POINTS, 1)), n - 1})

    def placed(sums: list[float]) -> list[tuple[float, float]]:
        """A curve from nothing; what would stand above the drawing stands on its edge."""
        return [
            (at(0), height(0)),
            *((at(place + 1), height(min(sums[place], top * 1.05))) for place in places),
        ]

    more = (
        [path(placed(curve["cost_nok"].to_list()), stroke=MUTED, stroke_dasharray="4 3")] if is_money else []
    )
    more += [path(placed(favour), stroke=MUTED, stroke_width=1.5)] if any(favour) else []
    n_capacity = min(n_capacity, n)
    reached = values[n_capacity - 1] if n_capacity else 0.0
    what = "expected recovery" if is_money else "stays expected to be wrongly coded"
    share = f"{100 * reached / max([*values, 1e-9]):.0f}%"
    words = f"The first {n_capacity} of {n} stays bring {share} of the {what} in all stays with findings"
    return drawing(
        WIDTH,
        HEIGHT,
        words,
        *_frame(_ticks(n, plain_number), _ticks(top, _short_number), at, height),
        *(_capacity(at(n_capacity), n_capacity) if n_capacity < n else []),
        *more,
        path(placed(values), stroke=ACCENT, stroke_width=2),
        label((LEFT + RIGHT) / 2, HEIGHT - 8, "stays opened, in order", text_anchor="middle", fill=INK),
        label(LEFT - 44, TITLE_Y, "NOK" if is_money else "stays", font_size=10),
        class_="curve",
    )


def _capacity(x: float, n: int) -> list[Markup]:
    """Where the stays that can be opened end."""
    is_right = x > RIGHT - 80
    return [
        line(x, TOP - 4, x, BOTTOM, stroke=FOR, stroke_dasharray="3 3"),
        label(
            x + (-4 if is_right else 4),
            TITLE_Y + 4,
            f"capacity {n}",
            fill=FOR,
            font_size=10.5,
            text_anchor="end" if is_right else "start",
        ),
    ]


def draw_funnel(plot: FunnelPlot, unit: str | None = None) -> Markup:
    """Units against their limits, flagged ones filled; only a flagged unit or the one asked for has its name.

    Args:
        plot: the funnel.
        unit: whose page it is; null = a page for everybody, on which units with 1 to 4 counted are not named.
    """
    points = [point for point in plot.points if point.expected > 0 or point.n_observed > 0]
    most = max([point.expected for point in points] + [limit.n for limit in plot.limits] + [1.0])
    least = min(
        [limit.n for limit in plot.limits]
        + [point.expected for point in points if point.expected > 0]
        + [most]
    )
    values = [point.value for point in points] + [plot.target]
    ceiling = HIGHEST_RATIO * plot.target if not plot.is_share else max(values)
    highest = max([min(value, ceiling) for value in values] + _at_places(plot.limits, least, most)) * 1.08
    at, height = _scale(0, most * 1.04, LEFT, RIGHT), _scale(0, highest, BOTTOM, TOP)
    flagged = [point for point in points if point.is_flagged]
    words = f"{plot.title}, {plot.period}: {len(points)} units, {len(flagged)} out of limits"
    return drawing(
        WIDTH,
        HEIGHT,
        words,
        *_frame(_ticks(most, _short_number), _ticks(highest, _short_number), at, height),
        *_limits(plot.limits, at, height, highest),
        line(LEFT, height(plot.target), RIGHT, height(plot.target), stroke=ACCENT),
        *(_point(point, at, lambda value: height(min(value, highest)), unit) for point in points),
        *(
            _name(point, at, lambda value: height(min(value, highest)), is_beyond=point.value > highest)
            for point in points
            if _is_named(point, unit)
        ),
        label((LEFT + RIGHT) / 2, HEIGHT - 8, plot.x_title, text_anchor="middle", fill=INK),
        label(LEFT - 44, TITLE_Y, "share" if plot.is_share else "observed / expected", font_size=10),
        class_="funnel",
    )


def _at_places(limits: Sequence[FunnelLimit], least: float, most: float) -> list[float]:
    """The upper limits where units lie, so that limits of hardly any events do not stretch the axis."""
    reach = least + 0.02 * (most - least)
    return [min(limit.high998, 6.0) for limit in limits if limit.n >= reach][:1]


def _limits(
    limits: Sequence[FunnelLimit],
    at: Callable[[float], float],
    height: Callable[[float], float],
    highest: float,
) -> list[Markup]:
    styles = (("low95", "4 3"), ("high95", "4 3"), ("low998", None), ("high998", None))
    return [
        path(
            [(at(limit.n), height(min(getattr(limit, name), highest))) for limit in limits],
            stroke=FAINT,
            stroke_dasharray=dash,
            stroke_width=1,
        )
        for name, dash in styles
        if limits
    ]


def _is_named(point: FunnelPoint, unit: str | None) -> bool:
    if unit is not None:
        return point.unit_id == unit
    seen = round(point.n_observed)
    return point.is_flagged and not any(map(is_small, (seen, point.n, point.n - seen)))


def _point(
    point: FunnelPoint, at: Callable[[float], float], height: Callable[[float], float], unit: str | None
) -> Markup:
    is_own = point.unit_id == unit
    return element(
        "circle",
        cx=at(point.expected),
        cy=height(point.value),
        r=5.0 if is_own else 3.2,
        fill=FOR if point.is_flagged else ACCENT if is_own else "#ffffff",
        stroke=FOR if point.is_flagged else INK if is_own else MUTED,
        stroke_width=1.25,
    )


def _name(
    point: FunnelPoint, at: Callable[[float], float], height: Callable[[float], float], *, is_beyond: bool
) -> Markup:
    name = point.unit_id if len(point.unit_id) <= LONGEST_NAME else f"{point.unit_id[: LONGEST_NAME - 1]}…"
    name += f": {plain_number(point.value, 'en', 0)} times" if is_beyond else ""
    is_right = at(point.expected) > RIGHT - 110
    return label(
        at(point.expected) + (-8 if is_right else 8),
        height(point.value) + 4,
        name,
        fill=INK,
        font_size=10.5,
        text_anchor="end" if is_right else "start",
    )


def draw_drift(drift: DriftLine, *, is_public: bool) -> Markup:
    """The share of one unit's stays month by month, what was expected, signals, and known causes.

    Args:
        drift: the line.
        is_public: whether the page may leave the hospital: months are then joined until none has 1 to 4.
    """
    points = joined_points(drift.points) if is_public else list(drift.points)
    words = f"{drift.title}, {drift.unit}: {_signal_words(drift)}"
    if not points:
        return drawing(WIDTH, HEIGHT, f"{words}; too few to draw", label(LEFT, 40, "Too few stays to draw"))
    first, last = points[0].month, points[-1].month
    at = _scale(0, max((last - first).days, 1), LEFT, RIGHT)
    shares = [point.observed / point.n for point in points] + [point.expected / point.n for point in points]
    top = min(max(max(shares) * 1.15, 0.01), 1.0)
    height = _scale(0, top, BOTTOM, TOP)
    seen = [(at((p.month - first).days), height(p.observed / p.n)) for p in points]
    expected = [(at((p.month - first).days), height(min(p.expected / p.n, top))) for p in points]
    return drawing(
        WIDTH,
        HEIGHT,
        words,
        *_frame([], _ticks(top, lambda share: f"{100 * share:g}%"), at, height),
        *_years(first, last, at),
        *_causes(drift, first, last, at),
        path(expected, stroke=BAND, stroke_width=4),
        path(seen, stroke=ACCENT, stroke_width=1.75),
        *(element("circle", cx=x, cy=y, r=1.8, fill=ACCENT) for x, y in seen),
        *_signals(drift, first, last, at),
        label(LEFT - 44, TITLE_Y, "share", font_size=10),
        class_="drift",
    )


def joined_points(points: Sequence[DriftPoint]) -> list[DriftPoint]:
    """Months joined to spans in which neither those that count nor the others are 1 to 4."""
    joined: list[DriftPoint] = []
    held: DriftPoint | None = None
    for point in points:
        held = point if held is None else _together(held, point)
        if held.n >= MIN_CELL and not is_small(held.observed) and not is_small(held.n - held.observed):
            joined.append(held)
            held = None
    while held is not None and joined:
        held = _together(joined.pop(), held)
        if not is_small(held.observed) and not is_small(held.n - held.observed):
            joined.append(held)
            held = None
    return joined


def _together(first: DriftPoint, second: DriftPoint) -> DriftPoint:
    return first.model_copy(
        update={
            name: getattr(first, name) + getattr(second, name)
            for name in ("n", "observed", "expected", "expected_own")
        }
    )


def _signal_words(drift: DriftLine) -> str:
    if not drift.signals:
        return "no change of practice was signalled"
    told = [
        f"{'more' if one.direction == 'up' else 'less'} often from {one.change_time:%B %Y}"
        for one in drift.signals
    ]
    return "; ".join(told)


def _signals(drift: DriftLine, first: dt.date, last: dt.date, at: Callable[[float], float]) -> list[Markup]:
    marks: list[Markup] = []
    for signal in drift.signals:
        day = signal.change_time.date()
        if first <= day <= last:
            x = at((day - first).days)
            is_right = x > RIGHT - 90
            marks += [
                line(x, TOP, x, BOTTOM, stroke=FOR, stroke_width=1.5),
                label(
                    x + (-4 if is_right else 4),
                    TOP + 9,
                    f"change {day:%b %Y}",
                    fill=FOR,
                    font_size=10,
                    text_anchor="end" if is_right else "start",
                ),
            ]
    return marks


def _causes(drift: DriftLine, first: dt.date, last: dt.date, at: Callable[[float], float]) -> list[Markup]:
    """Known causes as dashed lines, numbered; the page lists them in words."""
    marks: list[Markup] = []
    for number, cause in enumerate(drift.causes, start=1):
        if first <= cause.date <= last:
            x = at((cause.date - first).days)
            marks += [
                line(x, TOP, x, BOTTOM, stroke=MUTED, stroke_dasharray="2 3"),
                label(x + 3, BOTTOM - 4, str(number), font_size=10, fill=MUTED),
            ]
    return marks


def _years(first: dt.date, last: dt.date, at: Callable[[float], float]) -> list[Markup]:
    starts = [dt.date(year, 1, 1) for year in range(first.year, last.year + 1)]
    shown = [max(start, first) for start in starts]
    return [
        part
        for day in shown
        for part in (
            line(at((day - first).days), BOTTOM, at((day - first).days), BOTTOM + 4, stroke=FAINT),
            label(at((day - first).days), BOTTOM + 17, str(day.year), font_size=10.5),
        )
    ]


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    span = high - low or 1.0

    def at(value: float) -> float:
        """The place of a value."""
        return first + (last - first) * (value - low) / span

    return at


def _ticks(top: float, words: Callable[[float], str]) -> list[tuple[float, str]]:
    """Round places from nothing to the top, at most six."""
    step = 10.0 ** len(f"{top:.0f}") / 1000
    while step < 1e-6 or top / step > 6:
        step *= 2 if str(step).strip("0.").startswith(("1", "5")) else 2.5
    while top / step < 2:
        step /= 2
    return [(place * step, words(place * step)) for place in range(int(top / step + 1e-9) + 1)]


def _short_number(value: float) -> str:
    """A number as an axis bears it: 0.5, 12, 12k, 1.5m."""
    for size, unit in ((1e6, "m"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _frame(
    below: Sequence[tuple[float, str]],
    beside: Sequence[tuple[float, str]],
    at: Callable[[float], float],
    height: Callable[[float], float],
) -> list[Markup]:
    """Axes with ticks and quiet lines."""
    parts = [line(LEFT, BOTTOM, RIGHT, BOTTOM, stroke=FAINT)]
    for value, words in beside:
        parts += [
            line(LEFT, height(value), RIGHT, height(value), stroke=RULE),
            label(LEFT - 6, height(value) + 4, words, text_anchor="end", font_size=10.5),
        ]
    for value, words in below:
        parts += [
            line(at(value), BOTTOM, at(value), BOTTOM + 4, stroke=FAINT),
            label(at(value), BOTTOM + 17, words, text_anchor="middle", font_size=10.5),
        ]
    return parts
