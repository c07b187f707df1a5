"""A phenotype definition in plain English, for reports and catalogues: made from its criteria alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ontology.valuesets.sets import load_family, load_valueset
from phenotype.definitions import nodes
from phenotype.definitions.nodes import Condition, Part
from phenotype.definitions.text import Definition

_STATES = {"confirmed": "Confirmed", "suspected": "Suspected", "excluded": "Excluded"}
_EACH = {"subject": "each patient", "stay": "each stay", "contact": "each contact"}
_SAME = {
    "subject": "",
    "stay": " of the same stay",
    "contact": " of the same contact",
    "text": " of the same text",
}
_HOW = {"max": "highest", "min": "lowest", "mean": "mean", "sum": "sum", "count": "number", "last": "last"}
_MEASURES = {
    "count": "the count of {}",
    "count_stays": "the count of stays with {}",
    "count_days": "the count of days with {}",
    "sum_days": "the days in all of {}",
    "sum": "the sum of {}",
    "min": "the lowest of {}",
    "max": "the highest of {}",
    "mean": "the mean of {}",
    "first_value": "the first of {}",
    "last_value": "the last of {}",
    "hours_since": "the hours since the last {}",
    "days_since": "the days since the last {}",
    "ever": "whether there was ever {}",
}


def explain_definition(definition: Definition) -> str:
    """What a definition means, one sentence a state and one about what is kept.

    Args:
        definition: as `read_definitions` gives it.

    Returns:
        Sentences with full stops, such as "Confirmed: the first creatinine in plasma above 353.6 umol/L of
        each stay. All marks are kept."
    """
    sentences = [f"{_STATES[state]}: {phrase(node)}." for state, node in definition.criteria.items()]
    if definition.per == "each":
        kept = "All marks are kept."
    else:
        kept = f"Of {_EACH[definition.per]} the first mark of the strongest state is kept."
    return " ".join([*sentences, kept])


def phrase(node: Part) -> str:
    """A criterion as a noun phrase."""
    return _PHRASES[type(node)](node)


def _inner(node: Part) -> str:
    """A phrase within another: in brackets where it is made of several."""
    text = phrase(node)
    return f"({text})" if isinstance(node, nodes.AnyOf | nodes.AllOf | nodes.Near) else text


def _bare(node: Part) -> str:
    return _inner(node).removeprefix("a ").removeprefix("the ")


def _hours(number: float) -> str:
    return f"{number / 24:g} days" if number >= 72 else f"{number:g} hours"


def _bounds(condition: Condition | None, unit: str = "") -> str:
    if condition is None:
        return ""
    words = {"above": "above", "at_least": "at least", "below": "below", "at_most": "at most"}
    told = [
        f"{word} {getattr(condition, key):g}"
        for key, word in words.items()
        if getattr(condition, key) is not None
    ]
    unit = condition.unit or unit
    return " " + " and ".join(told) + (f" {unit}" if unit else "") if told else ""


def _least(node: Any) -> str:
    """The bounds of scores and weights."""
    told = [f" of {node.at_least:g} or more"] if node.at_least is not None else []
    told += [f" below {node.below:g}"] if node.below is not None else []
    return " and".join(told)


def _title(name: str) -> str:
    """A value set's title up to its first semicolon; its first letter small unless it is an abbreviation."""
    title = load_valueset(name).title.split(";")[0]
    is_abbreviation = len(title) > 1 and title[:2].isupper()
    return title if is_abbreviation else title[:1].lower() + title[1:]


def _events(node: nodes.Events) -> str:
    text = " or ".join([*map(_title, node.sets), *(f"code {code}" for code in node.codes)])
    text += _bounds(node.value)
    text += f" as {node.role} code" if node.role else ""
    text += f" that says {' or '.join(map(_title, node.text))}" if node.text else ""
    text += f" that does not say {' or '.join(map(_title, node.text_not))}" if node.text_not else ""
    return text + (f" in a {node.during}" if node.during else "")


def _all(node: nodes.AllOf) -> str:
    present = " and ".join(_inner(part) for part in node.of if not isinstance(part, nodes.Not))
    absent = "".join(f", without {_inner(part.of)}" for part in node.of if isinstance(part, nodes.Not))
    of_one = {"subject": "of one patient", "stay": "in one stay", "contact": "in one contact"}[node.per]
    return f"{present}, {of_one}{absent}"


def _at_least(node: nodes.AtLeast) -> str:
    of = " or ".join(map(_inner, node.of))
    if node.n == 1:
        return of
    kind = {"time": " at different times", "value": " with different values", "part": " of different kinds"}
    within = f" within {_hours(node.within_hours)}" if node.within_hours else ""
    return f"at least {node.n} of ({of}){kind[node.distinct]}{_SAME[node.same]}{within}"


def _span(from_hours: float | None, to_hours: float | None) -> str:
    if from_hours is None and to_hours is None:
        return "at any time"
    if from_hours == to_hours == 0:
        return "at the same time"
    if from_hours == 0:
        return "at any time after" if to_hours is None else f"in the {_hours(to_hours)} after"
    if to_hours == 0:
        return "at any time before" if from_hours is None else f"in the {_hours(-from_hours)} before"
    return f"from {_side(from_hours, 'before')} to {_side(to_hours, 'after')}"


def _side(hours: float | None, open_side: str) -> str:
    if hours is None:
        return f"any time {open_side}"
    return f"{_hours(abs(hours))} {'before' if hours < 0 else 'after'}"


def _near(node: nodes.Near) -> str:
    joint = "without" if node.absent else "with"
    kept = {"of": "", "first": ", at the earlier of the two", "other": ", at the latter"}[node.keep]
    span = _span(node.from_hours, node.to_hours)
    return (
        f"{_inner(node.of)} {joint} {_inner(node.other)} {span}{_SAME[node.same].replace(' of', ' in')}{kept}"
    )


def _side_of(node: nodes.Before | nodes.After) -> str:
    within = f" within {_hours(node.within_hours)}" if node.within_hours else ""
    return f"{_inner(node.of)} {node.key} {_inner(node.other)}{within}{_SAME[node.same]}"


def _rise(node: nodes.Rise) -> str:
    much = f"by {node.by:g} or more" if node.by is not None else f"to {node.ratio:g} times or more"
    return f"a rise of {_inner(node.of)} {much} within {_hours(node.within_hours)}{_SAME[node.same]}"


def _score(node: nodes.Score) -> str:
    text = f"{node.name} {node.part or ''}".strip() + _least(node)
    text = f"a rise of {node.name} by {node.rise:g} or more" if node.rise is not None else text
    if node.any_single is not None:
        text += f"{' or' if _least(node) else ' with'} {node.any_single:g} points of one part alone"
    if node.around is None:
        return text
    over = {"zero": "", "lowest_before": " over the lowest before", "lowest_known": " over the lowest known"}
    baseline = over[node.baseline] if node.rise is not None else ""
    return f"{text}{baseline}, {_span(node.from_hours, node.to_hours)} {_inner(node.around)}"


def _weights(node: nodes.Weights) -> str:
    family = load_family(node.family)
    days = node.look_back_days if node.look_back_days is not None else family.look_back_days
    reach = (
        "codes at any time"
        if node.per == "subject"
        else f"codes of the stay and of {days or 0:g} days before"
    )
    return f"a sum of weights{_least(node)} ({family.title}; {reach})"


def _stay(node: nodes.Stay | nodes.Contact) -> str:
    flags = {"acute": "acute", "overnight": "overnight", "ended": "ended", "died": "ending in death"}
    told = [
        word if getattr(node, key) else f"not {word}"
        for key, word in flags.items()
        if getattr(node, key, None) is not None
    ]
    told += [" or ".join(node.care_level)] if node.care_level else []
    told += [f"lasting{_bounds(node.length_days, 'days')}"] if node.length_days else []
    if isinstance(node, nodes.Stay):
        told += [f"of someone{_bounds(node.age_years, 'years')} old"] if node.age_years else []
        percentile, sd = node.above_percentile, node.above_mean_sd
        told += [f"longer than {percentile:g} % of these"] if percentile is not None else []
        told += [f"longer than the mean of these by {sd:g} standard deviations"] if sd is not None else []
        within, after = node.readmission_within_days, node.readmitted_within_days
        told += [f"as a readmission within {within:g} days"] if within is not None else []
        told += [f"followed by a readmission within {after:g} days"] if after is not None else []
    start = "the start of " if isinstance(node, nodes.Contact) and node.at == "start" else ""
    return f"{start}a {node.key}" + (f" ({', '.join(told)})" if told else "")


def _measure(node: nodes.Measure) -> str:
    span = "in the stay" if node.span == "stay" else "before the stay"
    if node.look_back_days is not None:
        span = f"in the {node.look_back_days:g} days before the stay"
    return f"{_MEASURES[node.how].format(_bare(node.of))} {span}{_bounds(node.value)}"


def _joined(parts: Sequence[Part]) -> str:
    return ", or ".join(map(_inner, parts))


_PHRASES: dict[type[Part], Callable[[Any], str]] = {
    nodes.Events: _events,
    nodes.AnyOf: lambda node: _joined(node.of),
    nodes.AllOf: _all,
    nodes.AtLeast: _at_least,
    nodes.Near: _near,
    nodes.Before: _side_of,
    nodes.After: _side_of,
    nodes.First: lambda node: f"the first {_bare(node.of)} of {_EACH[node.per]}",
    nodes.Last: lambda node: f"the last {_bare(node.of)} of {_EACH[node.per]}",
    nodes.Worst: lambda node: (
        f"{_inner(node.of)} whose {_HOW[node.how]} of {_hours(node.window_hours)} is"
        f"{_bounds(node.value) or ' taken'}{_SAME[node.same]}"
    ),
    nodes.Rise: _rise,
    nodes.Score: _score,
    nodes.Weights: _weights,
    nodes.Stay: _stay,
    nodes.Contact: _stay,
    nodes.Phenotype: lambda node: f"{node.state} {node.name}",
    nodes.Measure: _measure,
}
