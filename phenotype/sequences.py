"""Trajectories -> sequences: what a network may read for each prediction row, as flat arrays and ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.context import n_time_points, row_windows, whole_windows
from phenotype.ranges import Ints
from phenotype.tokens import NEVER, TokenisedEvents, Tokens, reading_digest, tokens_of

if TYPE_CHECKING:
    from phenotype.cases import Cases
    from phenotype.networks.config import NetworkConfig
    from phenotype.vocabulary import Vocabulary

MICROSECONDS_PER_YEAR = 365.25 * 24 * 3600 * 1e6
_Scalar = TypeVar("_Scalar", bound=np.generic)
__all__ = ["Ints", "Sequences", "make_sequences", "readable_events", "windows", "without"]


@dataclass(frozen=True)
class Sequences(TokenisedEvents):
    """Events of many subjects, and which of them each unit and each prediction row reads.

    A unit is what is read in one pass: `[static_start, older_start)` as static facts, `[older_start,
    recent_start)` as counts, and `[recent_start, end)` one position after another. It answers the prediction
    rows `first_row[unit]` to `first_row[unit + 1] - 1`, which have its static facts and its window's
    beginning in common; a row sees events with numbers below its row_end.

    Attributes:
        static_start, older_start, recent_start: (U,) int64.
        end: (U,) int64, the row_end of the unit's last row.
        n_time_points: (U,) int64, in each unit's `[recent_start, end)`.
        first_row: (U + 1,) int64.
        row_end: (n,) int64; the events of the row's subject before it were known at the prediction time.
        prediction: (n,) int64 microseconds.
        age_event: (n,) the event that tells the age, -1 where none does; the same for all rows of a subject.
        born: (n,) int64 microseconds of the birth, the smallest int64 where none is recorded.
        age: (n,) float64 years at the prediction time, NaN where unknown.
    """

    static_start: Ints
    older_start: Ints
    recent_start: Ints
    end: Ints
    n_time_points: Ints
    first_row: Ints
    row_end: Ints
    prediction: Ints
    age_event: Ints
    born: Ints
    age: npt.NDArray[np.float64]

    @property
    def n_units(self) -> int:
        """How many units there are."""
        return len(self.end)

    @property
    def n_rows(self) -> int:
        """How many prediction rows there are."""
        return len(self.prediction)

    def n_events(self) -> Ints:
        """Events that each unit may read, (U,)."""
        return self.end - self.static_start

    def unit_of_row(self) -> Ints:
        """The unit that answers each row, (n,)."""
        return np.repeat(np.arange(self.n_units), np.diff(self.first_row))


def make_sequences(
    cases: Cases,
    vocabulary: Vocabulary,
    config: NetworkConfig,
    *,
    alone: bool = False,
    store: Tokens | None = None,
) -> Sequences:
    """What the network may read for every row of `cases`, in their order.

    An event counts if it was known at or before the prediction time; the birth and undated facts are static.
    Rows and shards in any order give the same sequences. `phenotype.context` says which last positions of a
    history are read one by one.

    Args:
        cases: the rows, sorted by subject and prediction time.
        vocabulary: what can be read.
        config: what is read, and whether the rows of a window are answered in one pass (reading).
        alone: every row is a unit of its own, whatever config.reading says.
        store: the subjects' tokens, made before with this vocabulary, exclude and value_limit; None: they are
            made. Subjects that it lacks have no events.

    Raises:
        ConfigurationError: the store was made with another vocabulary or other settings.

    **Source:** DESIGN, "Predictors use known_time <= prediction_time".
    """
    if store is not None and store.made_with != reading_digest(vocabulary, config):
        raise _other_store()
    tokens = store or tokens_of(
        readable_events(cases, config).collect(engine="in-memory"), vocabulary, config
    )
    prediction = cases.rows["prediction_time"].cast(pl.Datetime("us")).cast(pl.Int64).to_numpy()
    subjects = cases.rows["subject_id"].to_numpy()
    place = np.searchsorted(tokens.subject, subjects)
    is_found = np.zeros(len(subjects), dtype=bool)
    inside = place < len(tokens.subject)
    is_found[inside] = tokens.subject[place[inside]] == subjects[inside]
    return _of_rows(tokens, np.where(is_found, place, -1), subjects, prediction, config, alone=alone)


def windows(store: Tokens, config: NetworkConfig) -> Sequences:
    """Whole trajectories, cut into windows of at most max_positions positions, one after the other.

    Each dated event stands in one window as a position; what lies before the window is counted. Each window
    is a unit with one row, at the time of its last position. Simultaneous events are never parted: a window
    then begins a little earlier. Subjects without dated events have none.
    """
    owner, begin, end, last = whole_windows(store, config)
    return _sequences(store, owner, (begin, end), last, np.arange(len(owner) + 1))


def readable_events(cases: Cases, config: NetworkConfig) -> pl.LazyFrame:
    """The events of these subjects that a network with this configuration may be shown."""
    return without(cases.events(), config.exclude)


def without(events: pl.LazyFrame, prefixes: tuple[str, ...]) -> pl.LazyFrame:
    """The events whose codes begin with none of these."""
    for prefix in prefixes:
        events = events.filter(~pl.col("code").str.starts_with(prefix))
    return events


def _other_store() -> ConfigurationError:
    return ConfigurationError(
        Problem(
            "the store of tokens was made for another vocabulary, or for other settings",
            where="exclude, value_limit",
            found="another digest",
            allowed="a store made with the vocabulary and the settings of this network",
            next_step="tokenise the dataset again with them",
        )
    )


def _of_rows(
    tokens: Tokens, place: Ints, subjects: Ints, prediction: Ints, config: NetworkConfig, *, alone: bool
) -> Sequences:
    """The sequences of prediction rows; place: (n,) their subjects' places in tokens, -1 for none."""
    dated, stop = (_of_subject(part, place, 0) for part in (tokens.dated_start, tokens.stop))
    begin, row_end = row_windows(tokens, dated, stop, prediction, config)
    opens = np.ones(len(place), dtype=bool)
    if config.reading == "shared" and not alone:
        opens[1:] = (subjects[1:] != subjects[:-1]) | (begin[1:] != begin[:-1])
    first_row = np.append(np.flatnonzero(opens), len(place))
    return _sequences(tokens, place, (begin, row_end), prediction, first_row)


def _sequences(
    tokens: Tokens, place: Ints, window: tuple[Ints, Ints], prediction: Ints, first_row: Ints
) -> Sequences:
    """Rows with their windows' begin and end as units."""
    begin, row_end = window
    opening, end = first_row[:-1], row_end[first_row[1:] - 1]
    born = _of_subject(tokens.born, place, int(NEVER))
    years = _of_subject(tokens.years, place, np.nan)
    has_birth = born != NEVER
    from_birth = (prediction - np.where(has_birth, born, prediction)) / MICROSECONDS_PER_YEAR
    age = np.where(has_birth, np.where(from_birth >= 0, from_birth, np.nan), years)
    return Sequences(
        **tokens.events(),
        static_start=_of_subject(tokens.start, place, 0)[opening],
        older_start=_of_subject(tokens.dated_start, place, 0)[opening],
        recent_start=begin[opening],
        end=end,
        n_time_points=n_time_points(tokens, begin[opening], end),
        first_row=first_row,
        row_end=row_end,
        prediction=prediction,
        age_event=_of_subject(tokens.age_event, place, -1),
        born=born,
        age=age,
    )


def _of_subject(values: npt.NDArray[_Scalar], place: Ints, absent: float) -> npt.NDArray[_Scalar]:
    """The value of each row's subject, or what stands for a subject without events."""
    if not len(values):
        return np.full(len(place), absent, dtype=values.dtype)
    return np.where(place >= 0, values[place], np.asarray(absent, dtype=values.dtype))
