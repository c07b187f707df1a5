"""A built ontology as a folder: Parquet tables, the closure, and a manifest that proves them whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from ontology.assembling import TABLES, embedded_ontology, listed_of, ontology_of
from ontology.building import OntologyConfig, build_ontology
from ontology.closure import Ints, Offsets
from ontology.concepts import CONCEPTS, COVERAGE, EDGES, MAPPINGS, PROPERTIES, CodeSystem
from ontology.errors import InputError, Problem, StorageError
from ontology.faults import find_faults
from ontology.graph import Graph
from ontology.release_manifest import (
    NAME,
    Manifest,
    check_files,
    damaged,
    file_sha256,
    read_manifest,
    write_manifest,
)
from ontology.terminology import Ontology

__all__ = [
    "Ontology",
    "OntologyConfig",
    "active_ontology",
    "build_ontology",
    "embedded_ontology",
    "load_ontology",
    "ontology_of",
    "use_ontology",
    "write_ontology",
]

FOLDER_VARIABLE = "PESTA_ONTOLOGY"
"""The environment variable that names the folder of the ontology in use; worker processes inherit it."""

CLOSURE = pl.Schema(
    {
        "concept": pl.String(),
        "primary_parent": pl.Int32(),
        "depth": pl.Int32(),
        "longest_way": pl.Int32(),
        "parents": pl.List(pl.Int32()),
        "ancestors": pl.List(pl.Int32()),
    }
)
"""One row for each concept in text order. primary_parent, parents and ancestors are numbers of rows of this
table, from 0; primary_parent is -1 for a root."""

_SCHEMAS = dict(zip(TABLES, (CONCEPTS, EDGES, PROPERTIES, MAPPINGS, COVERAGE), strict=True))


def write_ontology(ontology: Ontology, folder: Path) -> None:
    """Write a release; one that is there is replaced, by one of several writers at a time.

    The folder holds concepts, edges, properties, mappings, coverage, closure and faults as Parquet, and
    manifest.json (format, digest, counts, sources, the sha256 of each file), which is written last.

    Args:
        ontology: codes that data added are written as concepts with the flag not_listed, and then count in
            the digest.
        folder: is made.

    Raises:
        StorageError: something else is there, or the folder cannot be written.
    """
    _refuse_others(folder)
    whole = ontology
    if ontology.listed.concepts is not ontology.graph.index:
        whole = ontology_of([ontology.system], ontology.languages, ontology.sources)
    frames = {name: getattr(whole.system, name) for name in TABLES}
    frames |= {"closure": _closure_table(whole.graph), "faults": find_faults(whole.system)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _only_writer(folder):
            _refuse_others(folder)
            digests = {
                f"{name}.parquet": _write(frame, _part(folder, name)) for name, frame in frames.items()
            }
            (folder / NAME).unlink(missing_ok=True)
            for name in frames:
                _part(folder, name).replace(folder / f"{name}.parquet")
            write_manifest(_manifest(whole, frames, digests), folder)
    except OSError as error:
        raise StorageError(
            Problem("the ontology cannot be written", where=str(folder), found=str(error.strerror))
        ) from None


def load_ontology(folder: Path | None = None) -> Ontology:
    """A written release, checked against its manifest; the embedded ontology without a folder.

    Raises:
        InputError: no release is there, its format is not known, or files are missing or changed: all of
            them.
    """
    if folder is None:
        return embedded_ontology()
    manifest = read_manifest(folder)
    schemas = {**_SCHEMAS, "closure": CLOSURE}
    check_files(folder, manifest, [f"{name}.parquet" for name in schemas])
    frames = {name: _read(folder / f"{name}.parquet") for name in schemas}
    wrong = [name for name, schema in schemas.items() if frames[name].schema != schema]
    if wrong:
        told = "other columns than this format has"
        raise InputError([damaged(folder / f"{name}.parquet", told) for name in wrong])
    system = CodeSystem(**{name: frames[name] for name in TABLES})
    graph = _graph(frames["closure"])
    listed = listed_of(system, graph)
    return Ontology(system, graph, manifest.digest, manifest.languages, listed, manifest.sources)


def use_ontology(folder: Path | None) -> Ontology:
    """Make a release the one in use, in this process and those that it starts; None = the embedded one.

    Raises:
        InputError: as `load_ontology`.
    """
    if folder is None:
        os.environ.pop(FOLDER_VARIABLE, None)
    else:
        place = str(folder.resolve())
        _loaded.cache_clear()
        _loaded(place)
        os.environ[FOLDER_VARIABLE] = place
    return active_ontology()


def active_ontology() -> Ontology:
    """The ontology in use: the release that PESTA_ONTOLOGY names, else the embedded one.

    Raises:
        InputError: as `load_ontology`.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return embedded_ontology()
    try:
        return _loaded(folder)
    except InputError as error:
        by = f" (named by {FOLDER_VARIABLE})"
        raise InputError([replace(told, where=told.where + by) for told in error.problems]) from None


@lru_cache(maxsize=2)
def _loaded(folder: str) -> Ontology:
    return load_ontology(Path(folder))


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError):
        raise InputError(damaged(path, "not a Parquet table")) from None


def _closure_table(graph: Graph) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "concept": pl.Series(graph.names, dtype=pl.String),
            "primary_parent": graph.primary_parent,
            "depth": graph.depth,
            "longest_way": graph.longest_way,
            "parents": _lists(graph.parent_offsets, graph.parent_values),
            "ancestors": _lists(graph.above_offsets, graph.above_values),
        }
    )


def _lists(offsets: Offsets, values: Ints) -> pl.Series:
    import pyarrow as pa

    lists = pa.LargeListArray.from_arrays(offsets, values)  # type: ignore[call-overload]
    return pl.Series(lists)


def _graph(table: pl.DataFrame) -> Graph:
    names = tuple(table["concept"].to_list())
    primary_parent, depth, longest_way = (
        table[name].to_numpy() for name in ("primary_parent", "depth", "longest_way")
    )
    return Graph(
        names,
        {name: i for i, name in enumerate(names)},
        *_arrays(table["parents"]),
        *_arrays(table["ancestors"]),
        primary_parent,
        depth,
        longest_way,
    )


def _arrays(lists: pl.Series) -> tuple[Offsets, Ints]:
    counts = lists.list.len().to_numpy().astype(np.int64)
    values = lists.filter(lists.list.len() > 0).explode().to_numpy()
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), values


def _refuse_others(folder: Path) -> None:
    """See that a folder is new, empty, a release, or holds what a killed writer left of one.

    Raises:
        StorageError: something else is there.
    """
    is_taken = folder.exists() and (not folder.is_dir() or not (folder / NAME).exists())
    if is_taken and (not folder.is_dir() or any(file.suffix != ".part" for file in folder.iterdir())):
        raise StorageError(
            Problem(
                "something else is there", where=str(folder), next_step="give a new folder, or empty this one"
            )
        )


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Wait until no other process or thread writes a release there; not all file systems can tell."""
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _part(folder: Path, name: str) -> Path:
    """Where a table is written before the whole release is."""
    return folder / f".{name}.parquet.part"


def _write(frame: pl.DataFrame, path: Path) -> str:
    """Write a table; the sha256 of the file."""
    frame.write_parquet(path, compression="zstd", statistics=True)
    return file_sha256(path)


def _manifest(ontology: Ontology, frames: dict[str, pl.DataFrame], files: dict[str, str]) -> Manifest:
    counts = {
        "distinct_concepts": len(ontology.graph),
        "closure_pairs": len(ontology.graph.above_values),
        **{name: frames[name].height for name in TABLES},
    }
    return Manifest(
        digest=ontology.digest,
        systems=ontology.systems,
        languages=ontology.languages,
        counts=counts,
        faults=dict(frames["faults"]["kind"].value_counts().sort("kind").rows()),
        sources=ontology.sources,
        files=files,
    )
