"""Practice over time by unit and measure: what units changed together taken out, known causes laid over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from phenotype.coding.drift.change_points import change_points
from phenotype.coding.drift.cusum import (
    Floats,
    Signal,
    own_level,
    shifted,
)
from phenotype.coding.drift.known_changes import KnownChange, KnownChanges
from phenotype.coding.drift.lines import (
    ALL_UNITS,
    CauseMark,
    DriftLine,
    DriftPoint,
    DriftSignal,
    SharedChange,
    Span,
)
from phenotype.coding.drift.series import (
    DriftSettings,
    MeasureSeries,
    UnitSeries,
    dispersion_of,
    judgeable,
    unit_series,
)
from phenotype.coding.drift.shared import moves, periods, shared_changes, standardised
from phenotype.coding.drift.watching import Watched, unwatched, watch

_DIRECTIONS: Mapping[int, Literal["up", "down"]] = {1: "up", -1: "down"}


def drift_lines(
    series: Iterable[MeasureSeries], known: KnownChanges, settings: DriftSettings | None = None
) -> tuple[DriftLine, ...]:
    """The lines of every measure and unit, and one of all units together for each measure.

    A unit is judged against its own baseline, its patients, and what other units changed at the same time, so
    that a change of rules, which all follow, is no change of its practice. Nothing is left out: a unit that
    cannot be watched has a line without limit that says why.

    Args:
        series: measures over time.
        known: known causes.
        settings: None: the shipped ones.

    Returns:
        Lines sorted by measure and unit.
    """
    chosen = settings or DriftSettings.load()
    lines = [line for one in series for line in lines_of_measure(one, known, chosen)]
    return tuple(sorted(lines, key=lambda line: (line.measure, line.unit)))


def lines_of_measure(
    series: MeasureSeries, known: KnownChanges, settings: DriftSettings
) -> Iterable[DriftLine]:
    """The lines of one measure; see `drift_lines`."""
    causes = known.concerning(series.codes)
    rows, left_out = judgeable(series, causes)
    units = unit_series(rows, settings)
    dispersion = dispersion_of(units)
    shared = shared_changes(units, causes, settings, dispersion)
    together = moves(units, shared)
    for number, unit in enumerate(units):
        moved = together.of_others(number, unit.time)
        yield _line_of_unit(
            series, unit, moved, shared=shared, causes=causes, left_out=left_out.get(unit.unit, {}),
            settings=settings, dispersion=dispersion,
        )  # fmt: skip
    silent = set(left_out) - {unit.unit for unit in units}
    for name in sorted(silent):
        yield DriftLine(unit=name, measure=series.measure, title=series.title, unjudged=left_out[name])
    if len(units) > 1:
        yield _line_of_all(series, units, shared, causes)


def _line_of_unit(
    series: MeasureSeries,
    unit: UnitSeries,
    moved: Floats,
    *,
    shared: tuple[SharedChange, ...],
    causes: tuple[KnownChange, ...],
    left_out: Mapping[str, int],
    settings: DriftSettings,
    dispersion: float,
) -> DriftLine:
    unjudged = dict(left_out)
    if unit.why is not None:
        unjudged[unit.why] = len(unit.time)
    is_watched = unit.why is None
    watched = watch(unit, moved, settings, dispersion=dispersion) if is_watched else unwatched(unit, moved)
    limit = watched.limit
    is_drawn = is_watched and (bool(watched.signals) or settings.draw == "watched")
    found = tuple(_signal(one, unit, watched.expected, causes, settings) for one in watched.signals)
    return DriftLine(
        unit=unit.unit,
        measure=series.measure,
        title=series.title,
        baseline_until=unit.time[unit.n_baseline - 1].item(),
        points=_points(unit, watched, moved) if is_drawn else (),
        limit=limit and limit.height,
        false_alarm_rate=limit and limit.false_alarm_rate,
        average_run_length=limit and limit.average_run_length,
        dispersion=dispersion,
        signals=found,
        change_months=_change_months(unit, moved, settings, dispersion) if is_drawn else (),
        shared=shared,
        causes=_marks(unit, causes, shared, found),
        unjudged=unjudged,
    )


def _signal(
    signal: Signal,
    unit: UnitSeries,
    expected: Floats,
    causes: Sequence[KnownChange],
    settings: DriftSettings,
) -> DriftSignal:
    start, at = signal.start, signal.at
    change = unit.time[start].item()
    near = [
        one.id
        for one in causes
        if one.explains
        and one.units
        and one.holds_at(unit.unit)
        and abs((one.date - change.date()).days) <= settings.known_within_days
    ]
    return DriftSignal(
        direction=_DIRECTIONS[signal.direction],
        change_time=change,
        time=unit.time[at].item(),
        n_stays=at - start + 1,
        before=_span(unit, expected, unit.n_baseline, start),
        after=_span(unit, expected, start, len(unit.time)),
        odds_ratio=float(np.exp(own_level(unit.observed[start:], expected[start:]))),
        causes=tuple(near),
    )


def _span(unit: UnitSeries, expected: Floats, start: int, end: int) -> Span:
    return Span(
        n=end - start,
        observed=int(unit.observed[start:end].sum()),
        expected=round(float(expected[start:end].sum()), 3),
    )


def _points(unit: UnitSeries, watched: Watched, moved: Floats) -> tuple[DriftPoint, ...]:
    """One point a month that has stays."""
    months, first = np.unique(unit.months, return_index=True)
    ends = np.append(first[1:], len(unit.time))
    own = shifted(watched.expected, -moved)
    return tuple(
        DriftPoint(
            month=np.datetime64(int(month), "M").item(),
            n=int(end - start),
            observed=int(unit.observed[start:end].sum()),
            expected=round(float(watched.expected[start:end].sum()), 4),
            expected_own=round(float(own[start:end].sum()), 4),
            cusum_up=_or_none(watched.up[end - 1]),
            cusum_down=_or_none(watched.down[end - 1]),
        )
        for month, start, end in zip(months, first, ends, strict=True)
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _change_months(
    unit: UnitSeries, moved: Floats, settings: DriftSettings, dispersion: float
) -> tuple[dt.date, ...]:
    first, length = periods([unit])
    by_others = shifted(unit.expected, moved)
    expected = shifted(by_others, own_level(unit.observed, by_others))
    scores = standardised([unit], [expected], first=first, length=length, dispersion=dispersion)
    points = change_points(scores, false_alarm_rate=settings.false_alarm_rate, seed=settings.seed)
    return tuple(np.datetime64(first + point * length, "M").item() for point in points)


def _marks(
    unit: UnitSeries,
    causes: Sequence[KnownChange],
    shared: Sequence[SharedChange],
    found: Sequence[DriftSignal],
) -> tuple[CauseMark, ...]:
    """The known causes that hold at the unit within its line."""
    explaining = {name for change in shared for name in change.causes}
    explaining |= {name for signal in found for name in signal.causes}
    begin, end = unit.time[0].item().date(), unit.time[-1].item().date()
    return tuple(
        _mark(one, is_explaining=one.id in explaining)
        for one in causes
        if one.holds_at(unit.unit) and begin <= one.date <= end
    )


def _mark(cause: KnownChange, *, is_explaining: bool) -> CauseMark:
    return CauseMark(
        date=cause.date, id=cause.id, title=cause.title, title_nb=cause.title_nb, kind=cause.kind,
        explains=is_explaining,
    )  # fmt: skip


def _line_of_all(
    series: MeasureSeries,
    units: Sequence[UnitSeries],
    shared: tuple[SharedChange, ...],
    causes: Sequence[KnownChange],
) -> DriftLine:
    """All units' stays, each against its unit's whole line."""
    order = np.argsort(np.concatenate([unit.time for unit in units]), kind="stable")
    whole = UnitSeries(
        ALL_UNITS,
        time=np.concatenate([unit.time for unit in units])[order],
        observed=np.concatenate([unit.observed for unit in units])[order],
        expected=np.concatenate([unit.own for unit in units])[order],
        contact_id=np.concatenate([unit.contact_id for unit in units])[order],
        subject=np.concatenate([unit.subject for unit in units])[order],
        n_baseline=len(order),
        why=None,
    )
    nothing = np.zeros(len(order))
    return DriftLine(
        unit=ALL_UNITS,
        measure=series.measure,
        title=series.title,
        points=_points(whole, unwatched(whole, nothing), nothing),
        shared=shared,
        causes=_marks(whole, [one for one in causes if not one.units], shared, ()),
    )
