"""The table that a settlement committee asks a registry for: a unit's stays beside those of all others.

**Source:** Avregningsutvalget's way of judging a case: rate deviation, then detail from the registry (length
of stay, other conditions, procedures, age mix, transfers), then the letter (Directorate of Health, S000).
"""

from __future__ import annotations

from collections.abc import Sequence

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
"""Shares that rest on fewer stays are not shown: they point at patients."""

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
null where it cannot be told or rests on fewer than 5 stays."""


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


Row = tuple[str, str, float | None, float | None, float | None, float | None]


def _row(part: str, figure: str, values: Sequence[float | None]) -> Row:
    first, second, third, fourth = values
    return part, figure, first, second, third, fourth


def _numbers(groups: tuple[Bools, ...]) -> list[Row]:
    return [_row("how many", "stays", [float(group.sum()) for group in groups])]


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
    figures: list[tuple[str, str, Floats, str]] = [
        ("stay", "days, mean", days, "mean"),
        ("stay", "days, median", days, "median"),
        ("stay", "share with a bed", bed, "mean"),
        ("stay", "share acute", acute, "mean"),
        ("age", "years, mean", age, "mean"),
        *(("age", f"share {text}", _band(age, low, high), "mean") for text, low, high in _BANDS),
        ("patients", "share women", _sex(rows["sex"]), "mean"),
        ("patients", "comorbidity index of the year before, mean", mix.comorbidity, "mean"),
        ("transfers", "share from another hospital", mix.attributes["transfer"].astype(np.float64), "mean"),
        (
            "transfers",
            "share with more than one contact",
            (rows["n_contacts"].to_numpy() > 1).astype(np.float64),
            "mean",
        ),
        ("procedures", "share operated", mix.attributes["surgery"].astype(np.float64), "mean"),
    ]
    return [
        _row(part, text, [_summary(value[group], how) for group in groups])
        for part, text, value, how in figures
    ]


_BANDS = (
    ("under 18", 0, 18),
    ("18-49", 18, 50),
    ("50-66", 50, 67),
    ("67-79", 67, 80),
    ("80 and older", 80, 200),
)


def _band(age: Floats, low: float, high: float) -> Floats:
    return np.where(np.isnan(age), np.nan, ((age >= low) & (age < high)).astype(np.float64))


def _sex(sex: pl.Series) -> Floats:
    return (sex == "female").cast(pl.Float64).fill_null(np.nan).to_numpy()


def _summary(values: Floats, how: str) -> float | None:
    known = values[~np.isnan(values)]
    if len(known) < MIN_CELL:
        return None
    return float(known.mean() if how == "mean" else np.median(known))


def _codes(ground: Ground, groups: tuple[Bools, ...]) -> list[Row]:
    """Other conditions and procedures: how many a stay has, and the commonest of the unit's own."""
    found: list[Row] = []
    for part, role in (("other conditions", "other"), ("procedures", "procedure")):
        codes = ground.rows.codes
        chosen = codes.role == ROLES.index(role)
        key = distinct(codes.code[chosen] * np.int64(max(ground.rows.rows.height, 1)) + codes.row[chosen])
        code, row = key // max(ground.rows.rows.height, 1), key % max(ground.rows.rows.height, 1)
        number = np.bincount(row, minlength=ground.rows.rows.height).astype(np.float64)
        found.append(_row(part, "a stay, mean", [_summary(number[group], "mean") for group in groups]))
        own = groups[2] if groups[2].any() else groups[0]
        often = np.bincount(code[own[row]], minlength=len(codes.distinct))
        for index in np.argsort(-often, kind="stable")[:COMMONEST].tolist():
            if often[index] < MIN_CELL:
                break
            has = np.zeros(ground.rows.rows.height)
            has[row[code == index]] = 1.0
            text = codes.distinct[index].replace("//", " ")
            found.append(_row(part, f"share with {text}", [_summary(has[group], "mean") for group in groups]))
    return found
