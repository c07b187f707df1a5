"""Values of one code in one unit: the unit that most patients' values have, others converted or not read."""

from __future__ import annotations

import polars as pl

from ontology.errors import PestaError
from ontology.units.conversion import conversion

_FINITE = pl.col("numeric_value").is_finite()


def usual_units(events: pl.LazyFrame) -> pl.DataFrame:
    """Code and unit: of each code the unit that most patients' values were sent in.

    Args:
        events: subject_id, code, numeric_value and, where units are known, unit. Codes whose values have no
            unit are left out; of units that are equally usual the first by name is taken.
    """
    if "unit" not in events.collect_schema():
        return pl.DataFrame(schema={"code": pl.String, "unit": pl.String})
    return (
        events.filter(_FINITE & pl.col("unit").is_not_null())
        .select("subject_id", "code", "unit")
        .unique()
        .group_by("code", "unit")
        .agg(pl.len().alias("_n"))
        .sort(["code", "_n", "unit"], descending=[False, True, False])
        .group_by("code", maintain_order=True)
        .agg(pl.col("unit").first())
        .collect(engine="in-memory")
        .sort("code")
    )


def in_usual_units(events: pl.LazyFrame, units: pl.DataFrame) -> pl.LazyFrame:
    """The events with numeric_value (Float64) in their code's usual unit.

    A value without a unit is taken to be in the usual one. One in another unit is converted where the units
    alone say how; else it is null: that it was measured is read, its number is not.

    Args:
        events: code, numeric_value and, where units are known, unit.
        units: from `usual_units`.

    **Source:** UCUM, as `ontology.units` converts it.
    """
    value = pl.col("numeric_value").cast(pl.Float64)
    if not units.height or "unit" not in events.collect_schema():
        return events.with_columns(value)
    sent = events.filter(_FINITE & pl.col("unit").is_not_null()).select("code", "unit").unique()
    wanted = units.lazy().rename({"unit": "_wanted"})
    others = sent.join(wanted, on="code").filter(pl.col("unit") != pl.col("_wanted")).collect()
    if not others.height:
        return events.with_columns(value)
    steps = [_step(unit, wanted) for unit, wanted in others.select("unit", "_wanted").iter_rows()]
    table = others.select("code", "unit").with_columns(
        pl.Series("_factor", [factor for factor, _ in steps], dtype=pl.Float64),
        pl.Series("_offset", [offset for _, offset in steps], dtype=pl.Float64),
        _is_other=pl.lit(value=True),
    )
    joined = events.join(table.lazy(), on=["code", "unit"], how="left", maintain_order="left")
    converted = value * pl.col("_factor") + pl.col("_offset")
    is_other = pl.col("_is_other").fill_null(value=False)
    read = pl.when(is_other).then(converted).otherwise(value).alias("numeric_value")
    return joined.with_columns(read).drop("_factor", "_offset", "_is_other")


def _step(sent: str, wanted: str) -> tuple[float | None, float | None]:
    """Factor and offset from one unit to another; null where the units alone do not say."""
    try:
        found = conversion(sent, wanted)
    except PestaError:
        return None, None
    return found.factor, found.offset
