"""Criteria of the phenotype language within coding rules: which contacts their marks belong to."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl

from ontology.errors import ConfigurationError, Problem
from phenotype.coding.rules.conditions import Condition, walk
from phenotype.coding.rules.judging_record import Bools, JudgedRecord
from phenotype.coding.rules.rules import Rule
from phenotype.coding.rules.text import criterion_of
from phenotype.definitions.evaluation import Evaluation
from phenotype.definitions.judgeable import not_judged
from phenotype.definitions.record import read_record
from phenotype.definitions.text import Definition, with_needed
from phenotype.trajectory import Dataset


class MarksOfRules:
    """The criteria of a set of rules over one dataset; read and evaluated when the first one is asked for."""

    def __init__(self, rules: Sequence[Rule], dataset: Dataset | None, record: JudgedRecord) -> None:
        """Remember what the rules may ask; nothing is read yet."""
        self._dataset = dataset
        self._record = record
        self._asked = [
            part
            for rule in rules
            for condition in rule.conditions
            for part in walk(condition)
            if part.marks is not None
        ]

    def of(self, condition: Condition) -> Bools:
        """The contacts that the marks of a `marks` condition belong to, (n,).

        A mark belongs to the contact that it names; else to the contacts of its stay.
        """
        return self._contacts[condition]

    def lacking(self, condition: Condition) -> str | None:
        """Why no contact can have marks of a `marks` condition, whatever the patients have; else None."""
        return self._evaluated[1].get(condition)

    @property
    def _contacts(self) -> dict[Condition, Bools]:
        return self._evaluated[0]

    @cached_property
    def _evaluated(self) -> tuple[dict[Condition, Bools], dict[Condition, str]]:
        """The contacts of each condition's marks; what the dataset lacks for those that it cannot have."""
        if self._dataset is None:
            raise ConfigurationError(
                Problem(
                    "a rule looks for marks and there is no dataset", "rules", next_step="give the dataset"
                )
            )
        conditions = list(dict.fromkeys(self._asked))
        definitions = [_definition(number, condition) for number, condition in enumerate(conditions)]
        needed = with_needed(definitions)
        criteria = [criterion for one in needed for criterion in one.criteria.values()]
        read = read_record(self._dataset, criteria, self._record.ontology)
        evaluation, reasons = Evaluation(read, needed), not_judged(read, needed)
        pairs = list(zip(conditions, definitions, strict=True))
        return (
            {condition: self._belonging(evaluation.phenotype(one.name)) for condition, one in pairs},
            {condition: reasons[one.name] for condition, one in pairs if one.name in reasons},
        )

    def _belonging(self, marks: pl.DataFrame) -> Bools:
        contacts = self._record.contacts.select("contact_id", "stay_id", row=pl.int_range(pl.len()))
        named = marks.select("contact_id").drop_nulls().unique().join(contacts, on="contact_id")
        by_stay = marks.filter(pl.col("contact_id").is_null()).select("stay_id").drop_nulls().unique()
        found = np.zeros(self._record.n, np.bool_)
        found[named["row"].to_numpy()] = True
        found[by_stay.join(contacts, on="stay_id")["row"].to_numpy()] = True
        return found


def _definition(number: int, condition: Condition) -> Definition:
    return Definition(
        name=f"rule_marks_{number}",
        title="marks of a rule",
        version="1",
        sources=("the rule",),
        review="the rule",
        confirmed=criterion_of(condition),
    )
