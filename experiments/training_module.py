"""What Lightning trains: loss, optimiser, averaged weights, and the best averaged weights so far.

R rows of a piece, N tuning rows.
"""

from __future__ import annotations

import copy
import math
from typing import Any, cast

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from experiments.training_data import Labelled, RowData
from experiments.training_scores import Measure, tuning_score
from phenotype.networks.config import NetworkConfig
from phenotype.networks.network import Network

TUNING_SCORE = "tuning_score"
"""Lower is better: the log loss, or how much an area falls short of 1."""
_FINAL_RATE = 0.1
_BETAS = (0.9, 0.98)


class TrainedNetwork(lightning.LightningModule):
    """A network in training; all that a resumed training needs is in its state.

    Args:
        network: what is trained; parameters that need no gradient stay as they are.
        config: the settings.
        seed: of dropout, with epoch and batch.
        n_steps: steps of the learning rate's schedule.
        measure: what the tuning rows judge by.
        compiles: whether the network is compiled, for batches of any shape.
    """

    best_score: Tensor
    tuning_scores: Tensor
    train_losses: Tensor

    def __init__(
        self,
        network: Network,
        config: NetworkConfig,
        seed: int,
        n_steps: int,
        measure: Measure,
        *,
        compiles: bool = False,
    ) -> None:
        super().__init__()
        self.network = network
        self.averaged = copy.deepcopy(network).requires_grad_(requires_grad=False)
        self.best = copy.deepcopy(self.averaged)
        unknown = torch.full((config.max_epochs,), math.nan, dtype=torch.float64)
        self.register_buffer("best_score", torch.tensor(math.inf, dtype=torch.float64))
        self.register_buffer("tuning_scores", unknown)
        self.register_buffer("train_losses", unknown.clone())
        self.config, self.seed, self.n_steps, self.measure = config, seed, n_steps, measure
        self.compiles = compiles
        self.first_step = self.n_averaged = 0
        self.epoch_loss = torch.zeros(())
        self.tuning_logits = torch.zeros(0)
        self.times_seen = torch.zeros(0)

    @property
    def rows(self) -> RowData:
        """The data of this training."""
        return cast("RowData", self.trainer.datamodule)  # type: ignore[attr-defined]

    def setup(self, stage: str) -> None:
        """Compiles in the process that trains, after the copies were made."""
        if self.compiles:
            self.network.compile(dynamic=True)
            self.averaged.compile(dynamic=True)

    def on_train_epoch_start(self) -> None:
        """Nothing is lost or averaged yet; what is frozen neither learns nor drops."""
        self.first_step = self.n_averaged = self.global_step
        self.epoch_loss = torch.zeros((), dtype=torch.float64, device=self.device)
        if not all(weight.requires_grad for weight in self.network.parameters()):
            self.network.eval()
            for part in self.network.children():
                part.train(any(weight.requires_grad for weight in part.parameters()))

    def on_train_batch_start(self, batch: Labelled, batch_idx: int) -> None:
        """Dropout follows from seed, epoch and micro-batch alone, however often it is resumed or shared."""
        numbers = [self.seed, self.current_epoch, *batch.number.tolist()]
        (drawn,) = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
        torch.manual_seed(int(drawn) >> 1)

    def training_step(self, batch: Labelled, batch_idx: int) -> Tensor:
        """This piece's part of the step's loss, times what Lightning divides gradients by."""
        loss = self.network.loss(batch.batch, batch.targets) * batch.share
        self.epoch_loss += loss.detach().double()
        return loss * (self.trainer.accumulate_grad_batches * self.trainer.world_size)

    def on_train_batch_end(self, outputs: Any, batch: Labelled, batch_idx: int) -> None:
        """Moves the averaged weights after each step; young averages move faster."""
        if self.global_step == self.n_averaged:
            return
        self.n_averaged = self.global_step
        decay = min(self.config.ema_decay, (1 + self.global_step) / (10 + self.global_step))
        with torch.no_grad():
            for mean, weight in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - decay)
            for kept, held in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
                kept.copy_(held)

    def on_validation_epoch_start(self) -> None:
        """The averaged weights are judged without dropout."""
        self.averaged.eval()
        n_rows = self.rows.tuning.sequences.n_rows
        self.tuning_logits = torch.zeros(n_rows, dtype=torch.float64, device=self.device)
        self.times_seen = torch.zeros_like(self.tuning_logits)

    def validation_step(self, batch: Labelled, batch_idx: int) -> None:
        """The averaged weights' logits."""
        row = batch.batch.row
        self.tuning_logits[row] += self.averaged.risk(self.averaged(batch.batch)).double()
        self.times_seen[row] += 1

    def on_validation_epoch_end(self) -> None:
        """Judges all devices' logits together; keeps the averaged weights where they are the best so far."""
        total = self.trainer.strategy.reduce(self.tuning_logits, reduce_op="sum")
        seen = self.trainer.strategy.reduce(self.times_seen, reduce_op="sum")
        targets = self.rows.tuning.targets
        logits = (cast("Tensor", total) / cast("Tensor", seen)).cpu().numpy()
        score = tuning_score(logits, targets.labels, targets.weight.astype(np.float64), self.measure)
        loss = cast("Tensor", self.trainer.strategy.reduce(self.epoch_loss, reduce_op="sum"))
        self.tuning_scores[self.current_epoch] = score
        self.train_losses[self.current_epoch] = loss / (self.global_step - self.first_step)
        self.log(TUNING_SCORE, torch.tensor(score, dtype=torch.float64), prog_bar=True)
        if score < self.best_score:
            self.best_score.fill_(score)
            self.best.load_state_dict(self.averaged.state_dict())

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, decay on matrices only; linear warm-up, then a cosine down to a tenth.

        **Source:** Loshchilov and Hutter, arXiv:1711.05101 (decoupled decay) and arXiv:1608.03983 (cosine).
        """
        learnt = [weight for weight in self.network.parameters() if weight.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [weight for weight in learnt if weight.ndim > 1]},
            {"params": [weight for weight in learnt if weight.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(
            groups,
            lr=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            betas=_BETAS,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clipped here: Lightning will not beside a fused optimiser, though bf16 needs no scale."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.gradient_clip)

    def _rate(self, step: int) -> float:
        """The learning rate of a step as a share of the highest."""
        n_rising = max(int(self.config.warmup * self.n_steps), 1)
        if step < n_rising:
            return (step + 1) / n_rising
        progress = min((step - n_rising) / max(self.n_steps - n_rising, 1), 1.0)
        return _FINAL_RATE + (1 - _FINAL_RATE) * (1 + math.cos(math.pi * progress)) / 2

    def best_network(self) -> Network:
        """The averaged weights that were best, ready to predict on a CPU."""
        return self.best.cpu().eval()
