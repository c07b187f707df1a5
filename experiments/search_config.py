"""What a search over a model's settings is: the space, how many trials, what judges them; data only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    field_validator,
    model_validator,
)

TRIALS = "trials.json"
"""What a search's folder has of its trials."""
AnyConfig = TypeVar("AnyConfig", bound=BaseModel)


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Range(_Settings):
    """What both kinds of number have: `low` up to `high`, both included."""

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        low, high = getattr(self, "low"), getattr(self, "high")  # noqa: B009 the subclasses have them
        if low > high:
            raise ValueError(f"low {low} is above high {high}")
        if getattr(self, "log", False) and low <= 0:
            raise ValueError("a logarithmic range begins above 0")
        return self


class FloatRange(_Range):
    """Numbers from `low` to `high`, evenly on a logarithmic scale where `log` says so."""

    type: Literal["float"]
    low: FiniteFloat
    high: FiniteFloat
    log: bool = False


class IntRange(_Range):
    """Whole numbers from `low` to `high`, in steps or evenly on a logarithmic scale."""

    type: Literal["int"]
    low: int
    high: int
    step: int = Field(1, ge=1)
    log: bool = False

    @model_validator(mode="after")
    def _steps_are_even(self) -> Self:
        if self.log and self.step != 1:
            raise ValueError("a logarithmic range has no steps: leave step or log out")
        return self


class Choice(_Settings):
    """One of some values, of any kind that YAML has."""

    type: Literal["choice"]
    values: tuple[Any, ...] = Field(min_length=1)

    @field_validator("values")
    @classmethod
    def _are_plain(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            json.dumps(values, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "values are numbers, texts, true, false, null, or lists and maps of them"
            ) from error
        return values


Dimension = Annotated[FloatRange | IntRange | Choice, Field(discriminator="type")]


class SearchConfig(_Settings):
    """A search over the settings of one model, inside the training and tuning rows of each fold.

    Attributes:
        model: the name of a model of the run.
        space: dotted key of its settings -> what is tried.
        n_trials: settings tried, those that were given up early among them.
        metric: what the tuning rows judge a trial by.
        inner_folds: 1: trials are judged on the fold's tuning rows. More: training and tuning patients are
            parted anew into so many, each judges once, and the mean decides; slower, and less led by chance.
        pruner: which trials are given up after an epoch, by the first network of the first inner fold:
            `median` those worse than the median trial at that epoch; `hyperband` by successive halving in
            brackets of trials; `none`.
        n_startup_trials: trials drawn at random and never given up, before what was seen leads.
        n_warmup_epochs: epochs that every trial is given.
    """

    model: str
    space: dict[str, Dimension] = Field(min_length=1)
    n_trials: int = Field(30, ge=1)
    metric: Literal["log_loss", "auroc", "auprc"] = "log_loss"
    inner_folds: int = Field(1, ge=1)
    pruner: Literal["median", "hyperband", "none"] = "median"
    n_startup_trials: int = Field(8, ge=1)
    n_warmup_epochs: int = Field(2, ge=0)

    @model_validator(mode="after")
    def _epochs_can_be_compared(self) -> Self:
        if "stop_on" in self.space and self.pruner != "none":
            raise ValueError("trials that stop on different measures cannot be compared: set pruner: none")
        return self

    def faults(self, models: Mapping[str, BaseModel]) -> Iterator[str]:
        """What is wrong with this search over these models, in words."""
        if self.model not in models:
            yield f"search.model names {self.model}, which is not among the models"
            return
        settings = models[self.model]
        if hasattr(settings, "members"):
            yield f"search.model names {self.model}, an ensemble: search one of its members"
            return
        for key, dimension in self.space.items():
            ends = dimension.values if isinstance(dimension, Choice) else (dimension.low, dimension.high)
            for value in ends:
                try:
                    changed(settings, {key: value})
                except ValidationError as error:
                    fault = error.errors()[0]["msg"]
                    yield f"search.space.{key}: {json.dumps(value)} does not fit model {self.model}: {fault}"
                    break


def changed(settings: AnyConfig, values: Mapping[str, Any]) -> AnyConfig:
    """Settings with some dotted keys set.

    Raises:
        ValidationError: a key that the settings do not have, or a value that does not fit.
    """
    content = settings.model_dump(exclude_unset=True) | {"kind": getattr(settings, "kind", None)}
    for key, value in values.items():
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            held = place.get(parent)
            place[parent] = dict(held) if isinstance(held, Mapping) else {}
            place = place[parent]
        place[last] = value
    return type(settings).model_validate(content)
