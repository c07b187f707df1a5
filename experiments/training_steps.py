"""How an epoch is cut: into steps, micro-batches of a step, and what each device does of them.

A step is the same whatever the number of devices. It has `accumulate` micro-batches; devices share them, and
where there are more devices than micro-batches each of those is cut into parts. A step's loss is the mean
over its rows by weight, so each piece counts by its share of the step's weight. U units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phenotype.sequences import Ints

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Piece:
    """What one device works on at once: a micro-batch or a part of it.

    Attributes:
        number: the micro-batch, counted through the epoch; its random numbers follow from it.
        units: of the whole micro-batch.
        chosen: places in `units` of those that are this piece's.
        part: which part of the micro-batch.
        share: of the weight of the step's rows; 0 where a device only keeps step with the others.
    """

    number: int
    units: Ints
    chosen: Ints
    part: int
    share: float


def parts_of_batch(accumulate: int, n_devices: int) -> int:
    """Into how many parts a micro-batch is cut so that no device is without work."""
    return math.ceil(n_devices / accumulate)


def pieces_a_device(accumulate: int, n_devices: int) -> int:
    """How many pieces of a step each device works on, one after another."""
    return math.ceil(accumulate * parts_of_batch(accumulate, n_devices) / n_devices)


def count_steps(n_batches: int, accumulate: int) -> int:
    """Optimisation steps of an epoch; the last one may be smaller."""
    return math.ceil(n_batches / accumulate)


def pieces_of_device(
    batches: Sequence[Ints], weights: Floats, accumulate: int, device: int = 0, n_devices: int = 1
) -> list[Piece]:
    """The pieces of one device in an epoch: `pieces_a_device` of them for every step, whatever its size.

    Args:
        batches: units of each micro-batch, in the order of the epoch.
        weights: (U,) the summed weight of the rows that each unit answers.
        accumulate: micro-batches of a step.
        device: which one, counted from 0.
        n_devices: how many share a step.
    """
    n_pieces = n_devices * pieces_a_device(accumulate, n_devices)
    found: list[Piece] = []
    for first in range(0, len(batches), accumulate):
        numbers = range(first, min(first + accumulate, len(batches)))
        pieces = _pieces_of_step(batches, weights, numbers, parts_of_batch(accumulate, n_devices))
        pieces += [_idle(pieces[0])] * (n_pieces - len(pieces))
        found += pieces[device::n_devices]
    return found


def shared_out(batches: Sequence[Ints], device: int, n_devices: int) -> list[Ints]:
    """A device's batches where nothing is learnt; every device has as many, some of them twice."""
    repeated = [*batches, *list(batches[:1]) * (-len(batches) % n_devices)]
    return repeated[device::n_devices]


def _pieces_of_step(batches: Sequence[Ints], weights: Floats, numbers: range, n_parts: int) -> list[Piece]:
    """All pieces of a step that hold units; parts take turns, so their units are of like length."""
    total = sum(float(weights[batches[number]].sum()) for number in numbers)
    pieces = []
    for number in numbers:
        units = batches[number]
        for part in range(min(n_parts, len(units))):
            chosen = np.arange(part, len(units), n_parts, dtype=np.int64)
            share = float(weights[units[chosen]].sum()) / total if total > 0 else 0.0
            pieces.append(Piece(number, units, chosen, part, share))
    return pieces


def _idle(piece: Piece) -> Piece:
    """One unit that counts nothing, for a device that has none in this step."""
    return Piece(piece.number, piece.units, piece.chosen[:1], piece.part, 0.0)
