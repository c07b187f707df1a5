"""Values of a frame converted to one unit, by unique unit and analyte; what was sent is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from ontology.errors import PestaError, Problem
from ontology.units.conversion import Conversion, UnitError, conversion

MissingUnit = Literal["as_wanted", "left_out", "refused"]


@dataclass(frozen=True)
class Converted:
    """Values in the wanted unit, and what was done.

    Attributes:
        values: the rows that were given, with `value` (Float64, in the wanted unit; null where left out). The
            columns numeric_value and unit are as they were sent.
        counts: unit (as sent), analyte, n_values, how (same, converted, taken_as_wanted, left_out), factor,
            offset; sorted.
    """

    values: pl.DataFrame
    counts: pl.DataFrame


def convert(
    measurements: pl.DataFrame,
    wanted: str,
    analyte: str | None = None,
    *,
    missing_unit: MissingUnit = "refused",
    impossible: Literal["refused", "left_out"] = "refused",
) -> Converted:
    """Each value in the wanted unit.

    Args:
        measurements: numeric_value, unit (null where none was sent) and any other columns; `analyte` among
            them where the argument is None and it differs by row.
        wanted: the unit that is wanted.
        analyte: what all of them measure.
        missing_unit: whether a value without a unit is taken to be in the wanted one, left out, or refused.
        impossible: whether a unit that cannot be converted is an error, or its values are left out.

    Returns:
        The rows in their order with `value`, and the counts.

    Raises:
        UnitError: every unit that cannot be converted, with the wanted one and the analyte; a unit that is
            missing where that is refused.
    """
    by_row = analyte is None and "analyte" in measurements.columns
    measured = pl.col("analyte").cast(pl.String) if by_row else pl.lit(analyte, pl.String)
    keyed = measurements.with_columns(
        measured.alias("_analyte"), pl.col("unit").cast(pl.String).alias("_unit")
    )
    units = (
        keyed.filter(pl.col("numeric_value").is_not_null())
        .group_by("_unit", "_analyte")
        .agg(pl.len().cast(pl.Int64).alias("n_values"))
        .sort("_unit", "_analyte", nulls_last=False)
    )
    faults: list[Problem] = []
    steps: list[tuple[str, Conversion | None]] = []
    for unit, of in units.select("_unit", "_analyte").iter_rows():
        try:
            steps.append(_step(unit, of, wanted, missing_unit))
        except PestaError as error:
            steps.append(("left_out", None))
            faults += error.problems if unit is None or impossible == "refused" else ()
    if faults:
        raise UnitError(faults)
    table = units.with_columns(
        pl.Series("how", [how for how, _ in steps], pl.String),
        pl.Series("factor", [step.factor if step else None for _, step in steps], pl.Float64),
        pl.Series("offset", [step.offset if step else None for _, step in steps], pl.Float64),
    )
    value = pl.col("numeric_value").cast(pl.Float64) * pl.col("factor") + pl.col("offset")
    values = keyed.join(
        table, on=["_unit", "_analyte"], how="left", nulls_equal=True, maintain_order="left"
    ).select(*measurements.columns, value.alias("value"))
    counts = table.rename({"_unit": "unit", "_analyte": "analyte"})
    return Converted(values, counts.select("unit", "analyte", "n_values", "how", "factor", "offset"))


def _step(
    unit: str | None, analyte: str | None, wanted: str, missing_unit: MissingUnit
) -> tuple[str, Conversion | None]:
    """How values of one unit get to the wanted one."""
    if unit is not None:
        found = conversion(unit, wanted, analyte)
        return "same" if found == Conversion(1.0) else "converted", found
    if missing_unit == "refused":
        raise UnitError(
            Problem(
                f"no unit was sent for {analyte or 'a value without analyte'}",
                allowed=f"a unit that can be converted to {wanted}",
                next_step="map the unit at the source, or take values without one to be in the wanted unit",
            )
        )
    return ("taken_as_wanted", Conversion(1.0)) if missing_unit == "as_wanted" else ("left_out", None)
