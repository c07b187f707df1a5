"""Events ordered by subject, code, time and value, with the borders of their groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phenotype.ordered_threads import in_order

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.integer]

EVENTS_A_PART = 1 << 17
"""Events that are ordered together once they lie subject by subject: what fits a processor's cache."""


@dataclass(frozen=True)
class GroupedEvents:
    """Events in canonical order: subject, code, time; those of one instant by value, without a value last.

    Attributes:
        time: (N,) microseconds.
        value: (N,) NaN where an event has no finite value.
        group_start: (G + 1,) first event of each group; a group is one code of one subject.
        group_code: (G,) code number, ascending within a subject.
        subject_start: (S + 1,) first group of each subject.
    """

    time: Ints
    value: Floats
    group_start: Ints
    group_code: Ints
    subject_start: Ints


def group_events(
    subject: Numbers,
    code: Numbers,
    time: Ints,
    value: Floats,
    *,
    n_subjects: int,
) -> GroupedEvents:
    """The events in canonical order; any order of the input gives the same arrays.

    Args:
        subject: (N,) number of the subject, 0 to n_subjects - 1.
        code: (N,) number of the code, from 0.
        time: (N,) microseconds.
        value: (N,) NaN where there is none.
        n_subjects: S; a subject without events has no groups.
    """
    n_codes = int(code.max(initial=0)) + 1
    by_subject = _sorted_places(subject)
    grouped_time, grouped_value = np.empty_like(time), np.empty_like(value)

    def order_part(part: slice) -> tuple[Ints, Ints]:
        """Writes the events of some subjects in order; first event and key of each of their groups."""
        places = by_subject[part]
        key = subject[places].astype(np.int64) * n_codes + code[places]
        order = np.argsort(time[places])
        order = order[_sorted_places(key[order])]
        key, places = key[order], places[order]
        is_first = np.append(True, key[1:] != key[:-1])
        grouped_time[part] = time[places]
        grouped_value[part] = _ties_by_value(is_first, grouped_time[part], value[places])
        start = np.flatnonzero(is_first)
        return part.start + start, key[start]

    parts = _parts(np.cumsum(np.bincount(subject, minlength=n_subjects)))
    nothing = np.empty(0, dtype=np.int64)
    starts, keys = zip((nothing, nothing), *in_order(order_part, parts), strict=True)
    group_subject, group_code = np.divmod(np.concatenate(keys), n_codes)
    return GroupedEvents(
        time=grouped_time,
        value=grouped_value,
        group_start=np.append(np.concatenate(starts), len(time)),
        group_code=group_code,
        subject_start=np.searchsorted(group_subject, np.arange(n_subjects + 1)),
    )


def _parts(ends: Ints) -> Iterator[slice]:
    """Runs of whole subjects, each of about EVENTS_A_PART events."""
    first = 0
    while first < (ends[-1] if len(ends) else 0):
        within = int(np.searchsorted(ends, first + EVENTS_A_PART, side="right")) - 1
        last = int(ends[within]) if within >= 0 and ends[within] > first else 0
        last = last or int(ends[np.searchsorted(ends, first, side="right")])
        yield slice(first, last)
        first = last


def _sorted_places(key: Numbers) -> Ints:
    """The stable sorting permutation of keys from 0 up; positions are packed under keys where they fit."""
    if not len(key) or (key[1:] >= key[:-1]).all():
        return np.arange(len(key))
    bits = len(key).bit_length()
    if int(key.max()) >> (62 - bits):
        return np.argsort(key, kind="stable")
    packed = key.astype(np.int64)
    packed <<= bits
    packed |= np.arange(len(key))
    packed.sort()
    packed &= (1 << bits) - 1
    return packed


def _ties_by_value(is_first: npt.NDArray[np.bool_], time: Ints, value: Floats) -> Floats:
    """The values with those of one group at one instant ascending, NaN last."""
    is_tied = np.append(~is_first[1:] & (time[1:] == time[:-1]), False)
    in_run = is_tied | np.append(False, is_tied[:-1])[: len(is_tied)]
    tied = np.flatnonzero(in_run)
    if not len(tied):
        return value
    run = np.cumsum(~np.append(False, is_tied)[tied])
    ordered = value.copy()
    ordered[tied] = value[tied][np.lexsort((value[tied], run))]
    return ordered
