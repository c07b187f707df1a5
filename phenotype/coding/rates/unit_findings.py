"""Flagged rates as findings, with the contacts that are meant and the innocent explanations looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.findings import FINDING_ITEMS, FINDINGS, Found, with_finding_ids
from phenotype.coding.rates.blocks import CODE, Counted, count
from phenotype.coding.rates.counted_rows import ROLES, distinct
from phenotype.coding.rates.measure_rows import base_of, counting_rows, number_of
from phenotype.coding.rates.measures import Measure
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.units import By, Ground, Rates, grounds

Bools = npt.NDArray[np.bool_]
EXPLANATION_Z = 1.959963984540054
"""An innocent explanation holds where the unit differs so many standard errors from the others, in its
direction."""
SMALL_EXPECTED = 5.0
"""Fewer expected events are small numbers, whatever the exact limits say; our assumption."""
DOMINANT_SHARE = 0.5
"""A procedure that so many of the counted stays have, and half as many again as elsewhere; our assumption."""


@dataclass(frozen=True)
class Compared:
    """The rows of a unit and of all others in one year.

    Attributes:
        own: (n_rows,) the unit's rows that are judged.
        others: those of the others.
        counting: rows that count, whoever's.
    """

    own: Bools
    others: Bools
    counting: Bools


def rate_findings(
    rates: Rates | pl.DataFrame,
    record: CodedRecord,
    measures: Sequence[Measure],
    *,
    ontology: Ontology | None = None,
    by: By = "unit",
    settings: UnitSettings | None = None,
) -> Found:
    """A finding for each flagged rate.

    Args:
        rates: as `judge_rates` gives them, or columns of UNITS.
        record: whose.
        measures: those that the rates are of.
        ontology: by which value sets are judged; None is the one in use.
        by: what was compared.
        settings: None: those that come with Pesta.

    Returns:
        Findings of kind unit_rate without probability: nobody can tell it of a rate. Items: the contacts of
        the stays that count, where more was counted than expected; those of the stays that do not, where
        less; none where a number is counted. A stay counts with its last contact.
    """
    units = rates.units if isinstance(rates, Rates) else rates
    flagged = units.filter("is_flagged").sort("measure", "unit_id", "period")
    if not flagged.height:
        return Found.nothing()
    bases = {name: base_of(name, measures) for name in flagged["measure"].unique()}
    chosen = settings or UnitSettings.load()
    ground = grounds(record, {m.per for m in bases.values()}, ontology=ontology, by=by, settings=chosen)
    counted = {m.id: count(m, ground[m.per].rows) for m in bases.values()}
    findings: list[dict[str, object]] = []
    items: list[pl.DataFrame] = []
    for row in flagged.iter_rows(named=True):
        base = bases[row["measure"]]
        mine = ground[base.per]
        compared = compare(mine, counted[base.id], row["measure"], row["unit_id"], row["period"])
        findings.append(_finding(row, base, mine, compared))
        if not base.is_count:
            items.append(_items(row, mine, compared))
    identified = _identified(pl.DataFrame(findings))
    held = (
        pl.concat(items)
        if items
        else pl.DataFrame(
            schema={
                "measure": pl.String(),
                "unit_id": pl.String(),
                "period": pl.String(),
                "contact_id": pl.Int64(),
            }
        )
    )
    keys = identified.select("finding_id", measure="rule_id", unit_id="unit_id", period="period")
    return Found(
        identified.select(pl.col(name).cast(dtype) for name, dtype in FINDINGS.items()).sort("finding_id"),
        _full_items(held.join(keys, on=["measure", "unit_id", "period"])),
        Found.nothing().reasons,
    )


def compare(ground: Ground, counted: Counted, measure_id: str, unit: str, period: str) -> Compared:
    """The rows of a unit and of the others in one year, for one measure.

    Raises:
        ConfigurationError: no such measure comes of the record.
    """
    number = number_of(counted, measure_id)
    n_rows = ground.rows.rows.height
    if number is None or unit not in ground.where.units or period not in ground.where.periods:
        nothing = np.zeros(n_rows, dtype=np.bool_)
        return Compared(nothing, nothing, nothing)
    judged, counting = counting_rows(ground, counted, number)
    in_period = judged & (ground.where.period == ground.where.periods.index(period))
    is_unit = ground.where.unit == ground.where.units.index(unit)
    return Compared(in_period & is_unit, in_period & ~is_unit, counting)


def explanations(ground: Ground, compared: Compared, expected: float, *, is_high: bool) -> tuple[str, ...]:
    """Names of the innocent explanations that hold for a unit, of those that Pesta looks at.

    older_patients, more_comorbidity, more_transfers: the unit's patients differ from the others' beyond
    chance, in the direction that would explain the rate; small_numbers: few events were expected;
    one_dominant_procedure: most stays that count have one procedure that is rarer elsewhere.
    """
    rows, mix = ground.rows.rows, ground.mix
    sign = 1 if is_high else -1
    age = rows["age_years"].to_numpy()
    transfer = mix.attributes["transfer"].astype(np.float64)
    found = [
        name
        for name, value in (
            ("older_patients", age),
            ("more_comorbidity", mix.comorbidity),
            ("more_transfers", transfer),
        )
        if sign * _difference(value[compared.own], value[compared.others]) > EXPLANATION_Z
    ]
    if expected < SMALL_EXPECTED:
        found.append("small_numbers")
    if _dominant(ground, compared):
        found.append("one_dominant_procedure")
    return tuple(found)


def _difference(own: npt.NDArray[np.float64], others: npt.NDArray[np.float64]) -> float:
    """Standard errors between two means, by Welch; 0 where it cannot be told."""
    own, others = own[~np.isnan(own)], others[~np.isnan(others)]
    if len(own) < 2 or len(others) < 2:
        return 0.0
    error = float(np.sqrt(own.var(ddof=1) / len(own) + others.var(ddof=1) / len(others)))
    return float(own.mean() - others.mean()) / error if error > 0 else 0.0


def _dominant(ground: Ground, compared: Compared) -> bool:
    codes = ground.rows.codes
    is_procedure = codes.role == ROLES.index("procedure")
    if not is_procedure.any():
        return False
    key = distinct(codes.code[is_procedure] * np.int64(ground.rows.rows.height) + codes.row[is_procedure])
    code, row = key // ground.rows.rows.height, key % ground.rows.rows.height
    own, others = compared.own & compared.counting, compared.others & compared.counting
    mine = np.bincount(code[own[row]], minlength=len(codes.distinct)) / max(int(own.sum()), 1)
    theirs = np.bincount(code[others[row]], minlength=len(codes.distinct)) / max(int(others.sum()), 1)
    top = int(mine.argmax())
    return bool(mine[top] >= DOMINANT_SHARE and mine[top] >= 1.5 * theirs[top])


def _finding(row: dict[str, object], base: Measure, ground: Ground, compared: Compared) -> dict[str, object]:
    observed, expected = float(str(row["observed"])), float(str(row["expected"]))
    held = explanations(ground, compared, expected, is_high=observed > expected)
    return {
        "rule_id": row["measure"],
        "rule_version": "1",
        "kind": "unit_rate",
        "severity": "review",
        "title": title_of(str(row["measure"]), base),
        "unit_id": row["unit_id"],
        "period": row["period"],
        "probability": None,
        "amount_low_nok": None,
        "amount_high_nok": None,
        "innocent_explanations": [name for name in held if name in base.innocent],
        "evidence": [],
        "source": "; ".join(base.sources),
    }


def title_of(measure_id: str, base: Measure, *, norwegian: bool = False) -> str:
    """What a measure of the table of rates says, in words."""
    title = base.title_nb if norwegian and base.title_nb else base.title
    _, _, key = measure_id.partition(CODE)
    if base.each and key in base.each.pairs:
        return f"{title}: {base.each.pairs[key].title}"
    return f"{title}: {key.replace('//', ' ')}" if key else title


def _items(row: dict[str, object], ground: Ground, compared: Compared) -> pl.DataFrame:
    is_high = float(str(row["observed"])) > float(str(row["expected"]))
    meant = compared.own & (compared.counting if is_high else ~compared.counting)
    return ground.rows.rows.filter(pl.Series(meant)).select(
        pl.lit(row["measure"], pl.String()).alias("measure"),
        pl.lit(row["unit_id"], pl.String()).alias("unit_id"),
        pl.lit(row["period"], pl.String()).alias("period"),
        "contact_id",
    )


def _identified(findings: pl.DataFrame) -> pl.DataFrame:
    """The findings with ids by measure, unit and period."""
    identity = findings.with_row_index("finding").select(
        "finding",
        "rule_id",
        "kind",
        contact_id=pl.lit(None, pl.Int64()),
        group_no=pl.lit(None, pl.Int32()),
        code_no=pl.lit(None, pl.Int32()),
        code=pl.concat_str("unit_id", "period", separator="|"),
    )
    ids = with_finding_ids(identity, "finding").sort("finding")
    return findings.with_columns(finding_id=ids["finding_id"])


def _full_items(held: pl.DataFrame) -> pl.DataFrame:
    empty = [
        pl.lit(None, dtype).alias(name) for name, dtype in FINDING_ITEMS.items() if name not in held.columns
    ]
    return (
        held.with_columns(empty)
        .select(pl.col(name).cast(dtype) for name, dtype in FINDING_ITEMS.items())
        .unique()
        .sort("finding_id", "contact_id")
    )
