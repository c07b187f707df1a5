"""Which groups may be told to explain a stay better than its coded main condition."""

from __future__ import annotations

import numpy as np
import polars as pl

from phenotype.coding.expected.expected import may_be_main
from phenotype.coding.expected.grid import Grid


def grid_of_main(main: list[list[float]], is_main: list[list[int]], is_coded: list[list[int]]) -> Grid:
    expected, coded_as_main, coded = np.array(main), np.array(is_main) > 0, np.array(is_coded) > 0
    stays = pl.DataFrame({"stay_id": range(len(main))})
    concepts = [str(number) for number in range(expected.shape[1])]
    return Grid(stays, concepts, expected, expected, expected, expected, coded, coded_as_main, coded)


def test_a_better_main_condition_is_expected_more_than_the_coded_one() -> None:
    grid = grid_of_main([[0.6, 0.3, 0.7], [0.1, 0.8, 0.5]], [[1, 0, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]])
    assert may_be_main(grid, 0.0).tolist() == [[False, False, True], [False, True, True]]


def test_nothing_is_told_where_the_coded_main_condition_is_of_no_judged_group() -> None:
    grid = grid_of_main([[0.9, 0.3], [0.1, 0.8]], [[0, 0], [1, 0]], [[1, 1], [1, 1]])
    assert may_be_main(grid, 0.0).tolist() == [[False, False], [False, True]]


def test_companions_that_are_hardly_ever_the_main_condition_are_not_told() -> None:
    """Group 1 is the main condition in one of its four stays, group 2 in none of its five."""
    is_main = [[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    is_coded = [[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 1, 1], [1, 0, 1]]
    grid = grid_of_main([[0.2, 0.5, 0.5]] * 5, is_main, is_coded)
    assert may_be_main(grid, 0.25)[0].tolist() == [False, True, False]
    assert may_be_main(grid, 0.26)[0].tolist() == [False, False, False]
