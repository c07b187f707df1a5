"""Expectations as a grid of stays x groups, for those who compute with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
STAY_COLUMNS = ("stay_id", "subject_id", "unit", "year")


@dataclass(frozen=True)
class Grid:
    """Columns of EXPECTED as arrays.

    Attributes:
        stays: stay_id, subject_id, unit, year; n rows sorted by stay_id.
        concepts: the groups, sorted.
        main, other, specific: (n, K) probabilities.
        hindsight: (n, K) of being coded as another condition, by hindsight.
        is_coded, is_main, is_specific: (n, K).
    """

    stays: pl.DataFrame
    concepts: list[str]
    main: Floats
    other: Floats
    specific: Floats
    hindsight: Floats
    is_coded: Bools
    is_main: Bools
    is_specific: Bools

    @property
    def is_other(self) -> Bools:
        """Whether the group is coded, and not as the main condition."""
        return self.is_coded & ~self.is_main


def grid_of(expected: pl.DataFrame) -> Grid:
    """The grid of a frame with the columns of EXPECTED, one row a stay and group, in any order."""
    ordered = expected.sort("stay_id", "concept")
    concepts = ordered["concept"].unique().sort().to_list()
    shape = (-1, max(len(concepts), 1))

    def array(name: str) -> npt.NDArray[np.float64]:
        return np.asarray(ordered[name].cast(pl.Float64).to_numpy()).reshape(shape)

    return Grid(
        stays=ordered.select(STAY_COLUMNS).gather_every(max(len(concepts), 1)),
        concepts=concepts,
        main=array("probability_main"),
        other=array("probability_other"),
        specific=array("probability_specific"),
        hindsight=array("probability_hindsight"),
        is_coded=array("is_coded") > 0,
        is_main=array("is_main") > 0,
        is_specific=array("is_specific") > 0,
    )
