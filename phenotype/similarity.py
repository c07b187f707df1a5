"""Patients whose histories resemble this one: nearest states by cosine, exact or by an approximate index.

Exact search is a blocked matrix product. Past EXACT_LIMIT rows an HNSW graph of usearch answers instead: of
the libraries that are kept well it is the smaller one, brings no BLAS and no OpenMP beside those of
torch, and builds the same graph twice with one thread.

**Source:** HNSW, Malkov and Yashunin 2018, doi:10.1109/TPAMI.2018.2889473; centring and scaling before the
cosine, Mu and Viswanath 2018 (10.48550/arXiv.1702.01417).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ontology.errors import ConfigurationError, MissingExtraError, Problem
from phenotype.deep_phenotypes import state_matrix
from phenotype.trajectory import INSTANT

if TYPE_CHECKING:
    from types import ModuleType

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SIMILAR = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "time": INSTANT,
        "rank": pl.Int32(),
        "similar_subject_id": pl.Int64(),
        "similar_time": INSTANT,
        "similarity": pl.Float32(),
    }
)
"""rank counts from 1; similarity is the cosine, 1 for equal directions."""

EXACT_LIMIT = 100_000
"""Rows up to which every pair is looked at where nothing else is asked for."""
_BLOCK = 512
_CONNECTIVITY, _EXPANSION_ADD, _EXPANSION_SEARCH = 32, 200, 400
_SPARE = 8


@dataclass(frozen=True)
class StateIndex:
    """States that can be searched.

    Attributes:
        rows: subject_id and time of each state.
        units: (n, H) states centred, scaled unit by unit and brought to length 1.
        mean, scale: (H,) of the states that were given.
        method: exact, or approximate by a graph.
    """

    rows: pl.DataFrame
    units: Floats
    mean: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    method: Literal["exact", "approximate"]

    def unit_of(self, states: Floats) -> Floats:
        """States on the scale of the index, each of length 1."""
        scaled = (states - self.mean) / self.scale
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        return np.asarray(scaled / np.where(lengths > 0, lengths, 1), dtype=np.float32)

    @cached_property
    def graph(self) -> Any:
        """The HNSW graph of `units`; built when first asked for, by one thread."""
        usearch = _usearch()
        graph = usearch.Index(
            ndim=self.units.shape[1],
            metric="cos",
            dtype="f32",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
            expansion_search=_EXPANSION_SEARCH,
        )
        graph.add(np.arange(len(self.units), dtype=np.uint64), self.units, threads=1)
        return graph


def make_index(
    deep_phenotypes: pl.DataFrame, method: Literal["auto", "exact", "approximate"] = "auto"
) -> StateIndex:
    """An index of deep phenotypes, the same for any order of rows.

    Args:
        deep_phenotypes: columns of DEEP_PHENOTYPES.
        method: "auto" is exact up to EXACT_LIMIT rows.
    """
    ordered = deep_phenotypes.sort("subject_id", "time")
    states = state_matrix(ordered)
    mean = states.mean(axis=0, dtype=np.float64) if len(states) else np.zeros(states.shape[1])
    spread = states.std(axis=0, dtype=np.float64) if len(states) else np.ones(states.shape[1])
    chosen = method if method != "auto" else ("exact" if ordered.height <= EXACT_LIMIT else "approximate")
    index = StateIndex(
        ordered.select("subject_id", "time"),
        np.zeros((0, states.shape[1]), dtype=np.float32),
        mean,
        np.where(spread > 0, spread, 1.0),
        chosen,
    )
    return StateIndex(index.rows, index.unit_of(states), index.mean, index.scale, chosen)


def similar_patients(index: StateIndex, queries: pl.DataFrame, k: int) -> pl.DataFrame:
    """The k most similar other patients of each query, each by its most similar moment.

    Args:
        index: where to look.
        queries: columns of DEEP_PHENOTYPES; the query's own subject is never among the answers.
        k: how many, at least 1; fewer are told where there are no more.

    Returns:
        Columns of SIMILAR, sorted by subject_id, time and rank; ties go to the smaller subject_id and time.

    Raises:
        ConfigurationError: states of another length than the index holds.
    """
    states = state_matrix(queries)
    if states.shape[1] != index.units.shape[1]:
        raise ConfigurationError(
            Problem(
                "these states are of another model",
                found=f"{states.shape[1]} numbers a state",
                allowed=f"{index.units.shape[1]}, as in the index",
                next_step="export both with the same model: `pesta population states`",
            )
        )
    subjects = index.rows["subject_id"].to_numpy()
    units = index.unit_of(states)
    own = queries["subject_id"].to_numpy()
    most = int(index.rows.group_by("subject_id").len()["len"].max() or 0) if index.rows.height else 0  # type: ignore[arg-type]
    wanted = min((k + 1) * most, index.rows.height)
    found: list[tuple[Ints, Floats]] = []
    for start in range(0, len(units), _BLOCK):
        block = slice(start, start + _BLOCK)
        search = _exact if index.method == "exact" else _approximate
        found += search(index, units[block], wanted)
    return _told(index, queries, own, subjects, found, k)


def _exact(index: StateIndex, units: Floats, wanted: int) -> list[tuple[Ints, Floats]]:
    """The rows with the highest cosines of each unit vector, ties by row."""
    cosines = units @ index.units.T
    answers: list[tuple[Ints, Floats]] = []
    for row in cosines:
        least = np.partition(row, len(row) - wanted)[len(row) - wanted] if 0 < wanted < len(row) else -np.inf
        near = np.flatnonzero(row >= least)
        order = near[np.argsort(-row[near], kind="stable")]
        answers.append((order.astype(np.int64), row[order]))
    return answers


def _approximate(index: StateIndex, units: Floats, wanted: int) -> list[tuple[Ints, Floats]]:
    """What the graph finds, with cosines computed anew."""
    answers: list[tuple[Ints, Floats]] = []
    matches = index.graph.search(units, min(wanted + _SPARE, len(index.units)), threads=1)
    keys = np.asarray(matches.keys).reshape(len(units), -1)
    counts = np.atleast_1d(np.asarray(getattr(matches, "counts", keys.shape[1])))
    for number, (unit, near) in enumerate(zip(units, keys, strict=True)):
        rows = np.sort(near[: int(counts[min(number, len(counts) - 1)])].astype(np.int64))
        cosines = index.units[rows] @ unit
        order = np.argsort(-cosines, kind="stable")
        answers.append((rows[order], cosines[order]))
    return answers


def _told(  # noqa: PLR0917 what was found, and for whom
    index: StateIndex,
    queries: pl.DataFrame,
    own: Ints,
    subjects: Ints,
    found: list[tuple[Ints, Floats]],
    k: int,
) -> pl.DataFrame:
    """The first k other patients among what was found, as a frame."""
    parts = []
    for number, (rows, cosines) in enumerate(found):
        _, first = np.unique(subjects[rows], return_index=True)
        kept = np.sort(first[subjects[rows[first]] != own[number]])[:k]
        numbers = np.full(len(kept), number, dtype=np.int64)
        parts.append((numbers, np.arange(1, len(kept) + 1), rows[kept], cosines[kept]))
    nothing = np.zeros(0, dtype=np.int64)
    query, rank, row, cosine = (
        np.concatenate([nothing, *column]) for column in (zip(*parts, strict=True) if parts else [()] * 4)
    )
    answers = queries.select("subject_id", "time")[query.astype(np.int64)].with_columns(
        pl.Series("rank", rank),
        index.rows["subject_id"][row.astype(np.int64)].alias("similar_subject_id"),
        index.rows["time"][row.astype(np.int64)].alias("similar_time"),
        pl.Series("similarity", cosine),
    )
    return answers.select(pl.col(name).cast(dtype) for name, dtype in SIMILAR.items()).sort(
        "subject_id", "time", "rank"
    )


def _usearch() -> ModuleType:
    try:
        from usearch import index
    except ImportError as error:
        raise MissingExtraError(
            Problem(
                "the approximate search is not installed",
                found="no package usearch",
                allowed=f"exact search, or usearch past {EXACT_LIMIT:,} rows",
                next_step="pip install 'pesta[similarity]', or ask for exact search",
            )
        ) from error
    return index
