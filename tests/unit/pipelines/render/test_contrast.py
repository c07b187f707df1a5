"""Every colour that carries text can be read on white: WCAG 2.2 asks for 4.5 to 1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipelines.render import svg
from pipelines.render.charts import SPARE, STYLES

STYLE = (Path(svg.__file__).parent / "templates" / "style.css").read_text("utf-8")


def contrast(colour: str, paper: str = "#ffffff") -> float:
    """WCAG 2.2's relative luminance, written out from the recommendation."""

    def luminance(text: str) -> float:
        channels = [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(colour), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["ink", "muted", "accent", "for", "against"])
def test_text_colours_of_the_style_sheet(name: str) -> None:
    found = re.search(rf"--{name}: (#[0-9a-f]{{6}})", STYLE)
    assert found
    assert contrast(found[1]) >= 4.5
    assert contrast(found[1], "#f5f7f7") >= 4.5


@pytest.mark.parametrize("colour", [svg.INK, svg.MUTED, svg.FOR, svg.ACCENT, svg.AGAINST])
def test_text_colours_of_drawings(colour: str) -> None:
    assert contrast(colour) >= 4.5


@pytest.mark.parametrize("colour", [colour for styles in (*STYLES.values(), SPARE) for colour, _ in styles])
def test_lines_of_charts_reach_the_three_to_one_of_graphics(colour: str) -> None:
    assert contrast(colour) >= 3


def test_the_known_contrast_of_black_on_white() -> None:
    assert contrast("#000000") == pytest.approx(21.0)
