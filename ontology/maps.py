"""Maps between code systems: translation with relation and source, and the SSSOM form in and out.

A map is a frame of MAPPINGS. It comes from a file in SSSOM's TSV, a FHIR ConceptMap (codesystems/fhir.py),
WHO's tables or SNOMED CT's; all of them say for each pair how close the two are, and that is never dropped.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from ontology.codesystems.code_tables import read_text
from ontology.codesystems.list_columns import table_of
from ontology.concepts import MAPPINGS
from ontology.errors import InputError, Problem
from ontology.systems import SYSTEMS

RANKS = {"exactMatch": 0, "closeMatch": 1, "broadMatch": 2, "narrowMatch": 3, "relatedMatch": 4}
"""Predicates, the closest first. `A broadMatch B`: B is wider than A.

**Source:** SKOS Reference (W3C 2009), section 10.
"""

TURNED = {"broadMatch": "narrowMatch", "narrowMatch": "broadMatch"}
"""What a predicate says when it is read from right to left; the others say the same."""

PREDICATES = {
    "skos:exactMatch": "exactMatch",
    "owl:equivalentClass": "exactMatch",
    "owl:sameAs": "exactMatch",
    "skos:closeMatch": "closeMatch",
    "skos:broadMatch": "broadMatch",
    "rdfs:subClassOf": "broadMatch",
    "skos:narrowMatch": "narrowMatch",
    "skos:relatedMatch": "relatedMatch",
    "oboInOwl:hasDbXref": "relatedMatch",
    "rdfs:seeAlso": "relatedMatch",
    "IAO:0100001": "replaced_by",
}
"""Predicates of SSSOM files -> those of MAPPINGS; IAO:0100001 is "term replaced by".

**Source:** SSSOM 1.0, section "Mapping predicates".
"""

_WRITTEN = {ours: theirs for theirs, ours in reversed(PREDICATES.items())}
_PREFIXES = {"SCTID": "SCT", "SNOMED": "SCT", "SNOMEDCT": "SCT", "SNOMEDCT_US": "SCT", "ICD10WHO": "ICD10"}
_VOCABULARIES = {
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "semapv": "https://w3id.org/semapv/vocab/",
    "IAO": "http://purl.obolibrary.org/obo/IAO_",
}
_NEEDED = ("subject_id", "predicate_id", "object_id")
_NO_TERM = "sssom:NoTermFound"
_SOURCE = "source: "
_NO_LICENSE = "https://w3id.org/sssom/license/unspecified"


def translate(
    codes: pl.Series,
    mappings: pl.DataFrame,
    to: str,
    *,
    furthest: str = "relatedMatch",
    closest_only: bool = True,
) -> pl.DataFrame:
    """What concepts are called in another system.

    Args:
        codes: concepts, `SYSTEM//code`.
        mappings: columns of MAPPINGS; read in both directions.
        to: the other system.
        furthest: the loosest predicate that is still wanted, by RANKS.
        closest_only: keep only the closest predicate that a concept has.

    Returns:
        concept, found, predicate (of found, seen from concept), source; one row for each that was found and
        one with nulls for a concept without any; each distinct concept once, sorted.
    """
    asked = pl.DataFrame({"concept": codes.unique().drop_nulls().cast(pl.String)})
    there = mappings.select(concept="subject", found="object", predicate="predicate", source="source")
    back = mappings.select(
        concept="object",
        found="subject",
        predicate=pl.col("predicate").replace(TURNED),
        source="source",
    ).filter(pl.col("predicate") != "replaced_by")
    rank = pl.col("predicate").replace_strict(RANKS, default=None, return_dtype=pl.Int8)
    wanted = (
        pl.concat([there, back])
        .with_columns(rank=rank)
        .filter(pl.col("found").str.starts_with(f"{to}//"), pl.col("rank") <= RANKS[furthest])
    )
    found = asked.join(wanted.unique(), on="concept", how="left")
    if closest_only:
        nearest = pl.col("rank").min().over("concept")
        found = found.filter(pl.col("rank").is_null() | (pl.col("rank") == nearest))
    return found.sort("concept", "rank", "found", "source").drop("rank")


def read_sssom(path: Path, systems: Mapping[str, str] | None = None) -> pl.DataFrame:
    """A set of mappings in SSSOM's TSV form.

    Args:
        path: metadata as YAML behind `#` (its curie_map says which system a prefix is), then a table with
            subject_id, predicate_id and object_id.
        systems: prefix -> name of the system, before what the file says.

    Returns:
        Columns of MAPPINGS. Source is the row's mapping_source or mapping_provider or a comment that begins
        with "source:", else the set's title, its identifier, or the file's name. Negated rows
        (predicate_modifier Not) and rows that say that there is no term give none.

    Raises:
        InputError: no such table, metadata that are no YAML, empty cells, identifiers that are no CURIEs,
            unknown predicates: all with their lines.
    """
    text = read_text(path)
    lines = text.splitlines(keepends=True)
    n_meta = next((n for n, line in enumerate(lines) if not line.startswith("#")), len(lines))
    metadata = _metadata(path, "".join(line[1:] for line in lines[:n_meta]))
    rows = _table(path, "".join(lines[n_meta:]), n_meta)
    spelled = _systems(metadata.get("curie_map") or {}) | dict(systems or {})
    known = pl.col("predicate_id").replace_strict(PREDICATES, default=None, return_dtype=pl.String)
    said = rows.filter(
        pl.col("predicate_modifier").is_null() | (pl.col("predicate_modifier") != "Not"),
        pl.col("subject_id").ne_missing(_NO_TERM),
        pl.col("object_id").ne_missing(_NO_TERM),
    ).with_columns(predicate=known)
    _refuse_bad_rows(path, said)
    title = metadata.get("mapping_set_title") or metadata.get("mapping_set_id") or path.name
    noted = pl.col("comment").str.extract(f"^{_SOURCE}(.*)$")
    return table_of(
        MAPPINGS,
        said.select(
            subject=_concept("subject_id", spelled),
            predicate="predicate",
            object=_concept("object_id", spelled),
            source=pl.coalesce("mapping_source", "mapping_provider", noted, pl.lit(str(title))),
        ),
    )


def write_sssom(mappings: pl.DataFrame, path: Path, *, set_id: str, license_url: str = _NO_LICENSE) -> None:
    """Write a map in SSSOM's TSV form, sorted.

    Args:
        mappings: columns of MAPPINGS.
        path: the file.
        set_id: the set's identifier, an address.
        license_url: under what the set may be used.
    """
    parts = [pl.col(name).str.splitn("//", 2).struct.field("field_0") for name in ("subject", "object")]
    used = sorted({name for part in parts for name in mappings.select(part).to_series()})
    prefixes = _VOCABULARIES | {name: _address(name) for name in used}
    metadata = {"curie_map": dict(sorted(prefixes.items())), "license": license_url, "mapping_set_id": set_id}
    rows = mappings.sort(pl.all()).select(
        subject_id=pl.col("subject").str.replace("//", ":", literal=True),
        predicate_id=pl.col("predicate").replace_strict(_WRITTEN, return_dtype=pl.String),
        object_id=pl.col("object").str.replace("//", ":", literal=True),
        mapping_justification=pl.lit("semapv:UnspecifiedMatching"),
        comment=pl.concat_str(pl.lit(_SOURCE), "source"),
    )
    header = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True)
    table = io.StringIO()
    rows.write_csv(table, separator="\t")
    path.write_text(
        "".join(f"#{line}" for line in header.splitlines(keepends=True)) + table.getvalue(), "utf-8"
    )


def _metadata(path: Path, text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        raise InputError(
            Problem("the metadata are no YAML", where, str(getattr(error, "problem", "")))
        ) from None
    if not isinstance(found, dict):
        raise InputError(Problem("the metadata are no YAML mapping", str(path), type(found).__name__))
    return found


def _table(path: Path, text: str, n_meta: int) -> pl.DataFrame:
    """The table's columns that are read here, and line (Int64), the line in the file."""
    try:
        rows = pl.read_csv(io.StringIO(text), separator="\t", infer_schema=False, quote_char='"')
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(Problem("the file is no table", str(path), reason, "SSSOM's TSV form")) from None
    missing = [name for name in _NEEDED if name not in rows.columns]
    if missing:
        told = ", ".join(rows.columns[:20])
        raise InputError([Problem(f"column {name} is missing", str(path), told) for name in missing])
    optional = ("predicate_modifier", "mapping_source", "mapping_provider", "comment")
    absent = [pl.lit(None, pl.String).alias(name) for name in optional if name not in rows.columns]
    lines = pl.int_range(n_meta + 2, pl.len() + n_meta + 2, dtype=pl.Int64).alias("line")
    return rows.with_columns(lines, *absent)


def _refuse_bad_rows(path: Path, rows: pl.DataFrame) -> None:
    problems = []
    for line, subject, predicate_id, other, predicate in rows.select(
        "line", *_NEEDED, "predicate"
    ).iter_rows():
        where = f"{path}, line {line}"
        for name, cell in (("subject_id", subject), ("object_id", other)):
            if ":" not in (cell or ""):
                problems.append(Problem(f"{name} is no CURIE", where, cell or "empty", "prefix:code"))
        if predicate is None:
            told = ", ".join(PREDICATES)
            problems.append(Problem("an unknown predicate", where, predicate_id or "empty", told))
    if problems:
        raise InputError(problems)


def _systems(curie_map: Mapping[str, str]) -> dict[str, str]:
    """Prefix -> system: by address, then by prefixes in common use; any other prefix is its own name."""
    by_address = {url.rstrip("/#"): system.name for system in SYSTEMS.values() for url in system.urls}
    by_address |= {_address(name).rstrip("/:"): name for name in SYSTEMS}
    found = {prefix: by_address.get(str(address).rstrip("/#:")) for prefix, address in curie_map.items()}
    return _PREFIXES | {prefix: name for prefix, name in found.items() if name}


def _concept(column: str, systems: Mapping[str, str]) -> pl.Expr:
    parts = pl.col(column).str.splitn(":", 2).struct
    return pl.concat_str(parts.field("field_0").replace(dict(systems)), pl.lit("//"), parts.field("field_1"))


def _address(system: str) -> str:
    """The beginning of the addresses of a system's concepts."""
    known = SYSTEMS.get(system)
    if known is not None and known.urls:
        return f"{known.urls[0]}/"
    return f"urn:oid:{known.oid}:" if known is not None and known.oid else f"urn:x-code-system:{system}:"
