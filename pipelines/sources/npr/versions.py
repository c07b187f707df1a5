"""Which rows are one version of one record, what the record is called, and which version is newer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import polars as pl

from pipelines.sources.npr.batch import Columns
from pipelines.sources.npr.elements import ELEMENTS, PARENTS

Words = np.ndarray[tuple[int], np.dtype[np.uint64]]
SEED = 53
VERSIONED: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "Episode": ("episode", (("Episode", "episodeID"),)),
    "Slett": ("episode", (("Slett", "episodeID"),)),
    "Pasient": ("patient", (("Objektholder", "pasientNr"), ("Melding", "modul"))),
    "PasientIdent": ("identity", (("PasientIdent", "pid"), ("PasientIdent", "slag"))),
    "MedisinskStraling": (
        "radiotherapy",
        (("Objektholder", "pasientNr"), ("MedisinskStraling", "medisinskStralingID")),
    ),
    "EpisodeKPP": ("cost", (("EpisodeKPP", "episodeID"),)),
}
"""By the store whose element is the unit: what the record is, and what names it within its institution."""
AUTHORITY = {"ord": "2", "str": "1"}
"""An episode that both modules report is taken from `ord`."""


def unit_of(store: str) -> str | None:
    """The store whose elements are the versions that a store's rows belong to; None where there are none."""
    while store and store not in VERSIONED:
        store = PARENTS[store]
    return store or None


class Versions:
    """The versions that a batch holds: their contents as sent, their names and ranks as checked.

    Args:
        columns: the batch, before wrong values are taken out.
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        if columns.height("PasientIdent"):
            _add_kind(columns)
        self._digests = {store: _digests(columns, store) for store in VERSIONED if columns.height(store)}

    @cached_property
    def _ranks(self) -> pl.Series:
        return _ranks(self._columns)

    def of(self, store: str) -> dict[str, pl.Series]:
        """VERSION_COLUMNS of the elements of a store; empty where its records have no versions."""
        unit = unit_of(store)
        if unit is None or not self._columns.height(store):
            return {}
        columns, at = self._columns, self._columns.up(store, unit)
        return {
            "_key": self._keys(unit).gather(at),
            "_unit": pl.Series(columns.offsets[unit][at], dtype=pl.Int64),
            "_rank": self._ranks.gather(columns.up(store, "Melding")),
            "_digest": pl.Series(self._digests[unit][at], dtype=pl.UInt64),
        }

    def _keys(self, unit: str) -> pl.Series:
        kind, names = VERSIONED[unit]
        parts = [
            self._columns.column(store, name, at=unit).fill_null("").alias(f"{store} {name}")
            for store, name in (("Institusjon", "institusjonID"), *names)
        ]
        text = pl.concat_str(pl.lit(kind), *(part.name for part in parts), separator="|")
        return pl.DataFrame(parts).select(text.hash(SEED)).to_series()


def _add_kind(columns: Columns) -> None:
    """Add what kind of national number an identity tells, by the number itself: `slag`; else its typeID.

    A later number of the same kind corrects the earlier one, whatever typeID says.
    """
    from pipelines.identity import person_keys

    identities = columns.frames["PasientIdent"]
    system = person_keys(identities["fid"]).str.extract(r"^(.*)\|")
    kind = pl.coalesce(system, pl.concat_str(pl.lit("type "), pl.col("typeID").fill_null("")))
    columns.frames["PasientIdent"] = identities.with_columns(slag=kind)


def _ranks(columns: Columns) -> pl.Series:
    """Of each message, a text that is greater the later it was made."""
    return (
        columns.frames["Melding"]
        .select(
            pl.concat_str(
                pl.col("modul").replace_strict(AUTHORITY, default="0"),
                pl.col("uttakDato").fill_null(""),
                pl.col("uttakTidspunkt").fill_null(""),
                pl.col("lopenr").fill_null("").str.zfill(24),
                separator=" ",
            )
        )
        .to_series()
    )


def _digests(columns: Columns, unit: str) -> Words:
    """Of each unit, a hash of all that is read of it and of what stands in it; of an episode, whose it is."""
    total = _own(columns, unit)
    if unit == "Episode":
        patients = columns.column("Objektholder", "pasientNr", at=unit)
        total = total + patients.hash(SEED).to_numpy()
    for store, parent in PARENTS.items():
        if store == unit or unit_of(store) != unit or not columns.height(store):
            continue
        words = _own(columns, store)
        while parent != unit:
            words = words * np.uint64(31) + _own(columns, parent)[columns.up(store, parent)]
            parent = PARENTS[parent]  # noqa: PLW2901
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
        bounds = np.searchsorted(columns.offsets[store], columns.offsets[unit])
        ends = np.append(bounds[1:], len(words))
        total = total + sums[ends] - sums[bounds]
    return total


def _own(columns: Columns, store: str) -> Words:
    if not ELEMENTS[store].attributes:
        return np.ones(columns.height(store), dtype=np.uint64)
    return columns.frames[store].hash_rows(seed=SEED).to_numpy()
