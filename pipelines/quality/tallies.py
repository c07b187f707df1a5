"""Tallies of events that several checks share: how many, of which values, in which month."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

BINS_PER_DECADE = 40
"""Medians are told to a fortieth of a decade, six per cent: enough to see a change of unit."""
NO_BIN = -10_000
"""The bin of zero and of negative values, below all others."""
MOST_DECIMALS = 3
_MONTH = pl.col("time").dt.truncate("1mo").dt.date().alias("month")
_VALUE = pl.col("numeric_value").cast(pl.Float64)


def by_month(events: pl.DataFrame) -> pl.DataFrame:
    """system, code, unit, month: n_values, low and high of the numbers that events of a code have."""
    numbers = events.lazy().filter(_VALUE.is_finite() & pl.col("time").is_not_null())
    return (
        numbers.group_by("system", "code", "unit", _MONTH)
        .agg(n_values=pl.len().cast(pl.Int64), low=_VALUE.min(), high=_VALUE.max())
        .collect()
    )


def by_size(events: pl.DataFrame) -> pl.DataFrame:
    """system, code, unit, month, bin: n_values; a bin is a fortieth of a decade."""
    is_positive = _VALUE > 0
    bin_of = pl.when(is_positive).then((_VALUE.log10() * BINS_PER_DECADE).floor()).otherwise(NO_BIN)
    numbers = events.lazy().filter(_VALUE.is_finite() & pl.col("time").is_not_null())
    return (
        numbers.group_by("system", "code", "unit", _MONTH, bin_of.cast(pl.Int16).alias("bin"))
        .agg(n_values=pl.len().cast(pl.Int64))
        .collect()
    )


def by_digit(events: pl.DataFrame) -> pl.DataFrame:
    """system, code, unit, decimals, digit: n_values, low, high; how many decimals a value needs."""
    numbers = events.lazy().filter(_VALUE.is_finite() & (_VALUE > 0) & (_VALUE < 1e6))
    decimals = pl.lit(MOST_DECIMALS)
    for places in range(MOST_DECIMALS - 1, -1, -1):
        decimals = pl.when(_is_whole(places)).then(pl.lit(places)).otherwise(decimals)
    tens = pl.lit(10.0).pow(pl.col("decimals"))
    return (
        numbers.with_columns(decimals=decimals.cast(pl.Int8))
        .with_columns(digit=((_VALUE * tens).round().cast(pl.Int64) % 10).cast(pl.Int8))
        .group_by("system", "code", "unit", "decimals", "digit")
        .agg(n_values=pl.len().cast(pl.Int64), low=_VALUE.min(), high=_VALUE.max())
        .collect()
    )


def _is_whole(places: int) -> pl.Expr:
    """Whether a stored 32-bit number is one with that many decimals."""
    scaled = _VALUE * 10.0**places
    return (scaled - scaled.round()).abs() <= pl.max_horizontal(scaled * 2e-7, pl.lit(1e-6))


def by_place(events: pl.DataFrame) -> pl.DataFrame:
    """system, hospital_id, unit_id, month: n_events with a time; the place is that of the contact named."""
    dated = events.lazy().filter(pl.col("time").is_not_null())
    keys = ("system", "hospital_id", "unit_id", "care_level")
    return dated.group_by(*keys, _MONTH).agg(n_events=pl.len().cast(pl.Int64)).collect()


def by_code_day(events: pl.DataFrame) -> pl.DataFrame:
    """system, code, day: n_events; the day is null for static facts."""
    keyed = events.lazy().filter(pl.col("system").is_not_null())
    return (
        keyed.group_by("system", "code", pl.col("time").dt.date().alias("day"))
        .agg(n_events=pl.len().cast(pl.Int64))
        .collect()
    )


TALLIES: Mapping[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], frozenset[str]]] = {
    "by_month": (by_month, frozenset({"system", "code", "unit", "time", "numeric_value"})),
    "by_size": (by_size, frozenset({"system", "code", "unit", "time", "numeric_value"})),
    "by_digit": (by_digit, frozenset({"system", "code", "unit", "numeric_value"})),
    "by_place": (by_place, frozenset({"system", "hospital_id", "unit_id", "care_level", "time"})),
    "by_code_day": (by_code_day, frozenset({"system", "code", "time"})),
}
"""Each tally's function over a slice of events, and the columns that it needs."""
