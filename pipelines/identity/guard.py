"""What one ingest does to facts of persons before any is written: the policy's measures, the last gate."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from phenotype.trajectory import BIRTH_CODE, EVENTS, INSTANT
from pipelines.identity.policy import IdentityPolicy
from pipelines.identity.pseudonyms import Pseudonyms
from pipelines.identity.scrubbing import MARK, Gate
from pipelines.identity.text_dates import without_dates

DATE_MARK = "[date]"
_TEXTS_WITH_DATES = ("text_value", "sent_value", "sent_alternates")
LARGE = 1e8
"""A number of a person is no smaller, whatever precision was lost."""
_EXTENT = pl.Schema({"subject_id": pl.Int64(), "first": INSTANT, "last": INSTANT})


class Guard:
    """Applies an identity policy to events, contacts, codings and windows, and masks national numbers.

    Births wait until the last record of everyone is known, where the policy makes the old one group.

    Args:
        policy: what the dataset may tell.
        pseudonyms: of the source, with the project's key.
        is_nominal: whether all times are relative to a nominal anchor: then there is no date to move.

    Attributes:
        gate: counts the cells in which a number was masked.
    """

    def __init__(self, policy: IdentityPolicy, pseudonyms: Pseudonyms, *, is_nominal: bool = False) -> None:
        self.policy = policy
        self.gate = Gate()
        is_shifted = policy.date_shift is not None and not is_nominal
        self._shifts = pseudonyms.shifts(policy.date_shift) if policy.date_shift and is_shifted else None
        self._births: list[pl.DataFrame] = []
        self._extent = pl.DataFrame(schema=_EXTENT)

    @property
    def is_shifted(self) -> bool:
        """Whether dates are moved."""
        return self._shifts is not None

    def events(self, made: pl.DataFrame, *, is_free_text: bool) -> pl.DataFrame:
        """Events as they may be written.

        Args:
            made: what build_events gives.
            is_free_text: whether the mapping calls their text free text.
        """
        if is_free_text and self.policy.free_text == "drop":
            is_number = pl.col("sent_value").str.strip_chars().cast(pl.Float64, strict=False).is_not_null()
            is_number &= pl.col("numeric_value").is_not_null()  # a telephone number alone in a text is text
            made = made.with_columns(
                text_value=pl.lit(None, pl.String), sent_value=pl.when(is_number).then("sent_value")
            )
        made = self._ages_capped(self._dated(made, ("time", "known_time")))
        if self._shifts:
            made = made.with_columns(without_dates(pl.col(*_TEXTS_WITH_DATES), DATE_MARK))
        n_before = self.gate.counts["sent_value"]
        masked = self.gate.frame(made)
        if self.gate.counts["sent_value"] > n_before:
            is_number = pl.col("sent_value").str.contains(MARK, literal=True).fill_null(value=False)
            value = pl.when(~(is_number & (pl.col("numeric_value").abs() >= LARGE))).then("numeric_value")
            masked = masked.with_columns(value)
        return masked

    def contacts(self, made: pl.DataFrame) -> pl.DataFrame:
        """Contacts as they may be written; columns subject_id and the times and words of CONTACTS."""
        return self.gate.frame(self._dated(made, ("start_time", "end_time", "end_known_time")))

    def codings(self, made: pl.DataFrame) -> pl.DataFrame:
        """Codings as they may be written; columns subject_id, coded_time and the words of CODINGS.

        The version of a code system is its year in most, which would tell the year of a date that was moved.
        """
        made = self._dated(made, ("coded_time",))
        return self.gate.frame(made.with_columns(version=pl.lit(None, pl.String)) if self._shifts else made)

    def windows(self, made: pl.DataFrame) -> pl.DataFrame:
        """Observation windows as they may be written; columns of OBSERVATION."""
        if self._shifts:
            made = self._shifts.cut_windows(self._shifts.shifted(made, ("start_time", "end_time")))
        if self.policy.oldest_age is not None:
            nothing = pl.lit(None, INSTANT)
            self._add_extent(made.select("subject_id", first=nothing, last=pl.col("end_time").cast(INSTANT)))
        return self.gate.frame(made)

    def words(self, rows: pl.DataFrame) -> pl.DataFrame:
        """A source's own columns, without numbers and, where dates are moved, without dates in texts."""
        if self._shifts:
            rows = rows.with_columns(without_dates(pl.col(pl.String), DATE_MARK))
        return self.gate.frame(rows)

    def _dated(self, rows: pl.DataFrame, times: Sequence[str]) -> pl.DataFrame:
        rows = self._shifts.shifted(rows, times) if self._shifts else rows
        if self.policy.oldest_age is not None:
            self._see(rows, times)
        return rows

    def _see(self, rows: pl.DataFrame, times: Sequence[str]) -> None:
        """Remember from when to when each subject has records."""
        records = rows.filter(pl.col("code") != BIRTH_CODE) if "time" in times else rows
        extent = records.select(
            "subject_id",
            first=pl.min_horizontal(times).cast(INSTANT),
            last=pl.max_horizontal(times).cast(INSTANT),
        )
        self._add_extent(extent)

    def _add_extent(self, extent: pl.DataFrame) -> None:
        both = pl.concat([self._extent, extent])
        self._extent = both.group_by("subject_id").agg(pl.col("first").min(), pl.col("last").max())

    def _ages_capped(self, events: pl.DataFrame) -> pl.DataFrame:
        """Ages that are values no more than one above the oldest."""
        oldest = self.policy.oldest_age
        if oldest is None or not self.policy.age_codes:
            return events
        is_old = pl.col("code").is_in(self.policy.age_codes) & (pl.col("numeric_value") > oldest)
        return events.with_columns(
            numeric_value=pl.when(is_old).then(pl.lit(oldest + 1, pl.Float32)).otherwise("numeric_value"),
            sent_value=pl.when(~is_old.fill_null(value=False)).then("sent_value"),
        )

    def without_births(self, events: pl.DataFrame) -> pl.DataFrame:
        """The events that need not wait; births are held back where they do. Columns of EVENTS."""
        if self.policy.oldest_age is None:
            return events
        is_birth = pl.col("code") == BIRTH_CODE
        self._births.append(events.filter(is_birth))
        return events.filter(~is_birth)

    def births(self) -> pl.DataFrame:
        """The births that waited, once all else is read; columns of EVENTS.

        Whoever is older than the oldest age at the last record, or at the end of the last observation window,
        is born on 1 January of the year that makes the age there one more, but never after the first record:
        no event lies before a birth, and no age is negative. Of whom nothing else is known, the last record
        of all counts.
        """
        births = pl.concat([pl.DataFrame(schema=EVENTS), *self._births])
        if self.policy.oldest_age is None or not births.height:
            return births
        years = self.policy.oldest_age + 1
        told = births.join(self._extent, on="subject_id", how="left", maintain_order="left")
        told = told.with_columns(last=pl.col("last").fill_null(self._end(births)))
        is_old = pl.col("last") >= pl.col("time").dt.offset_by(f"{years}y")
        new_year = pl.datetime(pl.col("last").dt.year() - years, 1, 1, time_unit="us")
        told = told.with_columns(
            time=pl.when(is_old).then(pl.min_horizontal(new_year, "first")).otherwise("time")
        )
        known = pl.when(pl.col("known_time") > pl.col("time")).then("known_time")
        return told.with_columns(known_time=known).select(EVENTS.names())

    def _end(self, births: pl.DataFrame) -> object:
        """The last that is known of anybody."""
        return pl.concat([self._extent["last"], births["time"].cast(INSTANT)]).max()
