"""Which codes feed the components of a severity score: configs/valuesets/scores.yaml and files like it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from ontology.configuration import find_config, read_yaml, validate
from ontology.units.spellings import to_ucum
from phenotype.trajectory import known_time

Clock = Literal["known_time", "time"]
"""Predictors go by when a fact could be known, phenotypes by when it was."""
STORED_DIGITS = 6
"""Values are stored as float32: an oxygen fraction of 0.21 must not lie below 0.21."""


class ComponentCode(BaseModel):
    """One code that measures a component.

    Attributes:
        code: the event code.
        factor: the event's value times this, plus `offset`, is in the component's unit.
        offset: in the component's unit.
        unit: where given, only events in this unit count, however it is spelt.
        present: the event alone counts, as 1, whatever its value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    factor: float = 1.0
    offset: float = 0.0
    unit: str | None = None
    present: bool = False


class Component(BaseModel):
    """What a score measures.

    Attributes:
        unit: the unit of `low`, `high` and of what `component_events` returns.
        low: the smallest value that is taken for a measurement.
        high: the largest.
        codes: where it is found.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    low: float
    high: float
    codes: tuple[ComponentCode, ...] = Field(min_length=1)


class ScoreCodes(BaseModel):
    """The components of all scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    version: str
    source: str
    components: dict[str, Component]


@lru_cache(maxsize=8)
def load_score_codes(name_or_path: str | Path = "scores") -> ScoreCodes:
    """The code map of that path, or the shipped one of that name.

    Raises:
        ConfigurationError: no such file, or a file that does not fit; every fault is listed.
    """
    path = find_config("valuesets", name_or_path)
    return validate(ScoreCodes, read_yaml(path), where=str(path))


def component_events(
    events: pl.LazyFrame, codes: ScoreCodes, components: tuple[str, ...], *, clock: Clock = "known_time"
) -> pl.DataFrame:
    """Measurements of components in their own units, those outside the plausible range left out.

    Args:
        events: columns of EVENTS; lineage_id may be absent.
        codes: the code map.
        components: names of components; those that the map does not list give no measurements.
        clock: which instant of an event counts: when it could be known, or when it was (phenotypes).

    Returns:
        subject_id, time (by that clock), component, value (Float64), known_time, lineage_id; in no order.
    """
    sources = _sources(codes, components)
    number = pl.col("numeric_value").cast(pl.Float64) * pl.col("factor") + pl.col("offset")
    value = pl.when("present").then(1.0).otherwise(number.round(STORED_DIGITS))
    time = known_time() if clock == "known_time" else pl.col("time")
    found = (
        events.filter(pl.col("code").is_in(sources["code"].unique().to_list()) & time.is_not_null())
        .join(sources.lazy(), on="code")
        .filter(value.is_between(pl.col("low"), pl.col("high")))
        .select(
            "subject_id",
            time.alias("time"),
            "component",
            value.alias("value"),
            known_time().alias("known_time"),
            _lineage(events),
            pl.when(pl.col("only_unit").is_not_null()).then(pl.col("unit")).alias("unit"),
            "only_unit",
        )
        .collect()
    )
    return _in_their_unit(found).drop("unit", "only_unit")


def _in_their_unit(found: pl.DataFrame) -> pl.DataFrame:
    """Without the events of codes that count in one unit only and came in another, spelling apart."""
    units = found.select("unit", "only_unit").unique().drop_nulls()
    pairs = [(unit, only) for unit, only in units.rows() if to_ucum(unit) == to_ucum(only)]
    fitting = pl.DataFrame(pairs, schema=units.schema, orient="row")
    limited = found.filter(pl.col("only_unit").is_not_null()).join(
        fitting, on=["unit", "only_unit"], how="semi"
    )
    return pl.concat([found.filter(pl.col("only_unit").is_null()), limited])


def _lineage(events: pl.LazyFrame) -> pl.Expr:
    """lineage_id, null where the events have none."""
    has_lineage = "lineage_id" in events.collect_schema()
    return (pl.col("lineage_id") if has_lineage else pl.lit(None, pl.Int64)).alias("lineage_id")


def _sources(codes: ScoreCodes, components: tuple[str, ...]) -> pl.DataFrame:
    """One row for each code of each component that the map lists."""
    listed = [(name, codes.components[name]) for name in components if name in codes.components]
    return pl.DataFrame(
        [
            (
                source.code,
                name,
                source.factor,
                source.offset,
                source.unit,
                source.present,
                component.low,
                component.high,
            )
            for name, component in listed
            for source in component.codes
        ],
        schema={
            "code": pl.String,
            "component": pl.String,
            "factor": pl.Float64,
            "offset": pl.Float64,
            "only_unit": pl.String,
            "present": pl.Boolean,
            "low": pl.Float64,
            "high": pl.Float64,
        },
        orient="row",
    )
