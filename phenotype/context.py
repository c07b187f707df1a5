"""The context: which positions of a history a network reads one by one, for rows and for whole trajectories.

Stores are read part by part, and what was read is given back: memory does not grow with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from phenotype.ranges import Ints, bisect, end_to_end
from phenotype.tokens import Tokens

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

MOST_SIMULTANEOUS = 4096
"""Events of one instant, past max_positions, that are still read one by one."""
_AT_ONCE = 8_192


def row_windows(
    tokens: Tokens, dated: Ints, stop: Ints, prediction: Ints, config: NetworkConfig
) -> tuple[Ints, Ints]:
    """Where each row's context begins and ends.

    Of p > M = max_positions positions the last ones are read from position ceil((p - M) / S) * S on, with
    S = max(M // 2, 1), so that the rows of a while have one beginning, and none depends on what
    else is asked. Simultaneous events are never parted: a context that would begin amid the last ones begins
    with them, but where they are more than M and more than MOST_SIMULTANEOUS, for which attention has no
    room: then they are counted with what is older.

    Args:
        tokens: the events.
        dated: (n,) where the dated events of each row's subject begin.
        stop: (n,) where they end.
        prediction: (n,) microseconds; what became known later is not read.
        config: position and max_positions.
    """
    begin, end = np.zeros_like(dated), np.zeros_like(dated)
    for part in _parts(tokens, len(dated)):
        end[part] = bisect(tokens.known, dated[part], stop[part], prediction[part], "right")
        begin[part] = _begin(tokens, dated[part], end[part], config)
    return begin, end


def whole_windows(tokens: Tokens, config: NetworkConfig) -> tuple[Ints, Ints, Ints, Ints]:
    """All dated events, cut into windows of at most max_positions positions, one after the other.

    Returns:
        Of each window its subject's place in tokens, begin, end, and the instant of its last position.
    """
    found: list[tuple[Ints, Ints, Ints, Ints]] = []
    for part in _parts(tokens, len(tokens.subject)):
        owner, begin, end = _cut(tokens, part, config)
        found.append((owner, begin, end, tokens.known[end - 1]))
    none = (np.zeros(0, dtype=np.int64),) * 4
    owner, begin, end, last = (np.concatenate(arrays) for arrays in zip(none, *found, strict=True))
    return owner, begin, end, last


def n_time_points(tokens: Tokens, begin: Ints, end: Ints) -> Ints:
    """How many time points stand in each range of dated events, (n,)."""
    n_points = np.zeros(len(begin), dtype=np.int64)
    for part in _parts(tokens, len(begin)):
        some = np.flatnonzero(end[part] > begin[part])
        first, last = tokens.step[begin[part][some]], tokens.step[end[part][some] - 1]
        n_points[part][some] = last.astype(np.int64) - first + 1
    return n_points


def _parts(tokens: Tokens, n: int) -> Iterator[slice]:
    """Slices of n things; after each, what was read of the tokens is given back."""
    for start in range(0, n, _AT_ONCE):
        yield slice(start, min(start + _AT_ONCE, n))
        tokens.release()


def _begin(tokens: Tokens, dated: Ints, end: Ints, config: NetworkConfig) -> Ints:
    """Where each row's last positions begin, never between simultaneous events."""
    begin = end.copy()
    some = np.flatnonzero(end > dated)
    dated, end = dated[some], end[some]
    longest, stride = config.max_positions, max(config.max_positions // 2, 1)
    is_point = config.position == "time_point"
    n_positions = tokens.step[end - 1].astype(np.int64) + 1 if is_point else end - dated
    first = np.where(n_positions > longest, -(-(n_positions - longest) // stride) * stride, 0)
    if is_point:
        begin[some] = bisect(tokens.step, dated, end, first)
        return begin
    step = tokens.step[dated + first].astype(np.int64)
    before = bisect(tokens.step, dated, end, step)
    after = bisect(tokens.step, dated, end, step, "right")
    is_whole = (after == end) & (end - before <= max(longest, MOST_SIMULTANEOUS))
    is_amid = (before < dated + first) & ~is_whole
    begin[some] = np.where(is_amid, after, before)
    return begin


def _cut(tokens: Tokens, part: slice, config: NetworkConfig) -> tuple[Ints, Ints, Ints]:
    """The windows of some subjects: subject, begin, end. One begins earlier rather than part a time point."""
    dated, stop = tokens.dated_start[part], tokens.stop[part]
    n_positions = stop - dated
    if config.position == "time_point":
        some = np.flatnonzero(n_positions > 0)
        n_positions[some] = tokens.step[stop[some] - 1] + 1
    n_windows = -(-n_positions // config.max_positions)
    owner = np.repeat(np.arange(len(n_windows)), n_windows)
    first = end_to_end(np.zeros(len(n_windows), dtype=np.int64), n_windows) * config.max_positions
    dated, stop = dated[owner], stop[owner]
    wanted = first if config.position == "time_point" else tokens.step[dated + first].astype(np.int64)
    begin = bisect(tokens.step, dated, stop, wanted)
    is_kept = np.ones(len(begin), dtype=bool)
    is_kept[1:] = begin[1:] != begin[:-1]
    owner, begin, stop = owner[is_kept], begin[is_kept], stop[is_kept]
    has_next = np.zeros(len(owner), dtype=bool)
    has_next[:-1] = owner[1:] == owner[:-1]
    return owner + part.start, begin, np.where(has_next, np.roll(begin, -1), stop)
