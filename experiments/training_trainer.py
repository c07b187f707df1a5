"""The Trainer that a configuration asks for: device, precision, strategy, checkpoints, one line an epoch."""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO

from experiments.training_module import TUNING_SCORE, TrainedNetwork
from experiments.training_scores import shown
from experiments.training_steps import pieces_a_device
from ontology.errors import ConfigurationError, Problem
from phenotype.networks.config import NetworkConfig
from phenotype.threads import thread_count

logger = logging.getLogger(__name__)
LAST = "last.ckpt"
CHATTER = ("lightning.pytorch", "lightning.fabric")
"""Lightning's loggers."""
SEVERAL_DEVICES = "ddp_spawn_find_unused_parameters_true"
"""What `strategy: auto` takes on several devices: the command is not started anew, and a network may have
parts that a batch does not use."""

OnEpoch = Callable[[int, float], None]


def device_count(config: NetworkConfig) -> int:
    """Devices to train on: as many as asked for; by "auto" every GPU, or the CPU once."""
    if config.devices == "auto":
        return max(torch.cuda.device_count(), 1)
    return config.devices


def precision_of(config: NetworkConfig) -> str:
    """Lightning's name of the precision; by "auto" bf16 where a GPU has it, 32 bits elsewhere."""
    if config.precision == "auto":
        has_bf16 = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return "bf16-mixed" if has_bf16 else "32-true"
    return {"32": "32-true", "bf16": "bf16-mixed"}[config.precision]


def is_compiled(config: NetworkConfig) -> bool:
    """Whether the network is compiled: on a GPU; on a CPU compiling costs more than such networks gain."""
    return config.compile == "auto" and torch.cuda.is_available()


def make_trainer(config: NetworkConfig, folder: Path, on_epoch: OnEpoch | None = None) -> lightning.Trainer:
    """A Trainer that stops early, checkpoints each epoch in `folder`, and takes a GPU where there is one.

    Args:
        config: the settings.
        folder: for the checkpoint.
        on_epoch: is told each epoch's number and tuning score, and may end the training by an exception;
            of several devices it is told nothing here.

    Raises:
        ConfigurationError: devices or a strategy that this machine does not have.
    """
    shows_bar = sys.stdout.isatty() and logger.isEnabledFor(logging.INFO)
    has_gpu = torch.cuda.is_available()
    n_devices = device_count(config)
    strategy, environment = config.strategy, []
    if strategy == "auto":
        strategy = SEVERAL_DEVICES if n_devices > 1 else "auto"
        # a cluster's own variables would start what nobody asked for
        environment = [LightningEnvironment()]
    with _devices_that_are_there(n_devices, strategy):
        return lightning.Trainer(
            accelerator="cuda" if has_gpu else "cpu",
            devices=n_devices,
            strategy=strategy,
            precision=cast("Any", precision_of(config)),
            max_epochs=config.max_epochs,
            accumulate_grad_batches=pieces_a_device(config.accumulate, n_devices),
            deterministic="warn" if has_gpu else False,
            callbacks=[
                EarlyStopping(TUNING_SCORE, patience=config.patience, mode="min"),
                ModelCheckpoint(
                    dirpath=folder,
                    filename=LAST.removesuffix(".ckpt"),
                    save_top_k=1,
                    save_on_train_epoch_end=True,
                    enable_version_counter=False,
                ),
                RichProgressBar() if shows_bar else EpochLines(config.kind),
                OwnProcess(config.n_threads, n_devices),
                *([TellEpochs(on_epoch)] if on_epoch and n_devices == 1 else []),
            ],
            plugins=[AtomicCheckpointIO(), *environment],
            reload_dataloaders_every_n_epochs=1,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=shows_bar,
            enable_model_summary=False,
        )


@contextmanager
def _devices_that_are_there(n_devices: int, strategy: str) -> Iterator[None]:
    """Tells what Lightning cannot train on.

    Raises:
        ConfigurationError: a strategy that it does not know, or more devices than there are.
    """
    try:
        yield
    except (ValueError, MisconfigurationException) as error:
        raise ConfigurationError(
            Problem(
                "this machine cannot train so",
                where="devices, strategy",
                found=f"devices {n_devices}, strategy {strategy}",
                allowed="as many devices as there are, and a strategy of Lightning's",
                next_step="leave devices and strategy out, or see docs/training.md",
            )
        ) from error


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints written beside their place and moved in whole: a kill leaves the one before."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Writes, flushes to disk, then renames.

        Raises:
            OSError: what the system refused, a full disk for one; torch tells of it in words of its own.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        written = target.with_name(f".{target.name}.writing")
        try:
            with written.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            written.replace(target)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        finally:
            written.unlink(missing_ok=True)


class EpochLines(Callback):
    """One plain log line an epoch, where no terminal shows a bar.

    Args:
        kind: of the model, as the line names it.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.started = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Says epoch, tuning score and seconds."""
        logger.info(
            "%s: epoch %d of at most %s, tuning %s, %.1f s",
            self.kind,
            trainer.current_epoch + 1,
            trainer.max_epochs,
            shown(float(trainer.callback_metrics[TUNING_SCORE]), cast("TrainedNetwork", pl_module).measure),
            time.monotonic() - self.started,
        )


class TellEpochs(Callback):
    """Tells somebody how each epoch went.

    Args:
        on_epoch: who is told the epoch's number and its tuning score.
    """

    def __init__(self, on_epoch: OnEpoch) -> None:
        self.on_epoch = on_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tells it, unless the epoch diverged."""
        score = float(trainer.callback_metrics[TUNING_SCORE])
        if math.isfinite(score):
            self.on_epoch(trainer.current_epoch, score)


class OwnProcess(Callback):
    """Each of several processes takes its share of the threads and is as quiet as the one that began it.

    Args:
        at_most: threads that pay for themselves.
        n_processes: how many share what this machine gives.
    """

    def __init__(self, at_most: int, n_processes: int) -> None:
        self.at_most, self.n_processes = at_most, n_processes

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Quiet from a new process's first moment."""
        self.__dict__.update(state)
        if multiprocessing.parent_process() is not None:
            quieten()

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Settles a process that was started for this training alone."""
        if self.n_processes > 1:
            torch.set_num_threads(max(1, min(self.at_most, thread_count() // self.n_processes)))
            quieten()


def quieten() -> None:
    """Lightning's advice to whoever wrote the training is no news to whoever runs it."""
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    for name in CHATTER:
        logging.getLogger(name).setLevel(logging.ERROR)
