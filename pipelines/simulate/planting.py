"""What a scenario plants in the record: questions, a pair of early events, and outcomes of stated risk.

The risk of a planted outcome is a function of nothing but what the record shows when the question is asked,
so it is the best that any model can do: the Bayes optimum given the record.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.simulate.analytes import ANALYTE_NAMES

Word = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Positive = Annotated[float, Field(gt=0.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
LIMIT = 2.0
"""How many scales a value or a trend may count, up or down."""


class Part(BaseModel):
    """A frozen part of a planting that knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ValueEffect(Part):
    """The latest result of an analyte, on the log odds: weight * clip((value - centre) / scale, -2, 2).

    Attributes:
        analyte: its name, one of `analytes.ANALYTES`.
        weight: log odds a scale.
        centre: the value that adds nothing; a result that is not there adds nothing either.
        scale: how much counts as one.
        is_log: value and centre are taken as natural logarithms.
        within_days: how old the sample may be.
    """

    analyte: str
    weight: float
    centre: float
    scale: Positive
    is_log: bool = False
    within_days: Positive = 30.0


class TrendEffect(Part):
    """The latest result minus the one before, on the log odds: weight * clip(difference / scale, -2, 2).

    Attributes:
        analyte: its name, one of `analytes.ANALYTES`.
        weight: log odds a scale.
        scale: how much counts as one.
        is_log: the difference is one of natural logarithms.
        within_days: how old both samples may be; without two there is no trend, which adds nothing.
    """

    analyte: str
    weight: float
    scale: Positive
    is_log: bool = False
    within_days: Positive = 30.0


class AdmissionsEffect(Part):
    """Inpatient contacts begun so far, older ones counting less: weight * ln(1 + sum of 2^(-days/half life)).

    Attributes:
        weight: log odds.
        half_life_days: after which a contact counts half.
    """

    weight: float
    half_life_days: Positive


class HistoryEffect(Part):
    """A disease that was coded before, on the log odds.

    Attributes:
        weight: log odds where any of the codes stands in the history.
        codes: beginnings of ICD-10 codes without the dot.
    """

    weight: float
    codes: tuple[str, ...] = Field(min_length=1)


class AgeEffect(Part):
    """Age on the log odds.

    Attributes:
        weight: log odds a decade.
        centre_years: the age that adds nothing.
    """

    weight: float
    centre_years: float = 70.0


class PlantedOutcome(Part):
    """A late outcome; its risk is expit(base + all effects) * (1 + order_contrast * order), at most 1.

    Attributes:
        task: the task of configs/tasks that asks for it.
        code: its code in the record, after PLANTED//.
        base: log odds without any effect.
        values, trends, history: effects of what the record shows.
        admissions, age: the same; null for none.
        order_contrast: how much the order of the early pair matters: order is 1 where the second event came
            after the first, -1 the other way round, 0 where the pair is not there. The mean over both orders
            is the risk without a pair, so how often either event occurs tells nothing.
    """

    task: Word
    code: Word
    base: float
    values: tuple[ValueEffect, ...] = ()
    trends: tuple[TrendEffect, ...] = ()
    history: tuple[HistoryEffect, ...] = ()
    admissions: AdmissionsEffect | None = None
    age: AgeEffect | None = None
    order_contrast: Share = 0.0

    @model_validator(mode="after")
    def _check(self) -> PlantedOutcome:
        named = {value.analyte for value in self.values} | {trend.analyte for trend in self.trends}
        unknown = sorted(named - set(ANALYTE_NAMES))
        if unknown:
            raise ValueError(f"effects name unknown analytes: {', '.join(unknown)}")
        return self


class Pair(Part):
    """Two early events, some hours apart on a day before the question, in either order alike.

    Attributes:
        first, second: their codes in the record, after PLANTED//.
        share: of the questions before which there is a pair.
        from_days, to_days: how long before the question the earlier of the two lies.
        apart_hours: least and most between them.
    """

    first: Word = "alpha"
    second: Word = "beta"
    share: Share = 0.8
    from_days: Positive = 5.0
    to_days: Positive = 25.0
    apart_hours: tuple[Positive, Positive] = (1.0, 6.0)


class Planting(Part):
    """What is planted.

    Attributes:
        asked_code: the code of the event at which a question is asked, after PLANTED//.
        asked_after_hours: after admission; of stays that last as long.
        horizon_days: how far ahead a question looks; the questions of a patient lie further apart.
        pair: the early events; null for none.
        outcomes: what is asked for.
    """

    asked_code: Word = "assessment"
    asked_after_hours: Positive = 24.0
    horizon_days: Positive = 30.0
    pair: Pair | None = None
    outcomes: tuple[PlantedOutcome, ...] = Field(min_length=1)

    @property
    def horizon(self) -> timedelta:
        """How far ahead a question looks."""
        return timedelta(days=self.horizon_days)

    @model_validator(mode="after")
    def _check(self) -> Planting:
        if self.pair and not self.pair.from_days < self.pair.to_days <= self.horizon_days:
            raise ValueError("pair: from_days < to_days <= horizon_days is needed")
        if not self.pair and any(outcome.order_contrast for outcome in self.outcomes):
            raise ValueError("order_contrast needs a pair")
        return self
