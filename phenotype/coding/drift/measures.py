"""The measures of coding as series over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.drift.series import MeasureSeries
from phenotype.coding.rates.blocks import CODE, PAIR, count
from phenotype.coding.rates.case_mix_strata import expect_rows
from phenotype.coding.rates.measure_rows import base_of, block_of, number_of
from phenotype.coding.rates.measures import Measure, Per
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.unit_findings import title_of
from phenotype.coding.rates.units import By, Ground, grounds

A_NUMBER = "counts a number, not yes or no"
A_TEMPLATE = "makes many measures: name those that are to be followed"
NOT_THERE = "nothing in the record that it is about"


@dataclass(frozen=True)
class Followed:
    """Measures over time.

    Attributes:
        series: those that can be followed, made one at a time; can be gone through once.
        left_out: id -> why it is not followed; whole when the series have been gone through.
    """

    series: Iterator[MeasureSeries]
    left_out: Mapping[str, str]


def follow(
    record: CodedRecord,
    measures: Sequence[Measure],
    ontology: Ontology | None = None,
    *,
    ids: Iterable[str] = (),
    by: By = "unit",
    settings: UnitSettings | None = None,
) -> Followed:
    """The measures of a record over time, with what each stay's patients lead to expect at any time.

    Args:
        record: whose.
        measures: those that are no templates are followed.
        ontology: by which value sets are judged; None is the one in use.
        ids: measures of templates that are followed too, `MEASURE/KEY`.
        by: what a line is of.
        settings: of case-mix; None: those that come with Pesta.
    """
    left_out = {measure.id: A_TEMPLATE for measure in measures if measure.each is not None}
    asked = [(measure.id, measure) for measure in measures if measure.each is None]
    asked += [(name, base_of(name, measures)) for name in ids]
    left_out |= {name: A_NUMBER for name, measure in asked if measure.is_count}
    chosen = settings or UnitSettings.load()

    def made() -> Iterator[MeasureSeries]:
        kept: dict[Per, Ground] = {}
        for name, measure in sorted(asked, key=lambda one: (one[1].per, one[0])):
            if measure.is_count:
                continue
            if measure.per not in kept:
                kept.clear()
                kept.update(grounds(record, (measure.per,), ontology=ontology, by=by, settings=chosen))
            rows = _rows(kept[measure.per], measure, name, by, chosen)
            if rows.is_empty():
                left_out[name] = NOT_THERE
                continue
            codes = _codes(kept[measure.per], measure, name)
            yield MeasureSeries(name, title_of(name, measure), rows, codes)

    return Followed(made(), left_out)


def _rows(ground: Ground, measure: Measure, name: str, by: By, settings: UnitSettings) -> pl.DataFrame:
    """unit, time, contact_id, observed and expected (over all years together) of what it is about."""
    counted = count(measure, ground.rows)
    number = number_of(counted, name)
    table = ground.rows.rows
    unknown = np.zeros(table.height, dtype=np.bool_)
    for where in counted.reasons.values():
        unknown |= where
    observed = np.full(table.height, np.nan)
    expected = np.full(table.height, np.nan)
    if number is not None and counted.judged.any():
        is_mine = counted.judged & (counted.group == number if counted.group is not None else True)
        observed[is_mine] = 0.0
        own = counted.number == number
        observed[counted.row[own]] = counted.value[own]
        block = block_of(counted, ground, settings)
        timeless = replace(block, period=np.zeros_like(block.period), n_periods=1)
        expected[np.flatnonzero(counted.judged)] = expect_rows(
            timeless, number, smallest=settings.smallest_stratum, smallest_share=settings.smallest_share
        )
    asked = np.flatnonzero(~np.isnan(observed) | unknown)
    return table.select("subject_id", "time", "contact_id", unit=by)[asked].with_columns(
        observed=pl.Series(observed[asked]).fill_nan(None),
        expected=pl.Series(expected[asked]).fill_nan(None),
    )


def _codes(ground: Ground, measure: Measure, name: str) -> tuple[str, ...]:
    """The codes of the record that a measure counts, sorted."""
    _, _, key = name.partition(CODE)
    if key and measure.each and measure.each.of in {"code", "category", "pair"}:
        return tuple(sorted(key.split(PAIR)))
    if measure.counts is None:
        return ()
    codes = ground.rows.codes
    parts = [part for part in measure.counts.parts() if part.codes or part.patterns or part.value_sets]
    meant = {int(code) for part in parts for code in np.unique(codes.code[ground.rows.codes_of(part)])}
    return tuple(sorted(codes.distinct[index] for index in meant))
