"""What a two-axis network is asked to be: what it reads, its size and its training; data without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from phenotype.networks.config import NetworkConfig

_WINDOW_HOURS = (*range(4, 49, 4), 72.0, 168.0, 720.0, 2160.0, 8760.0, 43800.0)


class TwoAxisConfig(NetworkConfig):
    """Attention along time within each variable, then an ensemble of networks along variables.

    A variable is a token of the vocabulary. Of each variable the network reads summaries of the whole history
    (and of look-behinds, where they are asked for) and, by attention, the recent events themselves.

    Attributes:
        max_variables: the variables that are read: those that most training patients have.
        value_limit: robust standard deviations at which a value is held. Wide, since tails of laboratory
            values tell much (a hundredth of all ALT in intensive care lies beyond 59); not wider, since one
            impossible value would drown a patient's means and slopes.
        window_hours: where each window of time but the last ends, in hours before the prediction time,
            ascending.
        summary_hours: look-behinds, in hours before the prediction time, whose events are summarised beside
            the whole history: what of a history of years is recent, and the change within it.
        time_width: hidden units of a window.
        n_queries: attention heads by which each variable reads its windows; 0 leaves the windows out.
        variable_width: what each variable hands on of its windows.
        variable_layers: layers of attention between variables before they hand on.
        width: hidden units of each member.
        n_layers: hidden layers of each member.
        n_members: networks that share their weights but for scales of inputs, outputs and biases; each is
            trained to answer alone and the mean of their logits is the answer.
        dropout: share of hidden units that are dropped in training.
        input_dropout: share of summaries that are blanked in training.
        gate_penalty: weight, beside the loss, of the sum of absolute gates, one for each input of the
            members: an input that tells little is shut, so that thousands of them do not drown the few that
            matter. 0: no gates.
        batch_positions: a row costs 64 and more, see `two_axis.lengths`.
    """

    kind: Literal["two_axis"] = "two_axis"
    reading: Literal["alone"] = "alone"
    max_variables: int = Field(default=512, ge=1)
    value_limit: float = Field(default=50.0, gt=0)
    window_hours: tuple[float, ...] = Field(default=_WINDOW_HOURS, min_length=1)
    summary_hours: tuple[Annotated[float, Field(gt=0)], ...] = ()
    time_width: int = Field(default=16, ge=1)
    n_queries: int = Field(default=2, ge=0)
    variable_width: int = Field(default=4, ge=1)
    variable_layers: int = Field(default=0, ge=0)
    width: int = Field(default=128, ge=8)
    n_layers: int = Field(default=2, ge=1)
    n_members: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)
    input_dropout: float = Field(default=0.1, ge=0, lt=1)
    gate_penalty: float = Field(default=0.0, ge=0)
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)
    batch_positions: int = Field(default=8192, ge=64)
    max_epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=20, ge=1)
    auxiliary_weight: float = Field(default=1.0, ge=0)
