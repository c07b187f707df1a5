"""Sequences -> a grid of variables and time points, and what a grid tells of each variable at each time.

Shapes: U unit, T time point (column), V variable, E cell's event, S static fact, R row that is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from phenotype.networks.positions import Dated, Layout, Picked, lay_out, pick
from phenotype.sequences import Ints, Sequences
from phenotype.tokens import NEVER

if TYPE_CHECKING:
    from phenotype.networks.gru_d_config import GRUDConfig

MICROSECONDS_PER_HOUR = 3.6e9


class GridBatch(NamedTuple):
    """The events of U units as cells of a grid, of any tokens: a network chooses its variables.

    A unit's columns are its time points in order, then padding. Events that are older than its window stand
    in one column in front, at the time of the last of them, the latest of each token only.

    Attributes:
        token: (E,) int64.
        column: (E,) int64 flat column, unit * T + column.
        value: (E,) float32 robust z-score, 0 without a value.
        has_value: (E,) bool.
        hours: (U, T) float32 since the first dated event of the unit's history; padding repeats the last.
        static_token, static_unit: (S,) int64 undated facts.
        static_value: (S,) float32.
        row: (R,) int64 number in the Sequences.
        read_column: (R,) int64 flat column of the last time point that the row sees; 0 where it sees none.
        sees: (R,) bool, whether it sees any.
        read_hours: (R,) float32 prediction time on the unit's clock; 0 where the row sees nothing.
        age: (R,) float32 years at the prediction, NaN where unknown.
        unit: (R,) int64.
    """

    token: Tensor
    column: Tensor
    value: Tensor
    has_value: Tensor
    hours: Tensor
    static_token: Tensor
    static_unit: Tensor
    static_value: Tensor
    row: Tensor
    read_column: Tensor
    sees: Tensor
    read_hours: Tensor
    age: Tensor
    unit: Tensor


def make_batch(
    sequences: Sequences, units: Ints, config: GRUDConfig, keep: npt.NDArray[np.bool_] | None = None
) -> GridBatch:
    """The grid of some units, repeats allowed.

    Args:
        sequences: where the events are.
        units: (U,) unit numbers.
        config: the settings; time points are read whatever `position` says.
        keep: which events are read, for all units end to end (`sequences.n_events()[units]` each); the
            others are deleted: a time point without events is gone, as if nothing had been recorded then.
    """
    picked = pick(sequences, units, keep)
    layout = lay_out(sequences, units, picked, config)
    dated = layout.dated
    older = _latest_older(sequences, picked)
    has_older = np.diff(picked.cut[:, 1:3], axis=1)[:, 0] > 0
    n_columns = np.diff(dated.cut) + has_older
    width = max(int(n_columns.max(initial=1)), 1)
    begin = np.arange(len(units)) * width
    dated_column = (begin + has_older - dated.cut[:-1])[dated.owner] + np.arange(len(dated.owner))
    event = np.concatenate([picked.event[older], picked.event[dated.place]])
    column = np.concatenate([begin[picked.owner[older]], dated_column[dated.position]])
    known = _column_times(sequences, picked, has_older, dated, dated_column, len(units), width)
    return _tensors(sequences, picked, layout, known, dated_column, event, column)


def lengths(sequences: Sequences, config: GRUDConfig) -> Ints:
    """Columns that each unit takes when all its events are read, (U,)."""
    start, end = sequences.recent_start, sequences.end
    n_columns = end - start
    some = np.flatnonzero(n_columns > 0)
    first, last = sequences.step[start[some]], sequences.step[end[some] - 1]
    n_columns[some] = last.astype(np.int64) - first + 1
    return np.asarray(np.maximum(n_columns + (start > sequences.older_start), 1), dtype=np.int64)


def _latest_older(sequences: Sequences, picked: Picked) -> Ints:
    """Places in picked.event of the last older event of each unit's token."""
    older = picked.part(1)
    if not len(older):
        return older
    token = sequences.token[picked.event[older]].astype(np.int64)
    pair = picked.owner[older] * (int(token.max()) + 1) + token
    _, last = np.unique(pair[::-1], return_index=True)
    return np.sort(older[len(older) - 1 - last])


def _column_times(  # noqa: PLR0917 the parts of a grid
    sequences: Sequences,
    picked: Picked,
    has_older: npt.NDArray[np.bool_],
    dated: Dated,
    dated_column: Ints,
    n_units: int,
    width: int,
) -> Ints:
    """Microseconds of each column, (U, T); padding repeats the last, a unit without columns has NEVER."""
    known = np.full(n_units * width, NEVER)
    known[dated_column] = dated.known
    known[np.flatnonzero(has_older) * width] = sequences.known[picked.event[picked.cut[has_older, 2] - 1]]
    return np.maximum.accumulate(known.reshape(n_units, width), axis=1)


def _origins(sequences: Sequences, picked: Picked) -> Ints:
    """The first dated event of each unit's history, microseconds, (U,); 0 where there is none."""
    origin = np.zeros(len(picked.cut), dtype=np.int64)
    some = np.flatnonzero(picked.cut[:, 3] > picked.cut[:, 1])
    origin[some] = sequences.known[picked.event[picked.cut[some, 1]]]
    return origin


def _tensors(  # noqa: PLR0917 the parts of a grid
    sequences: Sequences,
    picked: Picked,
    layout: Layout,
    known: Ints,
    dated_column: Ints,
    event: Ints,
    column: Ints,
) -> GridBatch:
    static, row, owner = picked.part(0), layout.row, layout.owner
    sees_recent = layout.last_seen >= 0
    sees = sees_recent | (picked.cut[owner, 2] > picked.cut[owner, 1])
    read_column = np.where(sees, owner * known.shape[1], 0)
    read_column[sees_recent] = dated_column[layout.last_seen[sees_recent]]
    origin = _origins(sequences, picked)
    hours = np.where(known == NEVER, 0, known - origin[:, None]) / MICROSECONDS_PER_HOUR
    since = np.where(sees, sequences.prediction[row] - origin[owner], 0) / MICROSECONDS_PER_HOUR

    def tensor(values: npt.NDArray[Any], dtype: type[np.generic]) -> Tensor:
        """An array as a tensor of that type."""
        return torch.from_numpy(np.ascontiguousarray(values, dtype=dtype))

    return GridBatch(
        token=tensor(sequences.token[event], np.int64),
        column=tensor(column, np.int64),
        value=tensor(sequences.value[event], np.float32),
        has_value=tensor(sequences.value_bin[event] > 0, np.bool_),
        hours=tensor(hours, np.float32),
        static_token=tensor(sequences.token[picked.event[static]], np.int64),
        static_unit=tensor(picked.owner[static], np.int64),
        static_value=tensor(sequences.value[picked.event[static]], np.float32),
        row=tensor(row, np.int64),
        read_column=tensor(read_column, np.int64),
        sees=tensor(sees, np.bool_),
        read_hours=tensor(since, np.float32),
        age=tensor(np.where(picked.knows_age[owner], sequences.age[row], np.nan), np.float32),
        unit=tensor(owner, np.int64),
    )
