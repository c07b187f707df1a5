"""The standard charts as static SVG: ROC, precision and recall, calibration, net benefit, subgroups."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from phenotype.report.model import Curves, Subgroup
from pipelines.render.svg import FAINT, INK, MUTED, RULE

Style = tuple[str, tuple[int, ...]]
STYLES: Mapping[str, tuple[Style, ...]] = {
    "ward": (("#6b7682", (2, 2)), ("#3f4852", (1, 3))),
    "logistic": (("#b0702a", (7, 3)),),
    "lightgbm": (("#1d5c68", ()),),
    "transformer": (("#6d4a7c", (9, 3, 2, 3)),),
    "two_axis": (("#2f6f9f", (12, 3)),),
    "gru": (("#8a5a44", (3, 3, 8, 3)),),
    "gru_d": (("#7a7a2e", (6, 2, 2, 2, 2, 2)),),
    "ensemble": (("#a3213d", ()),),
}
"""Colour and dash by kind of model; a second model of a kind takes its next style, or a spare one."""
SPARE: tuple[Style, ...] = (("#4f7a3a", (4, 4)), ("#a4452c", (5, 2, 1, 2)), ("#55616e", (1, 1)))
FONT = "Inter, Segoe UI, Helvetica Neue, Arial, sans-serif"
SIZE = 390


def model_styles(kinds: Mapping[str, str]) -> dict[str, Style]:
    """Colour and dash of each model, the same in every chart.

    Args:
        kinds: title of each model -> its kind, in the order of the report.
    """
    left = {kind: list(styles) for kind, styles in STYLES.items()}
    spare = list(SPARE)
    found: dict[str, Style] = {}
    for model, kind in kinds.items():
        waiting = left.get(kind) or spare
        found[model] = waiting.pop(0) if waiting else SPARE[-1]
    return found


def draw_curves(curves: Sequence[Curves]) -> dict[str, Markup]:
    """The four charts of all models of a task, by name: roc, precision_recall, calibration, net_benefit."""
    models = model_styles({curve.model: curve.kind for curve in curves})
    return {
        "roc": _svg(_roc(curves, models), f"ROC curves of {_names(models)}"),
        "precision_recall": _svg(_recall(curves, models), f"Precision and recall of {_names(models)}"),
        "calibration": _svg(_calibration(curves, models), f"Calibration of {_names(models)}"),
        "net_benefit": _svg(_net_benefit(curves, models), f"Net benefit of {_names(models)}"),
    }


def draw_subgroups(subgroups: Sequence[Subgroup], kinds: Mapping[str, str]) -> Markup:
    """AUROC in each group with its interval, models beside each other."""
    import altair as alt

    shown = [group for group in subgroups if group.figure is not None]
    rows = [
        {
            "group": group.group,
            "by": group.by,
            "model": group.model,
            "auroc": group.figure.value,
            "low": group.figure.low,
            "high": group.figure.high,
        }
        for group in shown
        if group.figure is not None
    ]
    order: list[str] = list(dict.fromkeys(str(row["group"]) for row in rows))
    models = model_styles(kinds)
    colour = _colour(alt, models)
    y = alt.Y("group:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, domain=False, ticks=False))
    offset = alt.YOffset("model:N", sort=list(models))
    base = alt.Chart(alt.InlineData(values=rows))
    scale = alt.Scale(zero=False, nice=True)
    bars = base.mark_rule(strokeWidth=1.5).encode(
        x=alt.X("low:Q", title="AUROC", scale=scale, axis=alt.Axis(tickCount=8, format=".2f")),
        x2="high:Q",
        y=y,
        yOffset=offset,
        color=colour,
    )
    dots = base.mark_point(filled=True, size=42, opacity=1).encode(
        x=alt.X("auroc:Q", scale=scale), y=y, yOffset=offset, color=colour
    )
    height = max(60, len(order) * (10 * len(models) + 14))
    return _svg((bars + dots).properties(width=620, height=height), f"AUROC in {len(order)} groups")


def _names(models: Mapping[str, Style]) -> str:
    return ", ".join(models)


def _roc(curves: Sequence[Curves], models: Mapping[str, Style]) -> Any:
    axes = ("False positive rate", "Sensitivity")
    return _lines(_long((curve.model, curve.roc) for curve in curves), models, axes, diagonal=True)


def _recall(curves: Sequence[Curves], models: Mapping[str, Style]) -> Any:
    axes = ("Sensitivity (recall)", "Positive predictive value")
    return _lines(_long((curve.model, curve.precision_recall) for curve in curves), models, axes)


def _calibration(curves: Sequence[Curves], models: Mapping[str, Style]) -> Any:
    import altair as alt

    largest = max([0.05, *(max(point) for curve in curves for point in (*curve.calibration, *curve.smooth))])
    domain = (0.0, min(1.0, largest * 1.05))
    axes = ("Predicted risk", "Observed share")
    smooth = _long((curve.model, curve.smooth) for curve in curves)
    dots = alt.Chart(alt.InlineData(values=_long((curve.model, curve.calibration) for curve in curves)))
    points = dots.mark_point(filled=True, size=22, opacity=0.9, clip=True).encode(
        x="x:Q", y="y:Q", color=_colour(alt, models)
    )
    return _lines(smooth, models, axes, diagonal=True, domains=(domain, domain)) + points


def _net_benefit(curves: Sequence[Curves], models: Mapping[str, Style]) -> Any:
    import altair as alt

    best = max([0.01, *(y for curve in curves for _, y in curve.net_benefit)])
    last = max([0.05, *(x for curve in curves for x, y in curve.net_benefit if y > 0.01 * best)])
    domains = ((0.0, min(last * 1.15, 1.0)), (-0.15 * best, best * 1.1))
    rows = _long((curve.model, curve.net_benefit) for curve in curves)
    treat_all = [{"x": x, "y": y} for x, y in curves[0].treat_all] if curves else []
    everybody = alt.Chart(alt.InlineData(values=treat_all)).mark_line(color=FAINT, strokeWidth=1, clip=True)
    everybody = everybody.encode(x="x:Q", y="y:Q")
    nobody = (
        alt.Chart(alt.InlineData(values=[{"y": 0}])).mark_rule(color=FAINT, strokeWidth=1).encode(y="y:Q")
    )
    axes = ("Risk at which one would act", "Net benefit")
    return everybody + nobody + _lines(rows, models, axes, domains=domains)


def _long(pairs: Iterable[tuple[str, Iterable[tuple[float, float]]]]) -> list[dict[str, Any]]:
    return [
        {"model": model, "order": place, "x": x, "y": y}
        for model, points in pairs
        for place, (x, y) in enumerate(points)
    ]


def _lines(
    rows: list[dict[str, Any]],
    models: Mapping[str, Style],
    axes: tuple[str, str],
    *,
    diagonal: bool = False,
    domains: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 1.0), (0.0, 1.0)),
) -> Any:
    """One line a model over square axes, with a quiet diagonal where it means something."""
    import altair as alt

    x = alt.X(
        "x:Q", title=axes[0], scale=alt.Scale(domain=list(domains[0]), nice=False), axis=alt.Axis(tickCount=5)
    )
    y = alt.Y(
        "y:Q", title=axes[1], scale=alt.Scale(domain=list(domains[1]), nice=False), axis=alt.Axis(tickCount=5)
    )
    dashes = [list(dash) or [1, 0] for _, dash in models.values()]
    dash = alt.StrokeDash("model:N", scale=alt.Scale(domain=list(models), range=dashes), legend=None)
    chart = alt.Chart(alt.InlineData(values=rows)).mark_line(strokeWidth=1.75, clip=True)
    lines = chart.encode(x=x, y=y, color=_colour(alt, models), strokeDash=dash, order="order:Q")
    layers = [lines]
    if diagonal:
        ends = [{"x": edge, "y": edge} for edge in domains[0]]
        layers.insert(
            0, alt.Chart(alt.InlineData(values=ends)).mark_line(color=FAINT, strokeWidth=1).encode(x=x, y=y)
        )
    return alt.layer(*layers).properties(width=SIZE, height=SIZE - 110)


def _colour(alt: Any, models: Mapping[str, Style]) -> Any:
    colours = [colour for colour, _ in models.values()]
    return alt.Color("model:N", scale=alt.Scale(domain=list(models), range=colours), legend=None)


_STYLE: Mapping[str, Any] = {
    "font": FONT,
    "background": None,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": INK,
        "titleFontWeight": 500,
        "titleFontSize": 11.5,
        "labelFontSize": 10.5,
        "gridColor": "#eceff1",
        "domainColor": FAINT,
        "tickColor": RULE,
        "titlePadding": 8,
    },
}


def _svg(chart: Any, words: str) -> Markup:
    """The chart drawn on this side: no script, nothing fetched, with a name for screen readers."""
    import vl_convert

    drawn = str(vl_convert.vegalite_to_svg(chart.to_dict() | {"config": dict(_STYLE)}))
    inside = re.sub(r' (?:role|class|aria-[a-z]+)="[^"]*"', "", drawn.split("<svg", 1)[1])
    head, _, rest = _own_ids(inside).partition(">")
    named = f'<svg role="img" aria-label="{escape(words)}" class="chart" {head.strip()}>'
    return Markup(f"{named}<title>{escape(words)}</title>{rest}")  # noqa: S704  texts escaped by Vega


def _own_ids(drawn: str) -> str:
    """Vega numbers its clips through the life of a process; here they are named by what is drawn."""
    numbers = {
        found: str(place) for place, found in enumerate(dict.fromkeys(re.findall(r"clip(\d+)", drawn)))
    }
    counted = re.sub(r"clip(\d+)", lambda found: f"clip{numbers[found[1]]}", drawn)
    own = hashlib.sha256(counted.encode()).hexdigest()[:8]
    return re.sub(r"clip(\d+)", rf"clip-{own}-\1", counted)
