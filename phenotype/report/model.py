"""What a report says of the models of one task, side by side, from metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from phenotype.explain.wording import MINUS, count_words, percent_words
from phenotype.report.record import group_words
from phenotype.report.suppression import HIDDEN, is_small, shown_count
from phenotype.report.words import model_title
from phenotype.task_parts import Frozen

MEASURES: Mapping[str, str] = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "calibration_slope": "Calibration slope",
    "calibration_in_the_large": "Calibration in the large",
    "ici": "Calibration error (ICI)",
    "utility": "Challenge utility",
}
"""Measures of the table, in order; one that no model has is left out."""

LOWER_IS_BETTER = frozenset({"Brier score"})


class Figure(Frozen):
    """A measure with its interval; value is null where it cannot be had."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> str:
        """The value with three decimals, or five where all that would be shown is zeros."""
        return decimal_words(self.value, self._decimals)

    @property
    def _decimals(self) -> int:
        told = [abs(end) for end in (self.value, self.low, self.high) if end]
        return 5 if told and min(told) < 0.0005 else 3

    @property
    def interval(self) -> str:
        """The 95% interval, empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{decimal_words(self.low, self._decimals)} to {decimal_words(self.high, self._decimals)}"


class ModelRow(Frozen):
    """One model's line: its figures in the order of the task's measures, and what fitting it took."""

    name: str
    title: str
    kind: str
    figures: tuple[Figure, ...]
    cost: str


class Difference(Frozen):
    """One paired difference; shows_difference says whether its interval leaves zero out."""

    measure: str
    model: str
    other: str
    figure: Figure
    method: str

    @property
    def shows_difference(self) -> bool:
        """Whether the interval leaves zero out."""
        low, high = self.figure.low, self.figure.high
        return low is not None and high is not None and (low > 0 or high < 0)

    @property
    def reads_as(self) -> str:
        """Which model is better, or that the difference could be chance."""
        if not self.shows_difference or self.figure.value is None:
            return "could be chance"
        is_first = (self.figure.value > 0) != (self.measure in LOWER_IS_BETTER)
        return f"{self.model if is_first else self.other} better"


class AlertRow(Frozen):
    """What a model would ask of the ward at one alert rate; texts as shown."""

    model: str
    rule: str
    threshold: str
    workload: str
    sensitivity: str
    sensitivity_interval: str
    ppv: str
    ppv_interval: str
    evaluate: str
    events: str
    lead_time: str


class Subgroup(Frozen):
    """One model in one group; figure is null where too few were seen, and note says so."""

    model: str
    by: str
    group: str
    n_subjects: str
    n_positive: str
    figure: Figure | None
    note: str


class Curves(Frozen):
    """The curves of one model, as pairs."""

    model: str
    kind: str
    roc: tuple[tuple[float, float], ...]
    precision_recall: tuple[tuple[float, float], ...]
    calibration: tuple[tuple[float, float], ...]
    smooth: tuple[tuple[float, float], ...]
    net_benefit: tuple[tuple[float, float], ...]
    treat_all: tuple[tuple[float, float], ...]
    deciles: tuple[Mapping[str, float], ...]


class Comparison(Frozen):
    """The models of one task side by side."""

    measures: tuple[str, ...]
    rows: tuple[ModelRow, ...]
    interval_method: str
    n_folds: int
    differences: tuple[Difference, ...]
    alerts: tuple[AlertRow, ...]
    subgroups: tuple[Subgroup, ...]
    curves: tuple[Curves, ...]
    warnings: tuple[str, ...]


def comparison_of(task: Mapping[str, Any]) -> Comparison:
    """One task's part of metrics.json, as a report shows it."""
    models: Mapping[str, Mapping[str, Any]] = task["models"]
    titles = {name: model_title(name, str(model["kind"])) for name, model in models.items()}
    measures = [
        name for name in MEASURES if any(model["mean"].get(name) is not None for model in models.values())
    ]
    return Comparison(
        measures=tuple(MEASURES[name] for name in measures),
        rows=tuple(_model_row(name, titles[name], model, measures) for name, model in models.items()),
        interval_method=next((str(model.get("interval_method") or "") for model in models.values()), ""),
        n_folds=max((len(model["folds"]) for model in models.values()), default=0),
        differences=tuple(_difference(row, titles) for row in task.get("differences", [])),
        alerts=tuple(
            _alert(titles[name], point)
            for name, model in models.items()
            for point in model.get("operating_points", [])
        ),
        subgroups=tuple(
            _subgroup(titles[name], group)
            for name, model in models.items()
            for group in model.get("subgroups", [])
        ),
        curves=tuple(
            curves_of(titles[name], str(model["kind"]), model["curves"])
            for name, model in models.items()
            if model.get("curves")
        ),
        warnings=_warnings(task, titles),
    )


def best_model(task: Mapping[str, Any]) -> str | None:
    """The name of the model with the highest mean AUROC; the first named wins a tie."""
    scored = [
        (-(model["mean"].get("auroc") or 0.0), place, name)
        for place, (name, model) in enumerate(task["models"].items())
    ]
    return min(scored)[2] if scored else None


def figure_of(model: Mapping[str, Any], measure: str) -> Figure:
    """One model's mean of a measure with its interval."""
    interval = (model.get("intervals") or {}).get(measure) or {}
    return Figure(value=model["mean"].get(measure), low=interval.get("low"), high=interval.get("high"))


def _model_row(name: str, title: str, model: Mapping[str, Any], measures: list[str]) -> ModelRow:
    figures = tuple(figure_of(model, measure) for measure in measures)
    seconds = (model.get("cost") or {}).get("fit_core_seconds")
    cost = "–" if seconds is None else f"{seconds:.1f}" if seconds < 10 else count_words(round(seconds))
    return ModelRow(name=name, title=title, kind=str(model["kind"]), figures=figures, cost=cost)


def _difference(row: Mapping[str, Any], titles: Mapping[str, str]) -> Difference:
    measure = str(row["metric"])
    return Difference(
        measure=MEASURES.get(measure, measure),
        model=titles.get(row["model"], str(row["model"])),
        other=titles.get(row["other"], str(row["other"])),
        figure=Figure(value=row["difference"], low=row.get("low"), high=row.get("high")),
        method=str(row.get("method") or ""),
    )


def _alert(model: str, point: Mapping[str, Any]) -> AlertRow:
    asked = point.get("asked_alert_rate")
    intervals = point.get("intervals") or {}
    lead = point.get("lead_time_hours")
    n_events = point.get("n_events")
    hides = is_small(int(point.get("n_events_alerted") or 0))
    number = point.get("number_needed_to_evaluate")
    return AlertRow(
        model=model,
        rule=f"{100 * asked:g}%" if asked is not None else str(point["rule"]).replace("_", " "),
        threshold=decimal_words(point.get("threshold")),
        workload="–"
        if point.get("workload") is None
        else f"{point['workload']:.1f} {point['workload_unit']}",
        sensitivity=HIDDEN if hides else share_words(point.get("sensitivity")),
        sensitivity_interval="" if hides else _share_interval(intervals.get("sensitivity")),
        ppv=HIDDEN if hides else share_words(point.get("ppv")),
        ppv_interval="" if hides else _share_interval(intervals.get("ppv")),
        evaluate="–" if number is None or hides else f"{number:.1f}",
        events="–"
        if n_events is None
        else f"{shown_count(point['n_events_alerted'])} of {shown_count(n_events)}",
        lead_time="–" if hides or not lead or lead.get("median") is None else f"{lead['median']:.0f} h",
    )


def _subgroup(model: str, group: Mapping[str, Any]) -> Subgroup:
    is_shown = not group.get("is_suppressed") and group.get("auroc") is not None
    interval = (group.get("intervals") or {}).get("auroc") or {}
    subjects, positive = group.get("n_subjects"), group.get("n_positive")
    return Subgroup(
        model=model,
        by={"sex": "Sex", "age": "Age", "hospital_id": "Site"}.get(group["by"], str(group["by"])),
        group=group_words(group["by"], group["group"]),
        n_subjects="< 5" if subjects is None else shown_count(subjects),
        n_positive="< 5" if positive is None else shown_count(positive),
        figure=Figure(value=group["auroc"], low=interval.get("low"), high=interval.get("high"))
        if is_shown
        else None,
        note="" if is_shown else str(group.get("reason") or "too few to tell"),
    )


def curves_of(model: str, kind: str, curves: Mapping[str, Any]) -> Curves:
    """One model's curves as pairs, bands of fewer than five predictions left out."""
    roc, recall = curves["roc"], curves["precision_recall"]
    smooth, benefit = curves["calibration"]["smooth"] or {}, curves["net_benefit"]
    deciles = tuple(decile for decile in curves["calibration"]["deciles"] if decile["n_rows"] >= 5)
    return Curves(
        model=model,
        kind=kind,
        roc=_pairs(roc["false_positive_rate"], roc["sensitivity"]),
        precision_recall=_pairs(recall["sensitivity"], recall["ppv"]),
        calibration=tuple((decile["predicted"], decile["observed"]) for decile in deciles),
        smooth=_pairs(smooth.get("predicted", ()), smooth.get("observed", ())),
        net_benefit=_pairs(benefit["threshold"], benefit["model"]),
        treat_all=_pairs(benefit["threshold"], benefit["treat_all"]),
        deciles=deciles,
    )


def _pairs(first: Any, second: Any) -> tuple[tuple[float, float], ...]:
    both = zip(first, second, strict=True)
    return tuple((float(x), float(y)) for x, y in both if x is not None and y is not None)


def _warnings(task: Mapping[str, Any], titles: Mapping[str, str]) -> tuple[str, ...]:
    """The task's warnings and those of single models and folds, each once."""
    common = [str(text) for text in task.get("warnings", [])]
    found: list[str] = []
    for name, model in task["models"].items():
        for fold in model["folds"]:
            where = f"{titles[name]}, fold {fold['fold']}" if len(model["folds"]) > 1 else titles[name]
            found += [f"{where}: {text}" for text in fold.get("warnings", []) if text not in common]
    return tuple(dict.fromkeys([*common, *found]))


def decimal_words(value: float | None, decimals: int = 3) -> str:
    """A figure with some decimals and a true minus sign."""
    return "–" if value is None else f"{value:.{decimals}f}".replace("-", MINUS)


def share_words(value: float | None) -> str:
    """A share in percent, or a dash."""
    return "–" if value is None else percent_words(value)


def _share_interval(interval: Mapping[str, float] | None) -> str:
    if not interval or interval.get("low") is None or interval.get("high") is None:
        return ""
    return f"{percent_words(interval['low'])} to {percent_words(interval['high'])}"


def total_words(task: Mapping[str, Any]) -> str:
    """Patients, predictions and outcomes of a task in one phrase, small counts hidden."""
    n_rows, n_subjects = task["n_rows"], task["n_subjects"]
    rows = "" if n_rows == n_subjects else f", {count_words(n_rows)} predictions"
    return f"{count_words(n_subjects)} patients{rows}, {shown_count(task['n_positive'])} with the outcome"
