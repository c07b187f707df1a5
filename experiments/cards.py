"""Model cards and the TRIPOD+AI table, from what a run recorded: data first, markdown of them second.

**Source:** model cards: Mitchell et al. 2019, doi:10.1145/3287560.3287596; TRIPOD+AI: experiments/tripod.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.run_folder import write_text
from experiments.run_record import RunRecord, read_run_record
from experiments.tripod import TRIPOD_AI, TripodItem

NOTICE = "For research, not a diagnosis."
INTENDED_USE = "Research on risk prediction from recorded histories, read by people trained in it."
NOT_INTENDED = (
    "Decisions about a single patient's care.",
    "Patients, hospitals, record systems or years that it was not evaluated on.",
)
STANDING_LIMITS = (
    "It knows what was recorded, not what was true; what is done to patients shapes what is recorded.",
    "A reason is what moved the model, not a cause to remove.",
)
HEADLINE = (
    ("auroc", "AUROC"),
    ("auprc", "AUPRC"),
    ("brier", "Brier score"),
    ("calibration_slope", "Calibration slope"),
    ("calibration_in_the_large", "Calibration in the large"),
    ("ici", "Integrated calibration index"),
    ("utility", "Utility (challenge 2019)"),
)
NOT_ANSWERED = "**not answered by the run record**"


@dataclass(frozen=True)
class Figure:
    """One measure on held-out patients.

    Attributes:
        name: as a heading.
        value: the mean over folds.
        low: of the 95 % interval, null where there is none.
        high: likewise.
    """

    name: str
    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        """The value with its interval."""
        has_interval = self.low is not None and self.high is not None
        interval = f" ({self.low:.3f} to {self.high:.3f})" if has_interval else ""
        return f"{self.value:.3f}{interval}"


@dataclass(frozen=True)
class ModelCard:
    """What anyone must know before looking at a model's risks.

    Attributes:
        model: its name in the run.
        kind: what it is.
        task: the task's name.
        title: the task's heading.
        data: what it was made from, by heading.
        split: how patients were divided, by heading.
        figures: measures on held-out patients.
        interval_method: how the intervals were made.
        operating_points: alarm thresholds and what they gave.
        subgroups: measures by sex, age and hospital, suppressed ones with their reason.
        limits: what is known to be weak.
    """

    model: str
    kind: str
    task: str
    title: str
    data: dict[str, str]
    split: dict[str, str]
    figures: tuple[Figure, ...]
    interval_method: str
    operating_points: tuple[dict[str, Any], ...]
    subgroups: tuple[dict[str, Any], ...]
    limits: tuple[str, ...]


@dataclass(frozen=True)
class TripodRow:
    """An item of TRIPOD+AI and where the run answers it; a null answer is left to the authors."""

    item: TripodItem
    answer: str | None


def model_card(record: RunRecord, task: str, model: str) -> ModelCard:
    """The card of one model on one task."""
    found = record.metrics["tasks"][task]
    measured = found["models"][model]
    return ModelCard(
        model=model,
        kind=measured["kind"],
        task=task,
        title=found["title"],
        data=_data(record, found),
        split=_split(record, measured),
        figures=tuple(_figures(measured)),
        interval_method=measured["interval_method"],
        operating_points=tuple(measured["operating_points"]),
        subgroups=tuple(measured["subgroups"]),
        limits=tuple(_limits(found, measured)),
    )


def card_markdown(card: ModelCard) -> str:
    """The card as text that reads on any screen."""
    parts = [
        f"# {card.model}: {card.title}",
        f"**{NOTICE}**",
        "## Intended use",
        INTENDED_USE,
        _bullets(f"Not for: {what[0].lower()}{what[1:]}" for what in NOT_INTENDED),
        "## Data",
        _bullets(f"{name}: {value}" for name, value in card.data.items()),
        "## Split",
        _bullets(f"{name}: {value}" for name, value in card.split.items()),
        "## On held-out patients",
        _table(
            ("measure", f"value (95 % interval, {card.interval_method})"),
            ((figure.name, str(figure)) for figure in card.figures),
        ),
        "## At its alarm thresholds",
        _table(
            ("threshold chosen by", "workload", "sensitivity", "PPV"), map(_point_row, card.operating_points)
        ),
        "## Subgroups",
        _table(("group", "rows", "events", "AUROC", "observed / expected"), map(_group_row, card.subgroups))
        if card.subgroups
        else "Sex, age and hospital are not known.",
        "## Limits",
        _bullets(card.limits),
    ]
    return "\n\n".join(parts) + "\n"


def tripod_table(record: RunRecord, task: str) -> list[TripodRow]:
    """All items of TRIPOD+AI; what the run record cannot answer stays open."""
    answers = _tripod_answers(record, task)
    return [TripodRow(item, answers.get(item.number)) for item in TRIPOD_AI]


def tripod_markdown(rows: Sequence[TripodRow]) -> str:
    """The table as text, open items marked, and counted in the heading."""
    n_open = sum(row.answer is None for row in rows)
    cells = (
        (row.item.number, row.item.section, f"{row.item.topic}: {row.item.asks}", row.answer or NOT_ANSWERED)
        for row in rows
    )
    heading = f"# TRIPOD+AI: {n_open} of {len(rows)} parts open"
    return f"{heading}\n\n{_table(('item', 'section', 'asks', 'answer'), cells)}\n"


def write_cards(run_folder: Path) -> list[Path]:
    """cards/TASK/MODEL.md for every model and cards/TASK/TRIPOD-AI.md for every task of a finished run."""
    record = read_run_record(run_folder)
    written: dict[Path, str] = {}
    for task, found in record.metrics["tasks"].items():
        place = run_folder / "cards" / task
        for model in found["models"]:
            written[place / f"{model}.md"] = card_markdown(model_card(record, task, model))
        written[place / "TRIPOD-AI.md"] = tripod_markdown(tripod_table(record, task))
    for path, text in written.items():
        write_text(text, path)
    return list(written)


def _data(record: RunRecord, found: Mapping[str, Any]) -> dict[str, str]:
    described = record.manifest.get("dataset", {})
    return {
        "dataset": str(described.get("name") or "unnamed"),
        "dataset digest": str(described.get("digest", "unknown")),
        "ontology digest": str(record.manifest.get("ontology_digest", "unknown")),
        "held-out rows": _counts(found),
        "how they arose": _attrition(found) or "not told",
    }


def _counts(found: Mapping[str, Any]) -> str:
    return f"{found['n_rows']} of {found['n_subjects']} patients, {found['n_positive']} positive"


def _attrition(found: Mapping[str, Any]) -> str:
    steps = (f"{step['step']}: {step['n_rows']} rows" for step in found.get("attrition", []))
    return "; ".join(steps)


def _split(record: RunRecord, measured: Mapping[str, Any]) -> dict[str, str]:
    described = record.config.get("splits", {})
    n_folds = len(measured["folds"])
    return {
        "kind": str(described.get("kind", "not told")),
        "held-out parts": f"{n_folds}, each kept from the fitting, tuning and thresholds of its models",
        "how often held-out patients were scored": str(record.manifest.get("outer_folds_scored", "not told")),
        "seed": str(record.manifest.get("seed", "not told")),
    }


def _figures(measured: Mapping[str, Any]) -> list[Figure]:
    found = []
    for name, heading in HEADLINE:
        value = measured["mean"].get(name)
        if value is not None:
            interval = measured["intervals"].get(name) or {}
            found.append(Figure(heading, value, interval.get("low"), interval.get("high")))
    return found


def _limits(found: Mapping[str, Any], measured: Mapping[str, Any]) -> list[str]:
    n_held_back = sum(group["is_suppressed"] for group in measured["subgroups"])
    limits = [*STANDING_LIMITS, *found.get("warnings", [])]
    if n_held_back:
        limits.append(f"{n_held_back} subgroups are too small to be judged.")
    slope = measured["mean"].get("calibration_slope")
    if slope is not None and not 0.8 <= slope <= 1.25:
        limits.append(f"Its risks are {'too extreme' if slope < 1 else 'too moderate'} (slope {slope:.2f}).")
    return limits


def _tripod_answers(record: RunRecord, task: str) -> dict[str, str]:
    found = record.metrics["tasks"][task]
    models = found["models"]
    first = next(iter(models.values()))
    kinds = ", ".join(f"{name} ({model['kind']})" for name, model in models.items())
    manifest = record.manifest
    answers = {
        "1": f"development and evaluation; outcome: {found['title']}",
        "4": found.get("question"),
        "5a": _data(record, found)["dataset"],
        "6b": _attrition(found),
        "8a": found.get("question"),
        "9a": "features of run.yaml: every code that enough training patients have",
        "10": "; ".join(found["warnings"]) or None,
        "12a": "; ".join(f"{name}: {value}" for name, value in _split(record, first).items()),
        "12b": "features of run.yaml",
        "12c": f"{kinds}; settings in run.yaml, everything chosen inside the training folds",
        "12e": "AUROC, AUPRC, Brier, calibration, net benefit and workload, each model against each",
        "12g": "by the bundle as read back from disk",
        "14": "measures by sex, age band and hospital, small cells held back",
        "15": "a calibrated probability; alarms at thresholds chosen on tuning patients",
        "18f": f"pesta {manifest['versions']['pesta']}, code digest {manifest['code_digest']}",
        "20a": _attrition(found),
        "21": f"held-out rows: {_counts(found)}",
        "22": "bundle/ of the run folder, with digests",
        "23a": "; ".join(f"{name}: AUROC {_headline(model)}" for name, model in models.items()),
        "23b": "by hospital" if any(group["by"] == "hospital_id" for group in first["subgroups"]) else None,
        "27b": NOTICE,
    }
    return {number: answer for number, answer in answers.items() if answer}


def _headline(measured: Mapping[str, Any]) -> str:
    return next((str(figure) for figure in _figures(measured) if figure.name == "AUROC"), "not to be had")


def _point_row(point: Mapping[str, Any]) -> tuple[str, ...]:
    rate = point["asked_alert_rate"]
    chosen = "best utility" if rate is None else f"{100 * rate:g} % of predictions alert"
    return (
        chosen,
        f"{point['workload']:.1f} {point['workload_unit']}",
        _share(point["sensitivity"]),
        _share(point["ppv"]),
    )


def _group_row(group: Mapping[str, Any]) -> tuple[str, ...]:
    name = f"{group['by']}: {group['group']}"
    found = (group["n_rows"], group["n_positive"])
    counts = ("fewer than 5" if count is None else str(count) for count in found)
    if group["is_suppressed"]:
        return (name, *counts, f"held back: {group['reason']}", "")
    return (name, *counts, _share(group["auroc"]), _share(group["observed_expected"]))


def _share(value: float | None) -> str:
    return "not to be had" if value is None else f"{value:.3f}"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )
