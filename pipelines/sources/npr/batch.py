"""A batch of elements as columns: their attributes, where they begin, and in which element each stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
import polars as pl

from pipelines.sources.npr.collecting import Attributes, Batch, Met
from pipelines.sources.npr.elements import ELEMENTS, OTHER_NAMES, PARENTS, RECORD_NAMES

Positions = np.ndarray[Any, np.dtype[np.int64]]
Truths = np.ndarray[Any, np.dtype[np.bool_]]


EMPTY = {
    store: pl.DataFrame(schema=dict.fromkeys(element.attributes, pl.String))
    for store, element in ELEMENTS.items()
}


def attribute_frame(met: Met, names: Sequence[str]) -> pl.DataFrame:
    """Attributes as text columns, one row an element; null where an attribute is absent or empty."""
    columns = [pl.Series(name, _cells(met.attributes, name), dtype=pl.String) for name in names]
    return pl.DataFrame([_without_blanks(column) for column in columns])


def _cells(elements: list[Attributes], name: str) -> list[str | None]:
    try:
        return list(map(itemgetter(name), elements))
    except KeyError:
        other = OTHER_NAMES.get(name)
        return [attributes.get(name) or attributes.get(other or name) for attributes in elements]


def _without_blanks(column: pl.Series) -> pl.Series:
    is_blank = column == ""
    return column.set(is_blank, None) if is_blank.any() else column


class Columns:
    """The elements of a batch by store.

    Args:
        batch: as streamed.
        n_before: how many records of each name the file held before this batch; taken further.
    """

    def __init__(self, batch: Batch, n_before: Counter[str]) -> None:
        self.batch = batch
        self.frames = {
            store: attribute_frame(met, ELEMENTS[store].attributes) if met.offsets else EMPTY[store]
            for store, met in batch.met.items()
        }
        self.offsets: dict[str, Positions] = {
            store: np.array(met.offsets, dtype=np.int64) for store, met in batch.met.items()
        }
        self.n_told = {store: met.n_told for store, met in batch.met.items()}
        self._parents: dict[tuple[str, str], Positions] = {}
        self._n_before = Counter(n_before)
        n_before.update({name: len(offsets) for name, offsets in self._fresh.items()})

    @cached_property
    def _fresh(self) -> dict[str, Positions]:
        """By name of record: where its elements begin that were in no earlier batch, in order."""
        offsets: dict[str, list[Positions]] = {name: [] for name in (*sorted(RECORD_NAMES), "")}
        for store, element in ELEMENTS.items():
            if element.is_record:
                offsets[element.name].append(self.offsets[store][self.n_told[store] :])
        for name, parts in offsets.items():
            astray = [one.offset for one in self.batch.astray if one.table == name]
            parts.append(np.array(astray, dtype=np.int64))
        return {name: np.sort(np.concatenate(parts)) for name, parts in offsets.items()}

    def height(self, store: str) -> int:
        """How many elements the store has."""
        return len(self.offsets[store])

    def up(self, store: str, ancestor: str) -> Positions:
        """For each element of a store the position of the ancestor that it stands in."""
        if store == ancestor or not self.height(store):
            return np.arange(self.height(store))
        found = self._parents.get((store, ancestor))
        if found is None:
            parent = PARENTS[store]
            nearest = np.searchsorted(self.offsets[parent], self.offsets[store]) - 1
            found = nearest if parent == ancestor else self.up(parent, ancestor)[nearest]
            self._parents[store, ancestor] = found
        return found

    def numbers(self, name: str, offsets: Positions) -> Positions:
        """The numbers in the file, from 1, of records that begin at these bytes.

        Args:
            name: of the record's element; "" for elements that are none.
            offsets: where they begin; of this batch, and in no earlier one.
        """
        first: Positions = np.searchsorted(self._fresh[name], offsets) + 1 + self._n_before[name]
        return first

    def column(self, store: str, name: str, at: str | None = None) -> pl.Series:
        """An attribute of a store's elements, or as the elements of a store below (`at`) stand in them."""
        column = self.frames[store][name]
        return column if at is None or at == store else column.gather(self.up(at, store))

    @property
    def n_records(self) -> int:
        """How many records the batch holds that no earlier one held."""
        return sum(len(offsets) for offsets in self._fresh.values())
