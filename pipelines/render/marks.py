"""Small marks beside words: a risk as dots, a risk against the usual range, contributions as signed bars."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from phenotype.explain.wording import of_100_words, percent_words
from phenotype.report.patient import UsualRange
from phenotype.report.record import BandRecord
from pipelines.render.svg import (
    ACCENT,
    AGAINST,
    BAND,
    FAINT,
    FOR,
    INK,
    MUTED,
    PAPER,
    drawing,
    element,
    label,
    line,
)

BAR_WIDTH = 150.0
BAR_HEIGHT = 14.0


def risk_dots(risk: float) -> Markup:
    """A hundred dots of which as many are filled as patients of 100 who have the outcome."""
    filled = max(0, min(100, round(100 * risk)))
    dots = [
        element(
            "circle",
            cx=7 + 13 * (place % 10),
            cy=7 + 13 * (place // 10),
            r=4.6,
            fill=FOR if place < filled else PAPER,
            stroke=FOR if place < filled else "#b9c1c8",
            stroke_width=1,
        )
        for place in range(100)
    ]
    return drawing(131, 131, f"{of_100_words(risk)} of 100 dots are filled", *dots, class_="dots")


def range_bar(risk: float, usual: UsualRange, band: BandRecord | None) -> Markup:
    """The patient's risk on the line where most patients' risks lie."""
    width, left, right = 470.0, 8.0, 462.0
    top = min(1.0, max(risk * 1.15, usual.p99 * 1.1, 0.02))

    def at(share: float) -> float:
        """The horizontal place of a share."""
        return left + (right - left) * min(share, top) / top

    ticks = [tick for tick in _ticks(top) if tick <= top]
    axis = [
        part
        for tick in ticks
        for part in (
            line(at(tick), 52, at(tick), 57, stroke=FAINT),
            label(at(tick), 70, f"{100 * tick:g}%", text_anchor=_anchor(at(tick), width), font_size=10.5),
        )
    ]
    title = (
        f"Risk {percent_words(risk)}; the middle half of {usual.whose} lies between "
        f"{percent_words(usual.p25)} and {percent_words(usual.p75)}, nine in ten between "
        f"{percent_words(usual.p5)} and {percent_words(usual.p95)}"
    )
    observed = []
    if band is not None and not band.is_hidden:
        observed = [line(at(band.low), 17, at(band.high), 17, stroke=FOR, stroke_width=1.5)]
    return drawing(
        width,
        76,
        title,
        line(left, 52, right, 52, stroke=FAINT),
        element(
            "rect", x=at(usual.p5), y=38, width=max(at(usual.p95) - at(usual.p5), 1), height=6, fill="#ccdadd"
        ),
        element(
            "rect",
            x=at(usual.p25),
            y=34,
            width=max(at(usual.p75) - at(usual.p25), 1),
            height=14,
            fill="#8fb1b8",
        ),
        line(at(usual.p50), 31, at(usual.p50), 51, stroke=ACCENT, stroke_width=2),
        *observed,
        line(at(risk), 17, at(risk), 52, stroke=FOR, stroke_width=1.5),
        element("circle", cx=at(risk), cy=17, r=6, fill=FOR),
        *axis,
        class_="range",
    )


def _anchor(x: float, width: float) -> str:
    return "start" if x < 20 else "end" if x > width - 20 else "middle"


def _ticks(top: float) -> list[float]:
    """Round places on a line from nothing to the top, at most seven."""
    for step in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25):
        if top / step <= 6:
            break
    return [round(step * place, 4) for place in range(int(top / step + 1e-9) + 1)]


def signed_bar(phi: float, low: float, high: float, largest: float, words: str) -> Markup:
    """A contribution as a bar from the middle: right and warm speaks for, left and cool against."""
    middle = BAR_WIDTH / 2
    scale = (middle - 4) / largest if largest > 0 else 0.0
    reach = max(abs(phi) * scale, 0.75)
    start = middle if phi > 0 else middle - reach
    parts = [
        element(
            "rect", x=start, y=2.5, width=reach, height=BAR_HEIGHT - 5, fill=FOR if phi > 0 else AGAINST, rx=1
        ),
        line(middle, 0, middle, BAR_HEIGHT, stroke=MUTED),
    ]
    if low != high:
        ends = [middle + scale * max(min(edge, largest), -largest) for edge in (low, high)]
        parts += [line(ends[0], BAR_HEIGHT / 2, ends[1], BAR_HEIGHT / 2, stroke=INK, stroke_width=1.25)]
        parts += [line(end, 4, end, BAR_HEIGHT - 4, stroke=INK, stroke_width=1.25) for end in ends]
    return drawing(BAR_WIDTH, BAR_HEIGHT, words, *parts, class_="bar")


def share_bar(share: float, words: str) -> Markup:
    """A share as a bar: how much of the source is left after a step."""
    width = 260.0
    return drawing(
        width,
        8,
        words,
        element("rect", x=0, y=0, width=width, height=8, fill=BAND, rx=1),
        element("rect", x=0, y=0, width=max(width * share, 1), height=8, fill=ACCENT, rx=1),
        class_="share",
    )


def size_bar(size: float, largest: float, *, is_care: bool) -> Markup:
    """A size as a bar from the left; hollow where it is something the hospital did."""
    width = 220.0
    reach = max((width - 2) * size / largest if largest > 0 else 0.0, 1.0)
    colours = {"fill": PAPER, "stroke": ACCENT} if is_care else {"fill": ACCENT, "stroke": "none"}
    words = f"{size:.2f} log odds"
    return drawing(
        width, 10, words, element("rect", x=0.5, y=1, width=reach, height=8, rx=1, **colours), class_="size"
    )


def swatch(colour: str, dash: Sequence[int] = ()) -> Markup:
    """The piece of line that stands for a model in a legend."""
    dashes = " ".join(str(length) for length in dash) or None
    return element(
        "svg",
        line(0, 5, 26, 5, stroke=colour, stroke_width=2.25, stroke_dasharray=dashes),
        xmlns="http://www.w3.org/2000/svg",
        viewBox="0 0 26 10",
        width=26,
        height=10,
        aria_hidden="true",
        class_="swatch",
    )
