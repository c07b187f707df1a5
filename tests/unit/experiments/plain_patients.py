"""Patients of whom one value tells who is positive, and the smallest network that can learn it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import torch
from torch import Tensor, nn

from experiments.training_data import RowData, choose_rows
from phenotype.cases import ROWS, Cases
from phenotype.networks.config import NetworkConfig
from phenotype.networks.network import Design, Network
from phenotype.networks.targets import RowTargets
from phenotype.ranges import end_to_end
from phenotype.sequences import Ints, Sequences
from phenotype.trajectory import EVENTS, open_dataset
from phenotype.vocabulary import Vocabulary, fit_vocabulary

NOW = datetime(2020, 1, 3)


@dataclass(frozen=True)
class Patients:
    """Half to train, a quarter to tune, a quarter held out; LAB//SIGNAL tells who is positive."""

    path: Path
    labels: npt.NDArray[np.bool_]

    def part(self, first: int, last: int) -> tuple[Cases, npt.NDArray[np.bool_]]:
        rows = pl.DataFrame([(s, NOW, None) for s in range(first, last)], schema=ROWS, orient="row")
        return Cases(open_dataset(self.path), rows), self.labels[first:last]

    def parts(self) -> tuple[Cases, npt.NDArray[np.bool_], Cases, npt.NDArray[np.bool_]]:
        n = len(self.labels)
        return *self.part(0, n // 2), *self.part(n // 2, 3 * n // 4)

    def held_out(self) -> tuple[Cases, npt.NDArray[np.bool_]]:
        return self.part(3 * len(self.labels) // 4, len(self.labels))


def write_patients(path: Path, n: int = 400) -> Patients:
    """The same patients for the same number, wherever they are written."""
    draw = np.random.default_rng(7)
    signal_of = draw.normal(size=n)
    events = []
    for subject in range(n):
        events.append((subject, None, "SEX//male" if draw.random() < 0.5 else "SEX//female", None))
        for hours in sorted(draw.integers(1, 40, 6)):
            value = signal_of[subject] + 0.3 * draw.normal()
            events.append((subject, NOW - timedelta(hours=int(hours)), "LAB//SIGNAL", value))
            events.append((subject, NOW - timedelta(hours=int(hours)), "LAB//NOISE", draw.normal()))
    names = {
        "subject_id": pl.Int64,
        "time": pl.Datetime("us"),
        "code": pl.String,
        "numeric_value": pl.Float32,
    }
    frame = pl.DataFrame(events, schema=names, orient="row")
    absent = [pl.lit(None, dtype).alias(name) for name, dtype in EVENTS.items() if name not in frame.columns]
    (path / "data").mkdir(parents=True, exist_ok=True)
    frame.with_columns(absent).select(EVENTS.names()).write_parquet(path / "data" / "0.parquet")
    return Patients(path, signal_of + 0.3 * draw.normal(size=n) > 0.5)


class PlainConfig(NetworkConfig):
    """Means of embedded codes and values, one hidden layer, dropout."""

    kind: str = "plain"
    dropout: float = 0.3
    learning_rate: float = 1e-2
    batch_positions: int = 512
    max_epochs: int = 4
    min_subjects: int = 5


class PlainBatch(NamedTuple):
    row: Tensor
    place: Tensor
    token: Tensor
    value: Tensor


class PlainNetwork(Network):
    """Shapes: R rows, E events, H hidden."""

    def __init__(self, config: PlainConfig, n_tokens: int) -> None:
        super().__init__()
        self.codes = nn.Embedding(n_tokens + 1, 8)
        self.slopes = nn.Embedding(n_tokens + 1, 8)
        self.hidden = nn.Linear(8, 8)
        self.drop = nn.Dropout(config.dropout)
        self.head = nn.Linear(8, 1)

    def forward(self, batch: PlainBatch) -> Tensor:
        each = self.codes(batch.token) + self.slopes(batch.token) * batch.value[:, None]
        total = torch.zeros(len(batch.row), 8).index_add(0, batch.place, each)
        count = torch.zeros(len(batch.row)).index_add(0, batch.place, torch.ones(len(batch.place)))
        return self.head(self.drop(torch.relu(self.hidden(total / (1 + count[:, None])))))

    def start_from(self, prevalence: float, horizon_hours: float | None = None) -> None:
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, float(np.log(prevalence / (1 - prevalence))))


def make_batch(
    sequences: Sequences, units: Ints, config: PlainConfig, keep: npt.NDArray[np.bool_] | None
) -> PlainBatch:
    n_events = sequences.n_events()[units]
    place = np.repeat(np.arange(len(units)), n_events)
    event = end_to_end(sequences.static_start[units], n_events)
    if keep is not None:
        place, event = place[keep], event[keep]
    return PlainBatch(
        torch.from_numpy(sequences.first_row[units]),
        torch.from_numpy(place),
        torch.from_numpy(sequences.token[event].astype(np.int64)),
        torch.from_numpy(sequences.value[event]),
    )


def make_network(config: PlainConfig, vocabulary: Vocabulary) -> PlainNetwork:
    return PlainNetwork(config, vocabulary.tokens.height)


def lengths(sequences: Sequences, config: PlainConfig) -> Ints:
    return sequences.n_events()


DESIGN = Design(make_network, make_batch, lengths)


def plain_data(patients: Patients, config: NetworkConfig, seed: int = 1) -> tuple[RowData, Vocabulary]:
    """What a training of the plain network reads."""
    train, train_labels, tuning, tuning_labels = patients.parts()
    vocabulary = fit_vocabulary(train.events(), config.min_subjects, config.n_bins)
    learnt = choose_rows(train, RowTargets.of_labels(train_labels), vocabulary, config, seed)
    judged = choose_rows(tuning, RowTargets.of_labels(tuning_labels), vocabulary, config, seed)
    return RowData(learnt, judged, DESIGN, config, seed), vocabulary
