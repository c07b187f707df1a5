"""Sequences -> panels: of each row and variable, summaries of all events and of those in each window of time.

Shapes: R row, C cell (a variable of a row that has events), F summary, G group of summaries (all events, then
each look-behind), W cell of a window that has events, P part, E event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from phenotype.ranges import Ints
from phenotype.sequences import Sequences
from phenotype.tokens import NEVER

Floats = npt.NDArray[np.float64]

SUMMARIES = (
    "log_count",
    "mean",
    "min",
    "max",
    "first",
    "last",
    "sd",
    "slope",
    "change",
    "log_hours_since",
    "log_hours_since_first",
)
"""Of a variable's events: log(1 + number) and, of those with values, what their names say; slope is by hour,
change is the last value minus the one before."""
N_SUMMARIES = len(SUMMARIES)
WINDOW_PARTS = ("mean", "last", "range", "log_count")
"""Of a variable's events within one window, as in SUMMARIES; range is the highest value minus the lowest."""
N_PARTS = len(WINDOW_PARTS)
_HOUR = 3.6e9
_LIMIT = 1e6
_LEAST_SPREAD = 1e-6


class PanelBatch(NamedTuple):
    """What the network reads of R rows; a cell is a variable of a row that has events.

    Attributes:
        row: (R,) int64 number of each row in its Sequences.
        age: (R,) float32 years, NaN where unknown.
        cell_row: (C,) int64 place in `row`, ascending.
        cell_token: (C,) int64 token, ascending within a row.
        summaries: (C, G * F) float32 of all events, then of those of each look-behind; NaN where a summary
            is not defined: too few events, or too few with values.
        window_cell: (W,) int64 the cell of each window that has events, ascending.
        window: (W,) int64 which window it is, the latest is 0; static facts stand in it.
        parts: (W, P) float32 WINDOW_PARTS, NaN where no event has a value.
    """

    row: Tensor
    age: Tensor
    cell_row: Tensor
    cell_token: Tensor
    summaries: Tensor
    window_cell: Tensor
    window: Tensor
    parts: Tensor


@dataclass(frozen=True)
class PanelEvents:
    """Events of some rows, sorted by row, token, time and value.

    Attributes:
        owner: (E,) the row.
        token: (E,).
        hours: (E,) before the prediction time, NaN for static facts.
        value: (E,) robust z-score, NaN where there is none.
        start: (C,) where each cell begins.
    """

    owner: Ints
    token: Ints
    hours: Floats
    value: Floats
    start: Ints

    @property
    def cell(self) -> Ints:
        """The cell of each event, (E,)."""
        return np.repeat(np.arange(len(self.start)), np.diff(self.start, append=len(self.owner)))


def make_panel(
    sequences: Sequences,
    units: Ints,
    window_hours: Sequence[float],
    keep: npt.NDArray[np.bool_] | None = None,
    summary_hours: Sequence[float] = (),
) -> PanelBatch:
    """The panel of some units, each of which answers one row.

    Args:
        sequences: where the events are.
        units: (R,) repeats allowed.
        window_hours: where each window but the last ends, in hours before the prediction time, ascending.
        keep: which of the units' events, end to end, are read; the others are as if never recorded.
        summary_hours: look-behinds whose events are summarised once more; static facts stand in none.
    """
    events = _panel_events(sequences, units, keep)
    window, starts = _windows(events, window_hours)
    summaries = [summarise(events), *(_recent(events, hours) for hours in summary_hours)]

    def tensor(values: npt.NDArray[Any], dtype: type[np.generic]) -> Tensor:
        """An array as a tensor of that type."""
        return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))

    return PanelBatch(
        row=tensor(sequences.first_row[units], np.int64),
        age=tensor(_ages(sequences, units, keep), np.float32),
        cell_row=tensor(events.owner[events.start], np.int64),
        cell_token=tensor(events.token[events.start], np.int64),
        summaries=tensor(np.concatenate(summaries, axis=1), np.float32),
        window_cell=tensor(events.cell[starts], np.int64),
        window=tensor(window[starts], np.int64),
        parts=tensor(_window_parts(events, starts), np.float32),
    )


def _ages(sequences: Sequences, units: Ints, keep: npt.NDArray[np.bool_] | None) -> Floats:
    """The age at each row's prediction, unknown where the event that tells it is not read."""
    rows = sequences.first_row[units]
    age, event = sequences.age[rows].copy(), sequences.age_event[rows]
    told = np.flatnonzero(event >= 0)
    if keep is not None and len(told):
        n_events = sequences.n_events()[units]
        place = np.cumsum(n_events) - n_events + event - sequences.static_start[units]
        age[told[~keep[place[told]]]] = np.nan
    return age


def _panel_events(sequences: Sequences, units: Ints, keep: npt.NDArray[np.bool_] | None) -> PanelEvents:
    n_events = sequences.n_events()[units]
    owner = np.repeat(np.arange(len(units)), n_events)
    before = np.cumsum(n_events) - n_events
    event = sequences.static_start[units][owner] + np.arange(len(owner)) - before[owner]
    if keep is not None:
        owner, event = owner[keep], event[keep]
    known = sequences.known[event]
    since = sequences.prediction[sequences.first_row[units]][owner] - np.where(known == NEVER, 0, known)
    hours = np.where(known == NEVER, np.nan, since / _HOUR)
    value = np.clip(sequences.value[event].astype(np.float64), -_LIMIT, _LIMIT)
    value = np.where(sequences.value_bin[event] > 0, value, np.nan)
    token = sequences.token[event].astype(np.int64)
    order = _panel_order(owner * (int(token.max(initial=0)) + 1) + token, hours, value)
    owner, token = owner[order], token[order]
    opens = (np.diff(owner, prepend=-1) != 0) | (np.diff(token, prepend=-1) != 0)
    return PanelEvents(owner, token, hours[order], value[order], np.flatnonzero(opens))


def _panel_order(cell: Ints, hours: Floats, value: Floats) -> Ints:
    """Numbers of events by cell, then time, then value, of events that stand in the order of time."""
    order = np.argsort(cell, kind="stable")
    cell, hours, value = cell[order], hours[order], value[order]
    simultaneous = (hours[1:] == hours[:-1]) | np.isnan(hours[1:])
    is_disordered = (cell[1:] == cell[:-1]) & simultaneous & ~(value[1:] >= value[:-1])
    if not is_disordered.any():
        return order
    return order[np.lexsort((value, -np.nan_to_num(hours, nan=np.inf), cell))]


def _windows(events: PanelEvents, window_hours: Sequence[float]) -> tuple[Ints, Ints]:
    """The window of each event, (E,), and where each cell's windows begin, (W,)."""
    hours = np.nan_to_num(events.hours, nan=0.0)
    window = np.searchsorted(np.asarray(window_hours, dtype=np.float64), hours, side="left")
    opens = np.diff(window, prepend=-1) != 0
    opens[events.start] = True
    return window, np.flatnonzero(opens)


def summarise(events: PanelEvents) -> Floats:
    """SUMMARIES of each cell, (C, F), NaN where not defined."""
    n_cells, place = len(events.start), events.cell
    found = np.full((n_cells, N_SUMMARIES), np.nan)
    found[:, 0] = np.log1p(np.bincount(place, minlength=n_cells))
    dated = ~np.isnan(events.hours)
    first, last = _ends(place[dated])
    with_dates = place[dated][first]
    found[with_dates, 9] = np.log1p(events.hours[dated][last])
    found[with_dates, 10] = np.log1p(events.hours[dated][first])
    valued = ~np.isnan(events.value)
    if valued.any():
        cells = place[valued][_ends(place[valued])[0]]
        found[cells, 1:9] = _of_values(place[valued], events.value[valued], events.hours[valued])
    return found


def _recent(events: PanelEvents, hours: float) -> Floats:
    """SUMMARIES of each cell's events of the last hours, (C, F), NaN where it has none."""
    found = np.full((len(events.start), N_SUMMARIES), np.nan)
    is_recent = events.hours <= hours
    cell = events.cell[is_recent]
    if len(cell):
        start, _ = _ends(cell)
        owner, token = events.owner[is_recent], events.token[is_recent]
        hours_of, value = events.hours[is_recent], events.value[is_recent]
        found[cell[start]] = summarise(PanelEvents(owner, token, hours_of, value, start))
    return found


def _ends(place: Ints) -> tuple[Ints, Ints]:
    """The first and the last event of each cell, of sorted places."""
    first = np.flatnonzero(np.diff(place, prepend=-1))
    return first, np.append(first[1:], len(place))[: len(first)] - 1


def _of_values(place: Ints, value: Floats, hours: Floats) -> Floats:
    """mean, min, max, first, last, sd, slope and change of each cell with values, (C', 8)."""
    first, last = _ends(place)
    n = last - first + 1
    owner = np.repeat(np.arange(len(first)), n)
    mean = np.add.reduceat(value, first) / n
    away = value - mean[owner]
    several = n > 1
    at = np.nan_to_num(-hours, nan=0.0)
    at = at - (np.add.reduceat(at, first) / n)[owner]
    spread = np.add.reduceat(at * at, first)
    sloped = spread > _LEAST_SPREAD
    slope = np.add.reduceat(at * away, first) / np.where(sloped, spread, 1.0)
    before = value[np.maximum(last - 1, 0)]
    nothing = np.full(len(first), np.nan)
    return np.column_stack(
        [
            mean,
            np.minimum.reduceat(value, first),
            np.maximum.reduceat(value, first),
            value[first],
            value[last],
            np.where(several, np.sqrt(np.add.reduceat(away * away, first) / n), nothing),
            np.where(sloped, slope, nothing),
            np.where(several, value[last] - before, nothing),
        ]
    )


def _window_parts(events: PanelEvents, starts: Ints) -> Floats:
    """WINDOW_PARTS of each window that has events, (W, P)."""
    parts = np.full((len(starts), N_PARTS), np.nan)
    place = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(events.owner)))
    parts[:, 3] = np.log1p(np.bincount(place, minlength=len(starts)))
    valued = ~np.isnan(events.value)
    if valued.any():
        value, (first, last) = events.value[valued], _ends(place[valued])
        spread = np.maximum.reduceat(value, first) - np.minimum.reduceat(value, first)
        mean = np.add.reduceat(value, first) / (last - first + 1)
        parts[place[valued][first], :3] = np.column_stack([mean, value[last], spread])
    return parts
