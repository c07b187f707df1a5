"""Rates of units against what is expected of them: every measure, unit and year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import RULE_COVERAGE, UNITS
from phenotype.coding.rates.blocks import Counted, Places, adjustment, blocks, count, places
from phenotype.coding.rates.case_mix import CaseMix, case_mix
from phenotype.coding.rates.case_mix_regression import expect_by_regression
from phenotype.coding.rates.case_mix_strata import Block, expect_in_parts
from phenotype.coding.rates.counted_rows import CountedRows, count_rows
from phenotype.coding.rates.coverage import asked_cells, coverage_of
from phenotype.coding.rates.measures import Measure, Per
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.unit_judging import Part, part_of, with_flags

By = Literal["unit", "hospital", "region"]


@dataclass(frozen=True)
class Rates:
    """Rates and what they could not say.

    Attributes:
        units: columns of UNITS, sorted by measure, period and unit: every unit with at least one row.
            expected: what the rates of the other units in the same strata and year would give; low and high:
            95 % interval of the ratio; z and tau2: on the square-root scale, with over-dispersion; q_value:
            null where the unit could not be judged.
        coverage: columns of RULE_COVERAGE with the measure (of a template: its id) as rule_id. broken is 0: a
            rate breaks nothing. Each stay, contact or patient-month that a measure asks about is judged, or
            not for one reason; both add up to all of them.
        tests: columns of UNITS and p (two-sided, exact, with over-dispersion), smallest_p (what the most
            extreme count would have given) and reason (why it could not be judged); sorted as units.
    """

    units: pl.DataFrame
    coverage: pl.DataFrame
    tests: pl.DataFrame


@dataclass(frozen=True)
class Ground:
    """The rows of a record with their case mix and places, made once for all measures of one kind of row.

    Attributes:
        rows: stays, contacts or patient-months.
        mix: their case mix.
        where: their units and years.
    """

    rows: CountedRows
    mix: CaseMix
    where: Places


def grounds(
    record: CodedRecord,
    pers: Iterable[Per],
    *,
    ontology: Ontology | None = None,
    by: By = "unit",
    settings: UnitSettings | None = None,
) -> dict[Per, Ground]:
    """Rows, case mix and places for each kind of row.

    Args:
        record: whose.
        pers: kinds of rows.
        ontology: by which value sets are judged; None is the one in use.
        by: what is compared: units (`hospital/unit`), hospitals or patients' home regions.
        settings: None: those that come with Pesta.
    """
    found: dict[Per, Ground] = {}
    for per in sorted(set(pers)):
        rows = count_rows(record, per, ontology)
        found[per] = Ground(rows, case_mix(record, rows, settings or UnitSettings.load()), places(rows, by))
    return found


def unit_rates(
    record: CodedRecord,
    measures: Sequence[Measure],
    *,
    ontology: Ontology | None = None,
    by: By = "unit",
    settings: UnitSettings | None = None,
) -> pl.DataFrame:
    """The rates alone, columns of UNITS; as `judge_rates`."""
    return judge_rates(record, measures, ontology=ontology, by=by, settings=settings).units


def judge_rates(
    record: CodedRecord,
    measures: Sequence[Measure],
    *,
    ontology: Ontology | None = None,
    by: By = "unit",
    settings: UnitSettings | None = None,
) -> Rates:
    """The rates of every unit and year, and what could not be judged.

    Args:
        record: whose.
        measures: as `load_measures` gives them.
        ontology: by which value sets are judged; None is the one in use.
        by: what is compared.
        settings: None: those that come with Pesta.

    Returns:
        Rates; false-discovery control is over all measures, units and years of the call.

    Raises:
        ConfigurationError: a measure names a value set that is not there.
    """
    chosen = settings or UnitSettings.load()
    sources: list[Source] = []
    parts: list[Part] = []
    asked: list[tuple[list[Counted], Places]] = []
    for per, ground in grounds(
        record, (m.per for m in measures), ontology=ontology, by=by, settings=chosen
    ).items():
        counted = [count(measure, ground.rows) for measure in measures if measure.per == per]
        asked.append((counted, ground.where))
        for configured, block in blocks(counted, ground.mix, ground.where, chosen):
            sources.append(Source(configured, block, ground))
            parts.extend(_parts(sources[-1], chosen))
    n_silent = dict(sum((Counter(part.n_silent) for part in parts), Counter[str]()))
    judged = with_flags(pl.concat(part.rows for part in parts), chosen, n_silent) if parts else _empty()
    judged = refined(judged, sources, chosen, n_silent)
    cells = [asked_cells(judged, measures), *(part.silent for part in parts)]
    coverage = [coverage_of(counted, where, cells) for counted, where in asked]
    tests = judged.with_columns(pl.col(name).cast(dtype) for name, dtype in UNITS.items()).sort(
        "measure", "period", "unit_id"
    )
    return Rates(
        tests.select(UNITS.names()),
        pl.concat([pl.DataFrame(schema=RULE_COVERAGE), *coverage]).sort(
            "rule_id", "unit_id", "period", "reason"
        ),
        tests.select(*UNITS.names(), "p", "smallest_p", "reason"),
    )


@dataclass(frozen=True)
class Source:
    """Where a block's measures come from.

    Attributes:
        configured: each one's configured measure.
        block: their rows and counts.
        ground: the rows' case mix and places.
    """

    configured: tuple[Measure, ...]
    block: Block
    ground: Ground


def _parts(source: Source, settings: UnitSettings) -> Iterator[Part]:
    """The rates of a block, some measures at a time."""
    block = source.block
    for (first, last), cells in expect_in_parts(
        block, smallest=settings.smallest_stratum, smallest_share=settings.smallest_share
    ):
        named = replace(block, measure_ids=block.measure_ids[first:last])
        yield part_of(source.configured[first:last], cells, named, source.ground.where, settings)


def refined(
    judged: pl.DataFrame, sources: Sequence[Source], settings: UnitSettings, n_silent: Mapping[str, int]
) -> pl.DataFrame:
    """The rates with those of flagged measures judged again by regression on smooth case mix.

    A unit stays flagged where both ways find it out of limits; the larger p counts, and false-discovery
    control is done again. Of more flagged measures than the settings allow, those with the largest excess are
    judged again.

    Args:
        judged: as `with_flags` gives it.
        sources: the blocks that the rates come of.
        settings: which and how.
        n_silent: as for `with_flags`.
    """
    excess = (pl.col("observed") - pl.col("expected")).abs()
    flagged = judged.filter("is_flagged").group_by("measure").agg(excess.max().alias("excess"))
    names = flagged.sort("excess", "measure", descending=[True, False])["measure"]
    wanted = set(names.head(settings.refining.most_measures))
    again = [
        _again(source, number, settings)
        for source in sources
        for number, name in enumerate(source.block.measure_ids)
        if name in wanted
    ]
    if not again:
        return judged
    keys = ["measure", "unit_id", "period"]
    before = judged.select(*keys, _p="p")
    both = pl.concat(again).join(before, on=keys, how="inner").with_columns(p=pl.max_horizontal("p", "_p"))
    kept = judged.drop("reason", "q_value", "is_flagged").join(both.select(keys), on=keys, how="anti")
    return with_flags(pl.concat([kept, both.select(kept.columns)]), settings, n_silent)


def _again(source: Source, number: int, settings: UnitSettings) -> pl.DataFrame:
    """The rates of one measure by regression."""
    block, ground, measure = source.block, source.ground, source.configured[number]
    adjust, within = adjustment(measure, ground.where)
    cells = expect_by_regression(
        block,
        number,
        ground.mix,
        ground.rows.rows["age_years"].fill_null(np.nan).to_numpy(),
        adjust=adjust,
        within=within,
        refining=settings.refining,
    )
    only = replace(block, measure_ids=(block.measure_ids[number],))
    return part_of((measure,), cells, only, ground.where, settings).rows


def _empty() -> pl.DataFrame:
    more = {"p": pl.Float64(), "smallest_p": pl.Float64(), "reason": pl.String()}
    return pl.DataFrame(schema={**UNITS, **more})
