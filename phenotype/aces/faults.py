"""What does not fit together in a task in ACES' language, though each part is well formed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from phenotype.aces.text import (
    OWN_ENDS,
    RECORD_END,
    RECORD_START,
    SPECIAL,
    TRIGGER,
    AcesTask,
    DerivedPredicate,
    Window,
)


@dataclass(frozen=True)
class Fault:
    """One contradiction.

    Attributes:
        what: in a sentence.
        place: key path in the task's file.
        found: what stands there.
        allowed: what may.
    """

    what: str
    place: tuple[str, ...]
    found: str = ""
    allowed: str = ""


def find_faults(
    task: AcesTask,
    *,
    unread_predicates: frozenset[str] = frozenset(),
    unread_windows: frozenset[str] = frozenset(),
) -> list[Fault]:
    """Everything in a task that cannot be meant.

    Args:
        task: whose parts are well formed.
        unread_predicates: names of further ones that are given, and whose own faults are told elsewhere.
        unread_windows: likewise.
    """
    faults = list(_predicate_faults(task, unread_predicates))
    for name, window in task.windows.items():
        faults += _window_faults([*task.windows, *unread_windows], name, window)
    faults += _only_one(task, "label") + _only_one(task, "index_timestamp")
    return faults + (_loops(task) if not faults and not unread_windows else [])


def _predicate_faults(task: AcesTask, unread: frozenset[str]) -> Iterator[Fault]:
    for name in task.predicates:
        if not re.fullmatch(r"\w+", name):
            yield Fault("a predicate's name is letters, digits and _", ("predicates", name), name)
    for name, place in _mentions(task):
        if name not in task.predicates and name not in unread and name not in SPECIAL:
            yield Fault("no such predicate", place, name, ", ".join([*task.predicates, *SPECIAL]))
        elif name in task.statics and place[0] != "predicates":
            allowed = "inputs of derived predicates; a static one holds for the whole subject or for nobody"
            yield Fault("a static predicate has no time", place, name, allowed)
    yield from _circles(task)


def _mentions(task: AcesTask) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each name of a predicate, with the place that names it."""
    yield task.trigger, ("trigger",)
    for name, predicate in task.predicates.items():
        if isinstance(predicate, DerivedPredicate):
            for source in predicate.inputs:
                yield source, ("predicates", name)
    for name, window in task.windows.items():
        for side, bound in (("start", window.start), ("end", window.end)):
            if bound is not None and bound.predicate is not None:
                yield bound.predicate, ("windows", name, side)
        for predicate_name in window.has:
            yield predicate_name, ("windows", name, "has", predicate_name)
        if window.label:
            yield window.label, ("windows", name, "label")


def _circles(task: AcesTask) -> Iterator[Fault]:
    """Derived predicates that are made of themselves, and those made of what has no row of its own."""
    for name in task.predicates:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            predicate = task.predicates.get(waiting.pop())
            fresh = set(predicate.inputs) - seen if isinstance(predicate, DerivedPredicate) else set()
            seen |= fresh
            waiting += sorted(fresh)
        if name in seen:
            yield Fault("a predicate that is made of itself", ("predicates", name), name)
        special = sorted(seen & set(SPECIAL))
        if special:
            yield Fault("a derived predicate is made of named ones", ("predicates", name), ", ".join(special))


def _window_faults(windows: Sequence[str], name: str, window: Window) -> Iterator[Fault]:
    place = ("windows", name)
    if not re.fullmatch(r"\w+", name):
        yield Fault("a window's name is letters, digits and _", place, name)
    start, end = window.start, window.end
    starts_from_end = start is None or start.of == "end"
    ends_from_start = end is None or end.of == "start"
    if starts_from_end == ends_from_start:
        allowed = "start told from end, or end told from start, and the other from somewhere else"
        yield Fault("one end of a window is told from the other", place, "", allowed)
        return
    own = start if starts_from_end else end
    yield from _direction_faults(place, window, starts_from_end=starts_from_end)
    other = end if starts_from_end else start
    if other is not None and other.of in OWN_ENDS:
        yield Fault("a window's end cannot be told from itself", place, other.of)
    elif other is not None and other.of != TRIGGER:
        known = other.of.partition(".")[0]
        if "." not in other.of or known not in windows:
            allowed = ", ".join(["trigger", *(f"{known}.start, {known}.end" for known in windows)])
            yield Fault("no such window", (*place, "end" if starts_from_end else "start"), other.of, allowed)
    for predicate, (least, most) in window.has.items():
        if (least is None and most is None) or (least is not None and most is not None and most < least):
            yield Fault(
                "counts that nothing can break, or nothing can keep",
                (*place, "has", predicate),
                f"{least}, {most}",
            )
    if own is not None and own.is_same and (window.label or window.index_timestamp):
        allowed = "a span or an event between the two ends"
        yield Fault("a window without length has no label and tells no time", place, "", allowed)
    if window.label in SPECIAL:
        yield Fault("the label is a named predicate", (*place, "label"), str(window.label))


def _direction_faults(place: tuple[str, ...], window: Window, *, starts_from_end: bool) -> Iterator[Fault]:
    own = window.start if starts_from_end else window.end
    for side, bound in (("start", window.start), ("end", window.end)):
        if bound is None or bound.predicate is None:
            continue
        if bound.predicate == (RECORD_START if not bound.is_before else RECORD_END):
            way = "before the record's start" if bound.predicate == RECORD_START else "after the record's end"
            yield Fault(f"nothing lies {way}", (*place, side), bound.predicate)
    if own is None or own.is_same:
        return
    is_before = own.is_before if own.predicate is not None else (own.seconds or 0) < 0
    if is_before != starts_from_end:
        side = "start" if starts_from_end else "end"
        yield Fault("a window's start lies before its end", (*place, side), "the other way round")


def _only_one(task: AcesTask, field: str) -> list[Fault]:
    names = [name for name, window in task.windows.items() if getattr(window, field)]
    return [Fault(f"one window only has a {field}", ("windows", name, field), name) for name in names[1:]]


def _loops(task: AcesTask) -> list[Fault]:
    """Windows that are told from each other in a circle, so that none is told from the trigger."""
    faults = []
    for name in task.windows:
        seen, place = {name}, task.windows[name].anchor.of
        while place != TRIGGER:
            window = place.partition(".")[0]
            if window in seen:
                faults.append(Fault("windows told from each other in a circle", ("windows", name), name))
                break
            seen.add(window)
            place = task.windows[window].anchor.of
    return faults
