"""Many ranges of one array at once: laid end to end, and searched, without a Python loop over them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def end_to_end(start: Ints, length: Ints) -> Ints:
    """The numbers of all ranges, one range after the other.

    Args:
        start: (n,) first number of each range.
        length: (n,) how many numbers it has, 0 or more.

    >>> end_to_end(np.array([7, 3]), np.array([2, 3])).tolist()
    [7, 8, 3, 4, 5]
    """
    total = int(length.sum())
    step = np.ones(total, dtype=np.int64)
    has_some = np.flatnonzero(length > 0)
    first = (np.cumsum(length) - length)[has_some]
    begin, last = start[has_some], (start + length - 1)[has_some]
    step[first] = begin
    step[first[1:]] -= last[:-1]
    return np.cumsum(step, out=step)


def bisect(
    values: npt.NDArray[np.integer],
    start: Ints,
    stop: Ints,
    limit: Ints,
    side: Literal["left", "right"] = "left",
) -> Ints:
    """Where each limit belongs in a range of its own, as `np.searchsorted` tells it for one range.

    Args:
        values: (E,) ascending within each range.
        start: (n,) where each range of values begins.
        stop: (n,) where it ends.
        limit: (n,) what is looked for.
        side: left: before equal values; right: after them.

    Returns:
        (n,) places from start to stop, both included.
    """
    low, high = start.astype(np.int64), np.maximum(stop, start).astype(np.int64)
    open_ = np.flatnonzero(low < high)
    while len(open_):
        middle = (low[open_] + high[open_]) // 2
        found, wanted = values[middle], limit[open_]
        is_before = found < wanted if side == "left" else found <= wanted
        low[open_[is_before]] = middle[is_before] + 1
        high[open_[~is_before]] = middle[~is_before]
        open_ = open_[low[open_] < high[open_]]
    return low
