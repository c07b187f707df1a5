"""Rows of a task as batches of an epoch; order and event dropout follow from seed, epoch and batch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import sha256

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from phenotype.cases import Cases
from phenotype.networks.batches import SequenceBatch, bucketed, make_batch
from phenotype.networks.config import TransformerConfig
from phenotype.sequences import Ints, Sequences, make_sequences
from phenotype.vocabulary import Vocabulary

Labels = npt.NDArray[np.bool_]
Labelled = tuple[SequenceBatch, Tensor]
_TRAIN, _TUNING = 0, 1


@dataclass(frozen=True)
class LabelledRows:
    """Sequences of some rows and what came of them.

    Attributes:
        sequences: n rows.
        labels: (n,).
    """

    sequences: Sequences
    labels: Labels

    def digest(self) -> str:
        """The sha256 of all arrays."""
        total = sha256(self.labels.tobytes())
        for field in fields(self.sequences):
            total.update(np.asarray(getattr(self.sequences, field.name)).tobytes())
        return total.hexdigest()


def choose_rows(
    cases: Cases, labels: Labels, vocabulary: Vocabulary, config: TransformerConfig, seed: int
) -> LabelledRows:
    """At most config.max_rows_per_subject rows of each patient, drawn by the seed, as sequences."""
    subjects = cases.rows["subject_id"].to_numpy()
    drawn = np.random.default_rng(seed).random(len(subjects))
    order = np.lexsort((drawn, subjects))
    is_first = np.concatenate([[True], subjects[order][1:] != subjects[order][:-1]])
    start = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    kept = np.sort(order[np.arange(len(order)) - start < config.max_rows_per_subject])
    chosen = Cases(cases.dataset, cases.rows[kept])
    return LabelledRows(make_sequences(chosen, vocabulary, config), labels[kept])


class BatchesOfOneEpoch(Dataset[Labelled]):
    """Batches by number; each is built when it is asked for and depends on nothing but its numbers."""

    def __init__(
        self,
        rows: LabelledRows,
        config: TransformerConfig,
        batches: list[Ints],
        seeds: tuple[int, ...] | None,
    ) -> None:
        self.rows, self.config, self.batches, self.seeds = rows, config, batches, seeds

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> Labelled:
        rows = self.batches[number]
        keep = None
        if self.seeds is not None:
            keep = _drop_events(
                self.rows.sequences, rows, self.config, np.random.default_rng([*self.seeds, number])
            )
        batch = make_batch(self.rows.sequences, rows, self.config.position, keep)
        return batch, torch.from_numpy(self.rows.labels[rows].astype(np.float32))


def _drop_events(
    sequences: Sequences, rows: Ints, config: TransformerConfig, generator: np.random.Generator
) -> npt.NDArray[np.bool_] | None:
    """Events kept in one training batch: all, or single events or whole codes at random."""
    if generator.random() >= config.event_dropout:
        return None
    n_events = sequences.n_events()[rows]
    share = np.repeat(generator.random(len(rows)), n_events)
    if generator.random() < 0.5:
        return generator.random(len(share)) < share
    owner = np.repeat(np.arange(len(rows)), n_events)
    event = np.arange(len(owner)) + np.repeat(
        sequences.static_start[rows] - np.cumsum(n_events) + n_events, n_events
    )
    return generator.random((len(rows), len(sequences.codes)))[owner, sequences.code[event]] < share


class RowData(lightning.LightningDataModule):
    """Training and tuning batches; the order of an epoch follows from the seed and the epoch's number.

    Args:
        train: training rows.
        tuning: rows that decide when to stop.
        config: the settings.
        seed: of the order and the event dropout.
    """

    def __init__(
        self, train: LabelledRows, tuning: LabelledRows, config: TransformerConfig, seed: int
    ) -> None:
        super().__init__()
        self.train, self.tuning, self.config, self.seed = train, tuning, config, seed

    @property
    def n_steps(self) -> int:
        """Optimisation steps of all epochs, as many in each as in the first."""
        return self.config.max_epochs * len(self._train_batches(0))

    @property
    def prevalence(self) -> float:
        """Share of positive training rows."""
        return float(self.train.labels.mean())

    def train_dataloader(self) -> DataLoader[Labelled]:
        """The batches of the trainer's current epoch."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        seeds = (self.seed, epoch)
        return _loader(BatchesOfOneEpoch(self.train, self.config, self._train_batches(epoch), seeds))

    def val_dataloader(self) -> DataLoader[Labelled]:
        """The tuning rows, nothing dropped."""
        batches = bucketed(self.tuning.sequences.n_positions(), self.config.batch_positions)
        return _loader(BatchesOfOneEpoch(self.tuning, self.config, batches, None))

    def _train_batches(self, epoch: int) -> list[Ints]:
        generator = np.random.default_rng([self.seed, epoch])
        return bucketed(self.train.sequences.n_positions(), self.config.batch_positions, generator)

    def digest(self, vocabulary: Vocabulary) -> str:
        """A name for this training: rows, labels, settings and seed; equal names mean equal weights."""
        total = sha256(self.config.model_dump_json().encode() + str(self.seed).encode())
        total.update(vocabulary.tokens.write_json().encode())
        total.update(self.train.digest().encode() + self.tuning.digest().encode())
        return total.hexdigest()[:16]


def _loader(batches: BatchesOfOneEpoch) -> DataLoader[Labelled]:
    return DataLoader(batches, batch_size=None, shuffle=False, num_workers=0)
