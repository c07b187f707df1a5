"""From features with gaps to a design matrix: skew taken out, standardised, imputed, gaps as indicators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

LIMIT = 5.0
"""Standardised values are held within this many standard deviations: no outlier rules a prediction."""
SKEWED = 2.0
"""Columns without negative values and with a larger skewness are read as log(1 + value)."""


@dataclass(frozen=True)
class Standardiser:
    """What training rows say of each column.

    The design has one column a feature (standardised, 0 where absent) and then one column an indicator (1
    where absent).

    Attributes:
        is_log: (C,) uint8, 1 where log(1 + value) is read.
        means: (C,) of present training values.
        scales: (C,) standard deviation of present training values, 1 where they are constant.
        indicators: (K,) which feature each indicator is about.
        centre: (C + K,) mean of each design column over training rows: where an explanation starts from.
    """

    is_log: npt.NDArray[np.uint8]
    means: Floats
    scales: Floats
    indicators: npt.NDArray[np.int64]
    centre: Floats

    @property
    def source(self) -> npt.NDArray[np.int64]:
        """(C + K,) the feature that each design column is about."""
        return np.concatenate([np.arange(len(self.means)), self.indicators])

    def apply(
        self, values: npt.NDArray[np.float32], dtype: type[np.floating[Any]] = np.float64
    ) -> npt.NDArray[np.floating[Any]]:
        """The design matrix (n, C + K) of feature values (n, C), NaN where absent."""
        n_columns = len(self.means)
        design = np.empty((len(values), n_columns + len(self.indicators)), dtype=dtype)
        for number in range(n_columns):
            read = _read(values[:, number], is_log=bool(self.is_log[number]))
            standardised = np.clip((read - self.means[number]) / self.scales[number], -LIMIT, LIMIT)
            design[:, number] = np.where(np.isnan(read), 0.0, standardised)
        for number, column in enumerate(self.indicators):
            design[:, n_columns + number] = np.isnan(values[:, column])
        return design

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All attributes as tensors, by name."""
        return {
            "is_log": self.is_log,
            "means": self.means,
            "scales": self.scales,
            "indicators": self.indicators,
            "centre": self.centre,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The standardiser of these tensors.

        Raises:
            KeyError: a tensor is missing.
        """
        return cls(*(tensors[name] for name in ("is_log", "means", "scales", "indicators", "centre")))


def fit_standardiser(values: npt.NDArray[np.float32], columns: pl.DataFrame) -> Standardiser:
    """The standardiser of training values.

    Args:
        values: (n, C) training values, NaN where absent.
        columns: C rows with the column code; of one code's indicators only those that differ are kept.
    """
    n_columns = values.shape[1]
    is_log = np.zeros(n_columns, dtype=np.uint8)
    means, scales = np.zeros(n_columns), np.ones(n_columns)
    for number in range(n_columns):
        present = values[:, number][~np.isnan(values[:, number])].astype(np.float64)
        is_log[number] = _is_skewed(present)
        read = _read(present, is_log=bool(is_log[number]))
        if len(read):
            means[number] = read.mean()
            scales[number] = read.std() or 1.0
    indicators = _indicators(values, columns["code"].to_list())
    unfinished = Standardiser(is_log, means, scales, indicators, np.empty(0))
    total = np.zeros(n_columns + len(indicators))
    for start in range(0, len(values), 50_000):
        total += unfinished.apply(values[start : start + 50_000]).sum(axis=0)
    return Standardiser(is_log, means, scales, indicators, total / max(len(values), 1))


def _is_skewed(values: Floats) -> bool:
    """Whether values have no negative among them, vary, and have a skewness above SKEWED."""
    if len(values) < 3 or values.min() < 0 or values.std() == 0:
        return False
    return bool((((values - values.mean()) / values.std()) ** 3).mean() > SKEWED)


def _read(values: npt.NDArray[np.floating[Any]], *, is_log: bool) -> Floats:
    wide = values.astype(np.float64)
    return np.log1p(np.maximum(wide, 0.0)) if is_log else wide


def _indicators(values: npt.NDArray[np.float32], codes: list[str]) -> npt.NDArray[np.int64]:
    """The columns that are absent in some training rows but not all, one for each pattern of a code."""
    seen: set[tuple[str, bytes]] = set()
    kept: list[int] = []
    for number, code in enumerate(codes):
        absent = np.isnan(values[:, number])
        pattern = (code, np.packbits(absent).tobytes())
        if absent.any() and not absent.all() and pattern not in seen:
            seen.add(pattern)
            kept.append(number)
    return np.array(kept, dtype=np.int64)
