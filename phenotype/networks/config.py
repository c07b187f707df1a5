"""What a network is asked to be: what it reads, how large it is, how it is trained; data without torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from phenotype.task_parts import LONGEST_HOURS

MOST_POSITIONS = 2**16
"""Attention over more would need more memory than there is; what is older is read as counts."""


class AuxiliaryTarget(BaseModel):
    """Something else that came of a training row, learnt beside the task; nobody is told its risk.

    Attributes:
        code: beginning of the codes that count, or "stay_end": the stay ends with the patient alive.
        within_days: after the prediction time.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    code: str = Field(min_length=1)
    within_days: float = Field(gt=0, le=LONGEST_HOURS / 24)


class NetworkConfig(BaseModel):
    """What every kind of network has.

    Attributes:
        kind: names the network.
        position: what one position of a sequence is: a time point, which sums the events that became known
            then (short sequences: intensive care), or one event (simultaneous events see each other, in no
            order).
        max_positions: how many of the last positions a network reads one by one, at most; whatever is older
            is read as one position of log counts by code.
        min_subjects: training patients that a code needs for a token of its own; a rarer one is read as its
            nearest ancestor that has as many, and left out where there is none.
        n_bins: quantile bins of a code's values.
        value_limit: robust z-scores of values beyond it are read as it.
        exclude: codes with these beginnings are never read.
        max_rows_per_subject: prediction rows of one patient used in training and tuning, drawn by the seed;
            null: all of them.
        reading: alone: one pass for each prediction row. shared: one pass for a window of a patient's
            history, which answers all rows in it (tasks that ask every hour).
        event_dropout: share of training batches in which each event is kept with a probability drawn for each
            patient from U(0, 1), so that explaining by leaving events out asks nothing unheard of.
        warmup: share of the steps in which the learning rate rises.
        batch_positions: positions, padding included, that are worked on at once.
        accumulate: batches that make one optimisation step.
        patience: epochs without a better tuning measure before training ends.
        ema_decay: decay of the averaged weights that are evaluated and kept; 0 keeps the last ones.
        precision: of matrix products: bf16, 32, or bf16 on the devices that gain by it.
        compile: whether torch.compile is used on the devices that gain by it.
        n_seeds: networks trained with different seeds, whose logits are averaged.
        other_fold_seeds: as many on all folds but the first; null: n_seeds.
        stop_on: the tuning measure that chooses the epoch.
        devices, strategy: as Lightning's Trainer takes them.
        auxiliary: what else is learnt.
        auxiliary_weight: of each auxiliary target's loss beside the task's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str
    position: Literal["time_point", "event"] = "time_point"
    max_positions: int = Field(default=64, ge=1, le=MOST_POSITIONS)
    min_subjects: int = Field(default=20, ge=1)
    n_bins: int = Field(default=10, ge=2, le=1000)
    value_limit: float = Field(default=5.0, gt=0)
    exclude: tuple[str, ...] = ("SCORE//",)
    max_rows_per_subject: int | None = Field(default=8, ge=1)
    reading: Literal["alone", "shared"] = "alone"
    event_dropout: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(default=1e-3, gt=0, le=10)
    weight_decay: float = Field(default=0.3, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    batch_positions: int = Field(default=2048, ge=64, le=2**24)
    accumulate: int = Field(default=1, ge=1, le=2**16)
    max_epochs: int = Field(default=10, ge=1, le=100_000)
    patience: int = Field(default=3, ge=1)
    gradient_clip: float = Field(default=1.0, gt=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    precision: Literal["auto", "32", "bf16"] = "auto"
    compile: Literal["auto", "never"] = "auto"
    n_seeds: int = Field(default=1, ge=1, le=1000)
    other_fold_seeds: int | None = Field(default=None, ge=1, le=1000)
    stop_on: Literal["log_loss", "auroc", "auprc"] = "log_loss"
    devices: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    strategy: str = "auto"
    auxiliary: tuple[AuxiliaryTarget, ...] = ()
    auxiliary_weight: float = Field(default=0.3, ge=0)

    @property
    def n_threads(self) -> int:
        """CPU threads that pay for themselves."""
        return 1


class StreamConfig(NetworkConfig):
    """Networks that read a history as a stream of positions and answer from a state at the read-out.

    Attributes:
        width: hidden units.
        dropout: share of units that are dropped in training.
        summaries: whether summaries of the last day, the last month and the whole history stand at the
            read-out; only where each row is read alone (the default there).
        head: binary: the risk at the task's horizon. hazards: the hazards of the outcome and of what competes
            with it in each of n_intervals, from which the risk at any time up to the horizon follows.
        n_intervals: log-spaced, up to the horizon.
        n_causes: the outcome and what competes with it; what is more than that counts as the last one.
        next_event_weight: of the loss of foreseeing the next events' codes and values beside the task's; 0
            leaves it out.
        pretrained: folder of a population-wide phenotype model whose body the training starts from.
        frozen: the body keeps its weights; the head alone is trained.
    """

    width: int = Field(default=48, ge=8, le=16_384)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    summaries: bool = True
    head: Literal["binary", "hazards"] = "binary"
    n_intervals: int = Field(default=12, ge=1, le=1000)
    n_causes: int = Field(default=2, ge=1, le=16)
    next_event_weight: float = Field(default=0.0, ge=0)
    pretrained: Path | None = None
    frozen: bool = False

    @property
    def n_threads(self) -> int:
        """CPU threads that pay for themselves: below 64 hidden units each, they wait for one another.

        Measured at width 32 on two cores: 3.4 s an epoch with one thread, 4.4 s (others busy) with two.
        """
        return max(1, self.width // 64)

    @model_validator(mode="before")
    @classmethod
    def _shared_has_no_summaries(cls, data: Any) -> Any:
        reading = cls.model_fields["reading"].default
        if isinstance(data, dict) and data.get("reading", reading) == "shared":
            return {"summaries": False} | data
        return data

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.reading == "shared" and self.summaries:
            raise ValueError("summaries need reading: alone, since each row has its own")
        if self.frozen and self.pretrained is None:
            raise ValueError("frozen needs pretrained: a body that was never trained knows nothing")
        return self


class TransformerConfig(StreamConfig):
    """A causal transformer on events and hours.

    Attributes:
        width: a multiple of 2 * n_heads.
    """

    kind: Literal["transformer"] = "transformer"
    n_layers: int = Field(default=2, ge=1, le=256)
    n_heads: int = Field(default=4, ge=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % (2 * self.n_heads):
            message = f"width {self.width} is not a multiple of 2 * n_heads = {2 * self.n_heads}"
            raise ValueError(message)
        return self


class GRUConfig(StreamConfig):
    """A gated recurrent network on time points: its cost grows with the length, not with the square of it.

    Attributes:
        position: time_point alone: a recurrence puts simultaneous events in an order that they do not have.
        compile: never by default: torch.compile writes a recurrence out step by step.
    """

    kind: Literal["gru"] = "gru"
    position: Literal["time_point"] = "time_point"
    max_positions: int = Field(default=1024, ge=1, le=MOST_POSITIONS)
    n_layers: int = Field(default=1, ge=1, le=256)
    compile: Literal["auto", "never"] = "never"
