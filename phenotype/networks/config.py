"""What a transformer is asked to be: its sequences, its size and its training, as data without torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class TransformerConfig(BaseModel):
    """A causal transformer on events and hours.

    Attributes:
        position: what one position of a sequence is: a time point, which sums the events that became known
            then (short sequences: intensive care), or one event (simultaneous events see each other, in no
            order).
        max_positions: how many of the last positions a network reads one by one; whatever is older is read
            as one position of log counts by code. Summaries of the last day, the last month and the whole
            history always stand at the read-out.
        min_subjects: training patients that a code needs for a token of its own; a rarer one is read as its
            nearest ancestor that has as many, and left out where there is none.
        n_bins: quantile bins of a code's values.
        exclude: codes with these beginnings are never read.
        max_rows_per_subject: prediction rows of one patient used in training and tuning; drawn by the seed.
        width: hidden units; a multiple of 2 * n_heads.
        event_dropout: share of training batches in which each event is kept with a probability drawn for each
            patient from U(0, 1), so that explaining by leaving events out asks nothing unheard of.
        batch_positions: positions, padding included, of one optimisation step.
        patience: epochs without a better tuning loss before training ends.
        warmup: share of the steps in which the learning rate rises.
        ema_decay: decay of the averaged weights that are evaluated and kept; 0 keeps the last ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["transformer"] = "transformer"
    position: Literal["time_point", "event"] = "time_point"
    max_positions: int = Field(default=64, ge=1)
    min_subjects: int = Field(default=20, ge=1)
    n_bins: int = Field(default=10, ge=2)
    exclude: tuple[str, ...] = ("SCORE//",)
    max_rows_per_subject: int = Field(default=8, ge=1)
    width: int = Field(default=48, ge=8)
    n_layers: int = Field(default=2, ge=1)
    n_heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    event_dropout: float = Field(default=0.5, ge=0, le=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.3, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1)
    batch_positions: int = Field(default=2048, ge=64)
    max_epochs: int = Field(default=10, ge=1)
    patience: int = Field(default=3, ge=1)
    gradient_clip: float = Field(default=1.0, gt=0)
    ema_decay: float = Field(default=0.99, ge=0, lt=1)

    @property
    def n_threads(self) -> int:
        """CPU threads that pay for themselves: below 64 hidden units each, they wait for one another.

        Measured at width 32 on two cores: 3.4 s an epoch with one thread, 4.4 s (others busy) with two.
        """
        return max(1, self.width // 64)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % (2 * self.n_heads):
            message = f"width {self.width} is not a multiple of 2 * n_heads = {2 * self.n_heads}"
            raise ValueError(message)
        return self
