"""Indications written in the phenotype language, to be evaluated over dated events.

The shipped file configs/phenotypes/infusion_phlebitis.yaml says what `definitions` gives; a test keeps the
two alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ontology.errors import ConfigurationError, Problem
from ontology.indications.rules import Finding, Indication, Signs, indication

VALUE_SETS = "infusion_phlebitis"
"""The family of value sets whose groups are the findings, by name: what counts as each among dated events."""

DEFINED = {
    "phlebitis_early": "infusion_phlebitis_early",
    "phlebitis_medium": "infusion_phlebitis_medium",
    "phlebitis_advanced": "infusion_phlebitis_advanced",
    "catheter": "catheter_indicated",
    "peripheral_catheter": "peripheral_catheter_indicated",
}
"""Indication -> name of the phenotype that ships for it."""


def definitions(*, within_hours: float = 24) -> list[dict[str, Any]]:
    """The phenotypes that ship for indications: name, title, confirmed, as plain values."""
    return [
        {"name": name, "title": _title(rule), "confirmed": criterion(rule, within_hours=within_hours)}
        for rule, name in ((indication(rule), name) for rule, name in DEFINED.items())
    ]


def criterion(rule: Indication, *, within_hours: float = 24) -> dict[str, Any]:
    """A rule about signs as a criterion of the phenotype language, over dated events.

    Events rarely say at which place a sign was seen. So a sign counts as seen at a place where an event of
    the place, or of something that runs in, lies within the same hours of the same contact.

    Args:
        rule: an indication whose needs and those of the rules that imply it stand alone.
        within_hours: how far apart signs, and signs and place, may be. The publication has no times: its
            signs are those of one note.

    Returns:
        One node of the language, made of plain values; findings are groups of the family VALUE_SETS, rules
        that ship as phenotypes are named.

    Raises:
        ConfigurationError: a rule that needs another indication as well.
    """
    if rule.and_also:
        told = Problem("an indication that needs another one", found=rule.name, allowed="rules about signs")
        raise ConfigurationError(told)
    ways = [_both(rule.needs, within_hours)] if rule.needs else []
    ways += [_implied(indication(name), within_hours) for name in rule.implied_by]
    return ways[0] if len(ways) == 1 else {"any": ways}


def _title(rule: Indication) -> str:
    return rule.english[0].upper() + rule.english[1:] + ", as signs and use indicate it"


def _implied(rule: Indication, within_hours: float) -> dict[str, Any]:
    if rule.name in DEFINED:
        return {"phenotype": {"name": DEFINED[rule.name]}}
    return criterion(rule, within_hours=within_hours)


def _both(needs: Sequence[Signs], within_hours: float) -> dict[str, Any]:
    """The first need, with each of the others near it."""
    found = _near_its_place(needs[0], within_hours)
    for signs in needs[1:]:
        found = _near(found, _near_its_place(signs, within_hours), within_hours)
    return found


def _near_its_place(signs: Signs, within_hours: float) -> dict[str, Any]:
    enough = _enough(signs, within_hours)
    if signs.is_related:
        for places in (signs.at, signs.observed_with):
            enough = _near(enough, _events(places), within_hours)
        return enough
    places = (*signs.at, *signs.observed_with)
    return _near(enough, _events(places), within_hours) if places else enough


def _enough(signs: Signs, within_hours: float) -> dict[str, Any]:
    if signs.at_least == 1:
        return _events(signs.of)
    each = [_events((finding,)) for finding in signs.of]
    told = {
        "n": signs.at_least,
        "of": each,
        "within_hours": within_hours,
        "distinct": "part",
        "same": "contact",
    }
    return {"at_least": told}


def _near(of: dict[str, Any], other: dict[str, Any], hours: float) -> dict[str, Any]:
    return {"near": {"of": of, "other": other, "from_hours": -hours, "to_hours": hours, "same": "contact"}}


def _events(findings: Sequence[Finding]) -> dict[str, Any]:
    groups = [f"{VALUE_SETS}/{finding.name}" for finding in findings]
    return {"events": {"in": groups[0] if len(groups) == 1 else groups}}
