"""The events that definitions ask for, read once from a dataset and handed out by code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ontology.valuesets.text import folded
from phenotype.definitions.care_spans import CareSpans
from phenotype.definitions.marks import Ints, as_stored, instants
from phenotype.event_order import in_event_order
from phenotype.trajectory import EVENTS, Dataset, known_time


@dataclass(frozen=True)
class CollectedEvents:
    """Dated events with some codes, by subject and time.

    Attributes:
        events: subject_id, time, code, value (Float64, null where not finite), known_time, unit, text
            (case folded, trimmed; null where none was asked for), stay_id, contact_id, event_id.
        by_code: the rows of each code, ascending.
    """

    events: pl.DataFrame
    by_code: dict[str, Ints]

    def rows(self, codes: Iterable[str]) -> Ints:
        """The numbers of the rows with any of these codes, ascending."""
        held = [self.by_code[code] for code in sorted(set(codes)) if code in self.by_code]
        return np.sort(np.concatenate(held)) if held else np.zeros(0, dtype=np.int64)


def dataset_codes(dataset: Dataset) -> list[str]:
    """The codes of a dataset's events, sorted."""
    return dataset.events().select("code").unique().collect()["code"].drop_nulls().sort().to_list()


def has_lineage(dataset: Dataset) -> bool:
    """Whether every event has a lineage_id, so that evidence can be named by it."""
    missing = dataset.events().select(pl.col("lineage_id").is_null().any()).collect()
    return not missing.item()


def numbered_events(dataset: Dataset) -> pl.LazyFrame:
    """The events with lineage_id, or, where a dataset has none, their position in the order of all events."""
    if has_lineage(dataset):
        return dataset.events()
    ordered = in_event_order(dataset.events().collect())
    position = pl.int_range(pl.len(), dtype=pl.Int64).alias("lineage_id")
    return ordered.with_columns(position).lazy().select(EVENTS.names())


def collect_events(
    events: pl.LazyFrame, codes: Sequence[str], with_text: Sequence[str], spans: CareSpans
) -> CollectedEvents:
    """The dated events with some codes.

    Args:
        events: columns of EVENTS.
        codes: the codes that are asked for.
        with_text: those of them whose text is.
        spans: the dataset's stays and contacts.
    """
    text = pl.when(pl.col("code").is_in(list(with_text))).then(folded(pl.col("text_value")))
    number = pl.col("numeric_value").cast(pl.Float64)
    found = (
        events.filter(pl.col("code").is_in(list(codes)) & pl.col("time").is_not_null())
        .select(
            "subject_id",
            "time",
            "code",
            pl.when(number.is_finite()).then(number).alias("value"),
            known_time().alias("known_time"),
            "unit",
            (text if with_text else pl.lit(None, pl.String)).alias("text"),
            "contact_id",
            pl.col("lineage_id").alias("event_id"),
        )
        .collect()
    )
    found = found[np.lexsort((instants(found, "time"), instants(found, "subject_id")))]
    stored = as_stored(found["value"].fill_null(float("nan")).to_numpy())
    belonging = spans.belonging(found)
    kept = found.with_columns(
        pl.Series("value", stored).fill_nan(None),
        belonging["stay_id"],
        belonging["contact_id"],
    )
    return CollectedEvents(kept, _rows_by_code(kept["code"]))


def _rows_by_code(codes: pl.Series) -> dict[str, Ints]:
    different = codes.unique().sort()
    places = pl.int_range(different.len(), eager=True, dtype=pl.Int64)
    number = codes.replace_strict(different, places, return_dtype=pl.Int64).to_numpy()
    order = np.argsort(number, kind="stable")
    ends = np.searchsorted(number[order], np.arange(1, different.len()))
    return dict(zip(different.to_list(), np.split(order, ends), strict=True)) if len(order) else {}
