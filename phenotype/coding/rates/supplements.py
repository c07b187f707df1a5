"""The table that a settlement committee asks a registry for: a unit's stays beside those of all others.

**Source:** Avregningsutvalget's way of judging a case: rate deviation, then detail from the registry (length
of stay, other conditions, procedures, age mix, transfers), then the letter (Directorate of Health, S000).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.terminology import Ontology
from phenotype.coding.coded_record import CodedRecord
from phenotype.coding.rates.blocks import count
from phenotype.coding.rates.counted_rows import ROLES, distinct
from phenotype.coding.rates.measure_rows import base_of
from phenotype.coding.rates.measures import Measure
from phenotype.coding.rates.settings import UnitSettings
from phenotype.coding.rates.unit_findings import Compared, compare
from phenotype.coding.rates.units import By, Ground, grounds

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
COMMONEST = 10
MIN_CELL = 5
"""Fewer stays are not shown, nor what rests on them or would leave them over: they point at patients."""

SUPPLEMENT = pl.Schema(
    {
        "part": pl.String(),
        "figure": pl.String(),
        "unit": pl.Float64(),
        "others": pl.Float64(),
        "counting": pl.Float64(),
        "others_counting": pl.Float64(),
    }
)
"""figure in words, of the unit's judged stays, all others', the unit's that count and the others' that count;
null where it cannot be told, or where it rests on 1 to 4 stays or would tell of 1 to 4 that are left over:
those with or without what a share is of, and those that do not count."""


def supplement(
    record: CodedRecord,
    measures: Sequence[Measure],
    measure_id: str,
    unit: str,
    period: str,
    *,
    ontology: Ontology | None = None,
    by: By = "unit",
    settings: UnitSettings | None = None,
    ground: Ground | None = None,
) -> pl.DataFrame:
    """The supplementary table of one rate.

    Args:
        record: whose.
        measures: among which the measure is.
        measure_id: as in the table of rates.
        unit: likewise.
        period: likewise.
        ontology: by which value sets are judged; None is the one in use.
        by: what was compared.
        settings: None: those that come with Pesta.
        ground: the rows of the measure's kind, where they were made before.

    Returns:
        Columns of SUPPLEMENT in reading order: how many, stay, age, transfers, other conditions, procedures.

    Raises:
        ConfigurationError: no such measure.
    """
    base = base_of(measure_id, measures)
    chosen = settings or UnitSettings.load()
    mine = ground or grounds(record, (base.per,), ontology=ontology, by=by, settings=chosen)[base.per]
    compared = compare(mine, count(base, mine.rows), measure_id, unit, period)
    groups = _groups(compared)
    rows = [*_numbers(groups), *_patients(mine, groups), *_codes(mine, groups)]
    return pl.DataFrame(rows, schema=SUPPLEMENT, orient="row")


def _groups(compared: Compared) -> tuple[Bools, ...]:
    return (
        compared.own,
        compared.others,
        compared.own & compared.counting,
        compared.others & compared.counting,
    )


How = Literal["sum", "mean", "median", "share"]
Row = tuple[str, str, float | None, float | None, float | None, float | None]


def _row(part: str, figure: str, values: Sequence[float | None]) -> Row:
    first, second, third, fourth = values
    return part, figure, first, second, third, fourth


def _numbers(groups: tuple[Bools, ...]) -> list[Row]:
    return [_row("how many", "stays", _shown(np.ones(len(groups[0])), groups, "sum"))]


def _patients(ground: Ground, groups: tuple[Bools, ...]) -> list[Row]:
    rows, mix = ground.rows.rows, ground.mix
    hours = (rows["time"] - rows["start_time"]).dt.total_minutes().cast(pl.Float64).to_numpy() / 60
    days = np.where(hours >= 0, hours / 24, np.nan)
    age = rows["age_years"].to_numpy()
    urgency = rows["urgency"].to_numpy()
    level = rows["care_level"].to_numpy()
    acute = np.where(urgency == "acute", 1.0, np.where(urgency == "planned", 0.0, np.nan))
    bed = np.where(
        np.isin(level, ["inpatient", "icu"]),
        1.0,
        np.where(rows["care_level"].is_null().to_numpy(), np.nan, 0.0),
    )
    figures: list[tuple[str, str, Floats, How]] = [
        ("stay", "days, mean", days, "mean"),
        ("stay", "days, median", days, "median"),
        ("stay", "share with a bed", bed, "share"),
        ("stay", "share acute", acute, "share"),
        ("age", "years, mean", age, "mean"),
        ("patients", "share women", _sex(rows["sex"]), "share"),
        ("patients", "comorbidity index of the year before, mean", mix.comorbidity, "mean"),
        ("transfers", "share from another hospital", mix.attributes["transfer"].astype(np.float64), "share"),
        (
            "transfers",
            "share with more than one contact",
            (rows["n_contacts"].to_numpy() > 1).astype(np.float64),
            "share",
        ),
        ("procedures", "share operated", mix.attributes["surgery"].astype(np.float64), "share"),
    ]
    before, bands, after = figures[:5], _ages(age), figures[5:]
    shares = _not_by_subtraction([_shown(value, groups, how) for *_, value, how in bands])
    return [
        *(_row(part, text, _shown(value, groups, how)) for part, text, value, how in before),
        *(_row(part, text, told) for (part, text, *_), told in zip(bands, shares, strict=True)),
        *(_row(part, text, _shown(value, groups, how)) for part, text, value, how in after),
    ]


def _not_by_subtraction(shares: list[list[float | None]]) -> list[list[float | None]]:
    """Shares that add up to all, by group; where one alone is not told, the smallest other is not either."""
    for column in range(len(shares[0])):
        told = [row for row in shares if row[column]]
        if sum(row[column] is None for row in shares) == 1 and told:
            min(told, key=lambda row: row[column] or 0.0)[column] = None
    return shares


_BANDS = (
    ("under 18", 0, 18),
    ("18-49", 18, 50),
    ("50-66", 50, 67),
    ("67-79", 67, 80),
    ("80 and older", 80, 200),
)


def _ages(age: Floats) -> list[tuple[str, str, Floats, How]]:
    return [("age", f"share {text}", _band(age, low, high), "share") for text, low, high in _BANDS]


def _band(age: Floats, low: float, high: float) -> Floats:
    return np.where(np.isnan(age), np.nan, ((age >= low) & (age < high)).astype(np.float64))


def _sex(sex: pl.Series) -> Floats:
    return (sex == "female").cast(pl.Float64).fill_null(np.nan).to_numpy()


def _shown(values: Floats, groups: tuple[Bools, ...], how: How) -> list[float | None]:
    """A figure of each group, null where it would point at few stays.

    Of whose stays count nothing is told where few count, or few do not: all less those that count would be
    theirs.
    """
    unit, others, counting, others_counting = groups
    shown = [
        None if _points_at_few(values[whole], how) else _summary(values[whole], how)
        for whole in (unit, others)
    ]
    for whole, part in ((unit, counting), (others, others_counting)):
        few = any(_points_at_few(values[rows], how) for rows in (part, whole & ~part))
        shown.append(None if few else _summary(values[part], how))
    return shown


def _points_at_few(values: Floats, how: How) -> bool:
    """Whether a figure rests on 1 to 4 stays; a share also where 1 to 4 have what it is of, or have not."""
    known = values[~np.isnan(values)]
    counts = [len(known)]
    if how == "share":
        counts += [int((known == 1).sum()), int((known == 0).sum())]
    return any(0 < count < MIN_CELL for count in counts)


def _summary(values: Floats, how: How) -> float | None:
    known = values[~np.isnan(values)]
    if how == "sum":
        return float(known.sum())
    if not len(known):
        return None
    return float(np.median(known) if how == "median" else known.mean())


def _codes(ground: Ground, groups: tuple[Bools, ...]) -> list[Row]:
    """Other conditions and procedures: how many a stay has, and the commonest of the unit's own."""
    found: list[Row] = []
    for part, role in (("other conditions", "other"), ("procedures", "procedure")):
        codes = ground.rows.codes
        chosen = codes.role == ROLES.index(role)
        key = distinct(codes.code[chosen] * np.int64(max(ground.rows.rows.height, 1)) + codes.row[chosen])
        code, row = key // max(ground.rows.rows.height, 1), key % max(ground.rows.rows.height, 1)
        number = np.bincount(row, minlength=ground.rows.rows.height).astype(np.float64)
        found.append(_row(part, "a stay, mean", _shown(number, groups, "mean")))
        own = groups[2] if groups[2].any() else groups[0]
        often = np.bincount(code[own[row]], minlength=len(codes.distinct))
        for index in np.argsort(-often, kind="stable")[:COMMONEST].tolist():
            if often[index] < MIN_CELL:
                break
            has = np.zeros(ground.rows.rows.height)
            has[row[code == index]] = 1.0
            text = codes.distinct[index].rpartition("//")[2]
            found.append(_row(part, f"share with {text}", _shown(has, groups, "share")))
    return found
