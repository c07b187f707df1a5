"""Features: each aggregation by hand, window borders, the known_time axis, static facts, names, choices."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from ontology.errors import ConfigurationError, InputError
from phenotype.feature_spec import RollUp
from phenotype.features import FeatureMatrix, FeatureSpec, build_features
from phenotype.trajectory import EVENTS

NOON = datetime(2024, 3, 1, 12)
MICROSECOND_HOURS = 1 / 3_600_000_000
ALL = ("count", "sum", "mean", "min", "max", "first", "last", "sd", "slope", "time_since", "change")

Fact = tuple[int, float | None, str, float | None] | tuple[int, float | None, str, float | None, float]


def instant(hours: float | None) -> datetime | None:
    return None if hours is None else NOON + timedelta(hours=hours)


def events_of(*facts: Fact) -> pl.LazyFrame:
    """Events from (subject, hours from noon or None, code, value[, hours when known])."""
    columns = {
        "subject_id": [fact[0] for fact in facts],
        "time": [instant(fact[1]) for fact in facts],
        "code": [fact[2] for fact in facts],
        "numeric_value": [fact[3] for fact in facts],
        "known_time": [instant(fact[4]) if len(fact) == 5 else None for fact in facts],
    }
    return pl.DataFrame(columns, schema={name: EVENTS[name] for name in columns}).lazy()


def rows_at(*rows: tuple[int, float]) -> pl.DataFrame:
    columns = {
        "subject_id": [subject for subject, _ in rows],
        "prediction_time": [instant(hours) for _, hours in rows],
    }
    return pl.DataFrame(columns, schema={"subject_id": pl.Int64, "prediction_time": pl.Datetime("us")})


def cells(matrix: FeatureMatrix, row: int = 0) -> dict[str, float]:
    """Name -> value of the stored cells of a row."""
    names = matrix.columns["name"].to_list()
    stored = matrix.values[[row]].tocoo()
    return {names[column]: float(cell) for column, cell in zip(stored.col, stored.data, strict=True)}


def spec(*windows: str, **more: object) -> FeatureSpec:
    return FeatureSpec.model_validate({"windows": windows, "aggregations": ALL} | more)


def test_every_aggregation_of_four_creatinines_equals_the_hand_count() -> None:
    events = events_of((1, -6, "C", 80), (1, -4, "C", 100), (1, -3, "C", None), (1, -1, "C", 120))
    by_hand = {
        "count": 4,
        "sum": 300,
        "mean": 100,
        "min": 80,
        "max": 120,
        "first": 80,
        "last": 120,
        "sd": 20,  # deviations -20, 0, 20: sqrt(800 / 2)
        # hours -6, -4, -1 have mean -11/3; sum of products with -20, 0, 20 is 100, of squares 114/9
        "slope": 100 / (114 / 9),
        "time_since": 1,
        "change": 20,
    }
    found = cells(build_features(events, rows_at((1, 0)), spec("24h")))
    assert found == pytest.approx({f"C · {name} · 24h": value for name, value in by_hand.items()})


def test_a_window_is_open_at_its_start_and_closed_at_the_prediction_time() -> None:
    after = MICROSECOND_HOURS
    events = events_of((1, -6, "C", 1), (1, after - 6, "C", 2), (1, 0, "C", 4), (1, after, "C", 8))
    found = cells(build_features(events, rows_at((1, 0)), spec("6h", "full", aggregations=("sum",))))
    assert found == {"C · sum · 6h": 2 + 4, "C · sum · full": 1 + 2 + 4}


def test_a_result_counts_from_when_it_was_known() -> None:
    events = events_of((1, -2, "C", 5, 1))
    assert cells(build_features(events, rows_at((1, 0)), spec("24h"))) == {}
    found = cells(build_features(events, rows_at((1, 2)), spec("24h", aggregations=("last", "time_since"))))
    assert found == {"C · last · 24h": 5, "C · time_since · 24h": 1}


def test_a_single_event_has_all_aggregates_but_spread_and_change() -> None:
    found = cells(build_features(events_of((1, -2, "C", 5)), rows_at((1, 0)), spec("6h")))
    absent = {"C · sd · 6h", "C · slope · 6h", "C · change · 6h"}
    assert set(found) == {f"C · {name} · 6h" for name in ALL} - absent
    assert found["C · count · 6h"] == 1


def test_events_without_a_finite_value_are_counted_and_never_averaged() -> None:
    events = events_of(
        (1, -3, "C", 5),
        (1, -2, "C", None),
        (1, -1, "C", float("nan")),
        (1, 0, "C", float("inf")),
        (1, -1, "D", None),
    )
    found = cells(
        build_features(events, rows_at((1, 0)), spec("6h", aggregations=("count", "mean", "time_since")))
    )
    assert found == {
        "C · count · 6h": 4,
        "C · mean · 6h": 5,
        "C · time_since · 6h": 0,
        "D · count · 6h": 1,
        "D · time_since · 6h": 1,
    }


def test_of_values_at_one_instant_the_first_is_the_smallest_and_the_last_the_largest() -> None:
    tied = [(1, -1.0, "C", 7.0), (1, -1.0, "C", 3.0), (1, -1.0, "C", 5.0), (1, -1.0, "C", None)]
    wanted = spec("6h", aggregations=("first", "last", "change", "sd", "slope"))
    by_hand = {"C · first · 6h": 3.0, "C · last · 6h": 7.0, "C · change · 6h": 2.0, "C · sd · 6h": 2.0}
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]):
        events = events_of(*(tied[number] for number in order))
        assert (
            cells(build_features(events, rows_at((1, 0)), wanted)) == by_hand
        )  # no slope within one instant


def test_zeros_are_stored_and_absent_cells_are_zero_or_missing() -> None:
    events = events_of((1, -1, "C", 0), (2, -1, "D", 4))
    matrix = build_features(
        events, rows_at((1, 0), (2, 0)), spec("6h", aggregations=("count", "sum", "mean"))
    )
    assert cells(matrix, 0) == {"C · count · 6h": 1, "C · sum · 6h": 0, "C · mean · 6h": 0}
    names = ["C · mean · 6h", "D · mean · 6h", "C · sum · 6h", "D · sum · 6h", "D · count · 6h"]
    np.testing.assert_array_equal(matrix.dense(names), [[0, np.nan, 0, 0, 0], [np.nan, 4, 0, 4, 1]])
    assert matrix.dense().shape == matrix.values.shape
    selected = matrix.select(names)
    np.testing.assert_array_equal(selected.dense(), matrix.dense(names))
    assert selected.values.nnz == 5
    assert selected.values.has_sorted_indices


def test_static_facts_become_their_value_or_their_presence() -> None:
    events = events_of(
        (1, None, "SEX//female", None),
        (1, None, "HEIGHT", 170),
        (2, None, "HEIGHT", None),
        (2, None, "HEIGHT", 160),
    )
    matrix = build_features(events, rows_at((1, 0), (2, 0), (3, 0)), spec("6h"))
    assert [cells(matrix, row) for row in range(3)] == [
        {"HEIGHT · static": 170, "SEX//female · present": 1},
        {"HEIGHT · static": 160, "HEIGHT · present": 1},
        {},
    ]
    assert dict(matrix.columns.select("name", "absent").iter_rows()) == {
        "HEIGHT · static": "missing",
        "HEIGHT · present": "zero",
        "SEX//female · present": "zero",
    }
    assert build_features(events, rows_at((1, 0)), spec("6h", static=False)).columns.height == 0


def test_age_comes_from_a_known_birth_else_from_the_stated_age() -> None:
    century = 24 * 365.25 * 50
    events = events_of(
        (1, -century, "MEDS_BIRTH", None),
        (1, None, "AGE", 20),
        (2, None, "AGE", 61),
        (3, -century, "MEDS_BIRTH", None, 5),
    )
    matrix = build_features(events, rows_at((1, 0), (1, 24 * 365.25), (2, 0), (3, 0), (3, 5)), spec("6h"))
    assert [cells(matrix, row) for row in range(4)] == [{"AGE": 50}, {"AGE": 51}, {"AGE": 61}, {}]
    assert cells(matrix, 4)["AGE"] == pytest.approx(50, abs=1e-3)
    assert build_features(events, rows_at((1, 0)), spec("6h", age=False)).columns.height == 0


def test_births_deaths_and_excluded_codes_make_no_columns() -> None:
    events = events_of((1, -9, "MEDS_BIRTH", None), (1, -1, "MEDS_DEATH", None), (1, -1, "SCORE//SOFA", 3))
    assert build_features(events, rows_at((1, 0)), spec("full", age=False)).columns.height == 0
    kept = build_features(events, rows_at((1, 0)), spec("full", age=False, exclude=()))
    assert kept.columns["code"].unique().to_list() == ["SCORE//SOFA"]


def test_rows_come_back_in_the_order_asked_and_each_has_its_own_windows() -> None:
    events = events_of((2, -5, "C", 1), (2, -2, "C", 2), (1, -1, "C", 3), (9, -1, "C", 9))
    rows = rows_at((2, 0), (1, 0), (2, -4), (2, -6), (4, 0))
    matrix = build_features(events, rows, spec("4h", "full", aggregations=("sum",)))
    assert matrix.rows.equals(rows)
    assert [cells(matrix, row) for row in range(5)] == [
        {"C · sum · 4h": 2, "C · sum · full": 3},
        {"C · sum · 4h": 3, "C · sum · full": 3},
        {"C · sum · 4h": 1, "C · sum · full": 1},
        {},
        {},
    ]


def test_columns_are_named_so_that_a_person_can_read_them() -> None:
    events = events_of((1, -1, "VITAL//heart_rate", 80), (1, None, "SEX//female", None))
    matrix = build_features(events, rows_at((1, 0)), spec("24h", "full", aggregations=("last", "time_since")))
    assert matrix.columns.select("name", "label").rows() == [
        ("SEX//female · present", "Female sex"),
        ("VITAL//heart_rate · last · 24h", "Heart rate · last · 24 h"),
        ("VITAL//heart_rate · time_since · 24h", "Heart rate · hours since the last · 24 h"),
        ("VITAL//heart_rate · last · full", "Heart rate · last · full history"),
        ("VITAL//heart_rate · time_since · full", "Heart rate · hours since the last · full history"),
    ]


def test_frequent_counts_distinct_training_subjects_not_rows() -> None:
    events = events_of((1, -9, "A", 1), (2, -9, "A", 1), (3, -9, "A", 1), (1, -9, "B", 0), (3, -9, "B", 0))
    matrix = build_features(
        events, rows_at((1, 0), (1, 1), (2, 0), (3, 0)), spec("full", aggregations=("mean", "sd"))
    )
    training = np.array([True, True, True, False])
    assert matrix.frequent(training, 2) == ["A · mean · full"]
    assert matrix.frequent(training, 1) == ["A · mean · full", "B · mean · full"]
    assert matrix.frequent(training, 3) == []


def test_taken_rows_keep_their_cells_and_their_order() -> None:
    events = events_of((1, -1, "C", 1), (2, -1, "C", 2), (3, -1, "C", 3))
    matrix = build_features(events, rows_at((1, 0), (2, 0), (3, 0)), spec("6h", aggregations=("last",)))
    taken = matrix.take_rows([2, 0])
    assert taken.rows["subject_id"].to_list() == [3, 1]
    np.testing.assert_array_equal(taken.dense(), [[3], [1]])


def test_nothing_known_at_all_gives_rows_without_columns() -> None:
    matrix = build_features(events_of(), rows_at((1, 0), (2, 0)), spec("6h"))
    assert matrix.values.shape == (2, 0)
    assert matrix.dense().shape == (2, 0)
    assert matrix.frequent(np.array([True, True]), 1) == []
    assert build_features(events_of((1, 0, "C", 1)), rows_at(), spec("6h")).values.shape[0] == 0


def test_a_constant_large_value_has_no_spread_and_a_small_spread_far_from_zero_is_exact() -> None:
    large = 16_777_216.0  # float32 steps here are 2
    steady = [(1, float(-hour), "A", large) for hour in range(5)]
    moving = [(1, float(-hour), "B", large - 2 * hour) for hour in range(5)]
    found = cells(build_features(events_of(*steady, *moving), rows_at((1, 0)), spec("full")))
    assert found["A · sd · full"] == found["A · slope · full"] == 0
    assert found["B · slope · full"] == pytest.approx(2, rel=1e-7)
    assert found["B · sd · full"] == pytest.approx(np.sqrt(10), rel=1e-7)  # 0, 2, 4, 6, 8: variance 10


@pytest.mark.parametrize("window", ["0h", "h", "24", "1.5h", "-6h", "200000d", "6 h", "all"])
def test_a_window_that_is_none_is_refused_in_words(window: str) -> None:
    with pytest.raises(ValidationError, match="is not a window: write 30min, 6h, 365d"):
        FeatureSpec(windows=(window,))


def test_unknown_doubled_and_empty_settings_are_refused() -> None:
    with pytest.raises(ValidationError, match="'median' is not an aggregation: choose from count, sum"):
        FeatureSpec(aggregations=("median",))
    for wrong in (
        {"windows": ("6h", "6h")},
        {"windows": ()},
        {"aggregations": ()},
        {"min_subjects": 0},
        {"x": 1},
    ):
        with pytest.raises(ValidationError):
            FeatureSpec.model_validate(wrong)


def test_repeated_and_incomplete_rows_are_refused_together() -> None:
    rows = pl.concat(
        [rows_at((1, 0), (1, 0)), rows_at((2, 0)).with_columns(prediction_time=None)], how="vertical_relaxed"
    )
    with pytest.raises(InputError, match="1 rows with a null, 1 repeated rows"):
        build_features(events_of(), rows, spec("6h"))


def test_unknown_and_doubled_names_are_refused() -> None:
    matrix = build_features(events_of((1, 0, "C", 1)), rows_at((1, 0)), spec("6h", aggregations=("last",)))
    with pytest.raises(ConfigurationError, match="1 unknown names, first 'D · last · 6h'"):
        matrix.select(["C · last · 6h", "D · last · 6h"])
    with pytest.raises(ConfigurationError, match="twice"):
        matrix.dense(["C · last · 6h", "C · last · 6h"])


# WHO ICD-10: A41.9 lies in category A41, block A30-A49, chapter I; J18.9 in J18, J09-J18, X; Z95.1 elsewhere.
CODED = (
    (1, -6, "ICD10-NO//A41.9", None),
    (1, -4, "ICD10CM//A403", None),
    (1, -2, "ICD10-NO//J18.9", None),
    (1, 2, "ICD10-NO//A41.5", None),
    (1, -1, "VITAL//heart_rate", 88),
)


def rolled(level: str, *, keep_codes: bool = True) -> FeatureSpec:
    rule = {"system": "ICD10", "level": level, "keep_codes": keep_codes}
    return FeatureSpec.model_validate(
        {"windows": ("24h",), "aggregations": ("count", "time_since"), "roll_up": [rule]}
    )


def test_codes_of_every_edition_count_as_the_block_above_them_from_when_they_were_known() -> None:
    found = cells(build_features(events_of(*CODED), rows_at((1, 0)), rolled("block")))
    assert found["ICD10//A30-A49 · count · 24h"] == 2
    assert found["ICD10//A30-A49 · time_since · 24h"] == 4
    assert found["ICD10//J09-J18 · count · 24h"] == 1
    assert found["ICD10-NO//A41.9 · count · 24h"] == 1
    assert found["VITAL//heart_rate · count · 24h"] == 1


def test_codes_may_count_as_the_concept_only() -> None:
    matrix = build_features(events_of(*CODED), rows_at((1, 0)), rolled("chapter", keep_codes=False))
    assert sorted(set(matrix.columns["code"])) == ["ICD10//I", "ICD10//X", "VITAL//heart_rate"]
    assert cells(matrix)["ICD10//I · count · 24h"] == 2


def test_a_concept_has_no_values_but_counts() -> None:
    drugs = ((1, -3, "ATC//J01CF05", 2000), (1, -2, "ATC//J01DD01", 1))
    above = {"system": "ATC", "level": "therapeutic_subgroup", "keep_codes": False}
    wanted = spec("24h").model_copy(update={"roll_up": (RollUp.model_validate(above),)})
    found = cells(build_features(events_of(*drugs), rows_at((1, 0)), wanted))
    assert found == {"ATC//J01 · count · 24h": 2, "ATC//J01 · time_since · 24h": 2}


def test_an_unknown_level_or_another_ontology_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no level shelf of ICD10"):
        build_features(events_of(*CODED), rows_at((1, 0)), rolled("shelf"))
    other = rolled("block").model_copy(update={"ontology_digest": "0" * 64})
    with pytest.raises(ConfigurationError, match="another ontology"):
        build_features(events_of(*CODED), rows_at((1, 0)), other)
