"""Rows of a task as pieces of an epoch; order and event dropout follow from seed, epoch and batch.

R rows of a task, U units (what is read in one pass; a unit answers one row or more).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any, NamedTuple

import lightning
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from experiments.training_steps import Floats, Piece, count_steps, pieces_of_device, shared_out
from phenotype.cases import Cases
from phenotype.networks.batches import bucketed
from phenotype.networks.config import NetworkConfig
from phenotype.networks.network import Batch, Design, Targets
from phenotype.networks.targets import RowTargets
from phenotype.sequences import Ints, Sequences, make_sequences
from phenotype.threads import thread_count
from phenotype.token_store import TokenStore, open_store
from phenotype.tokens import EVENT_FIELDS
from phenotype.vocabulary import Vocabulary

Labels = npt.NDArray[np.bool_]
_MAX_LOADERS = 4
_NOT_OF_ONE_TRAINING = {"n_seeds", "other_fold_seeds", "devices", "strategy"}
"""Settings that change no network: a training may be taken up with other devices."""


@dataclass(frozen=True)
class TargetedRows:
    """Sequences of some rows and what came of them.

    Attributes:
        sequences: n rows.
        targets: of the same n rows.
        store: where the sequences' events lie on disk; None where they are held in memory.
    """

    sequences: Sequences
    targets: RowTargets
    store: TokenStore | None = None

    def unit_weights(self) -> Floats:
        """The summed weight of the rows that each unit answers, (U,)."""
        total = np.concatenate([[0.0], np.cumsum(self.targets.weight, dtype=np.float64)])
        return np.asarray(np.diff(total[self.sequences.first_row]))

    def digest(self) -> str:
        """The sha256 of all arrays; a store's events are known by the store's own digest."""
        total = sha256(self.store.digest.encode() if self.store else b"")
        for held in (self.targets, self.sequences):
            for field in fields(held):
                if self.store is None or held is self.targets or field.name not in EVENT_FIELDS:
                    total.update(field.name.encode())
                    total.update(_bytes(getattr(held, field.name)))
        return total.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        """For another process: the place of the store in place of its events."""
        if self.store is None:
            return {"sequences": self.sequences, "targets": self.targets, "store": None}
        nothing = {name: getattr(self.sequences, name)[:0] for name in EVENT_FIELDS}
        ranges = replace(self.sequences, **nothing)
        return {"sequences": ranges, "targets": self.targets, "store": self.store.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """The store opened again in this process."""
        if state["store"] is not None:
            store = open_store(state["store"])
            state = state | {"sequences": replace(state["sequences"], **store.events()), "store": store}
        for name, value in state.items():
            object.__setattr__(self, name, value)


def choose_rows(  # noqa: PLR0917 what is chosen from, and how
    cases: Cases,
    targets: RowTargets,
    vocabulary: Vocabulary,
    config: NetworkConfig,
    seed: int,
    store: TokenStore | None = None,
) -> TargetedRows:
    """At most config.max_rows_per_subject rows of each patient, drawn by the seed, as sequences.

    Args:
        cases: what is chosen from.
        targets: of the same rows.
        vocabulary: what can be read.
        config: the settings.
        seed: of the draw.
        store: the patients' tokens on disk; None: they are made now and held in memory.
    """
    kept = np.arange(cases.rows.height)
    if config.max_rows_per_subject is not None:
        kept = _drawn(cases.rows["subject_id"].to_numpy(), config.max_rows_per_subject, seed)
    chosen = Cases(cases.dataset, cases.rows[kept])
    sequences = make_sequences(chosen, vocabulary, config, store=store)
    return TargetedRows(sequences, targets.take(kept), store)


def _drawn(subjects: Ints, n: int, seed: int) -> Ints:
    """Numbers of at most n rows of each subject, ascending."""
    drawn = np.random.default_rng(seed).random(len(subjects))
    order = np.lexsort((drawn, subjects))
    is_first = np.concatenate([[True], subjects[order][1:] != subjects[order][:-1]])
    start = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
    return np.sort(order[np.arange(len(order)) - start < n])


class Labelled(NamedTuple):
    """A piece of work for one device.

    Attributes:
        batch: what the network reads.
        targets: of the rows that it answers.
        share: () float32, of the step's weight.
        number: (2,) int64: the micro-batch in its epoch, and the part.
    """

    batch: Batch
    targets: Targets
    share: Tensor
    number: Tensor


class PiecesOfOneEpoch(Dataset[Labelled]):
    """A device's pieces; each is built when it is asked for and depends on nothing but its numbers.

    Args:
        rows: what is learnt from.
        design: of the network.
        config: the settings.
        pieces: in order.
        seeds: of event dropout (seed, epoch); None: nothing is dropped.
    """

    def __init__(
        self,
        rows: TargetedRows,
        design: Design,
        config: NetworkConfig,
        pieces: list[Piece],
        seeds: tuple[int, ...] | None = None,
    ) -> None:
        self.rows, self.design, self.config, self.pieces, self.seeds = rows, design, config, pieces, seeds

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, place: int) -> Labelled:
        piece = self.pieces[place]
        keep = None
        if self.seeds is not None:
            generator = np.random.default_rng([*self.seeds, piece.number])
            keep = _drop_events(self.rows.sequences, piece, self.config, generator)
        batch = self.design.make_batch(self.rows.sequences, piece.units[piece.chosen], self.config, keep)
        share = torch.tensor(piece.share, dtype=torch.float32)
        number = torch.tensor([piece.number, piece.part])
        return Labelled(batch, self.rows.targets.tensors(batch.row.numpy()), share, number)


def _drop_events(
    sequences: Sequences, piece: Piece, config: NetworkConfig, generator: np.random.Generator
) -> npt.NDArray[np.bool_] | None:
    """Events kept of one piece: all, or single events or whole codes at random.

    Drawn for the whole micro-batch: its parts drop what the whole would have dropped.
    """
    if generator.random() >= config.event_dropout:
        return None
    units = piece.units
    n_events = sequences.n_events()[units]
    owner = np.repeat(np.arange(len(units)), n_events)
    share = generator.random(len(units))[owner]
    if generator.random() < 0.5:
        keep = generator.random(len(owner)) < share
    else:
        start = sequences.static_start[units] - np.cumsum(n_events) + n_events
        code = sequences.code[np.arange(len(owner)) + start[owner]]
        keep = generator.random((len(units), len(sequences.codes)))[owner, code] < share
    ends = np.cumsum(n_events)
    return np.concatenate([keep[ends[unit] - n_events[unit] : ends[unit]] for unit in piece.chosen])


class RowData(lightning.LightningDataModule):
    """Training and tuning batches; the order of an epoch follows from the seed and the epoch's number.

    Args:
        train: training rows.
        tuning: rows that decide when to stop.
        design: of the network.
        config: the settings.
        seed: of the order and the event dropout.
    """

    def __init__(
        self, train: TargetedRows, tuning: TargetedRows, design: Design, config: NetworkConfig, seed: int
    ) -> None:
        super().__init__()
        self.train, self.tuning, self.design = train, tuning, design
        self.config, self.seed = config, seed

    @property
    def n_steps(self) -> int:
        """Optimisation steps of all epochs, as many in each as in the first."""
        return self.config.max_epochs * count_steps(len(self._train_batches(0)), self.config.accumulate)

    @property
    def prevalence(self) -> float:
        """Share of positive training rows, by weight; rows whose record ends too early tell nothing of it."""
        targets = self.train.targets
        told = targets.is_determined
        return float(np.average(targets.labels[told], weights=targets.weight[told]))

    def train_dataloader(self) -> DataLoader[Labelled]:
        """This device's pieces of the current epoch; pages that the last one read are given back."""
        epoch, device, n_devices = self._whereabouts()
        for rows in (self.train, self.tuning):
            if rows.store:
                rows.store.release()
        pieces = pieces_of_device(
            self._train_batches(epoch), self.train.unit_weights(), self.config.accumulate, device, n_devices
        )
        seeds = (self.seed, epoch)
        return _loader(PiecesOfOneEpoch(self.train, self.design, self.config, pieces, seeds))

    def val_dataloader(self) -> DataLoader[Labelled]:
        """This device's tuning rows, nothing dropped."""
        _, device, n_devices = self._whereabouts()
        lengths = self.design.lengths(self.tuning.sequences, self.config)
        batches = shared_out(bucketed(lengths, self.config.batch_positions), device, n_devices)
        pieces = [Piece(number, units, np.arange(len(units)), 0, 0.0) for number, units in enumerate(batches)]
        return _loader(PiecesOfOneEpoch(self.tuning, self.design, self.config, pieces))

    def _whereabouts(self) -> tuple[int, int, int]:
        """The epoch, this device's number and how many there are."""
        trainer = self.trainer
        return (trainer.current_epoch, trainer.global_rank, trainer.world_size) if trainer else (0, 0, 1)

    def _train_batches(self, epoch: int) -> list[Ints]:
        generator = np.random.default_rng([self.seed, epoch])
        lengths = self.design.lengths(self.train.sequences, self.config)
        return bucketed(lengths, self.config.batch_positions, generator)

    def digest(self, vocabulary: Vocabulary, begun_from: str = "") -> str:
        """A name for this training: rows, targets, settings and seed; equal names mean equal weights.

        Args:
            vocabulary: what tokens mean.
            begun_from: the digest of the weights that it goes on from.
        """
        settings = self.config.model_dump_json(exclude=_NOT_OF_ONE_TRAINING)
        total = sha256(f"{settings} {self.seed} {begun_from}".encode())
        total.update(vocabulary.tokens.write_json().encode())
        total.update(self.train.digest().encode() + self.tuning.digest().encode())
        return total.hexdigest()[:16]


def _loader(pieces: PiecesOfOneEpoch) -> DataLoader[Labelled]:
    """Pieces one by one; a GPU is fed by processes of their own, where there are cores for them."""
    has_gpu = torch.cuda.is_available()
    n_loaders = min(thread_count() - 1, _MAX_LOADERS) if has_gpu else 0
    return DataLoader(pieces, batch_size=None, shuffle=False, num_workers=n_loaders, pin_memory=has_gpu)


def _bytes(held: object) -> bytes | memoryview:
    """What a digest reads of an array, a list of texts or a plain value."""
    if isinstance(held, np.ndarray):
        return np.ascontiguousarray(held).data.cast("B") if held.size else b""
    if isinstance(held, Iterable) and not isinstance(held, str):
        return "\n".join(map(str, held)).encode()
    return repr(held).encode()
