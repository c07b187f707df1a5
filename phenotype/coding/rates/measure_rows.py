"""One measure row by row: what each stay counts, what was expected of it, and which contacts are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import ConfigurationError, Problem
from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rates.blocks import CODE, PAIR, Counted, blocks, count
from phenotype.coding.rates.case_mix_strata import Block, expect_rows
from phenotype.coding.rates.counted_rows import count_rows
from phenotype.coding.rates.measures import Measure
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.units import By, Ground, grounds

Floats = npt.NDArray[np.float64]

MEASURE_ROWS = pl.Schema(
    {
        "unit": pl.String(),
        "stay_id": pl.Int64(),
        "contact_id": pl.Int64(),
        "time": pl.Datetime("us"),
        "observed": pl.Float64(),
        "expected": pl.Float64(),
    }
)
"""One row a stay, contact or patient-month that the measure is about. observed: 0 or 1, or the number; null
where it cannot be judged. expected: the mean of other units' patients in the same stratum and year; null
where there is nobody to compare with. contact_id: of a stay its last contact."""


def measure_rows(
    record: CodedRecord,
    measure: Measure,
    ontology: Ontology | None = None,
    *,
    measure_id: str | None = None,
    by: By = "unit",
    by_year: bool = True,
    settings: UnitSettings | None = None,
) -> pl.DataFrame:
    """What each row of a record counts for one measure and what is expected of it.

    Args:
        record: whose.
        measure: as configured.
        ontology: by which value sets are judged; None is the one in use.
        measure_id: which of those that a template makes.
        by: what is compared.
        by_year: whether expectations are those of the same year; else those of all years together, so that
            what all units change at once stays to be seen.
        settings: None: those that come with Pesta.

    Returns:
        Columns of MEASURE_ROWS, sorted by time, stay and contact.

    Raises:
        ConfigurationError: the measure does not come of this record, or a template was given without one.
    """
    chosen = settings or UnitSettings.load()
    ground = grounds(record, (measure.per,), ontology=ontology, by=by, settings=chosen)[measure.per]
    counted = count(measure, ground.rows)
    number = number_of(counted, measure_id or measure.id)
    rows = ground.rows.rows
    observed, expected = _row_values(counted, number, ground, chosen, by_year=by_year)
    unknown = np.zeros(rows.height, dtype=np.bool_)
    for where in counted.reasons.values():
        unknown |= where
    is_asked = ~np.isnan(observed) | unknown
    return (
        rows.with_columns(
            unit=rows[by],
            observed=pl.Series(observed).fill_nan(None),
            expected=pl.Series(np.where(np.isnan(observed), np.nan, expected)).fill_nan(None),
        )
        .filter(pl.Series(is_asked))
        .select(pl.col(name).cast(dtype) for name, dtype in MEASURE_ROWS.items())
        .sort("time", "stay_id", "contact_id")
    )


def _row_values(
    counted: Counted, number: int | None, ground: Ground, settings: UnitSettings, *, by_year: bool
) -> tuple[Floats, Floats]:
    """What each row counts and what is expected of it, (n_rows,) each; nan where it is not judged."""
    observed = np.full(ground.rows.rows.height, np.nan)
    expected = np.full(ground.rows.rows.height, np.nan)
    if number is None or not counted.judged.any():
        return observed, expected
    is_mine = counted.judged & (counted.group == number if counted.group is not None else True)
    observed[is_mine] = 0.0
    own = counted.number == number
    observed[counted.row[own]] = counted.value[own]
    block = block_of(counted, ground, settings)
    if not by_year:
        block = replace(block, period=np.zeros_like(block.period), n_periods=1)
    expected[np.flatnonzero(counted.judged)] = expect_rows(
        block, number, smallest=settings.smallest_stratum, smallest_share=settings.smallest_share
    )
    return observed, expected


def number_of(counted: Counted, measure_id: str) -> int | None:
    """The number of one measure among those that come of a configured one; None where its data are not there.

    Raises:
        ConfigurationError: no measure of that name comes of the record.
    """
    if measure_id in counted.ids:
        return counted.ids.index(measure_id)
    if not counted.ids:
        return None
    raise ConfigurationError(
        Problem(
            "no such measure comes of this record",
            where=counted.measure.id,
            found=measure_id,
            allowed=f"{counted.measure.id}{CODE}KEY of units.parquet"
            if counted.measure.each
            else counted.measure.id,
            next_step="name one of the measures of the table of rates",
        )
    )


def base_of(measure_id: str, measures: Sequence[Measure]) -> Measure:
    """The configured measure that a measure of the table of rates comes of.

    Raises:
        ConfigurationError: none does.
    """
    name = measure_id.split(CODE, 1)[0]
    for measure in measures:
        if measure.id == name:
            return measure
    raise ConfigurationError(
        Problem(
            "no such measure",
            found=measure_id,
            allowed=", ".join(m.id for m in measures),
            next_step="check the id",
        )
    )


def counting_rows(
    ground: Ground, counted: Counted, number: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """The rows that one measure judges, and those of them that count, (n_rows,) each."""
    judged = counted.judged.copy()
    if counted.group is not None:
        judged &= counted.group == counted.group_of[number]
    counting = np.zeros(ground.rows.rows.height, dtype=np.bool_)
    counting[counted.row[counted.number == number]] = True
    return judged, counting & judged


def block_of(counted: Counted, ground: Ground, settings: UnitSettings) -> Block:
    """The block of one configured measure alone."""
    ((_, block),) = blocks([counted], ground.mix, ground.where, settings)
    return block


def codes_of(
    measure: Measure,
    record: CodedRecord,
    ontology: Ontology | None = None,
    *,
    measure_id: str | None = None,
) -> tuple[str, ...]:
    """The codes of a record that a measure counts: those whose birth, death or rules concern it, sorted.

    Args:
        measure: as configured.
        record: whose codes.
        ontology: by which value sets are judged; None is the one in use.
        measure_id: which of those that a template makes: its own code, category or two categories.
    """
    _, _, key = (measure_id or measure.id).partition(CODE)
    if key and measure.each and measure.each.of in {"code", "category", "pair"}:
        return tuple(sorted(key.split(PAIR)))
    if measure.counts is None:
        return ()
    rows = count_rows(record, "contact", ontology)
    parts = [part for part in measure.counts.parts() if part.codes or part.patterns or part.value_sets]
    meant = {int(code) for part in parts for code in np.unique(rows.codes.code[rows.codes_of(part)])}
    return tuple(rows.codes.distinct[index] for index in sorted(meant))
