"""What is told of a unit's practice over time, for drawing: months, sums, signals, changes, known causes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

ALL_UNITS = "all units"
"""The unit of a change that units share."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DriftPoint(_Told):
    """One month of a line.

    Attributes:
        month: its first day.
        n: stays that were judged.
        observed: how many of them count.
        expected: how many would, by the unit's own baseline, its patients, and what other units changed too.
        expected_own: the same without what other units changed.
        cusum_up: the sum for more often, at the end of the month; null in the baseline.
        cusum_down: the sum for more seldom.
    """

    month: dt.date
    n: int
    observed: int
    expected: float
    expected_own: float
    cusum_up: float | None = None
    cusum_down: float | None = None


class Span(_Told):
    """Stays of a span: how many, how many count, how many were expected to."""

    n: int
    observed: int
    expected: float


class DriftSignal(_Told):
    """A change of practice that a CUSUM told.

    Attributes:
        direction: up (more often) or down.
        change_time: the likeliest time of the change, by all stays of the line.
        time: of the stay that gave the signal.
        n_stays: from the change to the signal.
        before: the stays after the baseline and before the change.
        after: the stays since the change.
        odds_ratio: of the stays since the change against what is expected.
        causes: ids of known causes near the change that name this unit.
    """

    direction: Literal["up", "down"]
    change_time: dt.datetime
    time: dt.datetime
    n_stays: int
    before: Span
    after: Span
    odds_ratio: float
    causes: tuple[str, ...] = ()


class CauseMark(_Told):
    """A known cause laid over a line.

    Attributes:
        date: of the cause.
        id: of the known change.
        title: in English.
        title_nb: in Norwegian.
        kind: of the known change.
        explains: whether units changed together near its date, or it names this unit.
    """

    date: dt.date
    id: str
    title: str
    title_nb: str
    kind: str
    explains: bool


class SharedChange(_Told):
    """A change that units made together.

    Attributes:
        date: the first day of the first period after it.
        odds_ratio: of the time after it (until the next) against that before, all units together.
        z: how clear it is without the unit without which it is least clear.
        causes: ids of known causes near it.
    """

    date: dt.date
    odds_ratio: float
    z: float
    causes: tuple[str, ...] = ()


class DriftLine(_Told):
    """The practice of one unit over time, by one measure.

    Attributes:
        unit: the unit, or ALL_UNITS.
        measure: id of the measure.
        title: of the measure.
        baseline_until: the last time of the baseline; null where there is none.
        points: by month; none of a line that is not to be drawn.
        limit: of the sums; null where the unit was not watched.
        false_alarm_rate: the chance that this line signals without a change.
        average_run_length: stays until a false alarm, on average.
        dispersion: how many times more the measure's stays vary than independent ones (stays of one patient
            are alike); it lowers the sums.
        signals: the first of each direction.
        change_months: changes that a search over a line to be drawn finds, what other units changed apart.
        shared: changes that units made together.
        causes: known causes that concern the measure, within the line.
        unjudged: stays that were not judged, by reason.
    """

    unit: str
    measure: str
    title: str
    baseline_until: dt.datetime | None = None
    points: tuple[DriftPoint, ...] = ()
    limit: float | None = None
    false_alarm_rate: float | None = None
    average_run_length: float | None = None
    dispersion: float | None = None
    signals: tuple[DriftSignal, ...] = ()
    change_months: tuple[dt.date, ...] = ()
    shared: tuple[SharedChange, ...] = ()
    causes: tuple[CauseMark, ...] = ()
    unjudged: Mapping[str, int] = {}
