"""Local regression of a rate on a risk, computed directly at the wanted points.

**Source:** Cleveland and Devlin 1988, doi:10.1080/01621459.1988.10478639: tricube weights over the nearest
share of the rows, a polynomial of degree 2, no robustness steps (what R's `loess` does with its defaults and
surface="direct").
"""

from __future__ import annotations

import numpy as np

from experiments.scored import FloatArray

SPAN = 0.75
DEGREE = 2


def smooth(positions: FloatArray, values: FloatArray, counts: FloatArray, wanted: FloatArray) -> FloatArray:
    """Local quadratic fits.

    Args:
        positions: (G,) distinct, rising.
        values: (G,) mean value at each position.
        counts: (G,) how many rows stand at each position.
        wanted: (M,) where to fit, within the range of positions.

    Returns:
        (M,) fitted values. Where the nearest rows all stand at the wanted position it is their mean; where
        they stand at fewer positions than a quadratic needs, the curve of least size through them.
    """
    n_nearest = min(counts.sum(), np.ceil(SPAN * counts.sum()))
    return np.array([_fit_at(point, positions, values, counts, float(n_nearest)) for point in wanted])


def _fit_at(
    point: float, positions: FloatArray, values: FloatArray, counts: FloatArray, n_nearest: float
) -> float:
    first, last = _window(point, positions, counts, n_nearest)
    near, rate, rows = positions[first:last], values[first:last], counts[first:last]
    distance = near - point
    reach = float(np.abs(distance).max())
    if reach == 0:
        return float(rate[0])
    scaled = distance / reach
    weights = rows * (1 - np.abs(scaled) ** 3) ** 3
    powers = np.vander(scaled, DEGREE + 1, increasing=True)
    moments = powers.T @ (weights[:, None] * powers)
    fitted = np.linalg.pinv(moments, rcond=1e-10, hermitian=True) @ (powers.T @ (weights * rate))
    return float(fitted[0])


def _window(point: float, positions: FloatArray, counts: FloatArray, n_nearest: float) -> tuple[int, int]:
    """The positions that hold the nearest rows: the smaller reach of those found on either side."""
    cumulated = np.concatenate([[0.0], np.cumsum(counts)])
    split = int(np.searchsorted(positions, point))
    sides = (point - positions[:split][::-1], positions[split:] - point)
    reaches = [_smallest_reach(point, positions, cumulated, side, n_nearest) for side in sides]
    return _within(point, positions, min(reaches))


def _smallest_reach(
    point: float, positions: FloatArray, cumulated: FloatArray, distances: FloatArray, n_nearest: float
) -> float:
    """The smallest of (rising) distances within which enough rows stand; infinite where none is enough."""
    low, high = 0, len(distances)
    while low < high:
        middle = (low + high) // 2
        first, last = _within(point, positions, float(distances[middle]))
        low, high = (low, middle) if cumulated[last] - cumulated[first] >= n_nearest else (middle + 1, high)
    return float(distances[low]) if low < len(distances) else np.inf


def _within(point: float, positions: FloatArray, distance: float) -> tuple[int, int]:
    # the sums below may miss the very position that set the distance by one rounding
    slack = 1e-12 * max(abs(point), distance)
    first = int(np.searchsorted(positions, point - distance - slack, side="left"))
    return first, int(np.searchsorted(positions, point + distance + slack, side="right"))
