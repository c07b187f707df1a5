"""Instants of many subjects in one row of numbers, how often each predicate holds at them, and bisection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from phenotype.aces_text import ANY_EVENT, RECORD_END, RECORD_START

Counts = npt.NDArray[np.int64]
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Instants:
    """Instants with at least one event that counts, sorted by (subject, time) and unique.

    Attributes:
        subject_id: int64 of shape (n,).
        time: microseconds since 1970, int64 of shape (n,).
        counts: predicate -> events (of a plain predicate) or 1 (of a derived one) at each, int64 (n,).
    """

    subject_id: npt.NDArray[np.int64]
    time: npt.NDArray[np.int64]
    counts: Mapping[str, Counts]

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """For each instant, the row of its subject's first one."""
        is_first = np.r_[True, self.subject_id[1:] != self.subject_id[:-1]][: self.subject_id.size]
        starts: Counts = np.maximum.accumulate(np.where(is_first, np.arange(self.subject_id.size), 0))
        return starts

    @cached_property
    def ends(self) -> npt.NDArray[np.int64]:
        """For each instant, the row after its subject's last one."""
        n = self.subject_id.size
        is_last = np.r_[self.subject_id[1:] != self.subject_id[:-1], True][:n]
        after = np.where(is_last, np.arange(n) + 1, n)
        return np.minimum.accumulate(after[::-1])[::-1]

    @cached_property
    def ordinal(self) -> npt.NDArray[np.int64]:
        """The number of each instant's subject, from 0."""
        return np.cumsum(self.starts == np.arange(self.subject_id.size)) - 1

    def positions(self, rows: npt.NDArray[np.int64], times: npt.NDArray[np.int64], side: Side) -> Counts:
        """Where times would stand among the instants of their subjects.

        Args:
            rows: an instant of each subject meant, ascending in subject, int64 of shape (n,).
            times: microseconds, int64 of shape (n,).
            side: "left" puts equal instants after a time, "right" before it.

        Returns:
            Row numbers between a subject's first row and the row after its last, int64 of shape (n,).
        """
        if not rows.size:
            return np.empty(0, dtype=np.int64)
        low, high = int(self.time.min()) - 1, int(self.time.max()) + 1
        width = high - low + 1
        n_subjects = max(1, np.iinfo(np.int64).max // (2 * width))
        wanted = np.clip(times, low, high) - low
        found = np.empty(rows.size, dtype=np.int64)
        ordinals = self.ordinal[rows]
        for first in range(0, int(self.ordinal[-1]) + 1, n_subjects):
            edges = (first, first + n_subjects)
            inside = slice(*np.searchsorted(self.ordinal, edges))
            asked = slice(*np.searchsorted(ordinals, edges))
            stand = (self.ordinal[inside] - first) * width + (self.time[inside] - low)
            seek = (ordinals[asked] - first) * width + wanted[asked]
            found[asked] = inside.start + np.searchsorted(stand, seek, side=side)
        return found

    def of(self, predicate: str) -> Counts:
        """How often a predicate, also a special one, holds at each instant."""
        if predicate == ANY_EVENT:
            return np.ones(self.time.size, dtype=np.int64)
        if predicate not in {RECORD_START, RECORD_END}:
            return self.counts[predicate]
        counts: Counts = np.zeros(self.time.size, dtype=np.int64)
        counts[self.starts if predicate == RECORD_START else self.ends - 1] = 1
        return counts
