"""A task in ACES' language in plain words: its trigger, its windows, and what they must hold."""

from __future__ import annotations

from dataclasses import dataclass

from phenotype.aces.text import (
    ANY_EVENT,
    RECORD_END,
    RECORD_START,
    TRIGGER,
    AcesTask,
    Boundary,
    DerivedPredicate,
    PlainPredicate,
    Predicate,
    Window,
)

_SPECIAL = {
    ANY_EVENT: "any event",
    RECORD_START: "the beginning of the record",
    RECORD_END: "the end of the record",
}


@dataclass(frozen=True)
class WindowWords:
    """A task's parts; sentences without a full stop.

    Attributes:
        who: whose record, and at which events.
        when: the time of prediction.
        what: the answer.
        windows: each window in words, in the order of the file.
    """

    who: str
    when: str
    what: str
    windows: tuple[str, ...]


def describe_windows(task: AcesTask) -> WindowWords:
    """A task's parts in words."""
    statics = [f"{name} ({_predicate(task.predicates[name])})" for name in task.statics]
    who = f"each {_name(task.trigger)}{_of(task, task.trigger)}"
    if statics:
        who += f" of patients whose record says {' and '.join(statics)}"
    index = task.windows.get(task.index_window or "")
    label = task.windows.get(task.label_window or "")
    return WindowWords(
        who=who,
        when=f"at the {index.index_timestamp} of window {task.index_window}" if index else "not told",
        what=f"{_name(label.label or '')}{_of(task, label.label or '')} in window {task.label_window}"
        if label
        else "not told",
        windows=tuple(_window(name, window) for name, window in task.windows.items()),
    )


def _window(name: str, window: Window) -> str:
    start = "the beginning of the record" if window.start is None else _boundary(window.start, name)
    end = "the end of the record" if window.end is None else _boundary(window.end, name)
    sides = [f"its {side} included" for side in ("start", "end") if getattr(window, f"{side}_inclusive")]
    held = [f"{_counts(least, most)} {_name(predicate)}" for predicate, (least, most) in window.has.items()]
    holds = f", holding {' and '.join(held)}" if held else ""
    return f"{name}: from {start} to {end}{''.join(f', {side}' for side in sides)}{holds}"


def _boundary(bound: Boundary, window: str) -> str:
    place = "the trigger" if bound.of == TRIGGER else f"its {bound.of}"
    if "." in bound.of:
        other, _, side = bound.of.partition(".")
        place = f"the {side} of {other}"
    if bound.predicate is not None:
        way = "the last one before" if bound.is_before else "the next one from"
        return f"{_name(bound.predicate)}, {way} {place}"
    if bound.seconds is None:
        return place
    return f"{_span(abs(bound.seconds))} {'before' if bound.seconds < 0 else 'after'} {place}"


def _counts(least: int | None, most: int | None) -> str:
    if most == 0:
        return "no"
    if least == most:
        return f"exactly {least}"
    if least is None:
        return f"at most {most}"
    return f"at least {least}" if most is None else f"{least} to {most}"


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds % size == 0 and (unit != "days" or seconds >= 3 * size):
            return f"{seconds / size:g} {unit if seconds != size else unit.removesuffix('s')}"
    return f"{seconds:g} seconds"


def _name(predicate: str) -> str:
    return _SPECIAL.get(predicate, predicate.replace("_", " "))


def _of(task: AcesTask, name: str) -> str:
    predicate = task.predicates.get(name)
    return f" ({_predicate(predicate)})" if predicate else ""


def _predicate(predicate: Predicate) -> str:
    if isinstance(predicate, DerivedPredicate):
        return f" {predicate.operator} ".join(_name(source) for source in predicate.inputs)
    return ", ".join([_codes(predicate), *_bounds(predicate)])


def _codes(predicate: PlainPredicate) -> str:
    code = predicate.code
    if code.regex is not None:
        return f"codes like {code.regex}"
    shown = ", ".join(code.exactly[:3]) + (
        f" and {len(code.exactly) - 3} more" if len(code.exactly) > 3 else ""
    )
    return f"codes {shown}" if shown else "no code at all"


def _bounds(predicate: PlainPredicate) -> list[str]:
    words = []
    if predicate.value_min is not None:
        words.append(f"{'at least' if predicate.value_min_inclusive else 'above'} {predicate.value_min:g}")
    if predicate.value_max is not None:
        words.append(f"{'at most' if predicate.value_max_inclusive else 'below'} {predicate.value_max:g}")
    return words + [f"{column} {value}" for column, value in predicate.other_columns.items()]
