"""Rates of units against what is expected of them: every measure, unit and year, with what could not be judged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.terminology import Ontology
from phenotype.coding.case_mix import CaseMix, case_mix
from phenotype.coding.case_mix_strata import Block, Cells, expect
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.counted_rows import CountedRows, count_rows
from phenotype.coding.false_discovery import can_reach, q_values
from phenotype.coding.findings import RULE_COVERAGE, UNITS
from phenotype.coding.funnels import (
    Z_95,
    lower_tail,
    over_dispersion,
    ratio_interval,
    standardised,
    two_sided,
    upper_tail,
)
from phenotype.coding.measures import Measure, Per
from phenotype.coding.unit_blocks import Counted, Places, blocks, count, places
from phenotype.coding.unit_settings import UnitSettings

By = Literal["unit", "hospital", "region"]
Floats = npt.NDArray[np.float64]
ONE_STAY = "one stay is too few to judge a unit"
TOO_FEW = "too few stays for any count to be out of limits"
ALONE = "too few patients of other units to compare with"
_SIDE = {"high": 1, "low": -1, "both": 0}


@dataclass(frozen=True)
class Rates:
    """Rates and what they could not say.

    Attributes:
        units: columns of UNITS, sorted by measure, period and unit: every unit with at least one row. expected:
            what the rates of the other units in the same strata and year would give; low and high: 95 % interval
            of the ratio; z and tau2: on the square-root scale, with over-dispersion; q_value: null where the
            unit could not be judged.
        coverage: columns of RULE_COVERAGE with the measure (of a template: its id) as rule_id. broken is 0: a
            rate breaks nothing.
        tests: columns of UNITS and p (two-sided, exact, with over-dispersion), smallest_p (what the most extreme
            count would have given) and reason (why it could not be judged); sorted as units.
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
    frames: list[pl.DataFrame] = []
    coverage: list[pl.DataFrame] = []
    for per, ground in grounds(
        record, (m.per for m in measures), ontology=ontology, by=by, settings=chosen
    ).items():
        counted = [count(measure, ground.rows) for measure in measures if measure.per == per]
        coverage.extend(_coverage(one, ground.where) for one in counted)
        for configured, block in blocks(counted, ground.mix, ground.where, chosen):
            cells = expect(block, smallest=chosen.smallest_stratum, smallest_share=chosen.smallest_share)
            frames.append(_frame(configured, block, cells, ground.where, chosen))
    judged = with_flags(pl.concat(frames), chosen) if frames else _empty()
    coverage.append(_unjudged(judged))
    tests = judged.cast(dict(UNITS.items())).sort("measure", "period", "unit_id")
    return Rates(
        tests.select(UNITS.names()),
        pl.concat([pl.DataFrame(schema=RULE_COVERAGE), *coverage]).sort(
            "rule_id", "unit_id", "period", "reason"
        ),
        tests.select(*UNITS.names(), "p", "smallest_p", "reason"),
    )


def judge_cells(
    cells: Cells, *, is_count: bool, settings: UnitSettings, n_units: int
) -> dict[str, Floats | npt.NDArray[np.bool_]]:
    """z, tau2, p, interval and whether a cell can be judged, (M, C) each, C = units x years, years innermost.

    Args:
        cells: what was counted and expected.
        is_count: whether numbers were counted, not yes and no.
        settings: for over-dispersion.
        n_units: how many units C has.
    """
    shape = cells.n.shape
    cube = (shape[0], n_units, shape[1] // n_units)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_there = (cells.n > 0) & ~np.isnan(cells.expected)
        expected = np.where(is_there, np.maximum(cells.expected, 1e-12), np.nan)
        variance = np.where(is_there, np.maximum(cells.variance, 1e-12), np.nan)
        deviation, spread = standardised(cells.observed, expected, variance)
        counts = is_there & (cells.expected >= settings.dispersion_expected)
        between = over_dispersion(
            np.where(counts, deviation, np.nan).reshape(cube).swapaxes(1, 2),
            spread.reshape(cube).swapaxes(1, 2),
            share=settings.winsorised,
            smallest=settings.dispersion_units,
        )
        tau2 = np.broadcast_to(between[:, None, :], cube).reshape(shape)
        z = deviation / np.sqrt(spread**2 + tau2)
        p = _tails(cells, is_there, tau2, is_count=is_count)
        low, high = ratio_interval(cells.observed, expected, variance + 4 * tau2 * expected**2)
    return {"z": z, "tau2": tau2, **p, "low": low, "high": high, "is_there": is_there}


def _tails(
    cells: Cells, is_there: npt.NDArray[np.bool_], tau2: Floats, *, is_count: bool
) -> dict[str, Floats]:
    """Two-sided p of each cell, and the smallest that any count could have given.

    Above what is expected, the others are given one event more than they had: the conditional test of two counts.
    """
    at = np.flatnonzero(is_there)
    observed, expected, variance = (
        field.ravel()[at] for field in (cells.observed, cells.expected, cells.variance)
    )
    one_more, n, between = (field.ravel()[at] for field in (cells.weight, cells.n, tau2))
    up = expected + one_more
    per_event = np.where(expected > 0, variance / np.maximum(expected, 1e-12), 1 + one_more)
    spread_up, spread = per_event * up + 4 * between * up**2, variance + 4 * between * expected**2
    mean, spread = np.maximum(expected, 1e-12), np.maximum(spread, 1e-12)
    p = np.full(cells.n.size, np.nan)
    p[at] = two_sided(lower_tail(observed, mean, spread), upper_tail(observed, up, spread_up))
    smallest = np.zeros(cells.n.size)
    if not is_count:
        smallest[at] = 2 * np.minimum(
            upper_tail(n, up, spread_up), lower_tail(np.zeros_like(n), mean, spread)
        )
    return {"p": p.reshape(cells.n.shape), "smallest_p": smallest.reshape(cells.n.shape)}


def _frame(
    configured: tuple[Measure, ...], block: Block, cells: Cells, where: Places, settings: UnitSettings
) -> pl.DataFrame:
    judged = judge_cells(cells, is_count=block.is_count, settings=settings, n_units=block.n_units)
    measure, cell = np.nonzero(cells.n > 0)
    side = np.array([_SIDE[one.direction] for one in configured], dtype=np.int64)
    taken = {name: values[measure, cell] for name, values in judged.items()}
    n, observed, expected = (field[measure, cell] for field in (cells.n, cells.observed, cells.expected))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(expected > 0, observed / expected, np.nan)
    names = pl.Series(block.measure_ids)
    return pl.DataFrame(
        {
            "unit_id": pl.Series(where.units)[cell // block.n_periods],
            "measure": names[measure],
            "period": pl.Series(where.periods)[cell % block.n_periods],
            "n": n.astype(np.int64),
            "observed": observed,
            "expected": expected,
            "ratio": ratio,
            **{name: taken[name] for name in ("low", "high", "z", "tau2", "p", "smallest_p")},
            "side": side[measure],
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def with_flags(judged: pl.DataFrame, settings: UnitSettings) -> pl.DataFrame:
    """The rows with reason, q_value and is_flagged.

    Args:
        judged: columns n, p, smallest_p, z, side and those of UNITS.
        settings: the level, and the smallest unit.
    """
    reason = (
        pl.when(pl.col("p").is_null())
        .then(pl.lit(ALONE))
        .when(pl.col("n") < settings.smallest_n)
        .then(pl.lit(ONE_STAY))
        .when(~pl.Series(can_reach(judged["smallest_p"].fill_null(0.0).to_numpy(), settings.level)))
        .then(pl.lit(TOO_FEW))
    )
    told = judged.with_columns(reason=reason)
    tested = told.select(pl.when(pl.col("reason").is_null()).then("p"))["p"]
    q = pl.Series(q_values(tested.fill_null(np.nan).to_numpy())).fill_nan(None)
    is_beyond = (pl.col("z").abs() > Z_95) & ((pl.col("side") == 0) | (pl.col("z").sign() == pl.col("side")))
    return told.with_columns(q_value=q).with_columns(
        is_flagged=((pl.col("q_value") <= settings.level) & is_beyond).fill_null(value=False)
    )


def _empty() -> pl.DataFrame:
    more = {"p": pl.Float64(), "smallest_p": pl.Float64(), "reason": pl.String()}
    return pl.DataFrame(schema={**UNITS, **more})


def _coverage(counted: Counted, where: Places) -> pl.DataFrame:
    """Rows of RULE_COVERAGE for a measure or a template."""
    parts = [(None, counted.judged), *counted.reasons.items()]
    frames: list[pl.DataFrame] = []
    for reason, rows in parts:
        place = np.bincount(where.unit[rows] * len(where.periods) + where.period[rows], minlength=1)
        cell = np.flatnonzero(place)
        frames.append(
            pl.DataFrame(
                {
                    "rule_id": pl.Series([counted.measure.id] * len(cell), dtype=pl.String),
                    "unit_id": pl.Series(where.units)[cell // len(where.periods)],
                    "period": pl.Series(where.periods)[cell % len(where.periods)],
                    "judged": place[cell] if reason is None else np.zeros(len(cell), dtype=np.int64),
                    "broken": np.zeros(len(cell), dtype=np.int64),
                    "not_judgeable": np.zeros(len(cell), dtype=np.int64) if reason is None else place[cell],
                    "reason": pl.Series([reason] * len(cell), dtype=pl.String),
                }
            ).cast(dict(RULE_COVERAGE))
        )
    return pl.concat(frames)


def _unjudged(judged: pl.DataFrame) -> pl.DataFrame:
    """Units whose rate was counted and could not be judged, as rows of RULE_COVERAGE; of a template once."""
    left = judged.filter(pl.col("reason").is_not_null())
    return (
        left.group_by(
            pl.col("measure").str.extract(r"^([^/]*)").alias("rule_id"), "unit_id", "period", "reason"
        )
        .agg(pl.col("n").max().cast(pl.Int64).alias("not_judgeable"))
        .with_columns(judged=pl.lit(0, pl.Int64), broken=pl.lit(0, pl.Int64))
        .select(RULE_COVERAGE.names())
    )
