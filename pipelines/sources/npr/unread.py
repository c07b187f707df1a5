"""Attributes that messages have and that nothing reads, counted: what a mapping could not know it lacks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import polars as pl

from pipelines.sources.npr.collecting import Met
from pipelines.sources.npr.elements import ELEMENTS, OTHER_NAMES

TOPIC = "attributes not read"
MOST_NAMES = 50
_NAME = re.compile(r"[A-Za-zÆØÅæøå]{2,40}")
"""Names of any other form, which could be values, are counted as "other"."""
_READ = {
    store: {*element.attributes, *(OTHER_NAMES.get(name, name) for name in element.attributes)}
    for store, element in ELEMENTS.items()
}


def unread_attributes(met: Mapping[str, Met], frames: Mapping[str, pl.DataFrame]) -> Counter[tuple[str, str]]:
    """How many elements have each attribute that is not read, as (TOPIC, "Element@attribute").

    Args:
        met: the elements of a batch; those of an earlier one are not counted again.
        frames: what was read of them, by store, before anything was taken out.
    """
    found: Counter[tuple[str, str]] = Counter()
    for store, elements in met.items():
        fresh = elements.attributes[elements.n_told :]
        read = frames[store][elements.n_told :]
        if sum(map(len, fresh)) == read.height * read.width - sum(read.null_count().row(0)):
            continue  # as many as were read: none is left
        names = set().union(*fresh) - _READ[store]
        element = ELEMENTS[store].name
        told = sorted(filter(_NAME.fullmatch, names))[:MOST_NAMES]
        for name in told:
            found[TOPIC, f"{element}@{name}"] += sum(name in attributes for attributes in fresh)
        if others := names.difference(told):
            n_others = sum(not others.isdisjoint(attributes) for attributes in fresh)
            found[TOPIC, f"{element}@other"] += n_others
    return found
