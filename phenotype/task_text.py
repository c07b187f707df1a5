"""A task in plain words: who is asked about, when, what, what is left out, and by which definition."""

from __future__ import annotations

from dataclasses import dataclass

from ontology.valuesets.sets import load_valueset
from phenotype.aces.words import describe_windows
from phenotype.eligibility import reasons_of
from phenotype.outcomes import CENSORED
from phenotype.task_parts import AcesTriggers, InfectionAdmission, InfectionInStay
from phenotype.tasks import Task, load_task, task_names

_WHEN = {
    "admission": "one microsecond before the stay begins: from history only, nothing of the stay counts",
    "after_start": "{hours} after the {of} began, if the patient is still there",
    "hourly": "each full hour of an intensive care contact, from its first recorded event to its end",
    "discharge": "at discharge, with what is known at that instant",
    "after_discharge": "{days:g} days after a discharge alive, if out of hospital then",
    "new_year": "each 1 January 00:00, if out of hospital then; needs true dates",
}
_WHAT = {
    "death_in_stay": "death before the stay ends",
    "death": "death within {horizon}, in hospital or outside",
    "prolonged_stay": "a stay longer than {threshold}",
    "labelled_onset": "onset within {horizon}, or already past",
    "infection_in_stay": "onset after the prediction and before the stay ends",
    "infection_admission": "a stay with the infection that begins within {horizon}",
    "readmission": "an acute overnight stay that begins less than {horizon} after the discharge",
}
_INFECTION = (
    "sepsis_or_bsi version 1: growth of a recognised pathogen in a blood culture; or of one commensal "
    "({commensals}) in two cultures within 48 hours; or a sepsis code ({codes}). Onset is the collection of "
    "the first such culture, else of the stay's first culture, else the discharge, which is then called "
    "unknown. A culture within {lookback} before the stay belongs to it"
)
_DEFINITION = {
    "death_in_stay": "a discharge as dead, or, where the discharge is silent, a death recorded in the stay",
    "death": "a recorded death, or a discharge as dead, which also times a death recorded as a date that day",
    "prolonged_stay": (
        "from the beginning of the stay, or of its first intensive care contact, to the end of the stay; "
        "death before the threshold is a negative, a stay that passed it before death a positive"
    ),
    "labelled_onset": "the source's own label {code}, which begins {lead}",
    "infection_in_stay": _INFECTION,
    "infection_admission": _INFECTION,
    "readmission": "stays joined by the 8-hour rule; the first acute overnight stay after an overnight stay",
}
_REPORTED_APART = {
    "labelled_onset": "contacts already labelled in their first row (positive_at_start)",
    "infection_in_stay": (
        "onset within {early} of admission (present_on_admission), later (hospital_onset), unknown "
        "(onset_unknown)"
    ),
}
_NHSN = "NHSN LCBI criteria 1 and 2 without the signs; the value sets name their own sources"
_SOURCE = {
    "infection_in_stay": _NHSN,
    "infection_admission": _NHSN,
    "readmission": "SKDE, sykehusopphold.sas and reinnleggelser.sas",
    "prolonged_stay": "no single definition is agreed on; a percentile and fixed days are both shipped",
}


@dataclass(frozen=True)
class TaskText:
    """One task for a reader; sentences without a full stop.

    Attributes:
        who: the population.
        when: when the prediction is made, and what may be known then.
        what: what makes a row positive, and how far ahead.
        left_out: keys of `phenotype.attrition.STEPS` for which a row gets no label.
        definition: how the outcome is told from the record.
        reported_apart: strata of the outcome, or "".
        source: where the definition comes from, or "".
    """

    who: str
    when: str
    what: str
    left_out: tuple[str, ...]
    definition: str
    reported_apart: str
    source: str


def describe_task(task: Task) -> TaskText:
    """The task in plain words, from its own fields only."""
    if isinstance(task.index, AcesTriggers):
        return _describe_aces(task, task.index)
    words, kind = _words(task), task.outcome.kind
    what = _WHAT[kind].format(**words)
    if task.blanking_hours:
        what += f"; sooner than {_span(task.blanking_hours)} after the prediction it is left out"
    return TaskText(
        who=_who(task),
        when=_WHEN[task.index.kind].format(**words),
        what=what,
        left_out=(*reasons_of(task), *_outcome_reasons(task)),
        definition=_DEFINITION[kind].format(**words),
        reported_apart=_REPORTED_APART.get(kind, "").format(**words),
        source=task.source or _SOURCE.get(kind, ""),
    )


def _describe_aces(task: Task, index: AcesTriggers) -> TaskText:
    """A task in ACES' language."""
    words = describe_windows(index.task)
    return TaskText(
        who=words.who,
        when=words.when,
        what=words.what,
        left_out=("not_as_asked_before", "no_time_of_prediction", "same_time", "not_as_asked_after"),
        definition="; ".join(words.windows),
        reported_apart="",
        source="Xu et al., ACES, arXiv:2406.19653; the task's own file",
    )


def task_document() -> str:
    """All shipped tasks as Markdown sections."""
    return "\n".join(_section(load_task(name)) for name in task_names())


def _section(task: Task) -> str:
    text = describe_task(task)
    lines = {
        "Who": text.who,
        "When": text.when,
        "What": text.what,
        "Competing event": ", ".join(task.competing),
        "Left out": ", ".join(text.left_out),
        "Definition": text.definition,
        "Reported apart": text.reported_apart,
        "Source": text.source,
        "Warns below": f"{task.min_events} positive or negative training rows",
        "Alert rates": ", ".join(f"{100 * rate:g} %" for rate in task.alert_rates),
    }
    bullets = [f"- {name}: {line}." for name, line in lines.items() if line]
    return "\n".join([f"### {task.name}", "", f"{task.title}. *{task.question.strip()}*", "", *bullets, ""])


def _span(hours: float) -> str:
    return f"{hours / 24:g} days" if hours >= 72 else f"{hours:g} hours"


def _words(task: Task) -> dict[str, object]:
    """What the sentences' gaps are filled with; a gap that the task does not have stays unused."""
    index, outcome = task.index, task.outcome
    lead = getattr(outcome, "lead_hours", 0)
    days, percentile = getattr(outcome, "days", None), getattr(outcome, "percentile", None)
    share = f"{100 * (percentile or 0):g} % of the training stays (fitted on training rows only)"
    words: dict[str, object] = {
        "hours": _span(getattr(index, "hours", 0)),
        "of": "stay's first intensive care contact" if getattr(index, "of", "") == "icu" else "stay",
        "days": getattr(index, "days", 0),
        "horizon": _span(task.horizon_hours or 0),
        "threshold": f"{days:g} days" if days else share,
        "code": getattr(outcome, "code", ""),
        "lead": f"{_span(lead)} before onset" if lead else "at onset",
    }
    if isinstance(outcome, InfectionInStay | InfectionAdmission):
        codes, commensals = load_valueset(outcome.definition), load_valueset(outcome.commensals)
        words["codes"] = f"{codes.name} version {codes.version}"
        words["commensals"] = f"{commensals.name} version {commensals.version}"
        words["lookback"] = _span(outcome.lookback_hours)
    if isinstance(outcome, InfectionInStay):
        words["early"] = _span(outcome.present_on_admission_hours)
    return words


def _who(task: Task) -> str:
    population = task.population
    levels = " or ".join(population.care_levels)
    is_outside = task.index.kind == "new_year"
    parts = ["people under observation" if is_outside else f"stays at care level {levels}"]
    if population.is_overnight:
        parts.append("over at least one midnight")
    if population.min_age_years:
        parts.append(f"aged {population.min_age_years:g} years or more at the prediction")
    if population.ever_codes:
        parts.append(f"with {' or '.join(population.ever_codes)} at any time, also after the prediction")
    return ", ".join(parts)


def _outcome_reasons(task: Task) -> list[str]:
    is_of_stay = task.outcome.kind in {"prolonged_stay", "death_in_stay"}
    reasons = {
        "onset_before_index": task.outcome.kind == "infection_in_stay",
        "onset_in_blanking": task.blanking_hours > 0,
        "unknown_outcome": is_of_stay and not task.needs_observation,
        CENSORED: task.needs_observation,
    }
    return [name for name, can_be in reasons.items() if can_be]
