"""A trajectory as a page shows it: contacts as bands, events in lanes by domain, values as series."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import polars as pl

from ontology.labels import CARE_DOMAINS, DOMAINS, domain_of, entry_of, label_of, reference_of
from phenotype.explain.record import Record, unit_of
from phenotype.explain.sentences import value_words
from phenotype.task_parts import Frozen

RECENT = dt.timedelta(days=7)
N_BINS = 240
MAX_SERIES = 9
MIN_POINTS = 2
NOT_IN_LANES = frozenset({"Contacts", "Demographics", "Outcomes", "Scores"})
CARE_LEVELS: Mapping[str, str] = {
    "icu": "intensive care",
    "inpatient": "ward",
    "emergency": "emergency department",
    "day": "day treatment",
    "outpatient": "outpatient",
}


class Band(Frozen):
    """One contact on the time line; end is null where it goes on at the prediction."""

    start: dt.datetime
    end: dt.datetime | None
    care_level: str
    label: str


class Mark(Frozen):
    """Events of one domain that stand at one place of the line."""

    time: dt.datetime
    n_events: int
    words: str


class Lane(Frozen):
    """The events of one domain."""

    domain: str
    is_care: bool
    n_events: int
    marks: tuple[Mark, ...]


class Timeline(Frozen):
    """One stretch of the trajectory that ends at the prediction."""

    start: dt.datetime
    end: dt.datetime
    bands: tuple[Band, ...]
    lanes: tuple[Lane, ...]


class Series(Frozen):
    """The values of one code over the last days.

    Attributes:
        code: the code.
        label: its plain name.
        unit: of the values.
        times: when measured, ascending.
        values: as recorded.
        low: lower end of the usual band, if known.
        high: upper end.
        reference: what the band comes from.
        last_words: the last value as a reader wants it.
    """

    code: str
    label: str
    unit: str
    times: tuple[dt.datetime, ...]
    values: tuple[float, ...]
    low: float | None
    high: float | None
    reference: str
    last_words: str


class Trajectory(Frozen):
    """All that a page draws of a trajectory; nothing in it was known after the prediction.

    Attributes:
        history: the whole history, or null where the recent days are all there is.
        recent: the last days.
        series: values over the stretch from series_start to the prediction.
        series_start: where the series begin.
    """

    history: Timeline | None
    recent: Timeline
    series: tuple[Series, ...]
    series_start: dt.datetime


def trajectory_of(record: Record, contacts: pl.DataFrame, important: Sequence[str]) -> Trajectory:
    """The trajectory of one patient up to the prediction.

    Args:
        record: what was known.
        contacts: columns of CONTACTS, this subject's.
        important: codes in order of importance for the prediction; their values are drawn first.
    """
    end = record.prediction_time
    happened = (pl.col("time").is_not_null()) & (pl.col("time") <= end) & (pl.col("code") != "MEDS_BIRTH")
    events = record.events.filter(happened).sort("time", "code", "known_time", "numeric_value")
    begun = contacts.filter(pl.col("start_time") <= end).sort("start_time", "contact_id")
    firsts = [time for time in (events["time"].min(), begun["start_time"].min()) if time is not None]
    first = min([*firsts, end - dt.timedelta(hours=6)])
    assert isinstance(first, dt.datetime)  # noqa: S101  the minimum of instants, for the type checker
    week = end - RECENT
    recent_start = first
    if first < week:
        stirred = [*events.filter(pl.col("time") >= week)["time"].head(1), *_begun_or_open(begun, week)]
        recent_start = min([*stirred, end - dt.timedelta(days=1)])
    series_start, series = recent_start, _series(events, recent_start, important)
    if len(series) < MIN_POINTS and first < recent_start:
        series_start, series = first, _series(events, first, important)
    has_history = first < recent_start
    return Trajectory(
        history=_timeline(events, begun, first, end) if has_history else None,
        recent=_timeline(events, begun, recent_start, end),
        series=series,
        series_start=series_start,
    )


def _begun_or_open(contacts: pl.DataFrame, week: dt.datetime) -> list[dt.datetime]:
    """When contacts reach into the last days: at their start, or at the edge where they began before it."""
    reaching = contacts.filter(pl.col("end_time").is_null() | (pl.col("end_time") >= week))
    return [max(time, week) for time in reaching["start_time"].to_list()]


def _timeline(events: pl.DataFrame, contacts: pl.DataFrame, start: dt.datetime, end: dt.datetime) -> Timeline:
    shown = events.filter(pl.col("time") >= start)
    overlapping = contacts.filter(pl.col("end_time").is_null() | (pl.col("end_time") >= start))
    bands = tuple(_band(row, start, end) for row in overlapping.to_dicts())
    return Timeline(start=start, end=end, bands=bands, lanes=_lanes(shown, start, end))


def _band(row: dict[str, object], start: dt.datetime, end: dt.datetime) -> Band:
    """A contact cut to the stretch; a discharge after the prediction is not known and left open."""
    began, ended = row["start_time"], row["end_time"]
    assert isinstance(began, dt.datetime)  # noqa: S101  filtered on it
    is_over = isinstance(ended, dt.datetime) and ended <= end
    level = str(row["care_level"] or "")
    parts = [
        CARE_LEVELS.get(level, level or "contact"),
        str(row["unit_id"] or ""),
        str(row["hospital_id"] or ""),
    ]
    return Band(
        start=max(began, start),
        end=ended if is_over and isinstance(ended, dt.datetime) else None,
        care_level=level,
        label=", ".join(part for part in parts if part),
    )


def _lanes(events: pl.DataFrame, start: dt.datetime, end: dt.datetime) -> tuple[Lane, ...]:
    """Events by domain; those too near each other to be told apart share a mark."""
    bin_seconds = max((end - start).total_seconds() / N_BINS, 1.0)
    codes = events["code"].unique().to_list()
    domains = pl.DataFrame(
        {"code": codes, "domain": [domain_of(code) for code in codes]}, schema_overrides=_TEXTS
    )
    binned = events.join(domains, on="code", maintain_order="left").with_columns(
        ((pl.col("time") - start).dt.total_seconds() / bin_seconds).floor().alias("bin")
    )
    lanes = []
    for domain in DOMAINS:
        rows = binned.filter(pl.col("domain") == domain)
        if domain in NOT_IN_LANES or not rows.height:
            continue
        marks = tuple(_mark(group) for group in rows.partition_by("bin", maintain_order=True))
        lanes.append(Lane(domain=domain, is_care=domain in CARE_DOMAINS, n_events=rows.height, marks=marks))
    return tuple(lanes)


_TEXTS = {"code": pl.String, "domain": pl.String}


def _mark(events: pl.DataFrame) -> Mark:
    labels = list(dict.fromkeys(label_of(code) for code in events["code"].to_list()))
    more = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return Mark(time=events["time"][0], n_events=events.height, words=", ".join(labels[:3]) + more)


def _series(events: pl.DataFrame, start: dt.datetime, important: Sequence[str]) -> tuple[Series, ...]:
    """The series worth drawing: the important ones first, then the most often measured."""
    shown = events.filter((pl.col("time") >= start) & pl.col("numeric_value").is_finite())
    counts = shown.group_by("code").agg(pl.len().alias("n"), pl.col("time").n_unique().alias("n_times"))
    rank = {code: place for place, code in enumerate(important)}
    drawn = [
        (rank.get(row["code"], len(rank)), -row["n"], row["code"])
        for row in counts.to_dicts()
        if row["n_times"] >= MIN_POINTS and _is_measured(row["code"])
    ]
    return tuple(_one_series(shown, code) for _, _, code in sorted(drawn)[:MAX_SERIES])


def _is_measured(code: str) -> bool:
    """Whether values are measurements, not codes, settings of treatment or demographics."""
    entry = entry_of(code)
    return domain_of(code) in {"Vital signs", "Laboratory", "Scores", "Other"} and not (
        entry and entry.values
    )


def _one_series(events: pl.DataFrame, code: str) -> Series:
    rows = events.filter(pl.col("code") == code)
    last, entry = rows.row(-1, named=True), entry_of(code)
    return Series(
        code=code,
        label=label_of(code),
        unit=unit_of(last),
        times=tuple(rows["time"].to_list()),
        values=tuple(rows["numeric_value"].cast(pl.Float64).to_list()),
        low=entry.low if entry else None,
        high=entry.high if entry else None,
        reference=reference_of(code),
        last_words=value_words(code, last["numeric_value"], unit_of(last)),
    )
