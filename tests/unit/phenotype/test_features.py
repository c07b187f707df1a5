"""Features: each aggregation by hand, window borders, the known_time axis, static facts, names, selections."""

from __future__ import annotations

from datetime import datetime, timedelta

import polars as pl
import pytest

from phenotype.features import FeatureMatrix, FeatureSpec, build_features
from phenotype.trajectory import EVENTS

NOON = datetime(2024, 3, 1, 12)
ALL = ("count", "sum", "mean", "min", "max", "first", "last", "sd", "slope", "time_since", "change")


def events_of(*facts: tuple[object, ...]) -> pl.LazyFrame:
    """Events from (subject, hours relative to noon or None, code, value[, hours when known])."""
    at = [None if fact[1] is None else NOON + timedelta(hours=float(str(fact[1]))) for fact in facts]
    known = [NOON + timedelta(hours=float(str(fact[4]))) if len(fact) > 4 else None for fact in facts]
    columns = {
        "subject_id": [fact[0] for fact in facts],
        "time": at,
        "code": [fact[2] for fact in facts],
        "numeric_value": [fact[3] for fact in facts],
        "known_time": known,
    }
    schema = {name: EVENTS[name] for name in columns}
    return pl.DataFrame(columns, schema=schema).lazy()


def rows_at(*rows: tuple[int, float]) -> pl.DataFrame:
    times = [NOON + timedelta(hours=hours) for _, hours in rows]
    return pl.DataFrame(
        {"subject_id": [subject for subject, _ in rows], "prediction_time": times},
        schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")},
    )


def cells(matrix: FeatureMatrix, row: int = 0) -> dict[str, float]:
    """Name -> value of the stored cells of a row."""
    stored = matrix.values[[row]].tocoo()
    return {
        matrix.columns["name"][int(column)]: float(cell)
        for column, cell in zip(stored.col, stored.data, strict=True)
    }


def spec(*windows: str, **more: object) -> FeatureSpec:
    return FeatureSpec.model_validate({"windows": windows, "aggregations": ALL} | more)


def test_every_aggregation_of_four_creatinines_equals_the_hand_count() -> None:
    events = events_of((1, -6, "C", 80), (1, -4, "C", 100), (1, -3, "C", None), (1, -1, "C", 120))
    found = cells(build_features(events, rows_at((1, 0)), spec("24h")))
    by_hand = {
        "count": 4,
        "sum": 300,
        "mean": 100,
        "min": 80,
        "max": 120,
        "first": 80,
        "last": 120,
        "sd": 20,  # deviations -20, 0, 20: sqrt(800 / 2)
        # hours -6, -4, -1 have mean -11/3; sum of products with -20, 0, 20 is 100, of squares 114/9 = 12.667
        "slope": 100 / (114 / 9),
        "time_since": 1,
        "change": 20,
    }
    assert found == pytest.approx({f"C · {name} · 24h": value for name, value in by_hand.items()})


def test_a_window_is_open_at_its_start_and_closed_at_the_prediction_time() -> None:
    events = events_of((1, -6, "C", 1), (1, 0, "C", 2), (1, 1e-9, "C", 4), (1, 1, "C", 8))
    found = cells(build_features(events, rows_at((1, 0)), spec("6h", "full", aggregations=("sum",))))
    assert found == {
        "C · sum · 6h": 2 + 4,
        "C · sum · full": 1 + 2 + 4,
    }  # 1e-9 h is below a microsecond: at noon
    later = events_of((1, -6, "C", 1), (1, 0.001, "C", 2))
    assert cells(build_features(later, rows_at((1, 0)), spec("6h", "full", aggregations=("sum",)))) == {
        "C · sum · full": 1
    }


def test_a_result_counts_from_when_it_was_known() -> None:
    events = events_of((1, -2, "C", 5, 1))
    assert cells(build_features(events, rows_at((1, 0)), spec("24h"))) == {}
    found = cells(build_features(events, rows_at((1, 2)), spec("24h", aggregations=("last", "time_since"))))
    assert found == {"C · last · 24h": 5, "C · time_since · 24h": 1}
