"""Coding rules as data: what a rule says, when it holds, what it needs, what explains a match, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from phenotype.coding.rules.conditions import Condition, Texts, Word, codes_of

ROOM = "coding_rules"
Severity = Literal["error", "review", "information"]
ContactNeed = Literal[
    "end", "main", "diagnosis", "procedure", "groups", "code_order", "care_level", "urgency", "hospital",
    "age", "sex",
]  # fmt: skip
"""What a contact must tell. end: an end that is not before the start; groups: condition groups of its
diagnoses; code_order: the order of codes within them; the others: that there is one."""


class Needs(Word):
    """What must be in the record for a contact to be judged; what is not is counted with its reason.

    Attributes:
        contact: what the contact itself must tell.
        main_in: the code system that a main condition must be coded in; ICD10 stands for the Norwegian
            edition too.
        facts: what must be told of the contact.
        recorded: facts that must be told of any contact of the record; where they are told of none, that one
            lacks them says nothing.
        lists: code systems whose list must cover the day of each of the contact's codes of the system.
        systems: code systems of which the record must have any code, such as NORPAT, or events; where it has
            none, nobody can be judged.
        groups_recorded: the record must hold at least one condition group of several codes; a record of one
            code a group (a flat file) says nothing about grouping.
    """

    contact: Annotated[tuple[ContactNeed, ...], Field()] = ()
    main_in: str | None = None
    facts: Texts = ()
    recorded: Texts = ()
    lists: Texts = ()
    systems: Texts = ()
    groups_recorded: bool = False


class Prior(Word):
    """How often the rule is right, before reviewers have answered: a Beta distribution.

    Attributes:
        right: findings that were right, or that many by assumption.
        wrong: findings that were not.
        source: who says so.
    """

    right: Annotated[float, Field(gt=0)]
    wrong: Annotated[float, Field(gt=0)]
    source: Annotated[str, Field(min_length=1)]

    @property
    def mean(self) -> float:
        """The probability that a finding is right."""
        return self.right / (self.right + self.wrong)


class Explanation(Word):
    """An innocent explanation that is looked for where a rule matches.

    Attributes:
        name: short, for tables.
        title: what it is, for people.
        when: the condition under which it holds.
        effect: clears: the contact does not break the rule; weakens: it does, with the probability below.
        prior: how often the finding is right where the explanation holds; for weakens.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    title: Annotated[str, Field(min_length=1)]
    when: Condition
    effect: Literal["clears", "weakens"] = "clears"
    prior: Prior | None = None

    @model_validator(mode="after")
    def _prior_of_weaker(self) -> Explanation:
        if (self.effect == "weakens") != (self.prior is not None):
            raise ValueError("an explanation that weakens has a prior, one that clears has none")
        return self


class Suggestion(Word):
    """What should stand there instead.

    Attributes:
        text: in words.
        text_nb: in Norwegian, for letters.
        codes: code -> what replaces it, `SYSTEM//code`; where the code alone tells.
        from_list: what the list says has replaced the code.
    """

    text: Annotated[str, Field(min_length=1)]
    text_nb: Annotated[str, Field(min_length=1)]
    codes: dict[str, str] = Field(default_factory=dict)
    from_list: bool = False


class Rule(Word):
    """One rule of coding, judged per contact.

    Attributes:
        id: lower case, as in findings.
        family: rules that are reported together.
        reference: ids of the documents that the rule comes from, such as AU-25/3262.
        title: one line.
        title_nb: the same in Norwegian.
        says: what the rule says.
        says_nb: the same in Norwegian, for letters.
        sources: where it is written.
        version: changes whenever the meaning does.
        valid_from: the first day; None = always.
        valid_to: the last day; None = until now.
        dated_by: the day by which a rule holds: the end of the contact, or the procedure's own; then
            procedures of other days are not seen.
        per: what one finding is about.
        about_both: whether a finding is about the other contact too that its condition rests on.
        scope: which contacts the rule is about; None = all.
        needs: what must be known of them.
        condition: what breaks the rule.
        explanations: innocent explanations, `except` in YAML.
        severity: error, review or information.
        suggestion: what to do.
        prior: how often a finding is right.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    family: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    reference: Texts = ()
    title: Annotated[str, Field(min_length=1)]
    title_nb: Annotated[str, Field(min_length=1)]
    says: Annotated[str, Field(min_length=1)]
    says_nb: Annotated[str, Field(min_length=1)]
    sources: Annotated[tuple[str, ...], Field(min_length=1)]
    version: Annotated[str, Field(min_length=1)] = "1"
    valid_from: date | None = None
    valid_to: date | None = None
    dated_by: Literal["contact", "procedure"] = "contact"
    per: Literal["contact", "code", "group"] = "contact"
    about_both: bool = False
    scope: Condition | None = None
    needs: Needs = Needs()
    condition: Condition
    explanations: tuple[Explanation, ...] = Field((), alias="except")
    severity: Severity
    suggestion: Suggestion
    prior: Prior

    @model_validator(mode="after")
    def _makes_sense(self) -> Rule:
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError("valid_from lies after valid_to")
        names = [explanation.name for explanation in self.explanations]
        if len(set(names)) < len(names):
            raise ValueError("two explanations of one name")
        if self.dated_by == "procedure" and not (
            self.scope and any(code.role == "procedure" for code in codes_of(self.scope))
        ):
            raise ValueError(
                "a rule dated by its procedure needs a scope that names it, with role: procedure"
            )
        return self

    def __hash__(self) -> int:
        """Equal rules hash alike."""
        return hash((self.id, self.version))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Scope, condition and those of the explanations."""
        scope = (self.scope,) if self.scope else ()
        return (*scope, self.condition, *(explanation.when for explanation in self.explanations))


def rule_files() -> list[Path]:
    """The rule files that come with Pesta, in name order."""
    return sorted((Path(str(resources.files("configs"))) / ROOM).resolve().glob("*.yaml"))


def load_rules(names: Sequence[str | Path] | None = None) -> tuple[Rule, ...]:
    """Rules by the names or paths of their files, or by their own ids; None = all that come with Pesta.

    Args:
        names: of a shipped file (a family), of a shipped rule, or the path of a YAML file.

    Returns:
        The rules in the order of their ids.

    Raises:
        ConfigurationError: every fault of every file at once, with file, line and key; names that are none.
    """
    from phenotype.coding.rules.text import read_rules, rules_named

    return read_rules(rule_files()) if names is None else rules_named(names)
