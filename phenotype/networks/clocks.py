"""What a batch's columns are told of time: hours, the gap before, the age.

Shapes: U unit, T column, R row (read-out), P dated position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from phenotype.networks.positions import Layout, Picked
from phenotype.sequences import MICROSECONDS_PER_YEAR, Ints, Sequences
from phenotype.tokens import NEVER

if TYPE_CHECKING:
    from phenotype.networks.config import NetworkConfig

MICROSECONDS_PER_HOUR = 3.6e9


class Clocks(NamedTuple):
    """Times of a batch's columns, all (U, T), 0 (age: NaN) where a column is undated.

    Attributes:
        hours: float64, from an origin of each unit's own.
        clock_hours: hours until the prediction time where each row is read alone; else since the first dated
            event of the history, which does not depend on what is asked.
        gap_hours: since the dated event before the column's time point.
        age: years; the row's own in all columns where each row is read alone, else at the column's time.
    """

    hours: npt.NDArray[np.float64]
    clock_hours: npt.NDArray[np.float32]
    gap_hours: npt.NDArray[np.float32]
    age: npt.NDArray[np.float32]


def tell_times(
    sequences: Sequences, units: Ints, picked: Picked, layout: Layout, config: NetworkConfig
) -> Clocks:
    """The times of every column."""
    shape = layout.kind.shape
    clocks = Clocks(
        hours=np.zeros(shape),
        clock_hours=np.zeros(shape, dtype=np.float32),
        gap_hours=np.zeros(shape, dtype=np.float32),
        age=np.full(shape, np.nan, dtype=np.float32),
    )
    _tell_gaps(clocks, sequences, picked, layout)
    if config.reading == "shared":
        _tell_from_the_first(clocks, sequences, units, picked, layout)
    else:
        _tell_until_the_prediction(clocks, sequences, units, picked, layout)
    return clocks


def _tell_gaps(clocks: Clocks, sequences: Sequences, picked: Picked, layout: Layout) -> None:
    """Hours since the dated event before each time point, counted or read one by one."""
    dated, flat = layout.dated, clocks.gap_hours.reshape(-1)
    before = dated.first - 1
    is_first = before < dated.cut[dated.owner]
    known_before = dated.known[before]
    has_older = picked.cut[:, 2] > picked.cut[:, 1]
    last_older = sequences.known[picked.event[picked.cut[has_older, 2] - 1]]
    of_unit = np.full(len(has_older), NEVER)
    of_unit[has_older] = last_older
    known_before = np.where(is_first, of_unit[dated.owner], known_before)
    known_before = np.where(known_before == NEVER, dated.known, known_before)
    flat[layout.dated_column] = (dated.known - known_before) / MICROSECONDS_PER_HOUR
    sees = layout.last_seen >= 0
    since = sequences.prediction[layout.row[sees]] - dated.known[layout.last_seen[sees]]
    flat[layout.read_out[sees]] = since / MICROSECONDS_PER_HOUR


def _tell_until_the_prediction(
    clocks: Clocks, sequences: Sequences, units: Ints, picked: Picked, layout: Layout
) -> None:
    """Reading alone: each unit's origin is its row's prediction time."""
    row = sequences.first_row[units]
    since = layout.dated.known - sequences.prediction[row][layout.dated.owner]
    hours = since / MICROSECONDS_PER_HOUR
    clocks.hours.reshape(-1)[layout.dated_column] = hours
    clocks.clock_hours.reshape(-1)[layout.dated_column] = -hours
    clocks.age[:] = np.where(picked.knows_age, sequences.age[row], np.nan)[:, None]


def _tell_from_the_first(
    clocks: Clocks, sequences: Sequences, units: Ints, picked: Picked, layout: Layout
) -> None:
    """Reading shared: hours turn from the window's first position on, the clock runs from the history's.

    A row that sees no position stands at hour 0, where undated columns stand.
    """
    dated, prediction = layout.dated, sequences.prediction[layout.row]
    has_dated = dated.cut[1:] > dated.cut[:-1]
    window = np.zeros(len(units), dtype=np.int64)
    window[has_dated] = dated.known[dated.cut[:-1][has_dated]]
    has_history = picked.cut[:, 3] > picked.cut[:, 1]
    history = np.full(len(units), np.iinfo(np.int64).max)
    history[has_history] = sequences.known[picked.event[picked.cut[has_history, 1]]]
    hours, clock, age = (part.reshape(-1) for part in (clocks.hours, clocks.clock_hours, clocks.age))
    hours[layout.dated_column] = (dated.known - window[dated.owner]) / MICROSECONDS_PER_HOUR
    clock[layout.dated_column] = (dated.known - history[dated.owner]) / MICROSECONDS_PER_HOUR
    sees = layout.last_seen >= 0
    hours[layout.read_out[sees]] = ((prediction - window[layout.owner]) / MICROSECONDS_PER_HOUR)[sees]
    begun = history[layout.owner] <= prediction
    clock[layout.read_out[begun]] = ((prediction - history[layout.owner]) / MICROSECONDS_PER_HOUR)[begun]
    row = sequences.first_row[units]
    born = np.where(picked.knows_age, sequences.born[row], NEVER)
    years = np.where(picked.knows_age, sequences.age[row], np.nan)
    age[layout.dated_column] = _age_at(dated.known, born[dated.owner], years[dated.owner])
    age[layout.read_out] = _age_at(prediction, born[layout.owner], years[layout.owner])


def _age_at(time: Ints, born: Ints, years: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Age in years at each time: from a birth, else as told; NaN before the birth and where unknown."""
    has_birth = born != NEVER
    from_birth = (time - np.where(has_birth, born, time)) / MICROSECONDS_PER_YEAR
    return np.where(has_birth, np.where(from_birth >= 0, from_birth, np.nan), years)
