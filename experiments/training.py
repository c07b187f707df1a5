"""Trains a network with Lightning: the fit, the module, the Trainer, checkpoints that resume exactly."""

from __future__ import annotations

import copy
import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
import torch.nn.functional as F  # noqa: N812 the field's name
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from experiments.training_data import Labelled, Labels, RowData, choose_rows
from ontology.errors import Problem, TaskError
from phenotype.cases import Cases
from phenotype.fitting_rows import check_labels
from phenotype.networks.causal_transformer import CausalTransformer, TransformerModel, make_network
from phenotype.networks.config import TransformerConfig
from phenotype.sequences import readable_events
from phenotype.threads import torch_threads
from phenotype.vocabulary import fit_vocabulary

logger = logging.getLogger(__name__)
TUNING_LOSS = "tuning_loss"
LAST = "last.ckpt"
_FINAL_RATE = 0.1


def fit_transformer(  # noqa: PLR0917 every fit takes these in this order
    train: Cases,
    train_labels: Labels,
    tuning: Cases,
    tuning_labels: Labels,
    config: TransformerConfig,
    seed: int,
    folder: Path,
) -> TransformerModel:
    """A network at its best tuning loss; on a CPU equal arguments give equal weights, bit for bit.

    Args:
        train: training rows; the vocabulary is fitted on their patients alone.
        train_labels: (n_train,).
        tuning: rows that decide when to stop.
        tuning_labels: (n_tuning,).
        config: the settings.
        seed: of the weights, the order of rows, dropout and event dropout.
        folder: for checkpoints, one after each epoch. A training that was killed is taken up there if its
            data, settings and seed are the same, and ends with the weights that it would have had.

    Raises:
        TaskError: one-sided training labels, no code that is frequent enough, or a training that diverged.
    """
    check_labels(train_labels, tuning_labels)
    vocabulary = fit_vocabulary(readable_events(train, config), config.min_subjects, config.n_bins)
    if not vocabulary.tokens.height:
        raise _nothing_to_read(config)
    data = RowData(
        choose_rows(train, train_labels, vocabulary, config, seed),
        choose_rows(tuning, tuning_labels, vocabulary, config, seed),
        config,
        seed,
    )
    place = Path(folder) / data.digest(vocabulary)
    with _own_settings(config):
        torch.manual_seed(seed)
        module = RiskModule(make_network(config, vocabulary), config, seed, data.n_steps, data.prevalence)
        found = _read(place / LAST)
        if found is None or not _is_finished(found, config):
            trainer = make_trainer(config, place)
            trainer.fit(module, data, ckpt_path=place / LAST if found else None, weights_only=True)
        else:
            module.load_state_dict(found["state_dict"])
    if not math.isfinite(module.best_loss.item()):
        raise _diverged(config)
    return TransformerModel(config, vocabulary, module.best.cpu().eval())


class RiskModule(lightning.LightningModule):
    """Loss, optimiser, averaged weights, and the best averaged weights so far; all of it in every checkpoint.

    Args:
        network: what is trained.
        config: the settings.
        seed: of dropout, with epoch and batch.
        n_steps: steps of the learning rate's schedule.
        prevalence: the risk that the network starts from.
    """

    best_loss: Tensor

    def __init__(
        self,
        network: CausalTransformer,
        config: TransformerConfig,
        seed: int,
        n_steps: int,
        prevalence: float,
    ) -> None:
        super().__init__()
        network.start_from(prevalence)
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.best = copy.deepcopy(self.averaged)
        self.register_buffer("best_loss", torch.tensor(math.inf))
        self.config, self.seed, self.n_steps = config, seed, n_steps

    def on_train_batch_start(self, batch: Labelled, batch_idx: int) -> None:
        """Dropout follows from seed, epoch and batch alone: a resumed training draws what it would have."""
        torch.manual_seed((self.seed * 1_000_003 + self.current_epoch) * 1_000_003 + batch_idx)

    def training_step(self, batch: Labelled, batch_idx: int) -> Tensor:
        """Mean binary cross-entropy of a batch."""
        sequences, labels = batch
        return F.binary_cross_entropy_with_logits(self.network(sequences), labels)

    def on_train_batch_end(self, outputs: Any, batch: Labelled, batch_idx: int) -> None:
        """Moves the averaged weights; young averages move faster."""
        decay = min(self.config.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            for mean, weight in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)

    def on_validation_start(self) -> None:
        """The averaged weights are judged without dropout."""
        self.averaged.eval()

    def validation_step(self, batch: Labelled, batch_idx: int) -> None:
        """The averaged weights' loss."""
        sequences, labels = batch
        loss = F.binary_cross_entropy_with_logits(self.averaged(sequences), labels)
        self.log(TUNING_LOSS, loss, on_epoch=True, prog_bar=True, batch_size=len(labels))

    def on_validation_epoch_end(self) -> None:
        """Keeps the averaged weights where they are the best so far."""
        loss = self.trainer.callback_metrics[TUNING_LOSS]
        if loss < self.best_loss:
            self.best_loss.copy_(loss)
            self.best.load_state_dict(self.averaged.state_dict())

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, decay on matrices only; linear warm-up, then a cosine down to a tenth."""
        matrices = [weight for weight in self.network.parameters() if weight.ndim > 1]
        vectors = [weight for weight in self.network.parameters() if weight.ndim <= 1]
        groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(
            groups, lr=self.config.learning_rate, weight_decay=self.config.weight_decay, betas=(0.9, 0.98)
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """The learning rate of a step as a share of the highest."""
        n_rising = max(int(self.config.warmup * self.n_steps), 1)
        if step < n_rising:
            return (step + 1) / n_rising
        progress = min((step - n_rising) / max(self.n_steps - n_rising, 1), 1.0)
        return _FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * progress)) / 2


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints written beside their place and moved in whole: a kill leaves the one before."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any | None = None
    ) -> None:
        """Writes, flushes to disk, then renames."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        written = target.with_name(f".{target.name}.writing")
        with written.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        written.replace(target)


class EpochLines(Callback):
    """One plain log line an epoch, where no terminal shows a bar."""

    def __init__(self) -> None:
        self.started = time.monotonic()

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Starts the clock."""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Says epoch, tuning loss and seconds."""
        logger.info(
            "transformer: epoch %d of at most %s, tuning loss %.4f, %.1f s",
            trainer.current_epoch + 1,
            trainer.max_epochs,
            float(trainer.callback_metrics[TUNING_LOSS]),
            time.monotonic() - self.started,
        )


def make_trainer(config: TransformerConfig, folder: Path) -> lightning.Trainer:
    """A Trainer that stops early, checkpoints each epoch in `folder`, and takes a GPU where there is one."""
    shows_bar = sys.stdout.isatty() and logger.isEnabledFor(logging.INFO)
    has_gpu = torch.cuda.is_available()
    return lightning.Trainer(
        accelerator="cuda" if has_gpu else "cpu",
        devices=1,
        max_epochs=config.max_epochs,
        gradient_clip_val=config.gradient_clip,
        deterministic="warn" if has_gpu else False,
        callbacks=[
            EarlyStopping(TUNING_LOSS, patience=config.patience, mode="min"),
            ModelCheckpoint(
                dirpath=folder,
                filename=LAST.removesuffix(".ckpt"),
                save_top_k=1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            ),
            RichProgressBar() if shows_bar else EpochLines(),
        ],
        plugins=[AtomicCheckpointIO(), LightningEnvironment()],
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=shows_bar,
        enable_model_summary=False,
    )


def _nothing_to_read(config: TransformerConfig) -> TaskError:
    return TaskError(
        Problem(
            "the network has nothing to read: no code is frequent enough",
            where="min_subjects",
            found=f"no code among {config.min_subjects} training patients",
            allowed="at least one code that so many training patients have",
            next_step="lower min_subjects, or use more patients",
        )
    )


def _diverged(config: TransformerConfig) -> TaskError:
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
    """A checkpoint's contents, tensors and plain values only; null where there is none."""
    return dict(torch.load(file, map_location="cpu", weights_only=True)) if file.exists() else None


def _is_finished(checkpoint: Mapping[str, Any], config: TransformerConfig) -> bool:
    """Whether the training that wrote this checkpoint had nothing left to do."""
    stops = [state for name, state in checkpoint["callbacks"].items() if name.startswith("EarlyStopping")]
    has_stopped = any(state["wait_count"] >= state["patience"] for state in stops)
    return has_stopped or checkpoint["epoch"] + 1 >= config.max_epochs


@contextmanager
def _own_settings(config: TransformerConfig) -> Iterator[None]:
    """Threads, random numbers, warnings and Lightning's chatter as training wants them, put back later."""
    chatter = logging.getLogger("lightning.pytorch")
    level = chatter.level
    devices = range(torch.cuda.device_count())
    with torch_threads(config.n_threads), torch.random.fork_rng(devices=devices), warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        chatter.setLevel(logging.ERROR)
        try:
            yield
        finally:
            chatter.setLevel(level)
