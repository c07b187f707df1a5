"""The triggers of an ACES task moved through its tree of windows, all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phenotype.aces.instants import Instants, Side
from phenotype.aces.text import ANY_EVENT, TRIGGER
from phenotype.aces.tree import Step

Rows = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max
WINDOW_OPEN = "window_open"
WINDOW_DIFFERS = "window_differs"


@dataclass(frozen=True)
class Place:
    """Where a step arrived, for each trigger.

    Attributes:
        row: instants, int64 of shape (n,); any instant of the subject where the place is not there.
        distance: microseconds from the instant, the same for all triggers.
        is_there: whether every event on the way was found, bool of shape (n,).
    """

    row: Rows
    distance: int
    is_there: Flags


class Walk:
    """Triggers on their way through the steps of a task.

    Attributes:
        instants: of all subjects.
        triggers: rows of the instants that are asked about, ascending, int64 of shape (n,).
        places: name of a step, or "trigger" -> where it arrived.
        exits: each reason and window that may leave a trigger out, in the order in which they were met.
        exit: number of the exit by which each trigger is left out, the one that is known first where there
            are several; -1 where it is not.
        known: microseconds, when it is known that the window leaves it out; NEVER for an event that does not
            come.
    """

    def __init__(self, instants: Instants, triggers: Rows) -> None:
        self.instants, self.triggers = instants, triggers
        self.subject_ids = instants.subject_id[triggers]
        self.places = {TRIGGER: Place(triggers, 0, np.full(triggers.size, fill_value=True))}
        self.exits: list[tuple[str, str]] = []
        self.exit = np.full(triggers.size, -1, dtype=np.int32)
        self.known = np.full(triggers.size, NEVER, dtype=np.int64)
        self._spans: dict[tuple[str, bool], tuple[Rows, Rows]] = {}
        self._sums: dict[str, Rows] = {}

    def times(self, place: str) -> Rows:
        """The instant of a place for each trigger, in microseconds."""
        there = self.places[place]
        return self.instants.time[there.row] + there.distance

    def take(self, step: Step) -> None:
        """Go one step; triggers that find no event, or too little or too much on the way, are left out."""
        window = step.name.partition(".")[0]
        origin = self.places[step.origin]
        if step.microseconds is not None:
            distance = origin.distance + step.microseconds
            self.places[step.name] = Place(origin.row, distance, origin.is_there)
            is_before = step.microseconds < 0
        else:
            row, is_found = self._event(step)
            self.places[step.name] = Place(row, 0, origin.is_there & is_found)
            is_before = step.is_before
            known = self.times(step.origin) if is_before else np.full(row.size, NEVER)
            self._leave(origin.is_there & ~is_found, WINDOW_OPEN, window, known)
        near, far = self.times(step.origin), self.times(step.name)
        early, late = (far, near) if is_before else (near, far)
        for predicate, (least, most) in step.has.items():
            n = self._count(step, predicate, early, late)
            is_wrong = np.zeros(n.size, dtype=np.bool_)
            if least is not None:
                is_wrong |= n < least
            if most is not None:
                is_wrong |= n > most
            self._leave(is_wrong & self.places[step.name].is_there, WINDOW_DIFFERS, window, late)

    def first_on_the_way(self, step: Step, predicate: str) -> Rows:
        """The first instant of a predicate between the two places of a step; -1 where there is none."""
        near, far = self.times(step.origin), self.times(step.name)
        is_before = step.is_before if step.microseconds is None else step.microseconds < 0
        first, after = self._between(step, *((far, near) if is_before else (near, far)))
        events = np.flatnonzero(self.instants.of(predicate) > 0)
        found = np.r_[events, self.instants.time.size][np.searchsorted(events, first)]
        return np.where(found < after, found, -1)

    def _event(self, step: Step) -> tuple[Rows, Flags]:
        """The event that a step seeks, and whether there is one."""
        events = np.flatnonzero(self.instants.of(f"{step.predicate}") > 0)
        times, n = self.times(step.origin), self.instants.time.size
        if step.is_before:
            # The end of the window may be its start: an event at that very instant counts if the start does.
            after = self.instants.positions(
                self.subject_ids, times, "right" if step.start_inclusive else "left"
            )
            found = np.r_[-1, events][np.searchsorted(events, after)]
            is_found = found >= self.instants.starts(self.subject_ids)
        else:
            first = self.instants.positions(
                self.subject_ids, times, "left" if step.end_inclusive else "right"
            )
            found = np.r_[events, n][np.searchsorted(events, first)]
            is_found = found < self.instants.ends(self.subject_ids)
        return np.where(is_found, found, self.triggers), is_found

    def _between(
        self, step: Step, early: Rows, late: Rows, instants: Instants | None = None
    ) -> tuple[Rows, Rows]:
        """The first instant between two times, and the one after the last."""
        among = instants or self.instants
        key = (step.name, instants is None)
        if key not in self._spans:
            from_side: Side = "left" if step.start_inclusive else "right"
            to_side: Side = "right" if step.end_inclusive else "left"
            first = among.positions(self.subject_ids, early, from_side)
            after = among.positions(self.subject_ids, late, to_side)
            self._spans[key] = (first, np.maximum(first, after))
        return self._spans[key]

    def _count(self, step: Step, predicate: str, early: Rows, late: Rows) -> Rows:
        if predicate == ANY_EVENT and self.instants.everything is not None:
            first, after = self._between(step, early, late, self.instants.everything)
            return after - first
        if predicate not in self._sums:
            self._sums[predicate] = np.r_[0, np.cumsum(self.instants.of(predicate))]
        first, after = self._between(step, early, late)
        return self._sums[predicate][after] - self._sums[predicate][first]

    def _leave(self, is_out: Flags, reason: str, window: str, known: Rows) -> None:
        """Leave triggers out, by the window that is known first."""
        fresh = is_out & ((self.exit < 0) | (known < self.known))
        if (reason, window) not in self.exits:
            self.exits.append((reason, window))
        self.exit[fresh], self.known[fresh] = self.exits.index((reason, window)), known[fresh]
