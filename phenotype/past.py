"""A dataset as it was known at an instant: what became known later is not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from phenotype.trajectory import Dataset, known_time


@dataclass(frozen=True)
class PastDataset(Dataset):
    """The records of a dataset before an instant, read from the same folder.

    A contact that had not ended then has no end and goes nowhere; a window that reached past it ends there.

    Attributes:
        known_before: facts that became known then or later are left out; static ones stay.
    """

    known_before: datetime

    @property
    def view(self) -> str:
        """Names the instant: what is made of this dataset differs from what is made of all of it."""
        return self.known_before.isoformat()

    def events(self, shard: Path | None = None) -> pl.LazyFrame:
        """The events that were known, with the columns of EVENTS."""
        known = known_time()
        return super().events(shard).filter(known.is_null() | (known < self.known_before))

    def contacts(self) -> pl.DataFrame:
        """The contacts that had begun; columns of CONTACTS."""
        start, has_ended = pl.col("start_time"), pl.col("end_time") < self.known_before
        begun = super().contacts().filter(start.is_null() | (start < self.known_before))
        return begun.with_columns(
            pl.when(pl.col("end_time").is_null() | has_ended).then(name).alias(name)
            for name in ("end_time", "discharged_to")
        )

    def codings(self) -> pl.DataFrame:
        """The codings with a time before the instant; columns of CODINGS."""
        return super().codings().filter(pl.col("coded_time") < self.known_before)

    def observation(self) -> pl.DataFrame:
        """The windows of observation until then; columns of OBSERVATION."""
        is_over = pl.col("end_time") < self.known_before
        begun = super().observation().filter(pl.col("start_time") < self.known_before)
        return begun.with_columns(
            end_time=pl.when(is_over)
            .then("end_time")
            .otherwise(pl.lit(self.known_before, pl.Datetime("us"))),
            end_reason=pl.when(is_over).then("end_reason"),
        )


def before(dataset: Dataset, instant: datetime) -> PastDataset:
    """The dataset as it was known at an instant, or at the earlier one that it was known at already."""
    known = dataset.known_before if isinstance(dataset, PastDataset) else instant
    return PastDataset(dataset.path, min(known, instant))


def later_of(one: Dataset, other: Dataset) -> Dataset:
    """Of two views of one dataset the one that shows more."""
    if isinstance(one, PastDataset) and isinstance(other, PastDataset):
        return max(one, other, key=lambda past: past.known_before)
    return other if isinstance(one, PastDataset) else one
