"""The criterion `weights`: sums of the weights of a family's groups, as of comorbidity and frailty."""

from __future__ import annotations

import numpy as np
import polars as pl

from ontology.valuesets.sets import Family, load_family
from phenotype.definitions.events import event_rows
from phenotype.definitions.mark_windows import HOUR, Line, spread
from phenotype.definitions.marks import MARKS, as_marks, instants, latest
from phenotype.definitions.nodes import Events, Weights
from phenotype.definitions.record import Record
from phenotype.scores.comorbidity import family_score

DAY = 24 * HOUR


def weight_marks(node: Weights, record: Record) -> pl.DataFrame:
    """The marks of `weights`."""
    family = load_family(node.family)
    codes = _group_events(node, family, record)
    seen = codes.with_columns(unit=pl.col("subject_id"))
    if node.per == "stay":
        days = node.look_back_days if node.look_back_days is not None else family.look_back_days or 0
        own = codes.filter(pl.col("stay_id").is_not_null() & node.own_codes).with_columns(
            unit=pl.col("stay_id")
        )
        seen = pl.concat([own, _seen_before(codes, record.spans.stays, round(days * DAY))])
    ties = ["unit", "group", "start_time", "event_id"]
    firsts = seen.sort(ties).unique(["unit", "group"], keep="first", maintain_order=True)
    scored = family_score(firsts.select("unit", "group"), family, node.weighting)
    evidence = firsts.group_by("unit").agg(
        pl.col("event_id").alias("evidence"),
        pl.col("known_time").max(),
        pl.col("start_time").min().alias("first_time"),
        pl.col("start_time").max().alias("last_time"),
    )
    sums = evidence.join(scored.select("unit", pl.col("score").cast(pl.Float64).round(6)), on="unit")
    units = _stay_rows(sums, record) if node.per == "stay" else _subject_rows(sums)
    value = pl.col("value")
    bounds = [value >= node.at_least] if node.at_least is not None else []
    bounds += [value < node.below] if node.below is not None else []
    return as_marks(units.filter(*bounds).select(MARKS.names()))


def _group_events(node: Weights, family: Family, record: Record) -> pl.DataFrame:
    """The events of each group: subject_id, start_time, stay_id, known_time, event_id, group."""
    frames = []
    for group in family.groups:
        rows = event_rows(Events(sets=(f"{node.family}/{group}",)), record)
        frames.append(
            rows.select(
                "subject_id",
                "start_time",
                "stay_id",
                "known_time",
                pl.col("evidence").list.first().alias("event_id"),
                pl.lit(group).alias("group"),
            )
        )
    return pl.concat(frames).sort("subject_id", "start_time", "group", "event_id")


def _seen_before(codes: pl.DataFrame, stays: pl.DataFrame, look_back: int) -> pl.DataFrame:
    """The events in the time before each stay, with `unit`, the stay that they count for."""
    line = Line(codes, instants(codes, "subject_id"))
    start = instants(stays, "start_time")
    low, high = line.window(instants(stays, "subject_id"), start - look_back, start - 1)
    unit = stays["stay_id"].gather(np.repeat(np.arange(len(low)), high - low))
    return codes[spread(low, high - low)].with_columns(unit=unit)


def _stay_rows(sums: pl.DataFrame, record: Record) -> pl.DataFrame:
    stays = record.spans.stays.select("subject_id", "stay_id", "start_time", "end_time")
    found = stays.join(sums, left_on="stay_id", right_on="unit", how="left")
    is_seen = pl.col("score").is_not_null()
    known = pl.when(is_seen).then(latest(pl.col("known_time"), pl.col("end_time"))).otherwise("end_time")
    return found.with_columns(
        pl.col("evidence").fill_null(pl.lit([], dtype=pl.List(pl.Int64))),
        pl.col("score").fill_null(0.0).alias("value"),
        known.alias("known_time"),
        contact_id=pl.lit(None, pl.Int64),
    )


def _subject_rows(sums: pl.DataFrame) -> pl.DataFrame:
    none = pl.lit(None, pl.Int64)
    return sums.rename(
        {"unit": "subject_id", "first_time": "start_time", "last_time": "end_time"}
    ).with_columns(pl.col("score").alias("value"), stay_id=none, contact_id=none)
