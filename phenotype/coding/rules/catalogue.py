"""What public sources say about coding, and what became of each: a rule, a rate, or why it is neither."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ontology.configuration import find_config, read_yaml, validate
from phenotype.coding.rules.conditions import Texts, Word
from phenotype.coding.rules.rules import Explanation, Prior, Rule, load_rules

_MEANS = {"rule": "rule", "rate": "rate", "needs_data": "needs data that are not there", "out": "out"}


class Entry(Word):
    """One thing that a source says.

    Attributes:
        id: as the source, or the collection of sources, calls it.
        says: what.
        verdict: `is` in YAML: rule, rate, needs_data or out.
        rules: ids of the rules that judge it.
        why: why it is what it is.
    """

    id: Annotated[str, Field(min_length=1)]
    says: Annotated[str, Field(min_length=1)]
    verdict: Literal["rule", "rate", "needs_data", "out"] = Field(alias="is")
    rules: Texts = ()
    why: Annotated[str, Field(min_length=1)]

    @model_validator(mode="after")
    def _rules_of_rules(self) -> Entry:
        if (self.verdict == "rule") != bool(self.rules):
            raise ValueError("what is a rule names its rules, and nothing else does")
        return self


class Section(Word):
    """What one source says.

    Attributes:
        title: of the source.
        entries: in its order.
    """

    title: Annotated[str, Field(min_length=1)]
    entries: Annotated[tuple[Entry, ...], Field(min_length=1)]


class Catalogue(Word):
    """All sources.

    Attributes:
        sections: one a source.
    """

    sections: tuple[Section, ...]

    @classmethod
    def load(cls) -> Catalogue:
        """The catalogue that comes with Pesta.

        Raises:
            ConfigurationError: faults of the file.
        """
        file = find_config("coding", "rule_catalogue")
        return validate(cls, read_yaml(file), where=str(file))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries in their order."""
        return tuple(entry for section in self.sections for entry in section.entries)


def catalogue_document(catalogue: Catalogue) -> str:
    """The catalogue as Markdown tables, one a source."""
    parts = []
    for section in catalogue.sections:
        rows = [
            f"| {entry.id} | {entry.says} | {_MEANS[entry.verdict]} | "
            f"{', '.join(f'`{rule}`' for rule in entry.rules)} | {entry.why} |"
            for entry in section.entries
        ]
        head = ["| id | what is said | becomes | rules | why |", "|---|---|---|---|---|"]
        parts.append("\n".join([f"### {section.title}", "", *head, *rows, ""]))
    return "\n".join(parts)


def rules_document() -> str:
    """The rules that come with Pesta as Markdown, by family."""
    rules = load_rules()
    families = dict.fromkeys(rule.family for rule in rules)
    return "\n".join(
        "\n".join(
            [f"### {family.replace('_', ' ')}", "", *(_rule(rule) for rule in rules if rule.family == family)]
        )
        for family in sorted(families)
    )


def _rule(rule: Rule) -> str:
    needs = _needs(rule)
    ending = f"; needs {needs}" if needs else ""
    judged = f"{_days(rule)}; severity {rule.severity}; one finding a {_PER[rule.per]}{ending}"
    lines = [
        f"**`{rule.id}`** ({', '.join(rule.reference)}): {rule.title}. {rule.says}",
        "",
        f"- Judged: {judged}.",
        f"- Right in {_share(rule.prior)} findings ({rule.prior.source}), until reviewers have answered.",
        *(_explanation(explanation) for explanation in rule.explanations),
        f"- Suggestion: {rule.suggestion.text}",
        *(f"- Source: {source}." for source in rule.sources),
        "",
    ]
    return "\n".join(lines)


def _explanation(explanation: Explanation) -> str:
    then = f", then {_share(explanation.prior)}" if explanation.prior else ""
    return f"- Innocent explanation `{explanation.name}` ({explanation.effect}{then}): {explanation.title}."


def _share(prior: Prior) -> str:
    return f"{prior.right:g} of {prior.right + prior.wrong:g}"


_PER = {"contact": "contact", "code": "code", "group": "condition group"}


def _days(rule: Rule) -> str:
    by = "the day of the procedure" if rule.dated_by == "procedure" else "the day the contact ended"
    if rule.valid_from and rule.valid_to:
        return f"from {rule.valid_from} to {rule.valid_to} by {by}"
    if rule.valid_from:
        return f"from {rule.valid_from} on by {by}"
    return f"until {rule.valid_to} by {by}" if rule.valid_to else "always"


def _needs(rule: Rule) -> str:
    needs = rule.needs
    found = [need.replace("_", " ") for need in (*needs.contact, *needs.facts)]
    found += [f"a main condition in {needs.main_in}"] if needs.main_in else []
    found += [f"a list of {system} of the day" for system in needs.lists]
    found += [f"{name} in the record" for name in needs.systems]
    found += ["groups of several codes in the record"] if needs.groups_recorded else []
    found += [f"{name.replace('_', ' ')} told of any contact" for name in needs.recorded]
    return ", ".join(found)
