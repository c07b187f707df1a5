"""Many ranges at once: what numpy's own functions give for each of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from phenotype.ranges import bisect, end_to_end


def test_ranges_lie_end_to_end() -> None:
    draw = np.random.default_rng(0)
    start, length = draw.integers(0, 50, 200), draw.integers(0, 4, 200)
    expected = [number for a, n in zip(start, length, strict=True) for number in range(a, a + n)]
    assert end_to_end(start, length).tolist() == expected
    assert end_to_end(start[:0], length[:0]).tolist() == []
    assert end_to_end(start[:3], np.zeros(3, dtype=np.int64)).tolist() == []


@pytest.mark.parametrize("side", ["left", "right"])
def test_bisection_is_searchsorted_of_each_range(side: Literal["left", "right"]) -> None:
    draw = np.random.default_rng(1)
    cuts = np.sort(draw.integers(0, 500, 99))
    start, stop = np.append(0, cuts), np.append(cuts, 500)
    values = np.concatenate([np.sort(draw.integers(0, 9, b - a)) for a, b in zip(start, stop, strict=True)])
    limit = draw.integers(-1, 11, 100)
    expected = [
        a + np.searchsorted(values[a:b], at, side=side) for a, b, at in zip(start, stop, limit, strict=True)
    ]
    assert bisect(values, start, stop, limit, side).tolist() == expected
