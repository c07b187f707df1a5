"""One training brought to its end from where its checkpoint stands, whatever is trained."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import torch

from experiments.training_data import RowData
from experiments.training_module import TrainedNetwork
from experiments.training_trainer import CHATTER, LAST, OnEpoch, make_trainer, quieten
from ontology.errors import Problem, TaskError
from phenotype.networks.config import NetworkConfig
from phenotype.threads import torch_threads

logger = logging.getLogger(__name__)
AnyTraining = TypeVar("AnyTraining", bound=TrainedNetwork)


def train_to_its_end(
    make_training: Callable[[], AnyTraining],
    data: RowData,
    place: Path,
    on_epoch: OnEpoch | None = None,
    *,
    tells_past: bool = True,
) -> AnyTraining:
    """The training at its end, its best weights among what it holds; equal seeds give equal bits on a CPU.

    Args:
        make_training: makes the untrained network in its training; torch's generator is seeded before.
        data: rows, settings and seed.
        place: the folder of its checkpoint, its own; one that a killed process left is gone on from.
        on_epoch: is told each epoch's number and score; not of one that diverged.
        tells_past: whether epochs that another process trained before are told as well.

    Raises:
        TaskError: the training diverged.
    """
    config = data.config
    with _own_settings(config):
        torch.manual_seed(data.seed)
        training = make_training()
        found = _read(place / LAST)
        n_told = _tell(found, on_epoch) if tells_past else _n_epochs(found)
        if found is None or not _is_finished(found, config):
            trainer = make_trainer(config, place, on_epoch)
            trainer.fit(training, data, ckpt_path=place / LAST if found else None, weights_only=True)
            found = _read(place / LAST)
            if trainer.num_devices > 1:
                _tell(found, on_epoch, n_told)
        if found is None or not math.isfinite(found["state_dict"]["best_score"].item()):
            raise _diverged(config)
        training.load_state_dict(found["state_dict"])
    return training


@contextmanager
def _own_settings(config: NetworkConfig) -> Iterator[None]:
    """Threads, random numbers, warnings and Lightning's chatter as training wants them, put back later."""
    chatter = [logging.getLogger(name) for name in CHATTER]
    levels = [one.level for one in chatter]
    devices = range(torch.cuda.device_count())
    with torch_threads(config.n_threads), torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        quieten()
        try:
            yield
        finally:
            for one, level in zip(chatter, levels, strict=True):
                one.setLevel(level)


def _n_epochs(checkpoint: Mapping[str, Any] | None) -> int:
    return checkpoint["epoch"] + 1 if checkpoint else 0


def _tell(checkpoint: Mapping[str, Any] | None, on_epoch: OnEpoch | None, first: int = 0) -> int:
    """Tells the epochs of a checkpoint that nobody was told yet; returns how many it has."""
    n_epochs = _n_epochs(checkpoint)
    if checkpoint and on_epoch:
        scores = checkpoint["state_dict"]["tuning_scores"].tolist()
        for epoch in range(first, n_epochs):
            if math.isfinite(scores[epoch]):
                on_epoch(epoch, scores[epoch])
    return n_epochs


def _diverged(config: NetworkConfig) -> TaskError:
    return TaskError(
        Problem(
            "the network's training diverged: its tuning loss was never a number",
            where="learning_rate",
            found=str(config.learning_rate),
            allowed="a rate at which the loss stays finite",
            next_step="lower learning_rate",
        )
    )


def _read(file: Path) -> dict[str, Any] | None:
    """A checkpoint's contents, tensors and plain values only; null where there is none that is whole.

    A damaged one is told and trained anew: on a CPU the end is the same.
    """
    if not file.exists():
        return None
    try:
        return dict(torch.load(file, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, ValueError, KeyError, UnpicklingError):
        logger.warning("a training's checkpoint is damaged: it is trained anew from its beginning")
        return None


def _is_finished(checkpoint: Mapping[str, Any], config: NetworkConfig) -> bool:
    """Whether the training that wrote this checkpoint had nothing left to do."""
    stops = [state for name, state in checkpoint["callbacks"].items() if name.startswith("EarlyStopping")]
    has_stopped = any(state["wait_count"] >= state["patience"] for state in stops)
    return has_stopped or checkpoint["epoch"] + 1 >= config.max_epochs
