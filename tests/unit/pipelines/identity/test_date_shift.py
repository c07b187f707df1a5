"""Date shifts: one for each subject, drawn with the key, within what the policy allows."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from ontology.errors import ConfigurationError
from pipelines.identity.date_shift import Shifts, allowed_days
from pipelines.identity.policy import DateShift

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SUBJECTS = pl.Series("subject_id", range(10_000))


def test_every_allowed_shift_is_drawn_about_equally_often_and_none_is_nought() -> None:
    days = Shifts(KEY, DateShift(most_days=10)).days(SUBJECTS)
    counts = days.value_counts()
    assert sorted(counts["days"]) == [day for day in range(-10, 11) if day]
    # 10,000 draws of 20: 500 each, standard deviation 21.8; five of these either way
    assert counts["count"].is_between(391, 609).all()


def test_the_shift_is_the_keys_and_the_subjects() -> None:
    shift = DateShift(most_days=1000)
    days = Shifts(KEY, shift).days(SUBJECTS)
    assert days.equals(Shifts(KEY, shift).days(SUBJECTS))
    assert (days == Shifts(OTHER, shift).days(SUBJECTS)).mean() < 0.01


def test_whole_weeks_keep_the_weekday() -> None:
    days = Shifts(KEY, DateShift(most_days=365, whole_weeks=True)).days(SUBJECTS)
    assert (days % 7 == 0).all()


@pytest.mark.parametrize("weeks", [0, 2, 6])
def test_the_time_of_the_year_is_kept_within_the_weeks(weeks: int) -> None:
    allowed = allowed_days(DateShift(most_days=1500, season_weeks=weeks))
    start = date(2020, 7, 1)
    for day in allowed:
        moved = start + timedelta(days=day)
        nearest = min(abs((moved - date(year, 7, 1)).days) for year in range(2014, 2027))
        assert nearest <= weeks * 7 + 1  # leap days
    assert {round(day / 365.2425) for day in allowed} >= {-4, -3, -2, -1, 1, 2, 3, 4}


def test_conditions_that_leave_no_shift_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no shift meets all conditions"):
        allowed_days(DateShift(most_days=6, whole_weeks=True))


def test_intervals_and_times_of_day_stay_and_null_stays_null() -> None:
    rows = pl.DataFrame(
        {
            "subject_id": [1, 1, 2],
            "time": [datetime(2024, 2, 28, 13, 5), datetime(2024, 3, 1, 1), None],
            "known_time": [None, datetime(2024, 3, 2, 1), None],
        },
        schema_overrides={"time": pl.Datetime("us"), "known_time": pl.Datetime("us")},
    )
    moved = Shifts(KEY, DateShift(most_days=400)).shifted(rows, ("time", "known_time"))
    for column in ("time", "known_time"):
        assert moved[column].is_null().equals(rows[column].is_null())
    assert (moved["time"][1] - moved["time"][0]) == (rows["time"][1] - rows["time"][0])
    assert (moved["known_time"][1] - moved["time"][1]) == timedelta(days=1)
    assert moved["time"][0].time() == rows["time"][0].time()
    assert moved["time"][0] != rows["time"][0]


def test_windows_are_drawn_in_at_both_ends_but_never_turned_round() -> None:
    windows = pl.DataFrame(
        {
            "subject_id": range(500),
            "source": "s",
            "start_time": datetime(2020, 1, 1),
            "end_time": [datetime(2024, 1, 1)] * 400 + [datetime(2020, 1, 3)] * 100,
            "end_reason": "extract end",
        }
    )
    cut = Shifts(KEY, DateShift(most_days=9, window_cut_days=30)).cut_windows(windows)
    by = (cut["start_time"] - windows["start_time"]).dt.total_days()
    assert by.is_between(0, 30).all()
    assert by.n_unique() > 20
    assert (windows["end_time"] - cut["end_time"])[:400].dt.total_days().is_between(0, 30).all()
    assert (cut["end_time"] >= cut["start_time"]).all()
    assert Shifts(KEY, DateShift(most_days=9)).cut_windows(windows).equals(windows)
