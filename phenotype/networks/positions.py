"""Where a batch's events stand: static facts, the count of what is older, dated positions, the read-outs.

Shapes: U unit, T column, R row (read-out), K event that is read, D dated one, P dated position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from phenotype.ranges import Ints, bisect, end_to_end
from phenotype.sequences import Sequences

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

PADDING, STATIC, OLDER, RECENT, READ_OUT = range(5)
_AFTER_ALL = 1 << 30


class Picked(NamedTuple):
    """Events of a batch that are read; each unit's stand static facts first, then older, then dated ones.

    Attributes:
        event: (K,) numbers in the Sequences.
        owner: (K,) unit in the batch.
        cut: (U, 4) where in `event` the static, older and dated events begin, and where they end.
        knows_age: (U,) whether the event that tells the age is among them.
    """

    event: Ints
    owner: Ints
    cut: Ints
    knows_age: npt.NDArray[np.bool_]

    def part(self, number: int) -> Ints:
        """Places in `event` of all units' static (0), older (1) or dated (2) events."""
        return end_to_end(self.cut[:, number], self.cut[:, number + 1] - self.cut[:, number])


class Dated(NamedTuple):
    """The dated positions of a batch, unit by unit.

    Attributes:
        owner, known: (P,) unit and instant of each position.
        opening: (P,) number in the Sequences of its first event.
        rank: (P,) number of its time point in its unit, from 0.
        first: (P,) the first position of the same time point.
        cut: (U + 1,) where each unit's positions begin.
        place: (D,) places in Picked.event of the dated events.
        position: (D,) the position of each.
    """

    owner: Ints
    known: Ints
    opening: Ints
    rank: Ints
    first: Ints
    cut: Ints
    place: Ints
    position: Ints


class Layout(NamedTuple):
    """Where everything stands; flat columns are numbers in U * T.

    Attributes:
        kind, rank: (U, T).
        length: (U,) columns in use.
        column: (K,) flat column of each event.
        dated: the dated positions.
        dated_column: (P,) flat column of each.
        row: (R,) number in the Sequences.
        owner: (R,) unit in the batch.
        read_out: (R,) flat column.
        last_seen: (R,) the last dated position that the row sees, -1 for none.
    """

    kind: Ints
    rank: Ints
    length: Ints
    column: Ints
    dated: Dated
    dated_column: Ints
    row: Ints
    owner: Ints
    read_out: Ints
    last_seen: Ints


def pick(sequences: Sequences, units: Ints, keep: npt.NDArray[np.bool_] | None) -> Picked:
    """The events of some units that are read: all, or those kept."""
    start = sequences.static_start[units]
    n_events = sequences.end[units] - start
    begin = np.cumsum(n_events) - n_events
    ends = (sequences.older_start, sequences.recent_start, sequences.end)
    cut = np.stack([begin, *(begin + end[units] - start for end in ends)], axis=1)
    event = end_to_end(start, n_events)
    age_event = sequences.age_event[sequences.first_row[units]]
    knows_age = age_event >= 0
    if keep is not None:
        told = np.flatnonzero(knows_age)
        knows_age[told] = keep[begin[told] + age_event[told] - start[told]]
        kept = np.concatenate([[0], np.cumsum(keep)])
        event, cut = event[keep], kept[cut]
    return Picked(event, np.repeat(np.arange(len(units)), cut[:, 3] - cut[:, 0]), cut, knows_age)


def lay_out(sequences: Sequences, units: Ints, picked: Picked, config: NetworkConfig) -> Layout:
    """Static facts first, then the count of what is older, then the dated positions, last the read-outs."""
    has_static, has_older = (picked.cut[:, n + 1] > picked.cut[:, n] for n in (0, 1))
    front = has_static.astype(np.int64) + has_older
    dated = _dated(sequences, picked, config)
    n_dated = np.diff(dated.cut)
    first_row = sequences.first_row[units]
    n_rows = sequences.first_row[units + 1] - first_row
    length = front + n_dated + n_rows
    width = int(length.max(initial=1))
    begin = np.arange(len(units)) * width
    row, owner = end_to_end(first_row, n_rows), np.repeat(np.arange(len(units)), n_rows)
    dated_column = (begin + front - dated.cut[:-1])[dated.owner] + np.arange(len(dated.owner))
    column = begin[picked.owner]
    older = picked.part(1)
    column[older] += has_static[picked.owner[older]]
    column[dated.place] = dated_column[dated.position]
    layout = Layout(
        kind=np.full((len(units), width), PADDING),
        rank=np.full((len(units), width), _AFTER_ALL),
        length=length,
        column=column,
        dated=dated,
        dated_column=dated_column,
        row=row,
        owner=owner,
        read_out=end_to_end(begin + front + n_dated, n_rows),
        last_seen=_last_seen(sequences, dated, row, owner),
    )
    _say_what_stands_where(layout, begin[has_static], (begin + has_static)[has_older])
    return layout


def _say_what_stands_where(layout: Layout, static: Ints, older: Ints) -> None:
    """Fills kind and rank; static, older: flat columns."""
    rank = layout.dated.rank + 2
    seen = np.ones(len(layout.row), dtype=np.int64)
    seen[layout.last_seen >= 0] = rank[layout.last_seen[layout.last_seen >= 0]]
    for where, kind, ranks in (
        (static, STATIC, 0),
        (older, OLDER, 1),
        (layout.dated_column, RECENT, rank),
        (layout.read_out, READ_OUT, seen),
    ):
        layout.kind.ravel()[where] = kind
        layout.rank.ravel()[where] = ranks


def _dated(sequences: Sequences, picked: Picked, config: NetworkConfig) -> Dated:
    """The dated positions: time points, or single events."""
    place = picked.part(2)
    event, owner = picked.event[place], picked.owner[place]
    step = sequences.step[event]
    is_new_time = np.ones(len(event), dtype=bool)
    is_new_time[1:] = (step[1:] != step[:-1]) | (owner[1:] != owner[:-1])
    opens = is_new_time if config.position == "time_point" else np.ones(len(event), dtype=bool)
    at = np.flatnonzero(opens)
    owner = owner[at]
    cut = np.searchsorted(owner, np.arange(len(picked.cut) + 1))
    time_point = np.cumsum(is_new_time[at]) - 1
    first = np.flatnonzero(is_new_time[at])[time_point]
    return Dated(
        owner=owner,
        known=sequences.known[event[at]],
        opening=event[at],
        rank=time_point - time_point[cut[owner]],
        first=first,
        cut=cut,
        place=place,
        position=np.cumsum(opens) - 1,
    )


def _last_seen(sequences: Sequences, dated: Dated, row: Ints, owner: Ints) -> Ints:
    """The last dated position that each row sees, -1 for none."""
    start = dated.cut[owner]
    seen = bisect(dated.opening, start, dated.cut[owner + 1], sequences.row_end[row])
    return np.where(seen > start, seen - 1, -1)


def lengths(sequences: Sequences, config: NetworkConfig) -> Ints:
    """Columns that each unit takes when all its events are read, (U,)."""
    is_point = config.position == "time_point"
    n_dated = sequences.n_time_points if is_point else sequences.end - sequences.recent_start
    has_static = sequences.older_start > sequences.static_start
    has_older = sequences.recent_start > sequences.older_start
    n_rows = np.diff(sequences.first_row)
    return np.asarray(n_dated + has_static + has_older + n_rows, dtype=np.int64)
