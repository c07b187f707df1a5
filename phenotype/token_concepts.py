"""What the ontology in use puts above tokens: blocks, chapters, the codes of an edition's mother."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ontology.systems import SYSTEMS


def concepts_of_ontology(concepts: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Of each token the ontology's concepts above it that say more than what stands there by form.

    A concept says more if it stands above two tokens at least, and not above the same ones as another: it
    then lets rarer codes learn from their neighbours. The ontology is opened only where some code belongs to
    a system that it may hold.

    Args:
        concepts: of each token itself and what stands above it by its form, nearest first.
    """
    codes = {token: token.partition("==")[0] for token in concepts}
    codes = {token: code for token, code in codes.items() if code.partition("//")[0] in SYSTEMS}
    if not codes:
        return {token: [] for token in concepts}
    from ontology.release import active_ontology

    ontology = active_ontology().with_codes(codes.values())
    above = {token: ontology.ancestors(codes[token]) if token in codes else [] for token in concepts}
    below_each = _tokens_below({token: {*by_form, *above[token]} for token, by_form in concepts.items()})
    told = set().union(*above.values())
    taken = {below for concept, below in below_each.items() if concept not in told}
    kept: set[str] = set()
    for concept in sorted(told):
        if len(below := below_each[concept]) > 1 and below not in taken:
            taken.add(below)
            kept.add(concept)
    return {
        token: [concept for concept in found if concept in kept and concept not in concepts[token]]
        for token, found in above.items()
    }


def _tokens_below(concepts: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """The tokens that each concept stands above."""
    found: dict[str, set[str]] = {}
    for token, above in concepts.items():
        for concept in above:
            found.setdefault(concept, set()).add(token)
    return {concept: frozenset(tokens) for concept, tokens in found.items()}
