"""Trajectories -> sequences: what a network may read for each prediction row, as flat arrays and ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.trajectory import BIRTH_CODE, EVENT_ORDER, known_time

if TYPE_CHECKING:
    from phenotype.cases import Cases
    from phenotype.networks.config import TransformerConfig
    from phenotype.vocabulary import Vocabulary

AGE_CODE = "AGE"
_NEVER = np.int64(np.iinfo(np.int64).min)
_MICROSECONDS_PER_YEAR = 365.25 * 24 * 3600 * 1e6

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sequences:
    """Events of many subjects, laid end to end, and which of them each prediction row may read.

    Events of a subject stand static facts first, then by the time at which they became known. A row reads
    `[static_start, older_start)` as static facts, `[older_start, recent_start)` as counts, and
    `[recent_start, end)` one position after another.

    Attributes:
        token, value_bin: (E,) int32 ids; bin 0 is no value.
        value: (E,) float32 robust z-score, 0 where there is no value.
        known: (E,) int64 microseconds, the smallest int64 for static facts.
        code: (E,) int32 number in `codes`.
        codes: the events' own codes, sorted.
        prediction: (n,) int64 microseconds.
        age_event: (n,) the event that tells the age, -1 where none does.
        age: (n,) float64 years at the prediction time, NaN where unknown.
    """

    token: npt.NDArray[np.int32]
    value_bin: npt.NDArray[np.int32]
    value: npt.NDArray[np.float32]
    known: Ints
    code: npt.NDArray[np.int32]
    codes: list[str]
    static_start: Ints
    older_start: Ints
    recent_start: Ints
    end: Ints
    prediction: Ints
    age_event: Ints
    age: npt.NDArray[np.float64]

    @property
    def n_rows(self) -> int:
        """How many prediction rows there are."""
        return len(self.prediction)

    def n_events(self) -> Ints:
        """Events that each row may read, (n,)."""
        return self.end - self.static_start

    def n_positions(self, rows: Ints | None = None) -> Ints:
        """An upper bound of the positions that each row (or each of these) takes, the read-out included."""
        chosen = np.arange(self.n_rows) if rows is None else rows
        marks = np.concatenate([[0], np.cumsum(self._is_new_time)])
        return np.asarray(marks[self.end[chosen]] - marks[self.recent_start[chosen]] + 3, dtype=np.int64)

    @property
    def _is_new_time(self) -> npt.NDArray[np.bool_]:
        return (
            np.concatenate([[True], self.known[1:] != self.known[:-1]])
            if len(self.known)
            else np.zeros(0, bool)
        )


def make_sequences(cases: Cases, vocabulary: Vocabulary, config: TransformerConfig) -> Sequences:
    """What the network may read for every row of `cases`, in their order.

    An event counts if it was known at or before the prediction time; the birth and undated facts are static.
    Rows and shards in any order give the same sequences.

    **Source:** DESIGN, "Predictors use known_time <= prediction_time".
    """
    events = vocabulary.encode(readable_events(cases, config).collect(engine="in-memory"))
    events = events.with_columns(_known_or_static()).sort(
        "subject_id", "_known", *EVENT_ORDER[1:], nulls_last=False, maintain_order=True
    )
    codes = events["code"].unique().sort()
    token = events["token"].to_numpy()
    reads_value = events["reads_value"].to_numpy()
    values = events["numeric_value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    bins, scores = vocabulary.read_values(token, np.where(reads_value, values, np.nan))
    known = events["_known"].cast(pl.Int64).fill_null(int(_NEVER)).to_numpy().copy()
    subjects = events["subject_id"].to_numpy()
    prediction = cases.rows["prediction_time"].cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    ranges = _row_ranges(subjects, known, cases.rows["subject_id"].to_numpy(), prediction, config)
    age_event, age = _ages(events, values, ranges[0], ranges[1], prediction)
    return Sequences(
        token=token,
        value_bin=bins,
        value=scores,
        known=known,
        code=events["code"].replace_strict(codes, np.arange(len(codes)), return_dtype=pl.Int32).to_numpy(),
        codes=codes.to_list(),
        static_start=ranges[0],
        older_start=ranges[1],
        recent_start=ranges[2],
        end=ranges[3],
        prediction=prediction,
        age_event=age_event,
        age=age,
    )


def readable_events(cases: Cases, config: TransformerConfig) -> pl.LazyFrame:
    """The events of these subjects that a network with this configuration may be shown."""
    events = cases.events()
    for prefix in config.exclude:
        events = events.filter(~pl.col("code").str.starts_with(prefix))
    return events


def _known_or_static() -> pl.Expr:
    """When an event became known; null for undated facts and for the birth, which is always known."""
    return pl.when(pl.col("code") != BIRTH_CODE).then(known_time()).alias("_known")


def _row_ranges(
    subjects: Ints, known: Ints, row_subjects: Ints, prediction: Ints, config: TransformerConfig
) -> tuple[Ints, Ints, Ints, Ints]:
    """static_start, older_start, recent_start and end of each row."""
    new_subject = (
        np.concatenate([[True], subjects[1:] != subjects[:-1]]) if len(subjects) else np.zeros(0, bool)
    )
    first = np.flatnonzero(new_subject)
    last = np.append(first[1:], len(subjects))[: len(first)]
    owners = subjects[first]
    starts, olders, recents, ends = (np.zeros(len(prediction), dtype=np.int64) for _ in range(4))
    row_first = np.searchsorted(row_subjects, owners, side="left")
    row_last = np.searchsorted(row_subjects, owners, side="right")
    for start, stop, begin, until in zip(first, last, row_first, row_last, strict=True):
        if begin == until:
            continue
        times = known[start:stop]
        n_static = np.searchsorted(times, _NEVER, side="right")
        end = np.maximum(np.searchsorted(times, prediction[begin:until], side="right"), n_static)
        starts[begin:until] = start
        olders[begin:until] = start + n_static
        recents[begin:until] = start + _recent_starts(times, int(n_static), end, config)
        ends[begin:until] = start + end
    return starts, olders, recents, ends


def _recent_starts(times: Ints, n_static: int, end: Ints, config: TransformerConfig) -> Ints:
    """Where the last max_positions positions before each end begin, never between simultaneous events."""
    dated = times[n_static:]
    if not len(dated):
        return end
    number = np.cumsum(np.concatenate([[0], (dated[1:] != dated[:-1]).astype(np.int64)]))
    last = np.maximum(end - n_static - 1, 0)
    if config.position == "time_point":
        begin = np.searchsorted(number, number[last] - config.max_positions + 1, side="left")
    else:
        wanted = np.maximum(last + 1 - config.max_positions, 0)
        begin = np.searchsorted(number, number[wanted], side="left")
        after = np.searchsorted(number, number[wanted], side="right")
        begin = np.where((begin < wanted) & (after <= last), after, begin)
    return np.where(end <= n_static, end, n_static + begin)


def _ages(
    events: pl.DataFrame, values: npt.NDArray[np.float64], starts: Ints, olders: Ints, prediction: Ints
) -> tuple[Ints, npt.NDArray[np.float64]]:
    """The static event that tells the age of each row (a birth before an age in years), and the age."""
    is_birth = (events["code"] == BIRTH_CODE).to_numpy()
    is_age = (events["code"] == AGE_CODE).to_numpy() & np.isfinite(values)
    born = events["time"].cast(pl.Int64).fill_null(int(_NEVER)).to_numpy()
    number = np.arange(len(born))
    last_birth = np.maximum.accumulate(np.where(is_birth, number, -1)) if len(born) else number
    last_age = np.maximum.accumulate(np.where(is_age, number, -1)) if len(born) else number
    event = np.full(len(prediction), -1, dtype=np.int64)
    age = np.full(len(prediction), np.nan)
    has_static = np.flatnonzero(olders > starts)
    birth, years = last_birth[olders[has_static] - 1], last_age[olders[has_static] - 1]
    birth = np.where((birth >= starts[has_static]) & (born[birth] <= prediction[has_static]), birth, -1)
    years = np.where(years >= starts[has_static], years, -1)
    event[has_static] = np.where(birth >= 0, birth, years)
    from_birth = (prediction[has_static] - born[birth]) / _MICROSECONDS_PER_YEAR
    age[has_static] = np.where(birth >= 0, from_birth, np.where(years >= 0, values[years], np.nan))
    return event, age
