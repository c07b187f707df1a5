"""Instants of many subjects in one row of numbers, how often each predicate holds at them, and bisection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from phenotype.aces.text import ANY_EVENT, RECORD_END, RECORD_START

Counts = npt.NDArray[np.int64]
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Instants:
    """Instants with at least one event that counts, sorted by (subject, time) and unique.

    Attributes:
        subject_id: int64 of shape (n,).
        time: microseconds since 1970, int64 of shape (n,).
        counts: predicate -> events (of a plain predicate) or 1 (of a derived one) at each, int64 (n,).
        everything: all instants of these subjects, where any event may have to be counted; else null.
    """

    subject_id: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    counts: Mapping[str, Counts] = field(default_factory=dict)
    everything: Instants | None = None

    @cached_property
    def subjects(self) -> npt.NDArray[np.int64]:
        """The subjects, each once, ascending."""
        return np.unique(self.subject_id)

    @cached_property
    def edges(self) -> npt.NDArray[np.int64]:
        """The first row of each subject, and the number of rows."""
        first = np.searchsorted(self.subject_id, self.subjects)
        edges: Counts = np.append(first, self.subject_id.size).astype(np.int64)
        return edges

    def ordinals(self, subject_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The numbers of subjects, from 0 in their order; every one must be among them."""
        return np.searchsorted(self.subjects, subject_ids).astype(np.int64)

    def starts(self, subject_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The first row of each of these subjects."""
        return self.edges[self.ordinals(subject_ids)]

    def ends(self, subject_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The row after the last one of each of these subjects."""
        return self.edges[self.ordinals(subject_ids) + 1]

    def positions(
        self, subject_ids: npt.NDArray[np.int64], times: npt.NDArray[np.int64], side: Side
    ) -> Counts:
        """Where times would stand among the instants of their subjects.

        Args:
            subject_ids: ascending, int64 of shape (n,).
            times: microseconds, int64 of shape (n,).
            side: "left" puts equal instants after a time, "right" before it.

        Returns:
            Row numbers between a subject's first row and the row after its last, int64 of shape (n,).
        """
        found = np.empty(subject_ids.size, dtype=np.int64)
        if not found.size:
            return found
        low, high = int(self.time.min()) - 1, int(self.time.max()) + 1
        width = high - low + 1
        # Subject and time as one number: as many subjects at once as its bits have room for.
        n_together = max(1, np.iinfo(np.int64).max // (2 * width))
        ordinals, wanted = self.ordinals(subject_ids), np.clip(times, low, high) - low
        for first in range(0, self.subjects.size, n_together):
            after = min(first + n_together, self.subjects.size)
            rows = slice(self.edges[first], self.edges[after])
            asked = slice(*np.searchsorted(ordinals, (first, after)))
            n_rows = np.diff(self.edges[first : after + 1])
            stand = np.repeat(np.arange(after - first) * width, n_rows) + (self.time[rows] - low)
            seek = (ordinals[asked] - first) * width + wanted[asked]
            found[asked] = rows.start + np.searchsorted(stand, seek, side=side)
        return found

    def of(self, predicate: str) -> Counts:
        """How often a predicate, also a special one, holds at each instant."""
        if predicate == ANY_EVENT:
            return np.ones(self.time.size, dtype=np.int64)
        if predicate not in {RECORD_START, RECORD_END}:
            return self.counts[predicate]
        counts: Counts = np.zeros(self.time.size, dtype=np.int64)
        counts[self.edges[:-1] if predicate == RECORD_START else self.edges[1:] - 1] = 1
        return counts
