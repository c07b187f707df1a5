"""Errors where next to nothing is known: no warning, a probability or nothing, whatever the order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from phenotype.coding.expected.config import NoiseConfig
from phenotype.coding.expected.confusion import confusion, units_of
from phenotype.coding.expected.errors import all_errors, cells_of
from phenotype.coding.expected.grid import grid_of

N, K = 200, 3
DRAWN = np.random.default_rng(4).beta(0.3, 1.5, (N, K))
CODED = np.random.default_rng(5).random((N, K)) < DRAWN


def expected_of(
    *,
    p: Any = DRAWN,
    coded: Any = CODED,
    main: Any = None,
    n: int = N,
    unit: Callable[[int], str | None] = lambda stay: f"H/{stay % 3}",
    year: Callable[[int], int | None] = lambda stay: 2023 + stay % 2,
) -> pl.DataFrame:
    """Expectations of n stays; the first coded group of each is its main condition unless said otherwise."""
    p, coded = (np.broadcast_to(one, (N, K))[:n] for one in (p, coded))
    first = coded & (np.cumsum(coded, axis=1) == 1)
    is_main = first if main is None else coded & main
    stays = np.repeat(np.arange(n), K)
    return pl.DataFrame(
        {
            "stay_id": stays,
            "subject_id": stays // 2,
            "unit": pl.Series([unit(stay) for stay in stays.tolist()], dtype=pl.String),
            "year": pl.Series([year(stay) for stay in stays.tolist()], dtype=pl.Int32),
            "concept": [f"X//{group}" for group in range(K)] * n,
            "probability_main": 0.4 * p.ravel(),
            "probability_other": p.ravel().astype(float),
            "probability_specific": 0.3 + 0.5 * p.ravel(),
            "probability_hindsight": p.ravel().astype(float),
            "is_coded": coded.ravel(),
            "is_main": is_main.ravel(),
            "is_specific": (coded & (np.arange(n) % 3 > 0)[:, None]).ravel(),
        }
    )


DEGENERATE: dict[str, dict[str, Any]] = {
    "one unit and year": {"unit": lambda _: "H/A", "year": lambda _: 2024},
    "a stay each": {"unit": lambda stay: f"H/{stay}"},
    "some units unknown": {"unit": lambda stay: "H/A" if stay % 3 else None},
    "no unit, no year": {"unit": lambda _: None, "year": lambda _: None},
    "some years unknown": {"year": lambda stay: 2024 if stay % 2 else None},
    "all coded": {"coded": True},
    "none coded": {"coded": False},
    "twenty stays": {"n": 20},
    "one stay": {"n": 1},
    "no stay": {"n": 0},
    "all equally expected": {"p": 0.3},
    "surely not": {"p": 0.0},
    "surely": {"p": 1.0},
    "as it is coded": {"p": CODED},
    "as it is not coded": {"p": ~CODED},
    "no other conditions": {"main": True},
    "no main conditions": {"main": False},
    "expected of some": {"p": np.where(np.arange(N)[:, None] % 4, DRAWN, np.nan)},
    "expected of none": {"p": np.nan},
}
EXTREME: dict[str, dict[str, float]] = {
    "as shipped": {},
    "all are anchors": {"high_share": 1.0, "low_share": 1 - 1e-9, "min_anchors": 1, "many_anchors": 1},
    "more anchors than stays": {"min_anchors": 10**7},
    "nothing weighs against a unit": {"unit_prior": 1e-12, "pair_prior": 1e-12},
    "nothing is usual": {"usual_stays": 0, "usual_low_stays": 0},
    "hardly a code without a trace is wrong": {"max_unsupported": 1e-200},
    "sure": {"max_unsupported": 1, "max_probability": 1 - 1e-12, "largest_pair_ratio": 1e300},
}


@pytest.mark.parametrize("what", DEGENERATE.values(), ids=DEGENERATE)
def test_what_can_be_said_is_a_probability_and_the_rest_is_nothing(what: dict[str, Any]) -> None:
    _judge(expected_of(**what), NoiseConfig())


@pytest.mark.parametrize("settings", EXTREME.values(), ids=EXTREME)
@pytest.mark.parametrize("name", ["a stay each", "twenty stays", "as it is not coded", "no other conditions"])
def test_so_it_is_with_settings_at_their_ends(name: str, settings: dict[str, float]) -> None:
    _judge(expected_of(**DEGENERATE[name]), NoiseConfig.model_validate(settings))


def _judge(expected: pl.DataFrame, config: NoiseConfig) -> None:
    grid = grid_of(expected)
    found = all_errors(grid, config)
    shuffled = all_errors(grid_of(expected.sample(fraction=1, shuffle=True, seed=3)), config)
    asked = {
        "other": ~grid.is_main,
        "main_condition": np.ones_like(grid.is_main),
        "unspecific": grid.is_coded,
    }
    p = {"other": grid.hindsight, "main_condition": grid.main, "unspecific": grid.specific}
    for kind, errors in found.items():
        is_judged = np.array([one is not None for one in errors.noise], dtype=bool)
        can_be_said = asked[kind] & is_judged & ~np.isnan(p[kind])
        assert (np.isnan(errors.wrong) == ~can_be_said).all()
        told = errors.wrong[can_be_said]
        assert ((told >= 0) & (told < 1)).all()
        assert np.isfinite(errors.left_out).all()
        assert np.isfinite(errors.added).all()
        assert np.array_equal(errors.wrong, shuffled[kind].wrong, equal_nan=True)


def test_where_enough_is_known_every_question_is_judged() -> None:
    """The first group is the main condition wherever it is coded, so it is never another one."""
    found = all_errors(grid_of(expected_of()), NoiseConfig())
    assert [one is not None for one in found["other"].noise] == [False, True, True]
    assert all(np.isfinite(errors.wrong).any() for errors in found.values())


def test_stays_without_a_unit_are_held_together_and_parted_by_year() -> None:
    grid = grid_of(expected_of(n=4, unit=lambda stay: "H/A" if stay == 0 else None))
    hospital, unit, unit_year = (cell.tolist() for cell in cells_of(grid))
    assert unit == [1, 0, 0, 0]
    assert hospital == unit
    assert unit_year[1] == unit_year[3] != unit_year[2]
    assert units_of(grid).tolist() == ["H/A", "?", "?", "?"]


def test_codes_in_each_other_s_place_are_told_of_stays_without_a_unit() -> None:
    told = confusion(grid_of(expected_of(unit=lambda _: None)), prior=1.0, min_expected=0.0)
    assert told["unit"].unique().sort().to_list() == [None, "?"]


def test_settings_without_end_are_refused() -> None:
    with pytest.raises(ValidationError, match="finite"):
        NoiseConfig(unit_prior=float("inf"))
