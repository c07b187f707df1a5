"""Steps: the same rows with the same weights in every step, however many devices share it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.training_steps import Piece, count_steps, pieces_a_device, pieces_of_device, shared_out


@st.composite
def epochs(draw: st.DrawFn) -> tuple[list[np.ndarray], np.ndarray]:
    """Micro-batches of one unit or more, and the weight of each unit."""
    sizes = draw(st.lists(st.integers(1, 7), min_size=1, max_size=9))
    ends = np.cumsum(sizes)
    units = np.random.default_rng(draw(st.integers(0, 9))).permutation(int(ends[-1]))
    weights = np.random.default_rng(1).uniform(0.5, 3.0, len(units))
    return np.split(units, ends[:-1]), weights


@given(epochs(), st.integers(1, 5), st.integers(1, 6))
def test_devices_together_do_what_one_would(
    epoch: tuple[list[np.ndarray], np.ndarray], accumulate: int, n_devices: int
) -> None:
    batches, weights = epoch
    devices = [pieces_of_device(batches, weights, accumulate, d, n_devices) for d in range(n_devices)]
    n_pieces = pieces_a_device(accumulate, n_devices)
    n_steps = count_steps(len(batches), accumulate)
    assert [len(pieces) for pieces in devices] == [n_pieces * n_steps] * n_devices
    for step in range(n_steps):
        own = batches[step * accumulate : (step + 1) * accumulate]
        of_step = [piece for pieces in devices for piece in pieces[step * n_pieces : (step + 1) * n_pieces]]
        counting = [piece for piece in of_step if piece.share]
        read = np.concatenate([piece.units[piece.chosen] for piece in counting])
        assert sorted(read) == sorted(np.concatenate(own))
        assert sum(piece.share for piece in counting) == pytest.approx(1)
        for piece in counting:
            total = weights[np.concatenate(own)].sum()
            assert piece.share == pytest.approx(weights[piece.units[piece.chosen]].sum() / total)
        assert all(len(piece.chosen) == 1 for piece in of_step if not piece.share)


def described(pieces: list[Piece]) -> list[tuple[int, list[int], float]]:
    return [(piece.number, piece.units[piece.chosen].tolist(), round(piece.share, 3)) for piece in pieces]


BATCHES = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5])]
ONES = np.ones(6)


def test_one_device_takes_micro_batches_in_turn() -> None:
    """Two a step: 3 + 2 units, then one unit and one that only keeps step."""
    expected = [(0, [0, 1, 2], 0.6), (1, [3, 4], 0.4), (2, [5], 1.0), (2, [5], 0.0)]
    assert described(pieces_of_device(BATCHES, ONES, 2)) == expected


def test_two_devices_share_the_micro_batches_of_a_step() -> None:
    assert described(pieces_of_device(BATCHES, ONES, 2, 0, 2)) == [(0, [0, 1, 2], 0.6), (2, [5], 1.0)]
    assert described(pieces_of_device(BATCHES, ONES, 2, 1, 2)) == [(1, [3, 4], 0.4), (2, [5], 0.0)]


def test_a_micro_batch_is_cut_where_devices_outnumber_them() -> None:
    """One a step: 3 units are 2 + 1, 2 are 1 + 1, and one unit leaves the other device idle."""
    first = [(0, [0, 2], 0.667), (1, [3], 0.5), (2, [5], 1.0)]
    second = [(0, [1], 0.333), (1, [4], 0.5), (2, [5], 0.0)]
    assert described(pieces_of_device(BATCHES, ONES, 1, 0, 2)) == first
    assert described(pieces_of_device(BATCHES, ONES, 1, 1, 2)) == second


def test_batches_that_are_only_read_are_shared_out_with_one_twice() -> None:
    found = [[batch.tolist() for batch in shared_out(BATCHES, device, 2)] for device in range(2)]
    assert found == [[[0, 1, 2], [5]], [[3, 4], [0, 1, 2]]]
