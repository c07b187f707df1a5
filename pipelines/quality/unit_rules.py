"""Rules about the units of values: the code's own, the usual one, and a change over time."""

from __future__ import annotations

from functools import lru_cache

import polars as pl

from ontology.errors import PestaError
from ontology.units.conversion import Conversion, conversion
from ontology.units.spellings import to_ucum
from pipelines.quality.outcomes import Outcome, counted
from pipelines.quality.rules import Analyte, DeclaredUnit, OneValue, UnitChange, UsualUnit, ValueRange
from pipelines.quality.surroundings import Surroundings

NO_UNIT = "(no unit)"
_NUMBERS = {"[pH]": "1"}
"""Words for plain numbers. **Source:** UCUM, [pH] counts as 1; NLK gives pH no unit."""


@lru_cache(maxsize=65_536)
def one_spelling(unit: str | None) -> str:
    """A unit in one spelling, or that there is none."""
    spelling = to_ucum(unit) if unit and unit.strip() else NO_UNIT
    return _NUMBERS.get(spelling, spelling)


def spelled(tally: pl.DataFrame) -> pl.DataFrame:
    """A tally with its units in one spelling."""
    told = {unit: one_spelling(unit) for unit in tally["unit"].unique()}
    spelling = pl.col("unit").replace_strict(told, default=NO_UNIT, return_dtype=pl.String)
    return tally.with_columns(unit=spelling)


def conclude_declared(rule: DeclaredUnit, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """By code: values, and values in another unit than the code's; those without unit are not asked.

    Units of which one is as large as the other (ug/mL and mg/L) are the same.
    """
    declared = {code: analyte for analyte in rule.analytes for code in analyte.codes}
    known = spelled(tally).filter(pl.col("code").is_in(list(declared)) & (pl.col("unit") != NO_UNIT))
    pairs = known.select("code", "unit").unique()
    others = pairs.filter(
        pl.Series(
            [not _is_unit_of(declared[code], unit) for code, unit in pairs.iter_rows()], dtype=pl.Boolean
        )
    )
    known = known.join(others.with_columns(is_other=pl.lit(value=True)), on=["code", "unit"], how="left")
    is_other = pl.col("is_other").fill_null(value=False)
    found = known.group_by(concept="code").agg(
        n_rows=pl.col("n_values").sum(), n_violated=pl.col("n_values").filter(is_other).sum()
    )
    details = (
        known.filter(is_other).group_by("code", "unit").agg(pl.col("n_values").sum()).sort("code", "unit")
    )
    counts = counted(found)
    return Outcome(counts, details, "" if counts.height else "no values with a unit of these codes")


def conclude_usual(rule: UsualUnit, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """By code: values, and values that have not the unit that most of them have."""
    units = _by_unit(rule.systems, tally)
    most = pl.col("n_values").max()
    found = units.group_by(concept="code").agg(
        n_rows=pl.col("n_values").sum(), n_violated=pl.col("n_values").sum() - most
    )
    counts = counted(found)
    several = units.filter(pl.len().over("code") > 1).sort("code", "n_values", descending=[False, True])
    return Outcome(counts, several, "" if counts.height else "no values of these systems")


def _by_unit(systems: tuple[str, ...], tally: pl.DataFrame) -> pl.DataFrame:
    """code, unit (one spelling), n_values over all months."""
    asked = spelled(tally.filter(pl.col("system").is_in(systems)))
    return asked.group_by("code", "unit").agg(pl.col("n_values").sum())


def conclude_change(rule: UnitChange, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """By code: months that follow another with enough values, and those whose usual unit is a new one.

    Values without a unit are passed over, and months in which no unit has two thirds of the values.
    """
    asked = spelled(tally.filter(pl.col("system").is_in(rule.systems))).filter(pl.col("unit") != NO_UNIT)
    months = asked.group_by("code", "month", "unit").agg(pl.col("n_values").sum())
    usual = (
        months.sort("code", "month", "n_values", "unit", descending=[False, False, True, False])
        .group_by("code", "month", maintain_order=True)
        .agg(
            unit=pl.col("unit").first(),
            n_usual=pl.col("n_values").first(),
            n_in_month=pl.col("n_values").sum(),
        )
        .filter(pl.col("n_in_month") >= rule.n_in_month, 3 * pl.col("n_usual") >= 2 * pl.col("n_in_month"))
    )
    before = pl.col("unit").shift(1).over("code")
    steps = usual.with_columns(before=before).filter(pl.col("before").is_not_null())
    found = steps.group_by(concept="code").agg(
        n_rows=pl.len(), n_violated=(pl.col("unit") != pl.col("before")).sum()
    )
    counts = counted(found)
    changes = steps.filter(pl.col("unit") != pl.col("before")).select("code", "month", "before", "unit")
    return Outcome(counts, changes, "" if counts.height else "no code with values in two months")


def conclude_one_value(rule: OneValue, tally: pl.DataFrame, _: Surroundings) -> Outcome:
    """By code: its values, all wrong where they are one value."""
    asked = tally.filter(pl.col("system").is_in(rule.systems))
    codes = asked.group_by(concept="code").agg(
        n_rows=pl.col("n_values").sum(), is_one=pl.col("low").min() == pl.col("high").max()
    )
    found = codes.with_columns(n_violated=pl.when("is_one").then("n_rows").otherwise(0))
    counts = counted(found)
    return Outcome(counts, reason="" if counts.height else "no values of these systems")


def count_ranges(rule: ValueRange, events: pl.DataFrame, _: Surroundings) -> pl.DataFrame:
    """By code: values of a slice that can be judged, and those outside what can be."""
    by_code = {code: analyte for analyte in rule.analytes for code in analyte.codes}
    asked = events.filter(pl.col("code").is_in(list(by_code)) & pl.col("numeric_value").is_finite())
    pairs = asked.select("code", "unit").unique()
    rows = [
        (code, unit, found.factor, found.offset, by_code[code].low, by_code[code].high)
        for code, unit in pairs.iter_rows()
        if (found := _to_unit_of(by_code[code], unit)) is not None
    ]
    schema = {
        "code": pl.String,
        "unit": pl.String,
        "factor": pl.Float64,
        "offset": pl.Float64,
        "lowest": pl.Float64,
        "highest": pl.Float64,
    }
    bounds = pl.DataFrame(rows, schema=schema, orient="row")
    value = (pl.col("numeric_value").cast(pl.Float64) * pl.col("factor") + pl.col("offset")).round_sig_figs(6)
    is_wrong = (value < pl.col("lowest")) | (value > pl.col("highest"))
    return (
        asked.join(bounds, on=["code", "unit"], nulls_equal=True)
        .group_by(concept="code")
        .agg(n_rows=pl.len().cast(pl.Int64), n_violated=is_wrong.sum().cast(pl.Int64))
    )


def _to_unit_of(analyte: Analyte, unit: str | None) -> Conversion | None:
    """What turns a unit into the analyte's; a missing unit is taken for it, None where nothing does."""
    if one_spelling(unit) == NO_UNIT:
        return Conversion(1.0)
    try:
        return conversion(one_spelling(unit), analyte.unit, analyte.name)
    except PestaError:
        return None


def _is_unit_of(analyte: Analyte, unit: str) -> bool:
    """Whether a number means the same in a unit as in the analyte's."""
    if unit == one_spelling(analyte.unit):
        return True
    found = _to_unit_of(analyte, unit)
    return found is not None and found.offset == 0 and abs(found.factor - 1) < 1e-9
