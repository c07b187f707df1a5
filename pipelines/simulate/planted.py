"""Plants questions, pairs of early events and late outcomes in the record; the truth is their stated risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.simulate import record
from pipelines.simulate.analytes import ANALYTE_INDEX, ANALYTES
from pipelines.simulate.clock import END_DAYS, START, on_minute, to_instants
from pipelines.simulate.planting import LIMIT, Pair, PlantedOutcome, Planting
from pipelines.simulate.stays import Stays

Tables = Mapping[str, pl.DataFrame]
_MINUTE = 1.0 / 1440.0


@dataclass(frozen=True)
class Questions:
    """When what is asked of whom; (n,) each, ordered by patient and time.

    Attributes:
        patient_id, contact_id: as in the extract; the contact is the stay's first.
        asked: day.
        limit: the day by which an outcome has come if it comes: the horizon's end or the observation's.
    """

    patient_id: np.ndarray
    contact_id: np.ndarray
    asked: np.ndarray
    limit: np.ndarray

    def frame(self) -> pl.DataFrame:
        """row, patient_id, asked_time."""
        return pl.DataFrame(
            {
                "row": np.arange(len(self.asked)),
                "patient_id": self.patient_id,
                "asked_time": to_instants(self.asked),
            }
        )


def plant(
    planting: Planting,
    tables: Tables,
    stays: Stays,
    *,
    patient_id: np.ndarray,
    contact_id: np.ndarray,
    rng: np.random.Generator,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What is planted and how likely it was.

    An outcome that comes, comes at any time within the horizon, before death and before the patient moves
    away, so that the record tells it whatever happens: its risk stays the stated one.

    Args:
        planting: what to plant.
        tables: the extract's tables.
        stays: the recorded stays, ordered by person and admission.
        patient_id: of each stay, as in the extract.
        contact_id: of each stay's first contact, as in the extract.
        rng: the source of chance.

    Returns:
        events: patient_id, code, time, for the extract; truth: columns of `truth.risks_table`.
    """
    questions = ask(planting, tables["movements"], stays, patient_id, contact_id)
    n_rows = len(questions.asked)
    events = [_events(questions.patient_id, planting.asked_code, questions.asked)]
    order: np.ndarray = np.zeros(n_rows)
    if planting.pair:
        has_pair = rng.random(n_rows) < planting.pair.share
        order = np.where(has_pair, rng.integers(0, 2, n_rows) * 2.0 - 1.0, 0.0)
        events += _pairs(planting.pair, questions, order, rng)
    truths = []
    for outcome in planting.outcomes:
        risk = risk_of(outcome, tables, questions.frame(), order)
        comes = rng.random(n_rows) < risk
        wait = _MINUTE + rng.random(n_rows) * (questions.limit - questions.asked - _MINUTE)
        events.append(_events(questions.patient_id[comes], outcome.code, (questions.asked + wait)[comes]))
        truths.append(_truth(outcome.task, questions, risk, comes))
    return pl.concat(events).sort("patient_id", "time", "code"), pl.concat(truths)


def ask(
    planting: Planting, movements: pl.DataFrame, stays: Stays, patient_id: np.ndarray, contact_id: np.ndarray
) -> Questions:
    """The questions: in stays that last long enough, a horizon inside what is observed, and further apart."""
    asked = stays.admitted + planting.asked_after_hours / 24.0
    begin, until = _observed(movements, patient_id, asked)
    horizon = planting.horizon_days
    fits = (asked < stays.ended) & (asked >= begin + horizon) & (asked + 2 * _MINUTE <= until)
    rows = np.flatnonzero(fits & (asked + horizon <= END_DAYS))
    kept, last, owner = [], -np.inf, -1
    for row in rows:
        if patient_id[row] != owner or asked[row] > last + horizon:
            kept.append(row)
            owner, last = patient_id[row], asked[row]
    chosen = np.array(kept, dtype=np.int64)
    limit = np.minimum(asked + horizon, until)
    return Questions(patient_id[chosen], contact_id[chosen], asked[chosen], limit[chosen])


def risk_of(
    outcome: PlantedOutcome, tables: Tables, questions: pl.DataFrame, order: np.ndarray
) -> np.ndarray:
    """The stated risk of an outcome at each question, (n,).

    Args:
        outcome: its effects.
        tables: the extract's tables.
        questions: row, patient_id, asked_time.
        order: of the early pair, -1, 0 or 1, (n,).
    """
    log_odds = np.full(questions.height, outcome.base)
    for value in outcome.values:
        last = _results(tables, questions, value.analyte, value.within_days, is_log=value.is_log)[:, 0]
        centre = np.log(value.centre) if value.is_log else value.centre
        log_odds += value.weight * _clipped((last - centre) / value.scale)
    for trend in outcome.trends:
        two = _results(tables, questions, trend.analyte, trend.within_days, is_log=trend.is_log)
        log_odds += trend.weight * _clipped((two[:, 0] - two[:, 1]) / trend.scale)
    for history in outcome.history:
        log_odds += history.weight * record.has_code(tables["conditions"], questions, history.codes)
    if outcome.admissions:
        half_life = outcome.admissions.half_life_days
        begun = record.fading_admissions(tables["contacts"], questions, half_life)
        log_odds += outcome.admissions.weight * np.log1p(begun)
    if outcome.age:
        age = record.age_years(tables["patients"], questions)
        log_odds += outcome.age.weight * (age - outcome.age.centre_years) / 10.0
    risk = (1.0 + outcome.order_contrast * order) / (1.0 + np.exp(-log_odds))
    return np.asarray(np.minimum(risk, 1.0))


def _results(
    tables: Tables, questions: pl.DataFrame, analyte: str, within_days: float, *, is_log: bool
) -> np.ndarray:
    """Latest result of an analyte and the one before, (n, 2)."""
    code = ANALYTES[ANALYTE_INDEX[analyte]].code
    found = record.latest_two(tables["laboratory"], questions, code, within_days)
    return np.asarray(np.log(np.maximum(found, 1e-3))) if is_log else found


def _clipped(scales: np.ndarray) -> np.ndarray:
    """Between -LIMIT and LIMIT; what is not known adds nothing."""
    return np.asarray(np.nan_to_num(np.clip(scales, -LIMIT, LIMIT), nan=0.0))


def _pairs(
    pair: Pair, questions: Questions, order: np.ndarray, rng: np.random.Generator
) -> list[pl.DataFrame]:
    """The early events of each question that has them."""
    n_rows = len(order)
    start = questions.asked - rng.uniform(pair.from_days, pair.to_days, n_rows)
    later = start + rng.uniform(*pair.apart_hours, n_rows) / 24.0
    there = order != 0
    first, second = np.where(order > 0, start, later), np.where(order > 0, later, start)
    owner = questions.patient_id[there]
    return [_events(owner, pair.first, first[there]), _events(owner, pair.second, second[there])]


def _observed(
    movements: pl.DataFrame, patient_id: np.ndarray, days: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """From which and until which day the patient is observed around a day; NaN where not at all."""
    windows = movements.select(
        "patient_id", *(_days(name).alias(name) for name in ("from_time", "to_time"))
    ).sort("from_time")
    asked = pl.DataFrame({"patient_id": patient_id, "day": days}).with_row_index("row").sort("day")
    found = asked.join_asof(
        windows, left_on="day", right_on="from_time", by="patient_id", check_sortedness=False
    ).sort("row")
    begin, until = (found[name].to_numpy() for name in ("from_time", "to_time"))
    return np.where(days <= until, begin, np.nan), until


def _days(name: str) -> pl.Expr:
    """An instant as days since the simulator's start."""
    return (pl.col(name) - pl.lit(START)).dt.total_minutes() / 1440.0


def _events(patient_id: np.ndarray, code: str, days: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "patient_id": patient_id,
            "code": pl.Series([code] * len(days), dtype=pl.String),
            "time": to_instants(on_minute(days)),
        }
    )


def _truth(task: str, questions: Questions, risk: np.ndarray, outcome: np.ndarray) -> pl.DataFrame:
    """Rows as `truth.risks_table` has them."""
    return pl.DataFrame(
        {
            "patient_id": questions.patient_id,
            "contact_id": questions.contact_id,
            "prediction_time": to_instants(questions.asked),
            "task": pl.Series([task] * len(risk), dtype=pl.String),
            "risk": risk,
            "outcome": outcome,
        }
    )
