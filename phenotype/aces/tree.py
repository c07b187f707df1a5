"""The windows of an ACES task as steps from the trigger: each step goes from one place to the next.

A place is an instant of the record and a distance from it: a step by a span keeps the instant and adds to the
distance, a step to an event finds another instant and begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from phenotype.aces.text import TRIGGER, AcesTask, Boundary, Counts, Window


@dataclass(frozen=True)
class Step:
    """One step, and what must lie between its two places.

    Attributes:
        name: "WINDOW.start" or "WINDOW.end", the place where it arrives.
        origin: the place from which it goes: the name of another step, or "trigger".
        microseconds: how far, negative backwards; null where an event is sought.
        predicate: the event that is sought, or null.
        is_before: whether the last one before is sought rather than the next one after.
        start_inclusive: whether the earlier place itself lies between.
        end_inclusive: whether the later one does.
        has: predicate -> least and most that may lie between.
    """

    name: str
    origin: str
    microseconds: int | None = None
    predicate: str | None = None
    is_before: bool = False
    start_inclusive: bool = False
    end_inclusive: bool = False
    has: Mapping[str, Counts] = field(default_factory=dict)


def steps_of(task: AcesTask) -> list[Step]:
    """All steps of a task, each after the one that it goes from.

    A window's end that is the very place that it is told from needs no step. Its `has` is then without
    effect, as in ACES.
    """
    waiting: dict[str, Step] = {}
    same: dict[str, str] = {}
    for name, window in task.windows.items():
        near, far = ("end", "start") if window.starts_from_end else ("start", "end")
        for side, bound in ((near, window.anchor), (far, window.reach)):
            place = f"{name}.{side}"
            origin = f"{name}.{bound.of}" if bound.of in {"start", "end"} else bound.of
            if bound.is_same:
                same[place] = origin
            else:
                waiting[place] = _step(place, origin, bound, window, is_whole=side == far)
    return _in_order(waiting, same)


def label_step(task: AcesTask) -> str | None:
    """The step between whose places the label is looked for."""
    return _far_step(task, task.label_window)


def index_place(task: AcesTask) -> str | None:
    """The place that is the time of prediction: "trigger" or the name of a step; null where no window tells.

    ACES reads `index_timestamp` off the step that makes the window. For a step back by a span (`start: end -
    24h`) it takes the place that the step goes from for the start and where it arrives for the end; so here.
    """
    name = _far_step(task, task.index_window)
    if name is None:
        return None
    step = next(step for step in steps_of(task) if step.name == name)
    wants_start = task.windows[f"{task.index_window}"].index_timestamp == "start"
    is_arrival = wants_start == (step.predicate is not None and step.is_before)
    return step.name if is_arrival else step.origin


def _far_step(task: AcesTask, window: str | None) -> str | None:
    if window is None:
        return None
    return f"{window}.{'start' if task.windows[window].starts_from_end else 'end'}"


def horizon_hours(task: AcesTask) -> float | None:
    """Hours from the prediction to the end of the label's window, where they are the same for every row."""
    index, label_window = index_place(task), task.label_window
    if index is None or label_window is None:
        return None
    steps = {step.name: step for step in steps_of(task)}
    label = steps[f"{label_step(task)}"]
    asked = _place(index, steps)
    until = _place(label.origin if task.windows[label_window].starts_from_end else label.name, steps)
    if asked[0] != until[0] or until[1] <= asked[1]:
        return None
    return (until[1] - asked[1]) / 3_600_000_000


def _place(name: str, steps: Mapping[str, Step]) -> tuple[str, int]:
    """The event that a place is told from, and how far from it the place lies."""
    distance = 0
    while name in steps and steps[name].microseconds is not None:
        distance += steps[name].microseconds or 0
        name = steps[name].origin
    return name, distance


def _step(place: str, origin: str, bound: Boundary, window: Window, *, is_whole: bool) -> Step:
    return Step(
        name=place,
        origin=origin,
        microseconds=None if bound.seconds is None else round(Fraction(str(bound.seconds)) * 1_000_000),
        predicate=bound.predicate,
        is_before=bound.is_before,
        start_inclusive=is_whole and window.start_inclusive,
        end_inclusive=is_whole and window.end_inclusive,
        has=window.has if is_whole else {},
    )


def _in_order(waiting: Mapping[str, Step], same: Mapping[str, str]) -> list[Step]:
    """Steps after those that they go from, with places that are one and the same under one name."""

    def real(place: str) -> str:
        """The place that another name stands for."""
        while place in same:
            place = same[place]
        return place

    ordered: list[Step] = []
    reached = {TRIGGER}
    rest = [_from(step, real(step.origin)) for step in waiting.values()]
    while rest:
        ready = [step for step in rest if step.origin in reached]
        ordered += ready
        reached |= {step.name for step in ready}
        rest = [step for step in rest if step.name not in reached]
    return ordered


def _from(step: Step, origin: str) -> Step:
    return Step(**{**step.__dict__, "origin": origin})
