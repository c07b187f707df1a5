"""All faults of all value sets at once: what cannot be read, unknown concepts, sets that hold nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ontology.errors import ConfigurationError, Problem
from ontology.release import active_ontology
from ontology.valuesets.resolving import Resolver
from ontology.valuesets.sets import ValueSet, load_valueset, valueset_names

if TYPE_CHECKING:
    from ontology.release import Ontology


def valueset_problems(names: Iterable[str] | None = None, ontology: Ontology | None = None) -> list[Problem]:
    """Every fault of value sets.

    Args:
        names: names or paths of sets, families or groups; None is all that come with Pesta.
        ontology: by which `under` is judged; None is the one in use.

    Returns:
        Each problem once, in the order of the names.
    """
    judge = ontology or active_ontology()
    found: list[Problem] = []
    loaded: list[ValueSet] = []
    for name in names if names is not None else valueset_names():
        try:
            loaded.append(load_valueset(name))
        except ConfigurationError as error:
            found.extend(error.problems)
    resolver = Resolver(
        [*judge.graph.index, *(code for each in loaded for code in _codes_named(each))], judge
    )
    for valueset in loaded:
        try:
            is_empty = resolver.resolve(valueset).is_empty() and not _is_open(valueset)
        except ConfigurationError as error:
            found.extend(error.problems)
            continue
        if is_empty:
            found.append(
                Problem(
                    "a set that can hold nothing",
                    where=valueset.marked.where(valueset.place),
                    found=valueset.name,
                    allowed="a set of which something is left when its exclude rules are applied",
                    next_step="mend its rules",
                )
            )
    return list(dict.fromkeys(found))


def _codes_named(valueset: ValueSet) -> set[str]:
    """The codes and concepts that a set's include rules name: what data could hold."""
    named = {code for rule in valueset.rules.include for code in (*rule.codes, *rule.under)}
    return named.union(*(_codes_named(reference) for reference in valueset.references.values()))


def _is_open(valueset: ValueSet) -> bool:
    """Whether what a set holds cannot be listed, since it goes by patterns or texts."""
    own = any(rule.pattern or rule.text for rule in valueset.rules.include)
    return own or any(
        _is_open(valueset.references[name]) for rule in valueset.rules.include for name in rule.value_set
    )
