"""An ensemble's reasons add up to its logit; the expected figures are worked by hand."""

from __future__ import annotations

from datetime import datetime

import polars as pl
import pytest

from phenotype.explain.concepts import BASE, EXPLANATIONS, ROOT
from phenotype.explain.ensembles import combine_reasons

KEY = {"subject_id": 1, "prediction_time": datetime(2020, 1, 1), "model": "m", "tree": "concepts"}


def reasons(*nodes: tuple[str, str | None, float, float, float, bool]) -> pl.DataFrame:
    names = ("node", "parent", "phi", "low", "high", "is_exact")
    return pl.DataFrame([KEY | dict(zip(names, node, strict=True)) for node in nodes], schema=EXPLANATIONS)


TREES = reasons(
    (BASE, None, -2.0, -2.0, -2.0, True),
    (ROOT, None, 1.5, 1.5, 1.5, True),
    ("lab", ROOT, 1.5, 1.5, 1.5, True),
    ("A", "lab", 1.0, 1.0, 1.0, True),
    ("A last", "A", 1.0, 1.0, 1.0, True),
    ("B", "lab", 0.5, 0.5, 0.5, True),
)
NETWORK = reasons(
    (BASE, None, -1.0, -1.0, -1.0, True),
    (ROOT, None, 2.0, 2.0, 2.0, True),
    ("lab", ROOT, 1.0, 0.8, 1.2, False),
    ("B", "lab", 1.0, 0.8, 1.2, False),
    ("drug", ROOT, 1.0, 0.9, 1.1, False),
    ("C", "drug", 1.0, 0.9, 1.1, False),
)


def of(frame: pl.DataFrame, node: str) -> dict[str, float]:
    return frame.filter(pl.col("node") == node).select("phi", "low", "high").to_dicts()[0]


def test_reasons_and_base_are_weighted_sums() -> None:
    combined = combine_reasons([TREES, NETWORK], [0.5, 0.25], 0.3)
    assert of(combined, BASE)["phi"] == pytest.approx(0.5 * -2 + 0.25 * -1 + 0.3)
    assert of(combined, ROOT)["phi"] == pytest.approx(0.5 * 1.5 + 0.25 * 2)
    assert of(combined, "B") == pytest.approx({"phi": 0.5, "low": 0.45, "high": 0.55})


def test_every_level_adds_up_to_the_one_above() -> None:
    combined = combine_reasons([TREES, NETWORK], [0.5, 0.25], 0.3)
    below = combined.filter(pl.col("parent").is_not_null()).group_by("parent").agg(pl.col("phi").sum())
    for parent, phi in below.iter_rows():
        assert of(combined, parent)["phi"] == pytest.approx(phi)


def test_a_sum_is_exact_only_where_all_members_are() -> None:
    exact = dict(combine_reasons([TREES, NETWORK], [0.5, 0.5], 0.0).select("node", "is_exact").iter_rows())
    assert exact["A"]
    assert exact[ROOT]
    assert not exact["B"]
    assert not exact["lab"]


def test_the_largest_codes_are_told_with_their_features_and_all_domains() -> None:
    told = combine_reasons([TREES, NETWORK], [1.0, 1.0], 0.0, n=1)["node"].to_list()
    assert sorted(told) == sorted([BASE, ROOT, "lab", "drug", "B"])
    assert "A last" in combine_reasons([TREES], [1.0], 0.0, n=1)["node"].to_list()
