"""What the page of one patient says, as data: risk, trajectory, reasons and the model's own record."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ontology.labels import DOMAINS, domain_of, label_of
from phenotype.cohort import RiskRange
from phenotype.explain.reasons import Reason, Reasons, reasons_of
from phenotype.explain.record import Record
from phenotype.report.phenotypes import PatientPhenotype
from phenotype.report.record import BandRecord, GroupRecord, band_record, group_records
from phenotype.report.suppression import MIN_CELL
from phenotype.report.timeline import Trajectory, trajectory_of
from phenotype.report.words import TaskWords, age_band
from phenotype.task_parts import Frozen

MAX_REASONS = 6
MAX_CARE = 4
MAX_UNKNOWN = 6
MIN_SHARE = 0.04
"""A contribution below this share of the largest one is not listed by itself."""


class UsualRange(Frozen):
    """The risks that this patient's is compared with, at six percentiles."""

    whose: str
    n_subjects: int
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float
    share_below: float


class Afterwards(Frozen):
    """What happened after the prediction: never used for it, and shown apart."""

    outcome: str
    rows: tuple[tuple[str, int], ...]


class ModelWords(Frozen):
    """Which model says this."""

    name: str
    title: str
    version: str
    date: str


class PatientPage(Frozen):
    """All that the page of one patient says.

    Attributes:
        subject_id: the pseudonym.
        task: what was asked.
        prediction_time: when.
        anchor: the nominal start where times are only relative.
        age: ten-year band.
        sex: as recorded, or "sex unknown".
        place: unit and hospital, possibly empty.
        why_here: why this patient has a page.
        model: which model speaks.
        risk: its calibrated risk.
        base_rate: share with the outcome among held-out rows, null where suppressed.
        usual: the usual range.
        risks: (prediction time, risk) of this patient up to now, ascending, where there are several.
        other_models: (title, risk) of the run's other models.
        trajectory: what is drawn.
        reasons: the explanation, null where none was computed.
        reasons_for: the largest reasons that speak for the outcome, care left out.
        reasons_against: those against.
        care: what the hospital had done, with its contributions.
        smaller_phi: the contributions of all that is not listed, together.
        not_known: names of important codes without any event, care left out.
        band: what became of others with a similar risk, null where they are too few.
        groups: the model's record in this patient's groups.
        phenotypes: named states of this patient that were known by then, those that began last first.
        afterwards: what happened then.
    """

    subject_id: int
    task: TaskWords
    prediction_time: dt.datetime
    anchor: dt.datetime | None
    age: str
    sex: str
    place: str
    why_here: str
    model: ModelWords
    risk: float
    base_rate: float | None
    usual: UsualRange | None
    risks: tuple[tuple[dt.datetime, float], ...]
    other_models: tuple[tuple[str, float], ...]
    trajectory: Trajectory
    reasons: Reasons | None
    reasons_for: tuple[Reason, ...]
    reasons_against: tuple[Reason, ...]
    care: tuple[Reason, ...]
    smaller_phi: float
    not_known: tuple[str, ...]
    band: BandRecord | None
    groups: tuple[GroupRecord, ...]
    phenotypes: tuple[PatientPhenotype, ...]
    afterwards: Afterwards


@dataclass(frozen=True)
class PatientCase:
    """What a page is made from: one prediction and everything on file about it.

    Attributes:
        subject_id: the patient.
        prediction_time: the prediction.
        events: columns of EVENTS, all of this subject's, answers left out.
        contacts: columns of CONTACTS, this subject's.
        outcome: boolean_value of the label, event and event_hours of the outcome; empty where undetermined.
        risks: prediction_time and risk of this subject and model.
        other_models: title of each other model -> its risk here.
        facts: sex, age, hospital_id, unit_id; values may be null.
        explanation: rows of the explanation tree of this prediction, possibly none.
        phenotypes: the patient's named states that were known by then.
        why_here: why this patient has a page.
    """

    subject_id: int
    prediction_time: dt.datetime
    events: pl.DataFrame
    contacts: pl.DataFrame
    outcome: Mapping[str, Any]
    risks: pl.DataFrame
    other_models: Mapping[str, float]
    facts: Mapping[str, Any]
    explanation: pl.DataFrame
    phenotypes: tuple[PatientPhenotype, ...] = ()
    why_here: str = ""


@dataclass(frozen=True)
class TaskContext:
    """What all patients of one task and model share.

    Attributes:
        task: the task in words.
        event: what a positive outcome is called in outcomes.
        model: the model in words.
        metrics: the model's part of metrics.json.
        predictions: subject_id, prediction_time, risk and boolean_value of the model's held-out rows.
        usual: the usual range and whose it is, by unit_id; "" is everybody's.
        base_rate: share with the outcome, null where suppressed.
        importance: codes by mean size of contribution, largest first.
        anchor: the nominal start where times are only relative.
    """

    task: TaskWords
    event: str
    model: ModelWords
    metrics: Mapping[str, Any]
    predictions: pl.DataFrame
    usual: Mapping[str, RiskRange] = field(default_factory=dict)
    base_rate: float | None = None
    importance: tuple[str, ...] = ()
    anchor: dt.datetime | None = None


def patient_page(case: PatientCase, context: TaskContext) -> PatientPage:
    """The page of one patient, from the files of the run and the dataset."""
    now = case.prediction_time
    known = pl.coalesce("known_time", "time")
    is_known = known.is_null() | (known <= now)
    record = Record(case.events.filter(is_known), now, context.anchor)
    risks = case.risks.filter(pl.col("prediction_time") <= now).sort("prediction_time")
    risk = float(risks["risk"][-1])
    reasons = reasons_of(case.explanation, record) if case.explanation.height else None
    shown = _shown(reasons)
    order = [*(reason.code for reason in (reasons.codes if reasons else ())), *context.importance]
    return PatientPage(
        subject_id=case.subject_id,
        task=context.task,
        prediction_time=now,
        anchor=context.anchor,
        age=age_band(case.facts.get("age")),
        sex=str(case.facts.get("sex") or "sex unknown"),
        place=_place(case.facts),
        why_here=case.why_here,
        model=context.model,
        risk=risk,
        base_rate=context.base_rate,
        usual=_usual(risk, case.facts.get("unit_id"), context.usual),
        risks=tuple(zip(risks["prediction_time"], risks["risk"], strict=True)) if risks.height > 1 else (),
        other_models=tuple(case.other_models.items()),
        trajectory=trajectory_of(record, case.contacts, list(dict.fromkeys(order))),
        reasons=reasons,
        reasons_for=shown[0],
        reasons_against=shown[1],
        care=shown[2],
        smaller_phi=_smaller_phi(reasons, shown),
        not_known=_not_known(record, context.importance),
        band=band_record(risk, case.subject_id, context.predictions),
        groups=group_records(case.facts, context.metrics),
        phenotypes=case.phenotypes,
        afterwards=_afterwards(case, context),
    )


def _place(facts: Mapping[str, Any]) -> str:
    """Unit and hospital, as far as they are known."""
    unit, hospital = facts.get("unit_id"), facts.get("hospital_id")
    is_named = " " in str(hospital)
    return ", ".join(
        [f"unit {unit}"] * bool(unit)
        + [str(hospital) if is_named else f"hospital {hospital}"] * bool(hospital)
    )


def _shown(reasons: Reasons | None) -> tuple[tuple[Reason, ...], tuple[Reason, ...], tuple[Reason, ...]]:
    """The reasons for, those against, and the care given, each largest first."""
    all_codes = reasons.codes if reasons else ()
    least = MIN_SHARE * abs(all_codes[0].phi) if all_codes else 0.0
    codes = [reason for reason in all_codes if abs(reason.phi) > least]
    facts = [reason for reason in codes if not reason.is_care]
    care = [reason for reason in codes if reason.is_care and reason.is_known]
    return (
        tuple(reason for reason in facts if reason.phi > 0)[:MAX_REASONS],
        tuple(reason for reason in facts if reason.phi < 0)[:MAX_REASONS],
        tuple(care[:MAX_CARE]),
    )


def _smaller_phi(reasons: Reasons | None, shown: tuple[tuple[Reason, ...], ...]) -> float:
    """What the domains hold beyond the listed reasons."""
    if reasons is None:
        return 0.0
    return sum(part.phi for part in reasons.domains) - sum(reason.phi for group in shown for reason in group)


def _usual(risk: float, unit_id: object, ranges: Mapping[str, RiskRange]) -> UsualRange | None:
    """The unit's range, or everybody's where the unit is unknown or small."""
    unit = str(unit_id) if unit_id and str(unit_id) in ranges else ""
    spread = ranges.get(unit)
    if spread is None or spread.n_subjects < MIN_CELL:
        return None
    return UsualRange(
        whose=f"patients of unit {unit}" if unit else "patients in this run",
        n_subjects=spread.n_subjects,
        p5=spread.quantile(0.05),
        p25=spread.quantile(0.25),
        p50=spread.quantile(0.5),
        p75=spread.quantile(0.75),
        p95=spread.quantile(0.95),
        p99=spread.quantile(0.99),
        share_below=spread.share_below(risk),
    )


def _not_known(record: Record, importance: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the most important codes, care left out, of which nothing was known."""
    absent = [
        code
        for code in importance
        if domain_of(code) in {"Vital signs", "Laboratory"} and not record.of_code(code).height
    ]
    return tuple(dict.fromkeys(label_of(code) for code in absent))[:MAX_UNKNOWN]


def _afterwards(case: PatientCase, context: TaskContext) -> Afterwards:
    """The outcome in words, and what was recorded later, counted by domain."""
    later = case.events.filter(pl.coalesce("known_time", "time") > case.prediction_time)
    counts: dict[str, int] = {}
    for code in later["code"].to_list():
        counts[domain_of(code)] = counts.get(domain_of(code), 0) + 1
    rows = tuple((domain, counts[domain]) for domain in DOMAINS if domain in counts)
    return Afterwards(outcome=_outcome_sentence(case.outcome, context), rows=rows)


def _outcome_sentence(outcome: Mapping[str, Any], context: TaskContext) -> str:
    """What became of the question."""
    noun = context.task.outcome
    subject = noun[0].upper() + noun[1:]
    is_positive, event = outcome.get("boolean_value"), outcome.get("event")
    if is_positive is None:
        return f"Whether {noun} followed cannot be told from the record."
    hours = outcome.get("event_hours") if event else None
    after = "" if hours is None else f", {_after_words(float(hours))} after the prediction"
    if is_positive:
        return f"{subject} followed{after if event == context.event else ''}."
    if event in {None, "censored", context.event}:
        return f"{subject} did not follow."
    return f"{subject} did not follow: {str(event).replace('_', ' ')} came first{after}."


def _after_words(hours: float) -> str:
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
