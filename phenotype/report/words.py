"""What a task, a model or an age is called on a page."""

from __future__ import annotations

from collections.abc import Mapping

from phenotype.task_parts import Frozen
from phenotype.tasks import Task

AGE_BANDS = (18, 30, 40, 50, 60, 70, 80, 90)
KIND_NAMES: Mapping[str, str] = {
    "ward": "Ward score",
    "logistic": "Logistic regression",
    "lightgbm": "Gradient-boosted trees",
    "transformer": "Transformer network",
    "two_axis": "Two-axis network",
    "gru": "Recurrent network",
    "gru_d": "Recurrent network with decay",
    "ensemble": "Ensemble",
}


class TaskWords(Frozen):
    """A task in plain words.

    Attributes:
        name: as in file names.
        title: its heading.
        question: the question that it asks.
        outcome: the outcome as a noun ("death in hospital").
        they_do: what patients with the outcome do ("die in hospital"), after "of 100 patients".
    """

    name: str
    title: str
    question: str
    outcome: str
    they_do: str


def task_words(task: Task) -> TaskWords:
    """The plain words of a typed task."""
    noun, verb = _outcome_words(task)
    return TaskWords(name=task.name, title=task.title, question=task.question, outcome=noun, they_do=verb)


def unknown_task_words(name: str, title: str) -> TaskWords:
    """The words of a task of which only its title is at hand."""
    return TaskWords(
        name=name,
        title=title or name,
        question=title or name,
        outcome="the outcome",
        they_do="have the outcome",
    )


def _outcome_words(task: Task) -> tuple[str, str]:
    """The outcome as a noun, and as what patients do."""
    outcome, within = task.outcome, ""
    if task.horizon_hours:
        within = f" within {horizon_words(task.horizon_hours)}"
    if outcome.kind == "prolonged_stay":
        return "a prolonged stay", _longer_words(outcome.days, outcome.percentile)
    if outcome.kind == "labelled_onset":
        onset = outcome.event.replace("_", " ")
        return f"{onset}{within}", f"develop {onset}{within}"
    infection = "sepsis or bloodstream infection"
    words = {
        "death_in_stay": ("death in hospital", "die before they leave the hospital"),
        "death": (f"death{within}", f"die{within}"),
        "infection_in_stay": (infection, f"develop {infection} during the stay"),
        "infection_admission": (
            f"admission with {infection}{within}",
            f"are admitted with {infection}{within}",
        ),
        "readmission": (f"acute readmission{within}", f"are acutely readmitted{within}"),
        "aces_label": (f"{_plain(outcome.event)}{within}", f"have {_plain(outcome.event)}{within}"),
    }
    return words[outcome.kind]


def _plain(name: str) -> str:
    """A predicate's name as words."""
    return name.replace("_", " ")


def _longer_words(days: float | None, percentile: float | None) -> str:
    """What patients with a prolonged stay do."""
    if days is not None:
        return f"stay longer than {days:g} days"
    return f"have a stay among the longest {round(100 * (1 - (percentile or 0.0)))} of 100"


def horizon_words(hours: float) -> str:
    """A horizon in its natural unit: 6 hours, 30 days, 1 year."""
    if hours < 48:
        return f"{hours:g} hour{'' if hours == 1 else 's'}"
    days = hours / 24
    if days in {365.0, 365.25}:
        return "1 year"
    return f"{days:g} days"


def model_title(name: str, kind: str) -> str:
    """What a model is called: its kind in words, with its own name where that says more."""
    words = KIND_NAMES.get(kind, kind)
    if kind == "ward" and name != kind:
        return f"{name.removeprefix('SCORE//')}, the ward's score"
    return words if name == kind else f"{words} ({name})"


def age_band(age: float | None) -> str:
    """The ten-year band that an age lies in: 70–79 years, under 18, 90 or older, age unknown."""
    if age is None:
        return "age unknown"
    if age < AGE_BANDS[0]:
        return f"under {AGE_BANDS[0]} years"
    if age >= AGE_BANDS[-1]:
        return f"{AGE_BANDS[-1]} years or older"
    start = max(edge for edge in AGE_BANDS if edge <= age)
    end = min(edge for edge in AGE_BANDS if edge > age)
    return f"{start}–{end - 1} years"
