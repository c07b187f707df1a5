"""A built ontology as a folder: Parquet tables, the closure, and a manifest that proves them whole."""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ontology.assembling import TABLES, embedded_ontology, listed_of, ontology_of
from ontology.building import OntologyConfig, build_ontology
from ontology.closure import Ints, Offsets
from ontology.concepts import CONCEPTS, COVERAGE, EDGES, MAPPINGS, PROPERTIES, CodeSystem
from ontology.errors import InputError, Problem, StorageError
from ontology.faults import find_faults
from ontology.graph import Graph
from ontology.terminology import Ontology, Source

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

FORMAT = "pesta-ontology"
FORMAT_NUMBER = 1
MANIFEST = "manifest.json"
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
    """Write a release; one that is there is replaced.

    The folder holds concepts, edges, properties, mappings, coverage, closure and faults as Parquet, and
    manifest.json (format, digest, counts, sources, the sha256 of each file), which is written last.

    Args:
        ontology: codes that data added are written as concepts with the flag not_listed, and then count in
            the digest.
        folder: is made.

    Raises:
        StorageError: something else is there, or the folder cannot be written.
    """
    if folder.exists() and not (folder / MANIFEST).exists() and (folder.is_file() or any(folder.iterdir())):
        raise StorageError(
            Problem(
                "something else is there", where=str(folder), next_step="give a new folder, or empty this one"
            )
        )
    whole = ontology
    if ontology.listed.concepts is not ontology.graph.index:
        whole = ontology_of([ontology.system], ontology.languages, ontology.sources)
    frames = {name: getattr(whole.system, name) for name in TABLES}
    frames |= {"closure": _closure_table(whole.graph), "faults": find_faults(whole.system)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MANIFEST).unlink(missing_ok=True)
        digests = {
            f"{name}.parquet": _write(frame, folder / f"{name}.parquet") for name, frame in frames.items()
        }
        content = json.dumps(_manifest(whole, frames, digests), indent=2, ensure_ascii=False)
        temporary = folder / f".{MANIFEST}.part"
        temporary.write_text(content + "\n", "utf-8")
        temporary.replace(folder / MANIFEST)
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
    manifest = _read_manifest(folder)
    _check_files(folder, manifest["files"])
    frames = {name: pl.read_parquet(folder / f"{name}.parquet") for name in (*TABLES, "closure")}
    wrong = [
        name for name, schema in {**_SCHEMAS, "closure": CLOSURE}.items() if frames[name].schema != schema
    ]
    if wrong:
        raise InputError(
            [_damaged(folder / f"{name}.parquet", "other columns than its format has") for name in wrong]
        )
    system = CodeSystem(**{name: frames[name] for name in TABLES})
    graph = _graph(frames["closure"])
    sources = tuple(Source(**source) for source in manifest["sources"])
    languages = tuple(manifest["languages"])
    return Ontology(system, graph, manifest["digest"], languages, listed_of(system, graph), sources)


def use_ontology(folder: Path | None) -> Ontology:
    """Make a release the one in use, in this process and those that it starts; None = the embedded one.

    Raises:
        InputError: as `load_ontology`.
    """
    if folder is None:
        os.environ.pop(FOLDER_VARIABLE, None)
    else:
        load_ontology(folder)
        os.environ[FOLDER_VARIABLE] = str(folder.resolve())
    return active_ontology()


def active_ontology() -> Ontology:
    """The ontology in use: the release that PESTA_ONTOLOGY names, else the embedded one.

    Raises:
        InputError: as `load_ontology`.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    return _loaded(folder) if folder else embedded_ontology()


@lru_cache(maxsize=2)
def _loaded(folder: str) -> Ontology:
    return load_ontology(Path(folder))


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


def _write(frame: pl.DataFrame, path: Path) -> str:
    """Write a table under its name when it is whole; the sha256 of the file."""
    temporary = path.with_name(f".{path.name}.part")
    frame.write_parquet(temporary, compression="zstd", statistics=True)
    digest = _sha256(temporary)
    temporary.replace(path)
    return digest


def _manifest(ontology: Ontology, frames: dict[str, pl.DataFrame], files: dict[str, str]) -> dict[str, Any]:
    faults = frames["faults"]["kind"].value_counts().sort("kind").rows()
    return {
        "format": FORMAT,
        "format_number": FORMAT_NUMBER,
        "digest": ontology.digest,
        "systems": list(ontology.systems),
        "languages": list(ontology.languages),
        "counts": {
            "distinct_concepts": len(ontology.graph),
            "closure_pairs": len(ontology.graph.above_values),
            **{name: frames[name].height for name in TABLES},
        },
        "faults": dict(faults),
        "sources": [vars(source) for source in ontology.sources],
        "files": files,
    }


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(
            Problem(
                "no ontology is there",
                where=str(path),
                allowed="a folder that `pesta ontology build` wrote",
                next_step="check the path, or build the ontology",
            )
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise InputError(_damaged(path, "not JSON")) from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(_damaged(path, "not the manifest of an ontology"))
    if manifest.get("format_number") != FORMAT_NUMBER:
        raise InputError(
            Problem(
                "this ontology's format is not known",
                where=str(path),
                found=f"format number {manifest.get('format_number')}",
                allowed=f"format number {FORMAT_NUMBER}",
                next_step="build the ontology again with this version, or take a newer version of Pesta",
            )
        )
    missing = [key for key in ("digest", "languages", "sources", "files") if key not in manifest]
    if missing:
        raise InputError(_damaged(path, f"without {', '.join(missing)}"))
    return manifest


def _check_files(folder: Path, files: dict[str, str]) -> None:
    problems = []
    for name in (f"{table}.parquet" for table in (*TABLES, "closure")):
        path = folder / name
        if not path.is_file():
            problems.append(_damaged(path, "missing"))
        elif _sha256(path) != files.get(name):
            problems.append(_damaged(path, "not the file that the manifest tells of"))
    if problems:
        raise InputError(problems)


def _damaged(path: Path, found: str) -> Problem:
    return Problem(
        "the ontology is damaged",
        where=str(path),
        found=found,
        next_step="copy the folder again from where it was built, or build the ontology again",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
