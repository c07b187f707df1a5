"""Which definitions a dataset cannot answer at all: it has no stays, or none of the codes they ask for.

Nobody has such a phenotype in the file, and that says nothing about the patients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from phenotype.definitions import nodes
from phenotype.definitions.nodes import Part, children
from phenotype.definitions.record import Record, matching_codes, set_names
from phenotype.definitions.stays import ZERO_WITHOUT_MARKS
from phenotype.definitions.text import Definition
from phenotype.scores.codes import load_score_codes
from phenotype.scores.points import find_score

NO_STAYS = "the dataset has no hospital stays (contacts.parquet is absent or empty)"
NO_CODES = "the dataset has none of the codes asked for"


def not_judged(record: Record, definitions: Sequence[Definition]) -> dict[str, str]:
    """Why a definition can be met by nobody in this dataset, by name; only those that cannot be.

    Args:
        record: read for these definitions.
        definitions: with all that they need.
    """
    found = _Lacking(record, {definition.name: definition for definition in definitions})
    reasons = {definition.name: found.of_definition(definition) for definition in definitions}
    return {name: reason for name, reason in reasons.items() if reason is not None}


class _Lacking:
    """What criteria lack in a record: why one has no mark, whatever the patients have."""

    def __init__(self, record: Record, definitions: dict[str, Definition]) -> None:
        self.record = record
        self.definitions = definitions
        self.no_stays = None if record.spans.stays.height else NO_STAYS

    def of_definition(self, definition: Definition, state: str = "confirmed") -> str | None:
        """What a definition lacks for a state."""
        criterion = definition.criteria.get(state)
        return None if criterion is None else self._unit(definition) or self.of(criterion)

    def of(self, part: Part) -> str | None:
        """What a criterion lacks; None where it may have marks."""
        special = _SPECIAL.get(type(part))
        return self._unit(part) or (special(self, part) if special else self._any_child(part))

    def _unit(self, part: Part) -> str | None:
        """Stays, where a part is about them or told for each."""
        units = {getattr(part, name, None) for name in ("per", "same", "during")}
        is_about = isinstance(part, nodes.Stay | nodes.Contact | nodes.Measure)
        return self.no_stays if is_about or units & {"stay", "contact"} else None

    def _any_child(self, part: Part) -> str | None:
        return _first([self.of(child) for child in children(part) if not isinstance(child, nodes.Not)])

    def _any_of(self, part: nodes.AnyOf) -> str | None:
        return self._enough(part.of, 1)

    def _at_least(self, part: nodes.AtLeast) -> str | None:
        return self._enough(part.of, part.n if part.distinct == "part" else 1)

    def _enough(self, parts: Sequence[Part], n_needed: int) -> str | None:
        reasons = [self.of(part) for part in parts]
        return None if reasons.count(None) >= n_needed else _first(reasons)

    def _near(self, part: nodes.Near) -> str | None:
        return self.of(part.of) if part.absent else self._any_child(part)

    def _measure(self, part: nodes.Measure) -> str | None:
        return None if part.how in ZERO_WITHOUT_MARKS else self.of(part.of)

    def _phenotype(self, part: nodes.Phenotype) -> str | None:
        return self.of_definition(self.definitions[part.name], part.state)

    def _events(self, part: nodes.Events) -> str | None:
        named = part.codes and matching_codes(part.codes, self.record.codes)
        return None if named else self._sets(part)

    def _sets(self, part: Part) -> str | None:
        return None if any(self.record.members[name].height for name in set_names(part)) else NO_CODES

    def _score(self, part: nodes.Score) -> str | None:
        if part.around is not None:
            return self.of(part.around)
        known = load_score_codes().components
        read = [known[name] for name in find_score(part.name).components if name in known]
        measured = {code.code for component in read for code in component.codes}
        return NO_CODES if measured.isdisjoint(self.record.codes) else None


_SPECIAL: dict[type[Part], Callable[[_Lacking, Any], str | None]] = {
    nodes.Events: _Lacking._events,
    nodes.AnyOf: _Lacking._any_of,
    nodes.AtLeast: _Lacking._at_least,
    nodes.Near: _Lacking._near,
    nodes.Measure: _Lacking._measure,
    nodes.Phenotype: _Lacking._phenotype,
    nodes.Score: _Lacking._score,
    nodes.Weights: _Lacking._sets,
}
"""The criteria that do not simply lack what any of their parts lacks."""


def _first(reasons: Sequence[str | None]) -> str | None:
    return next((reason for reason in reasons if reason is not None), None)
