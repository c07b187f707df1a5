"""What groups of codes are called, in titles and in reasons."""

from __future__ import annotations

from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from ontology.configuration import find_config, read_yaml, validate
from ontology.labels import label_of
from ontology.terminology import Ontology

NAMES = "group_names"


class GroupNames(BaseModel):
    """Names of groups that the ontology in use may have none for.

    Attributes:
        source: where they come from.
        names: concept -> name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    names: dict[str, str]


def title_of(concept: str, ontology: Ontology) -> str:
    """A group as titles have it: its code and its name, or the name of what it belongs to."""
    code = concept.rpartition("//")[2]
    label = ontology.label(concept)
    above = label.removesuffix(f" ({code})") if label else None
    if label is not None and above == label:
        return f"{code} {label}"
    if concept in _group_names():
        return f"{code} {_group_names()[concept]}"
    return code if above is None else f"{code} (of {above})"


def name_of_group(concept: str) -> str:
    """A group as sentences have it: its name and its code in brackets."""
    code = concept.rpartition("//")[2]
    label = label_of(concept)
    if not label.endswith(f" ({code})") and label != code:
        return label
    return f"{_group_names()[concept]} ({code})" if concept in _group_names() else label


@lru_cache(maxsize=1)
def _group_names() -> dict[str, str]:
    path = find_config("coding", NAMES)
    return validate(GroupNames, read_yaml(path), where=str(path)).names
