"""Features depend on what was known about that patient by then, and on nothing else: bit for bit."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl
import pytest

from phenotype import grouped_events, windows
from phenotype.features import FeatureMatrix, FeatureSpec, build_features

N_SUBJECTS = 500
SPEC = FeatureSpec(
    windows=("1h", "12h", "3d", "full"),
    aggregations=(
        "count", "sum", "mean", "min", "max", "first", "last", "sd", "slope", "time_since", "change",
    ),
)  # fmt: skip
BEGINNING = datetime(2021, 1, 1)
HOUR = 3_600_000_000
Bits = list[tuple[tuple[str, ...], bytes]]


def made_events(seed: int) -> pl.DataFrame:
    """About 40 facts a subject in 20 days: a fifth on the hour, a quarter answered later, some static."""
    random = np.random.default_rng(seed)
    n = N_SUBJECTS * 40
    hours = random.uniform(0, 480, n)
    hours = np.where(random.random(n) < 0.2, np.floor(hours), hours)
    delay = random.exponential(12, n)
    events = pl.DataFrame(
        {
            "subject_id": random.integers(0, N_SUBJECTS, n),
            "time": (hours * HOUR).astype(np.int64),
            "code": random.choice(
                ["A", "B", "LAB//C", "LAB//D", "DRUG//E"], n, p=[0.4, 0.3, 0.15, 0.1, 0.05]
            ),
            "numeric_value": random.normal(100, 30, n).astype(np.float32),
            "known_time": ((hours + delay) * HOUR).astype(np.int64),
            "is_static": random.random(n) < 0.02,
            "has_value": random.random(n) < 0.9,
            "is_delayed": random.random(n) < 0.25,
        }
    )
    anchor = pl.lit(BEGINNING).cast(pl.Datetime("us"))
    time = pl.when(~pl.col("is_static")).then(anchor + pl.duration(microseconds="time"))
    known = pl.when(~pl.col("is_static") & pl.col("is_delayed")).then(
        anchor + pl.duration(microseconds="known_time")
    )
    return events.select(
        pl.col("subject_id").cast(pl.Int64),
        time.alias("time"),
        "code",
        pl.when("has_value").then("numeric_value"),
        known.alias("known_time"),
    )


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    return made_events(7)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """One prediction time a subject, between day 5 and day 15, some on the full hour."""
    random = np.random.default_rng(8)
    hours = random.uniform(120, 360, N_SUBJECTS)
    hours = np.where(random.random(N_SUBJECTS) < 0.3, np.floor(hours), hours)
    instants = np.datetime64(BEGINNING, "us") + (hours * HOUR).astype("timedelta64[us]")
    return pl.DataFrame({"subject_id": np.arange(N_SUBJECTS), "prediction_time": instants})


def bits(matrix: FeatureMatrix) -> Bits:
    """For each row the names of its cells and their bytes."""
    names = np.array(matrix.columns["name"].to_list(), dtype=object)
    values = matrix.values
    return [
        (tuple(names[values.indices[first:last]]), values.data[first:last].tobytes())
        for first, last in zip(values.indptr[:-1], values.indptr[1:], strict=True)
    ]


def later_than_row(events: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """Whether each event becomes known after the prediction time of its subject."""
    known = pl.coalesce("known_time", "time")
    joined = events.join(rows, on="subject_id", how="left", maintain_order="left")
    return joined.select((known > pl.col("prediction_time")).fill_null(value=False)).to_series()


def test_what_becomes_known_later_changes_no_bit(events: pl.DataFrame, rows: pl.DataFrame) -> None:
    later = later_than_row(events, rows)
    assert later.sum() > 5_000
    before = bits(build_features(events.lazy(), rows, SPEC))
    week = pl.duration(days=7)
    future, past = events.filter(later), events.filter(~later)
    edits = {
        "deleted": past,
        "shifted": pl.concat([past, future.with_columns(pl.col("time", "known_time") + week)]),
        "edited": pl.concat([past, future.with_columns(numeric_value=pl.lit(1e9, dtype=pl.Float32))]),
        "recoded": pl.concat([past, future.with_columns(code=pl.lit("AAA//NEW"))]),
        "doubled": pl.concat([events, future]),
        "sampled earlier, known later": pl.concat(
            [
                past,
                future.with_columns(
                    known_time=pl.coalesce("known_time", "time"), time=pl.col("time") - 3 * week
                ),
            ]
        ),
    }
    for name, changed in edits.items():
        assert bits(build_features(changed.lazy(), rows, SPEC)) == before, name


def test_moving_known_time_alone_across_the_prediction_time_changes_the_row(
    events: pl.DataFrame, rows: pl.DataFrame
) -> None:
    first_known = (
        events.with_row_index("event")
        .filter(pl.col("time").is_not_null() & ~later_than_row(events, rows))
        .group_by("subject_id", maintain_order=True)
        .first()
        .join(rows, on="subject_id")
    )
    assert first_known.height == N_SUBJECTS
    moved = (
        events.with_row_index("event")
        .join(first_known.select("event", "prediction_time"), on="event", how="left", maintain_order="left")
        .with_columns(
            known_time=pl.coalesce(pl.col("prediction_time") + pl.duration(microseconds=1), "known_time")
        )
        .select(events.columns)
    )
    before = build_features(events.lazy(), rows, SPEC)
    after = build_features(moved.lazy(), rows, SPEC)
    assert all(one != other for one, other in zip(bits(before), bits(after), strict=True))
    count_before = before.dense(
        [f"{code} · count · full" for code in ("A", "B", "LAB//C", "LAB//D", "DRUG//E")]
    )
    count_after = after.dense(
        [f"{code} · count · full" for code in ("A", "B", "LAB//C", "LAB//D", "DRUG//E")]
    )
    np.testing.assert_array_equal(count_after.sum(axis=1), count_before.sum(axis=1) - 1)


@pytest.mark.parametrize("n_shards", [1, 2, 7])
def test_row_order_and_shards_change_no_bit(events: pl.DataFrame, rows: pl.DataFrame, n_shards: int) -> None:
    whole = build_features(events.lazy(), rows, SPEC)
    for seed in range(3):
        shuffled = events.sample(fraction=1, shuffle=True, seed=seed)
        shards = [
            shuffled.filter(pl.col("subject_id") % n_shards == shard).lazy() for shard in range(n_shards)
        ]
        again = build_features(pl.concat(shards), rows, SPEC)
        assert again.columns.equals(whole.columns)
        assert bits(again) == bits(whole)


@pytest.mark.parametrize("n_threads", ["1", "3"])
def test_the_number_of_threads_changes_no_bit(
    events: pl.DataFrame, rows: pl.DataFrame, n_threads: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bits(build_features(events.lazy(), rows, SPEC))
    monkeypatch.setenv("PESTA_THREADS", n_threads)
    monkeypatch.setattr(windows, "CELLS_A_BLOCK", 500)
    monkeypatch.setattr(grouped_events, "EVENTS_A_PART", 300)
    assert bits(build_features(events.lazy(), rows, SPEC)) == whole


def test_other_patients_change_no_bit(events: pl.DataFrame, rows: pl.DataFrame) -> None:
    every = bits(build_features(events.lazy(), rows, SPEC))
    few = rows.filter(pl.col("subject_id") % 7 == 3)
    alone = bits(build_features(events.filter(pl.col("subject_id") % 7 == 3).lazy(), few, SPEC))
    assert alone == every[3::7]
    others_changed = events.with_columns(
        pl.when(pl.col("subject_id") % 7 != 3).then(pl.col("numeric_value") * 3).otherwise("numeric_value")
    )
    assert bits(build_features(others_changed.lazy(), rows, SPEC))[3::7] == every[3::7]


def test_more_rows_of_the_same_patient_change_no_bit(events: pl.DataFrame, rows: pl.DataFrame) -> None:
    once = bits(build_features(events.lazy(), rows, SPEC))
    hourly = pl.concat(
        [
            rows.with_columns(pl.col("prediction_time") + pl.duration(hours=hours))
            for hours in (0, 1, 2, -1, -30, 90)
        ]
    )
    assert bits(build_features(events.lazy(), hourly, SPEC))[:N_SUBJECTS] == once
