"""SVG by hand: elements whose every attribute and text is escaped, and the report's colours."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

INK = "#1c2733"
MUTED = "#55616e"
FAINT = "#8a949e"
RULE = "#dde2e6"
PAPER = "#ffffff"
BAND = "#e6eef0"
ACCENT = "#1d5c68"
FOR = "#a4452c"
AGAINST = "#2b6a7c"


def element(name: str, *children: object, **attributes: object) -> Markup:
    """One element; attributes with underscores become hyphened, None leaves one out, children are escaped."""
    written = [
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    ]
    inside = Markup("").join(escape(child) for child in children)
    return Markup(f"<{name}{''.join(written)}>{inside}</{name}>")  # noqa: S704  every part is escaped above


def drawing(width: float, height: float, title: str, *children: object, class_: str = "") -> Markup:
    """A whole drawing that scales with its column; title is what a screen reader says of it."""
    return element(
        "svg",
        element("title", title),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_plain(width)} {_plain(height)}",
        width=width,
        height=height,
        role="img",
        aria_label=title,
        class_=class_ or None,
    )


def label(x: float, y: float, words: str, **attributes: object) -> Markup:
    """A text at a place; its size, colour and anchor have quiet defaults."""
    style: dict[str, object] = {"font_size": 11, "fill": MUTED, "text_anchor": "start"}
    return element("text", words, x=x, y=y, **(style | attributes))


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> Markup:
    """A straight line, thin and quiet unless told otherwise."""
    style: dict[str, object] = {"stroke": RULE, "stroke_width": 1}
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **(style | attributes))


def path(points: Sequence[tuple[float, float]], **attributes: object) -> Markup:
    """A polyline through points."""
    style: dict[str, object] = {
        "fill": "none",
        "stroke": INK,
        "stroke_width": 1.25,
        "stroke_linejoin": "round",
    }
    joined = " ".join(f"{_plain(x)},{_plain(y)}" for x, y in points)
    return element("polyline", points=joined, **(style | attributes))


def _plain(value: object) -> str:
    """A number with at most two decimals, anything else as text."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
