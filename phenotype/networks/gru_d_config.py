"""What a GRU-D is asked to be: what it is told, its size and its training; data without torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from phenotype.networks.config import NetworkConfig

Told = Literal["presence", "recency", "counts", "clock", "age", "static"]
"""What a network may be told beside values: presence: which variables were measured now, and which ever;
recency: how long ago; counts: how often; clock: hours since the first event; age; static: undated facts."""


class GRUDConfig(NetworkConfig):
    """A recurrent network on a grid of variables and time points, whose memory and values decay with time.

    Attributes:
        width: hidden units.
        side_width: units of the layer that reads running summaries of each variable beside the recurrence; 0
            leaves it out.
        dropout: share of units that are dropped in training; a third of that of inputs,
            which are dropped for all time points of a pass at once.
        max_variables: the codes that most patients have are the grid's variables; others are not read (static
            facts are read whatever they are).
        tells: what is told beside values. When and how often something is measured is a hospital's habit:
            a network that is to be used elsewhere is better told less.
        window_hours: of the shorter running mean of each variable.
        level_shift: in training the values of each variable of a patient are moved by a normal draw of so
            many robust standard deviations, as another laboratory's would be; 0 moves none.
        habit_dropout: in training a patient's variable is left out with a probability drawn from U(0, 2 x)
            for this x, as where it is not taken.
    """

    kind: Literal["gru_d"] = "gru_d"
    position: Literal["time_point"] = "time_point"
    reading: Literal["alone", "shared"] = "shared"
    max_positions: int = Field(default=512, ge=1)
    max_rows_per_subject: int | None = Field(default=None, ge=1)
    width: int = Field(default=64, ge=1)
    side_width: int = Field(default=64, ge=0)
    dropout: float = Field(default=0.3, ge=0, lt=1)
    max_variables: int = Field(default=96, ge=1)
    tells: tuple[Told, ...] = ("presence", "recency", "counts", "clock", "age", "static")
    window_hours: float = Field(default=6.0, gt=0)
    level_shift: float = Field(default=0.0, ge=0)
    habit_dropout: float = Field(default=0.0, ge=0, le=0.5)
    event_dropout: float = Field(default=0.3, ge=0, le=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    batch_positions: int = Field(default=6000, ge=64)
    max_epochs: int = Field(default=10, ge=1)
    ema_decay: float = Field(default=0.998, ge=0, lt=1)
    precision: Literal["auto", "32", "bf16"] = "32"
    compile: Literal["auto", "never"] = "never"
