"""Each subject's dates moved by a keyed number of whole days: intervals stay, and dates tell nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

from ontology.errors import ConfigurationError, Problem
from pipelines.identity.policy import DateShift

DAYS_A_YEAR = 365.2425
"""**Source:** the mean Gregorian year."""
DAYS_A_WEEK = 7


def allowed_days(shift: DateShift) -> list[int]:
    """The shifts that a subject may get, in days, smallest first; never none.

    Raises:
        ConfigurationError: the conditions leave none.
    """
    step = DAYS_A_WEEK if shift.whole_weeks else 1
    days = [
        day
        for day in range(-shift.most_days, shift.most_days + 1)
        if day and day % step == 0 and _is_in_season(day, shift.season_weeks)
    ]
    if not days:
        raise ConfigurationError(
            Problem(
                "no shift meets all conditions",
                "date_shift",
                f"most_days {shift.most_days}, season_weeks {shift.season_weeks}",
                next_step="raise most_days, or give up whole_weeks or the season",
            )
        )
    return days


def _is_in_season(days: int, season_weeks: int | None) -> bool:
    """Whether that many days later it is the same time of the year, give or take some weeks."""
    if season_weeks is None:
        return True
    years = round(days / DAYS_A_YEAR)
    half_a_day = 0.5
    return abs(days - years * DAYS_A_YEAR) <= season_weeks * DAYS_A_WEEK + half_a_day


class Shifts:
    """The shift of each subject under one key: the same in every table and every source of a project.

    The shift is one of the allowed ones, chosen by BLAKE2b, keyed, over the subject's pseudonym; who lacks
    the key cannot tell it.

    Args:
        key: the project's.
        shift: what the policy says.

    **Source:** RFC 7693 (BLAKE2, keyed mode).
    """

    def __init__(self, key: bytes, shift: DateShift) -> None:
        self._key = key
        self._allowed = allowed_days(shift)
        self._most_cut = shift.window_cut_days
        self._known: dict[int, int] = {}

    def days(self, subject_ids: pl.Series) -> pl.Series:
        """One Int64 a subject id; null stays null."""
        distinct = subject_ids.unique().drop_nulls()
        for subject in distinct.to_list():
            if subject not in self._known:
                self._known[subject] = self._allowed[self._draw("date shift", subject) % len(self._allowed)]
        return _each(subject_ids, distinct, [self._known[subject] for subject in distinct.to_list()])

    def _draw(self, purpose: str, subject: int) -> int:
        message = f"{purpose}\x1f{subject}".encode()
        return int.from_bytes(hashlib.blake2b(message, key=self._key, digest_size=8).digest(), "big")

    def shifted(self, rows: pl.DataFrame, times: Sequence[str]) -> pl.DataFrame:
        """Rows with their times moved.

        Args:
            rows: with subject_id and the columns of times, which may be null.
            times: naive Datetime columns.
        """
        by = pl.duration(days=pl.lit(self.days(rows["subject_id"])))
        return rows.with_columns(pl.col(name) + by for name in times)

    def cut_windows(self, windows: pl.DataFrame) -> pl.DataFrame:
        """Windows with both ends drawn in by keyed numbers of days, where the policy says so.

        All windows of an extract end on one day that many know: shifted ends would tell every shift.

        Args:
            windows: columns of OBSERVATION, shifted or not.
        """
        if not self._most_cut:
            return windows
        ids = windows["subject_id"]
        distinct = ids.unique()
        cuts = [
            [self._draw(purpose, subject) % (self._most_cut + 1) for subject in distinct.to_list()]
            for purpose in ("window start", "window end")
        ]
        start = pl.col("start_time") + pl.duration(days=pl.lit(_each(ids, distinct, cuts[0])))
        end = pl.col("end_time") - pl.duration(days=pl.lit(_each(ids, distinct, cuts[1])))
        drawn_in = windows.with_columns(start_time=start, end_time=end)
        return drawn_in.with_columns(end_time=pl.max_horizontal("start_time", "end_time"))


def _each(ids: pl.Series, distinct: pl.Series, numbers: list[int]) -> pl.Series:
    return ids.replace_strict(
        distinct, pl.Series(numbers, dtype=pl.Int64), default=None, return_dtype=pl.Int64
    ).alias("days")
