"""What measures could judge: each stay, contact or patient-month is judged, or not for one reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from phenotype.coding.findings import RULE_COVERAGE
from phenotype.coding.rates.blocks import CODE, Counted, Places
from phenotype.coding.rates.measures import Measure

Ints = npt.NDArray[np.int64]
CELLS = pl.Schema(
    {"asked": pl.String(), "unit_id": pl.String(), "period": pl.String(), "reason": pl.String()}
)
"""asked: the template where it is asked at once (see `is_asked_at_once`), else the measure; reason: why what
was counted of a unit in a year could not be held against others; null where it could."""
_COUNTS = pl.Schema(
    {
        "rule_id": pl.String(),
        "asked": pl.String(),
        "unit_id": pl.String(),
        "period": pl.String(),
        "reason": pl.String(),
        "n": pl.Int64(),
    }
)


def is_asked_at_once(measure: Measure) -> bool:
    """Whether a row is asked about all measures of a template at once, as about every code.

    Other templates give each row to one of their measures: its DRG pair, its main condition.
    """
    return measure.each is not None and measure.each.of not in {"drg_pair", "main_group"}


def coverage_of(counted: Sequence[Counted], where: Places, cells: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Columns of RULE_COVERAGE: what measures of one kind of row judged, and what they could not judge.

    A row that was counted is not judged where its unit could not be held against others that year; a
    template's row is, where that could be done for any of its codes.

    Args:
        counted: the measures.
        where: units and years of the rows.
        cells: columns of CELLS of what was counted.
    """
    told = (
        pl.concat([pl.DataFrame(schema=CELLS), *cells])
        .group_by("asked", "unit_id", "period")
        .agg(pl.when(~pl.col("reason").is_null().any()).then(pl.col("reason").min()).alias("compared"))
    )
    frames = [frame for one in counted for frame in _counts(one, where)]
    counts = pl.concat([pl.DataFrame(schema=_COUNTS), *frames])
    closed = counts.join(told, on=["asked", "unit_id", "period"], how="left").with_columns(
        reason=pl.coalesce("reason", "compared")
    )
    is_judged = pl.col("reason").is_null()
    return (
        closed.group_by("rule_id", "unit_id", "period", "reason")
        .agg(pl.col("n").sum())
        .with_columns(
            judged=pl.when(is_judged).then("n").otherwise(0),
            broken=pl.lit(0, pl.Int64),
            not_judgeable=pl.when(is_judged).then(0).otherwise("n"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in RULE_COVERAGE.items())
        .sort("rule_id", "unit_id", "period", "reason")
    )


def asked_cells(judged: pl.DataFrame, measures: Iterable[Measure]) -> pl.DataFrame:
    """Columns of CELLS of a table of rates.

    Args:
        judged: measure, unit_id, period and reason.
        measures: those that it is of.
    """
    templates = [one.id for one in measures if is_asked_at_once(one)]
    base = pl.col("measure").str.extract(f"^([^{CODE}]*)")
    asked = pl.when(base.is_in(templates)).then(base).otherwise("measure")
    return judged.select(asked.alias("asked"), "unit_id", "period", "reason").unique()


def _counts(counted: Counted, where: Places) -> Iterable[pl.DataFrame]:
    """How many rows were counted, by what they are asked as, and how many could not be, by reason."""
    n_cells = len(where.units) * len(where.periods)
    cell = where.unit * len(where.periods) + where.period
    if counted.group is None:
        names, part = [counted.measure.id], np.zeros(len(cell), dtype=np.int64)
    else:
        names, part = list(counted.ids), _number_of_group(counted)[counted.group]
    place = (part * n_cells + cell)[counted.judged]
    yield _frame(counted, names, where, np.bincount(place, minlength=len(names) * n_cells), None)
    for reason, rows in counted.reasons.items():
        found = np.bincount(cell[rows], minlength=n_cells)
        yield _frame(counted, [counted.measure.id], where, found, reason)


def _number_of_group(counted: Counted) -> Ints:
    """The measure of each group of rows."""
    numbers = np.zeros(int(counted.group_of.max(initial=0)) + 1, dtype=np.int64)
    numbers[counted.group_of] = np.arange(len(counted.group_of))
    return numbers


def _frame(
    counted: Counted, names: Sequence[str], where: Places, n: npt.NDArray[np.int_], reason: str | None
) -> pl.DataFrame:
    n_periods = len(where.periods)
    place = np.flatnonzero(n)
    cell = place % max(len(where.units) * n_periods, 1)
    return pl.DataFrame(
        {
            "rule_id": pl.Series([counted.measure.id] * len(place), dtype=pl.String),
            "asked": pl.Series(names, dtype=pl.String)[place // max(len(where.units) * n_periods, 1)],
            "unit_id": pl.Series(where.units, dtype=pl.String)[cell // max(n_periods, 1)],
            "period": pl.Series(where.periods, dtype=pl.String)[cell % max(n_periods, 1)],
            "reason": pl.Series([reason] * len(place), dtype=pl.String),
            "n": n[place],
        }
    ).select(pl.col(name).cast(dtype) for name, dtype in _COUNTS.items())
