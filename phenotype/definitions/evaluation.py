"""Phenotype definitions evaluated over a whole dataset: the only place that says what a criterion means.

Equal criteria are evaluated once, wherever they stand, and forgotten after their last use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl

from phenotype.definitions import nodes
from phenotype.definitions.events import event_marks, event_rows
from phenotype.definitions.logic import all_marks, any_marks, first_marks, last_marks
from phenotype.definitions.mark_windows import GROUP_COLUMNS
from phenotype.definitions.marks import MARKS, as_marks
from phenotype.definitions.nodes import Part, canonical, children
from phenotype.definitions.record import Record
from phenotype.definitions.scores import ScoreOfRecord, score_marks
from phenotype.definitions.stays import contact_marks, measure_marks, stay_marks
from phenotype.definitions.text import Definition, in_order_of_need, parts_of
from phenotype.definitions.weights import weight_marks
from phenotype.definitions.windows import (
    after_marks,
    at_least_marks,
    before_marks,
    near_marks,
    rise_marks,
    worst_marks,
)
from phenotype.scores.points import find_score

STATE_MARKS = pl.Schema({**MARKS, "state": pl.String()})


class Evaluation:
    """Criteria over one record; keeps what is needed again."""

    def __init__(self, record: Record, definitions: Sequence[Definition] = ()) -> None:
        """Get ready to evaluate these definitions, in any order, on a record."""
        self.record = record
        self._uses = Counter(_uses(definitions))
        self._kept: dict[str, pl.DataFrame] = {}
        self._scores: dict[str, ScoreOfRecord] = {}
        self._score_uses = Counter(_score_uses(definitions))
        self._phenotypes: dict[str, pl.DataFrame] = {}
        self._definitions = {definition.name: definition for definition in definitions}

    def marks(self, node: Part) -> pl.DataFrame:
        """The marks of a criterion, columns of MARKS, in MARK_ORDER."""
        key = canonical(node)
        found = self._kept.get(key)
        if found is None:
            found = _MEANINGS[type(node)](node, self)
            self._kept[key] = found
        self._uses[key] -= 1
        if self._uses[key] <= 0:
            self._kept.pop(key, None)
        return found

    def phenotype(self, name: str) -> pl.DataFrame:
        """A definition's marks with their state, columns of STATE_MARKS, in MARK_ORDER."""
        if name not in self._phenotypes:
            definition = self._definitions[name]
            states = {state: self.marks(criterion) for state, criterion in definition.criteria.items()}
            self._phenotypes[name] = strongest(states, definition.per)
        return self._phenotypes[name]

    def rows(self, part: Part, same: str) -> pl.DataFrame:
        """The marks of a part; events with their texts, where these are compared."""
        if same == "text" and isinstance(part, nodes.Events):
            return event_rows(part, self.record)
        return self.marks(part)

    def score(self, name: str) -> ScoreOfRecord:
        """A severity score over the record; kept until the last criterion has looked at it."""
        if name not in self._scores:
            self._scores[name] = ScoreOfRecord(find_score(name), self.record.events)
        found = self._scores[name]
        self._score_uses[name] -= 1
        if self._score_uses[name] <= 0:
            del self._scores[name]
        return found


_MEANINGS: dict[type[Part], Callable[[Any, Evaluation], pl.DataFrame]] = {
    nodes.Events: lambda node, within: event_marks(node, within.record),
    nodes.AnyOf: lambda node, within: any_marks(node, within.marks),
    nodes.AllOf: lambda node, within: all_marks(node, within.marks, within.record.spans),
    nodes.AtLeast: lambda node, within: at_least_marks(node, [within.rows(p, node.same) for p in node.of]),
    nodes.Near: lambda node, within: near_marks(node, within.marks),
    nodes.Before: lambda node, within: before_marks(node, within.marks),
    nodes.After: lambda node, within: after_marks(node, within.marks),
    nodes.First: lambda node, within: first_marks(node, within.marks),
    nodes.Last: lambda node, within: last_marks(node, within.marks, within.record.spans),
    nodes.Worst: lambda node, within: worst_marks(node, within.marks),
    nodes.Rise: lambda node, within: rise_marks(node, within.marks),
    nodes.Score: lambda node, within: score_marks(node, within.marks, within.score(node.name), within.record),
    nodes.Weights: lambda node, within: weight_marks(node, within.record),
    nodes.Stay: lambda node, within: stay_marks(node, within.record),
    nodes.Contact: lambda node, within: contact_marks(node, within.record),
    nodes.Measure: lambda node, within: measure_marks(node, within.marks, within.record),
    nodes.Phenotype: lambda node, within: phenotype_marks(within.phenotype(node.name), node.state),
}
"""What each kind of criterion means; `not` has none outside `all`."""


def phenotype_marks(rows: pl.DataFrame, state: str) -> pl.DataFrame:
    """The marks of `phenotype`: a definition's rows of one state."""
    return as_marks(rows.filter(pl.col("state") == state))


def strongest(states: dict[str, pl.DataFrame], per: str) -> pl.DataFrame:
    """Of several states' marks those that stand.

    Args:
        states: the marks of each state, the strongest first.
        per: each: a mark stands unless a stronger state has one with the same start and end. Else the first
            mark of the strongest state in each stay, contact or subject.

    Returns:
        Columns of STATE_MARKS, in MARK_ORDER.
    """
    keys = ["subject_id", "start_time", "end_time"] if per == "each" else [GROUP_COLUMNS[per]]
    taken: list[pl.DataFrame] = []
    for state, marks in states.items():
        rows = marks.with_columns(state=pl.lit(state))
        if per != "each":
            rows = rows.filter(pl.col(keys[0]).is_not_null()).unique(keys, keep="first", maintain_order=True)
        for stronger in taken:
            rows = rows.join(stronger, on=keys, how="anti", nulls_equal=True, maintain_order="left")
        taken.append(rows)
    rows = pl.concat([pl.DataFrame(schema=STATE_MARKS), *taken])
    order = [name for name in MARKS if name not in {"known_time", "evidence"}]
    return rows.sort([*order, "state"], nulls_last=False) if len(taken) > 1 else rows


def evaluate_definitions(record: Record, definitions: Sequence[Definition]) -> dict[str, pl.DataFrame]:
    """The marks of each definition with their state, by name.

    Args:
        record: read for these definitions' criteria.
        definitions: with all that they need.
    """
    evaluation = Evaluation(record, definitions)
    return {
        definition.name: evaluation.phenotype(definition.name) for definition in in_order_of_need(definitions)
    }


def _uses(definitions: Sequence[Definition]) -> Iterable[str]:
    """Every criterion once for each place that asks for it; below an equal one nothing is asked again."""
    seen: set[str] = set()
    waiting: list[Part] = [
        criterion for definition in definitions for criterion in definition.criteria.values()
    ]
    while waiting:
        part = waiting.pop()
        key = canonical(part)
        yield key
        if key not in seen:
            seen.add(key)
            below = [child.of if isinstance(child, nodes.Not) else child for child in children(part)]
            same_text = isinstance(part, nodes.AtLeast) and part.same == "text"
            waiting += [] if same_text else below


def _score_uses(definitions: Sequence[Definition]) -> Iterable[str]:
    """The name of a score once for each different criterion about it."""
    parts = (
        part for one in definitions for criterion in one.criteria.values() for part in parts_of(criterion)
    )
    return [part.name for part in set(parts) if isinstance(part, nodes.Score)]
