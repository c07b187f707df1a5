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
MAX_OF_DOMAIN = 5
MIN_POINTS = 2
MIN_COURSE = 4
"""How often something must have been measured for its drawing to show a course."""
WIDER = (dt.timedelta(days=30), dt.timedelta(days=365))
"""The stretches that values are drawn over where the last days hold too few of them."""
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
        start: where the stretch begins that is drawn; it ends at the prediction.
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
    start: dt.datetime
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
        series: values, by domain; the series of one domain share a stretch.
    """

    history: Timeline | None
    recent: Timeline
    series: tuple[Series, ...]


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
    starts = [recent_start, *(max(first, end - span) for span in WIDER)]
    series = _series(events, sorted(set(starts), reverse=True), important)
    has_history = first < recent_start
    return Trajectory(
        history=_timeline(events, begun, first, end) if has_history else None,
        recent=_timeline(events, begun, recent_start, end),
        series=series,
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


def _series(
    events: pl.DataFrame, starts: Sequence[dt.datetime], important: Sequence[str]
) -> tuple[Series, ...]:
    """The series worth drawing: the important ones first, then the most often measured; told by domain."""
    shown = events.filter(pl.col("numeric_value").is_finite())
    counts = shown.group_by("code").agg(
        n=pl.len(), n_recent=(pl.col("time") >= starts[0]).sum(), n_times=pl.col("time").n_unique()
    )
    rank = {code: place for place, code in enumerate(important)}
    ordered = sorted(
        (row["n_recent"] == 0, rank.get(row["code"], len(rank)), -row["n_recent"], -row["n"], row["code"])
        for row in counts.to_dicts()
        if row["n_times"] >= MIN_POINTS and _is_measured(row["code"])
    )
    drawn = _mixed([code for *_, code in ordered])
    series: list[Series] = []
    for domain in DOMAINS:
        codes = [code for code in drawn if domain_of(code) == domain]
        start = _telling_start(shown, codes, starts)
        series += [_one_series(shown, code, start, starts[0]) for code in codes]
    return tuple(series)


def _mixed(codes: list[str]) -> list[str]:
    """The first MAX_SERIES of the codes; no domain takes more than its share while others have any left."""
    place = {
        code: [domain_of(other) for other in codes[:n]].count(domain_of(code)) for n, code in enumerate(codes)
    }
    chosen = sorted(codes, key=lambda code: place[code] >= MAX_OF_DOMAIN)[:MAX_SERIES]
    return [code for code in codes if code in chosen]


def _telling_start(events: pl.DataFrame, codes: list[str], starts: Sequence[dt.datetime]) -> dt.datetime:
    """The latest start from which half of the codes show a course, else that from which most do."""
    times = events.filter(pl.col("code").is_in(codes)).select("code", "time").unique()
    shown = [
        times.filter(pl.col("time") >= start)
        .group_by("code")
        .len()
        .filter(pl.col("len") >= MIN_COURSE)
        .height
        for start in starts
    ]
    enough = min((len(codes) + 1) // 2, max(shown))
    return next(start for start, n_codes in zip(starts, shown, strict=True) if n_codes >= enough)


def _is_measured(code: str) -> bool:
    """Whether values are measurements, not codes, settings of treatment or demographics."""
    entry = entry_of(code)
    return domain_of(code) in {"Vital signs", "Laboratory", "Scores", "Other"} and not (
        entry and entry.values
    )


def _one_series(events: pl.DataFrame, code: str, start: dt.datetime, recent: dt.datetime) -> Series:
    """One code's values since the start; its last ones where fewer than MIN_POINTS are so recent.

    Where all values since the start are of the last days, the stretch is the last days too.
    """
    known = events.filter(pl.col("code") == code)
    rows = known.filter(pl.col("time") >= start)
    if rows["time"].n_unique() < MIN_POINTS:
        rows = known.tail(MIN_COURSE)
        start = rows["time"][0]
    elif rows["time"][0] >= recent:
        start = recent
    last, entry = rows.row(-1, named=True), entry_of(code)
    return Series(
        code=code,
        label=label_of(code),
        unit=unit_of(last),
        start=start,
        times=tuple(rows["time"].to_list()),
        values=tuple(rows["numeric_value"].cast(pl.Float64).to_list()),
        low=entry.low if entry else None,
        high=entry.high if entry else None,
        reference=reference_of(code),
        last_words=value_words(code, last["numeric_value"], unit_of(last)),
    )
