"""Whole trajectories for pretraining: who is read, at which times, and what came next.

R read-outs, U units (windows), P subjects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import polars as pl

from experiments.pretraining_config import PretrainingConfig, ReadOutsConfig
from experiments.split_files import read_split_files
from experiments.splits import check_calendar
from experiments.training_steps import Floats
from ontology.errors import Problem, TaskError
from phenotype.cases import ROWS, Cases
from phenotype.networks.marked_hazards import NextEvents
from phenotype.networks.population_network import as_tensors
from phenotype.next_events import Next, Tracked, next_of_rows
from phenotype.past import before
from phenotype.ranges import Ints
from phenotype.sequences import Sequences, make_sequences
from phenotype.token_store import TokenStore
from phenotype.tokens import Tokens
from phenotype.trajectory import NOT_PREDICTORS, Dataset
from phenotype.vocabulary import Vocabulary

MICROSECONDS_PER_HOUR = 3.6e9
_SHORTEST_LAG_HOURS = 0.1


@dataclass(frozen=True)
class TrajectoryRows:
    """Read-outs of whole trajectories and what came next: what a network is pretrained on.

    Attributes:
        sequences: of the R read-outs.
        store: whole records of P subjects, later events included.
        tracked: the concepts that are foretold.
        place: (R,) number of each read-out's subject in store.subject.
        ends: (P,) microseconds until which each record is known.
    """

    sequences: Sequences
    store: TokenStore
    tracked: Tracked
    place: Ints
    ends: Ints

    def unit_weights(self) -> Floats:
        """How many read-outs each unit has, (U,)."""
        return np.diff(self.sequences.first_row).astype(np.float64)

    @property
    def targets(self) -> TrajectoryRows:
        """Itself: what came next is found when it is asked for."""
        return self

    def tensors(self, rows: Ints) -> NextEvents:
        """What came next after some read-outs, in their order."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        found = next_of_rows(
            self.store, self.tracked, self.place[ascending], self.sequences.prediction[ascending], self.ends
        )
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return as_tensors(
            Next(found.hours[back], found.is_seen[back], found.mark_hours[back], found.mark[back])
        )

    def digest(self) -> str:
        """The sha256 of what is read, when, and what is foretold."""
        total = sha256("\n".join([self.store.digest, *self.tracked.concepts]).encode())
        sequences = self.sequences
        for part in (
            sequences.prediction,
            sequences.first_row,
            sequences.recent_start,
            self.place,
            self.ends,
        ):
            total.update(np.ascontiguousarray(part).data)
        return total.hexdigest()


@dataclass(frozen=True)
class Seen:
    """Whose records pretraining looks at.

    Attributes:
        train: subject ids, ascending.
        tuning: subject ids that decide when to stop, ascending.
    """

    train: pl.Series
    tuning: pl.Series

    @cached_property
    def subjects(self) -> pl.Series:
        """All of them, ascending."""
        return pl.concat([self.train, self.tuning]).sort()


def readable_dataset(dataset: Dataset, config: PretrainingConfig) -> Dataset:
    """The dataset as a pretraining may read it.

    Raises:
        ConfigurationError: it ends at an instant, and the dataset's dates are none of the calendar.
    """
    if config.known_before is None:
        return dataset
    check_calendar(dataset, "known_before; metadata/dataset.json", "leave known_before out")
    return before(dataset, config.known_before)


def seen_subjects(dataset: Dataset, config: PretrainingConfig) -> Seen:
    """The subjects of a dataset that a pretraining may look at, parted by the seed.

    Raises:
        TaskError: too few are left.
    """
    subjects = dataset.events().select("subject_id").unique().collect()["subject_id"].sort()
    if config.leave_out is not None:
        named = read_split_files([config.leave_out])
        left_out = named.filter(pl.col("split") == "held_out")["subject_id"].unique()
        subjects = subjects.filter(~subjects.is_in(left_out.implode()))
    n_tuning = round(config.tuning_fraction * len(subjects))
    if n_tuning < 1 or n_tuning >= len(subjects):
        raise TaskError(
            Problem(
                "too few subjects to pretrain on",
                where="leave_out" if config.leave_out else "dataset",
                found=f"{len(subjects)} subjects, {n_tuning} of them to tune",
                allowed="at least one of each kind",
                next_step="use more data, or hold out fewer subjects",
            )
        )
    drawn = np.random.default_rng([config.seed, 1]).permutation(len(subjects))
    return Seen(subjects[np.sort(drawn[n_tuning:])], subjects[np.sort(drawn[:n_tuning])])


def records_of(dataset: Dataset, subjects: pl.Series) -> pl.LazyFrame:
    """All events of some subjects but answers (NOT_PREDICTORS)."""
    answers = pl.any_horizontal([pl.col("code").str.starts_with(prefix) for prefix in NOT_PREDICTORS])
    wanted = pl.DataFrame({"subject_id": subjects}).lazy()
    return dataset.events().filter(~answers).join(wanted, on="subject_id", how="semi")


def record_spans(dataset: Dataset, tokens: Tokens) -> tuple[Ints, Ints]:
    """Since when and until when each subject's record is known, microseconds, (P,) each.

    The hull of the subject's observation windows; where there are none, from the first to the last event.
    """
    hull = (
        dataset.observation()
        .group_by("subject_id")
        .agg(pl.col("start_time").min().cast(pl.Int64), pl.col("end_time").max().cast(pl.Int64))
    )
    told = pl.DataFrame({"subject_id": tokens.subject}).join(
        hull, on="subject_id", how="left", maintain_order="left"
    )
    is_dated = tokens.stop > tokens.dated_start
    first = np.where(is_dated, tokens.known[np.where(is_dated, tokens.dated_start, 0)], 0)
    last = np.where(is_dated, tokens.known[np.where(is_dated, tokens.stop - 1, 0)], 0)
    starts = told["start_time"].fill_null(pl.Series(first)).to_numpy()
    ends = told["end_time"].fill_null(pl.Series(last)).to_numpy()
    return starts.astype(np.int64), ends.astype(np.int64)


def draw_read_outs(
    tokens: Tokens, spans: tuple[Ints, Ints], config: ReadOutsConfig, generator: np.random.Generator
) -> tuple[Ints, Ints]:
    """Times at which the network is asked, within the records: the subject's place and microseconds, (R,).

    Each time at which something became known is drawn with the same chance, whatever comes later, and some
    of the drawn ones are moved on by a while that is drawn beforehand: no time is chosen for what follows.
    """
    is_new = np.asarray(tokens.step) >= 0
    is_new[1:] &= np.diff(tokens.step) != 0
    is_new[tokens.dated_start[tokens.stop > tokens.dated_start]] = True
    opens = np.flatnonzero(is_new)
    lying = np.argsort(tokens.stop, kind="stable")
    owner = lying[np.searchsorted(tokens.stop[lying], opens, side="right")]
    is_drawn = generator.random(len(opens)) < config.share
    owner, time = owner[is_drawn], tokens.known[opens[is_drawn]]
    spread = np.log(config.longest_lag_hours / _SHORTEST_LAG_HOURS)
    lag_hours = _SHORTEST_LAG_HOURS * np.exp(spread * generator.random(len(time)))
    is_lagged = generator.random(len(time)) < config.lagged
    time = time + np.where(is_lagged, lag_hours * MICROSECONDS_PER_HOUR, 0).astype(np.int64)
    starts, ends = spans
    inside = (time >= starts[owner]) & (time < ends[owner])
    pairs = np.unique(np.stack([owner[inside], time[inside]], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def make_rows(  # noqa: PLR0917 what is read, how, and by which chance
    dataset: Dataset,
    tokens: TokenStore,
    vocabulary: Vocabulary,
    tracked: Tracked,
    config: PretrainingConfig,
    generator: np.random.Generator,
) -> TrajectoryRows:
    """Read-outs of the subjects of `tokens`, drawn by the generator.

    Raises:
        TaskError: no time of any record could be drawn.
    """
    spans = record_spans(dataset, tokens)
    place, time = draw_read_outs(tokens, spans, config.read_outs, generator)
    if not len(place):
        raise TaskError(
            Problem(
                "no trajectory to pretrain on",
                where="read_outs.share",
                found=f"{len(tokens.subject)} subjects, none with a time inside its observation window",
                allowed="subjects with dated events inside their windows",
                next_step="check observation.parquet of the dataset, or draw more read-outs",
            )
        )
    rows = pl.DataFrame(
        {
            "subject_id": tokens.subject[place],
            "prediction_time": pl.Series(time).cast(pl.Datetime("us")),
            "contact_id": pl.Series([None] * len(place), dtype=pl.Int64),
        },
        schema=ROWS,
    )
    sequences = make_sequences(Cases(dataset, rows), vocabulary, config.network, store=tokens)
    return TrajectoryRows(sequences, tokens, tracked, place, spans[1])


def marginal_rates(
    rows: TrajectoryRows, edges: npt.NDArray[np.float64], n_rows: int, seed: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """What all patients together show at a sample of read-outs: where an untrained head begins.

    Args:
        rows: of training subjects.
        edges: (K,) hours at which intervals begin.
        n_rows: size of the sample.
        seed: of the sample.

    Returns:
        Events an hour at risk (C, K), shrunk a little to the concept's mean; counts of value bins (M, K, Q).
    """
    generator = np.random.default_rng(seed)
    n = min(n_rows, rows.sequences.n_rows)
    chosen = np.sort(generator.choice(rows.sequences.n_rows, n, replace=False))
    found = next_of_rows(
        rows.store, rows.tracked, rows.place[chosen], rows.sequences.prediction[chosen], rows.ends
    )
    lengths = np.append(np.diff(edges), np.inf)
    n_concepts, n_intervals = len(rows.tracked.concepts), len(edges)
    exposure = np.zeros((n_concepts, n_intervals))
    events = np.zeros((n_concepts, n_intervals))
    for k in range(n_intervals):
        exposure[:, k] = np.clip(found.hours - edges[k], 0, lengths[k]).sum(axis=0, dtype=np.float64)
        events[:, k] = (found.is_seen & (_interval(found.hours, edges) == k)).sum(axis=0)
    overall = (events.sum(axis=1) + 0.5) / (exposure.sum(axis=1) + 1.0)
    rates = (events + 0.5) / (exposure + 0.5 / overall[:, None])
    widest = int(rows.tracked.n_bins.max(initial=1))
    marks = np.zeros((len(rows.tracked.valued), n_intervals, widest))
    row, mark = np.nonzero(found.mark >= 0)
    np.add.at(marks, (mark, _interval(found.mark_hours, edges)[row, mark], found.mark[row, mark]), 1.0)
    return rates, marks


def _interval(hours: npt.NDArray[np.float32], edges: npt.NDArray[np.float64]) -> Ints:
    """The interval of each time; an event on an edge ends the interval before."""
    return np.asarray(np.maximum(np.searchsorted(edges, hours, side="left") - 1, 0), dtype=np.int64)
