"""An array that grows in place, so that its parts never lie in memory twice."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Number = TypeVar("Number", bound=np.generic)

GROWTH = 1.125


class GrowingArray(Generic[Number]):
    """Elements appended in runs; the operating system moves pages instead of copying them as it grows."""

    def __init__(self, dtype: type[Number]) -> None:
        self._elements: npt.NDArray[Number] = np.empty(0, dtype=dtype)
        self._length = 0

    def extended(self, n: int) -> npt.NDArray[Number]:
        """A view of n new elements at the end, to be filled before the next call."""
        first, self._length = self._length, self._length + n
        if self._length > len(self._elements):
            self._elements.resize(max(self._length, int(len(self._elements) * GROWTH)), refcheck=False)
        return self._elements[first : self._length]

    def taken(self) -> npt.NDArray[Number]:
        """All elements; the array must not grow any more."""
        self._elements.resize(self._length, refcheck=False)
        return self._elements
