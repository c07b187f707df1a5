"""Events ordered by subject, code, time and value, with the borders of their groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


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


def group_events(subject: Ints, code: Ints, time: Ints, value: Floats, *, n_subjects: int) -> GroupedEvents:
    """The events in canonical order; any order of the input gives the same arrays.

    Args:
        subject: (N,) number of the subject, 0 to n_subjects - 1.
        code: (N,) number of the code, from 0.
        time: (N,) microseconds.
        value: (N,) NaN where there is none.
        n_subjects: S; a subject without events has no groups.
    """
    n_codes = int(code.max(initial=0)) + 1
    key = subject * n_codes + code
    order = _order(key, time)
    key, time, value = key[order], time[order], value[order]
    is_first = np.ones(len(key), dtype=bool)
    np.not_equal(key[1:], key[:-1], out=is_first[1:])
    start = np.flatnonzero(is_first)
    group_subject, group_code = np.divmod(key[start], n_codes)
    return GroupedEvents(
        time=time,
        value=_ties_by_value(is_first, time, value),
        group_start=np.append(start, len(key)),
        group_code=group_code,
        subject_start=np.searchsorted(group_subject, np.arange(n_subjects + 1)),
    )


def _order(key: Ints, time: Ints) -> Ints:
    """The permutation that sorts by key, then time: the position in time is packed under the key."""
    bits = max(len(key), 2).bit_length()
    if int(key.max(initial=0)) >> (62 - bits):
        return np.lexsort((time, key))
    by_time = np.argsort(time)
    packed = (key[by_time] << bits) | np.arange(len(key))
    packed.sort()
    order: Ints = by_time[packed & ((1 << bits) - 1)]
    return order


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
