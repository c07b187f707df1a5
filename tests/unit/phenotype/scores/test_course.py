"""The course of a score against a reader that looks at one instant at a time, and what it rests on."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from phenotype.scores.course import score_course
from phenotype.scores.evidence import score_evidence
from phenotype.scores.rise import score_rise
from phenotype.scores.rows import score_rows
from phenotype.trajectory import EVENTS

NOON = datetime(2024, 3, 1, 12)
DAY = timedelta(hours=24)
Row = tuple[int, datetime, str, float]
PLATELETS, CREATININE, PRESSURE, COMA = "NLK//NPU03568", "NLK//NPU04998", "VITAL//mean_bp", "VITAL//gcs"
PULSE, BREATHS, FLOW, MIND = (
    f"VITAL//{n}" for n in ("heart_rate", "respiratory_rate", "oxygen_flow", "consciousness")
)


def events_of(rows: list[Row], known: list[datetime | None] | None = None) -> pl.DataFrame:
    columns = {
        "subject_id": [row[0] for row in rows],
        "time": [row[1] for row in rows],
        "code": [row[2] for row in rows],
        "numeric_value": [row[3] for row in rows],
        "known_time": known or [None] * len(rows),
        "lineage_id": list(range(len(rows))),
    }
    wanted = {name: EVENTS[name] for name in columns}
    empty = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in wanted]
    return pl.DataFrame(columns, schema=wanted).with_columns(empty)


# A second implementation, one instant at a time, for the parts that the random trajectories hold.
def naive_sofa(window: list[Row]) -> dict[str, int | None]:
    def worst(code: str, pick: object) -> float | None:
        values = [row[3] for row in window if row[2] == code]
        return pick(values) if values else None  # type: ignore[operator]

    def bands(value: float | None, edges: list[float], *, low_is_bad: bool) -> int | None:
        if value is None:
            return None
        return sum(value < edge if low_is_bad else value >= edge for edge in edges)

    kidneys = bands(worst(CREATININE, max), [110, 171, 300, 440.0001], low_is_bad=False)
    return {
        "coagulation": bands(worst(PLATELETS, min), [150, 100, 50, 20], low_is_bad=True),
        "circulation": bands(worst(PRESSURE, min), [70], low_is_bad=True),
        "brain": bands(worst(COMA, min), [15, 13, 10, 6], low_is_bad=True),
        "kidneys": kidneys,
    }


def naive_news2(window: list[Row]) -> dict[str, int | None]:
    def last(code: str) -> float | None:
        found = sorted((row[1], row[3]) for row in window if row[2] == code)
        return found[-1][1] if found else None

    def pulse(value: float) -> int:
        if value <= 40 or value >= 131:
            return 3
        return 2 if value >= 111 else 1 if value <= 50 or value >= 91 else 0

    def breaths(value: float) -> int:
        if value <= 8 or value >= 25:
            return 3
        return 2 if value >= 21 else 1 if value <= 11 else 0

    mind = last(MIND)
    coma = last(COMA)
    is_altered = mind > 0 if mind is not None else None if coma is None else coma < 15
    flow = last(FLOW)
    return {
        "pulse": None if last(PULSE) is None else pulse(last(PULSE) or 0),
        "breathing": None if last(BREATHS) is None else breaths(last(BREATHS) or 0),
        "oxygen": None if flow is None else 2 * (flow > 0),
        "consciousness": None if is_altered is None else 3 * is_altered,
    }


def random_rows(seed: int) -> list[Row]:
    draw = random.Random(seed)
    values = {
        PLATELETS: [10, 19, 20, 49, 50, 99, 100, 149, 150, 300],
        CREATININE: [60, 109, 110, 170, 171, 299, 300, 440, 441],
        PRESSURE: [60, 69, 70, 90],
        COMA: [3, 5, 6, 9, 10, 12, 13, 14, 15],
        PULSE: [40, 41, 50, 51, 90, 91, 110, 111, 130, 131],
        BREATHS: [8, 9, 11, 12, 20, 21, 24, 25],
        FLOW: [0, 2, 10],
        MIND: [0, 1],
    }
    rows = []
    for subject in (1, 2, 3):
        for _ in range(draw.randint(0, 25)):
            code = draw.choice(list(values))
            hour = draw.choice([draw.randint(0, 100), 24 * draw.randint(0, 4), draw.randint(0, 4000)])
            rows.append((subject, NOON + timedelta(hours=hour), code, float(draw.choice(values[code]))))
    return rows


@pytest.mark.parametrize("score", ["SOFA", "NEWS2"])
def test_the_course_equals_a_reading_of_every_instant(score: str) -> None:
    naive = naive_sofa if score == "SOFA" else naive_news2
    for seed in range(40):
        rows = random_rows(seed)
        course = score_course(events_of(rows).lazy(), score, with_parts=True)
        assert course.select("subject_id", "time").rows() == sorted(
            set(course.select("subject_id", "time").rows())
        )
        for subject in (1, 2, 3):
            mine = [row for row in rows if row[0] == subject]
            steps = course.filter(pl.col("subject_id") == subject).to_dicts()
            moments = {
                row[1] + shift for row in mine for shift in (timedelta(), DAY, timedelta(minutes=30), -DAY)
            }
            for moment in sorted(moments):
                parts = naive([row for row in mine if moment - DAY < row[1] <= moment])
                measured = [points for points in parts.values() if points is not None]
                before = [step for step in steps if step["time"] <= moment]
                found = before[-1] if before else {"score": None, "n_components": 0}
                assert found["n_components"] == len(measured), (seed, subject, moment)
                assert found["score"] == (sum(measured) if measured else None), (seed, subject, moment)
                for part, points in parts.items():
                    assert found.get(part) == points, (seed, subject, moment, part)


def test_every_measurement_has_a_row_and_what_only_leaves_one_where_it_changes_something() -> None:
    rows = [(1, NOON, CREATININE, 120.0), (1, NOON + timedelta(hours=5), CREATININE, 80.0)]
    course = score_course(events_of(rows).lazy(), "SOFA")
    assert course.select("time", "score", "n_components").rows() == [
        (NOON, 1.0, 1),
        (NOON + timedelta(hours=5), 1.0, 1),
        (NOON + DAY, 0.0, 1),
        (NOON + timedelta(hours=29), None, 0),
    ]


@pytest.mark.parametrize("score", ["SOFA", "NEWS2", "qSOFA"])
def test_windows_show_a_part_of_the_whole_course_and_the_score_at_their_start(score: str) -> None:
    rows = [row for seed in range(6) for row in random_rows(100 + seed)]
    events = events_of(rows).lazy()
    whole = score_course(events, score, with_parts=True)
    windows = pl.DataFrame(
        {
            "subject_id": [1, 1, 2, 9],
            "start_time": [NOON + timedelta(hours=h) for h in (10.5, 30, 24, 0)],
            "end_time": [NOON + timedelta(hours=h) for h in (40, 96, 72, 5)],
        },
        schema={"subject_id": pl.Int64, "start_time": EVENTS["time"], "end_time": EVENTS["time"]},
    )
    seen = score_course(events, score, windows=windows, with_parts=True)
    inside = pl.concat(
        whole.filter((pl.col("subject_id") == subject) & pl.col("time").is_between(start, end))
        for subject, start, end in windows.iter_rows()
    ).unique()
    assert_frame_equal(
        seen.join(inside, on=["subject_id", "time"], how="semi"), inside.sort("subject_id", "time")
    )
    starts = windows.select("subject_id", pl.col("start_time").alias("time"))
    added = seen.join(inside, on=["subject_id", "time"], how="anti")
    assert added.join(starts, on=["subject_id", "time"], how="anti").is_empty()
    held = (
        starts.sort("time")
        .join_asof(whole.sort("time"), on="time", by="subject_id", check_sortedness=False)
        .sort("subject_id", "time")
    )
    at_start = seen.join(starts, on=["subject_id", "time"], how="semi")
    assert at_start["score"].to_list() == held["score"].to_list()


def test_order_of_rows_changes_nothing() -> None:
    rows = [row for seed in range(6) for row in random_rows(200 + seed)]
    events = events_of(rows)
    shuffled = events.sample(fraction=1, shuffle=True, seed=1)
    for score in ("SOFA", "NEWS2", "qSOFA"):
        course = score_course(events.lazy(), score, with_parts=True)
        assert_frame_equal(course, score_course(shuffled.lazy(), score, with_parts=True))
        at = course.filter(pl.col("score") > 0).select("subject_id", "time")
        assert_frame_equal(
            score_evidence(events.lazy(), at, score), score_evidence(shuffled.lazy(), at, score)
        )


def test_a_predictor_sees_the_score_by_what_was_known() -> None:
    late = events_of([(1, NOON, CREATININE, 200.0)], [NOON + timedelta(hours=2)]).lazy()
    assert score_course(late, "SOFA")["time"][0] == NOON
    assert score_course(late, "SOFA", clock="known_time")["time"][0] == NOON + timedelta(hours=2)
    rows = pl.DataFrame(
        {"subject_id": [1, 1], "prediction_time": [NOON + timedelta(hours=1), NOON + timedelta(hours=2)]},
        schema={"subject_id": pl.Int64, "prediction_time": EVENTS["time"]},
    )
    assert score_rows(late, rows, "SOFA")["score"].to_list() == [None, 2.0]


def test_evidence_is_what_gave_the_points() -> None:
    rows = [
        (1, NOON, CREATININE, 180.0),  # 0: the worst of the kidneys
        (1, NOON + timedelta(hours=1), CREATININE, 120.0),
        (1, NOON + timedelta(hours=2), PLATELETS, 200.0),  # no points
        (1, NOON + timedelta(hours=3), COMA, 12.0),
        (1, NOON + timedelta(hours=4), COMA, 12.0),  # 4: of equal ones the latest
        (1, NOON + timedelta(hours=4), "VITAL//systolic_bp", 80.0),
        (1, NOON + timedelta(hours=4), "VITAL//diastolic_bp", 50.0),  # 5, 6: a mean pressure of 60
    ]
    known = [None, None, None, None, NOON + timedelta(hours=9), None, None]
    events = events_of(rows, known).lazy()
    at = pl.DataFrame(
        {"subject_id": [1, 1], "time": [NOON + timedelta(hours=5), NOON + timedelta(hours=200)]}
    )
    found = score_evidence(events, at.cast({"time": EVENTS["time"]}), "SOFA")
    assert found.rows() == [(1, NOON + timedelta(hours=5), [0, 4, 5, 6], NOON + timedelta(hours=9))]
    kidneys = score_evidence(events, at.cast({"time": EVENTS["time"]}), "SOFA", part="kidneys")
    assert kidneys["evidence"].to_list() == [[0]]


def test_a_rise_is_over_the_lowest_before_or_over_zero() -> None:
    hours = [(0, 120.0), (20, 120.0), (30, 180.0), (35, 310.0)]  # 1, 1, 2, 3 points
    events = events_of([(1, NOON + timedelta(hours=h), CREATININE, v) for h, v in hours]).lazy()
    around = pl.DataFrame({"subject_id": [1], "time": [NOON + timedelta(hours=21)]}).cast(
        {"time": EVENTS["time"]}
    )

    def risen(baseline: str, from_hours: float, to_hours: float = 24) -> list[tuple[object, ...]]:
        found = score_rise(
            events,
            around,
            "SOFA",
            baseline=baseline,
            from_hours=from_hours,
            to_hours=to_hours,  # type: ignore[arg-type]
        )
        return found.select((pl.col("time") - NOON).dt.total_hours(), "score", "baseline").rows()

    assert risen("lowest_before", -21) == [(35, 3.0, 1.0)]
    assert risen("lowest_before", -22) == [(30, 2.0, 0.0)]  # nothing was in force at the window's start
    assert risen("zero", -21) == [(30, 2.0, 0.0)]
    assert risen("lowest_before", -21, 13) == []
    assert risen("lowest_before", -21, 14) == [(35, 3.0, 1.0)]


def test_a_chronic_dysfunction_on_record_is_known() -> None:
    weeks = timedelta(days=30)
    rows = [
        (1, NOON - weeks, CREATININE, 180.0),  # 2 points a month ago: known, so 2 are no rise, 4 are
        (1, NOON, CREATININE, 190.0),
        (1, NOON + timedelta(hours=5), CREATININE, 450.0),
        (2, NOON - weeks, CREATININE, 180.0),  # better since then: 0 are known
        (2, NOON - weeks / 2, CREATININE, 80.0),
        (2, NOON, CREATININE, 190.0),
        (3, NOON - timedelta(days=368), CREATININE, 180.0),  # longer than a year before the window
        (3, NOON, CREATININE, 190.0),
        (4, NOON - weeks, CREATININE, 180.0),  # another organ: 2 + 2 over the 2 that are known
        (4, NOON, CREATININE, 190.0),
        (4, NOON + timedelta(hours=7), PLATELETS, 90.0),
        (5, NOON - timedelta(hours=40), CREATININE, 120.0),  # within the window: not known before it
        (5, NOON - timedelta(hours=20), PLATELETS, 140.0),
    ]
    around = pl.DataFrame({"subject_id": [1, 2, 3, 4, 5], "time": [NOON] * 5}).cast({"time": EVENTS["time"]})
    found = score_rise(events_of(rows).lazy(), around, "SOFA", baseline="lowest_known")
    assert found.select(
        "subject_id", (pl.col("time") - NOON).dt.total_hours(), "score", "baseline"
    ).rows() == [
        (1, 5, 4.0, 2.0),
        (2, 0, 2.0, 0.0),
        (3, 0, 2.0, 0.0),
        (4, 7, 4.0, 2.0),
        (5, -20, 2.0, 0.0),
    ]


def test_nothing_gives_nothing() -> None:
    none = events_of([]).lazy()
    around = pl.DataFrame(schema={"subject_id": pl.Int64, "time": EVENTS["time"]})
    for score in ("SOFA", "NEWS2", "qSOFA"):
        assert score_course(none, score, with_parts=True).is_empty()
        assert score_rise(none, around, score).is_empty()
        assert score_evidence(none, around, score).is_empty()
