"""phenotypes.parquet: what definitions find in a dataset, with state, evidence and when it could be known."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ontology.errors import Problem, StorageError
from ontology.release import Ontology, active_ontology
from phenotype.definitions.evaluation import evaluate_definitions
from phenotype.definitions.judgeable import not_judged
from phenotype.definitions.record import read_record
from phenotype.definitions.sentences import explain_definition
from phenotype.definitions.text import Definition, with_needed
from phenotype.trajectory import INSTANT, Dataset

PHENOTYPES = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "phenotype": pl.String(),
        "version": pl.String(),
        "start_time": INSTANT,
        "end_time": INSTANT,
        "state": pl.String(),
        "value": pl.Float64(),
        "stay_id": pl.Int64(),
        "known_time": INSTANT,
        "evidence": pl.List(pl.Int64()),
    }
)
"""state is confirmed, suspected or excluded. known_time: from when on all of the evidence could be known,
null where that is not within the record. evidence: lineage_ids, or positions in the order of all events (the
file's metadata tell which)."""
_ORDER = ["subject_id", "phenotype", "start_time", "end_time", "state", "value", "stay_id", "known_time"]
_KEY = b"pesta"
FORMAT = 1


def derive_phenotypes(
    dataset: Dataset, definitions: Sequence[Definition], ontology: Ontology | None = None
) -> pl.DataFrame:
    """The phenotypes of a dataset.

    Args:
        dataset: whose.
        definitions: as `load_definitions` gives them; what they need beyond these is read from those that
            come with Pesta.
        ontology: by which `under` of value sets is judged; None = the one in use.

    Returns:
        Columns of PHENOTYPES for the definitions given, sorted by subject, phenotype and start; the same for
        any order of rows and any shards.

    Raises:
        ConfigurationError: value sets that name concepts which the ontology does not have; all of them.
    """
    return _derived(dataset, definitions, ontology).rows


class _Derived(NamedTuple):
    rows: pl.DataFrame
    evidence_is: str
    not_judged: dict[str, str]


def _derived(dataset: Dataset, definitions: Sequence[Definition], ontology: Ontology | None) -> _Derived:
    needed = with_needed(definitions)
    criteria = [criterion for definition in needed for criterion in definition.criteria.values()]
    record = read_record(dataset, criteria, ontology)
    found = evaluate_definitions(record, needed)
    rows = [
        found[definition.name]
        .with_columns(phenotype=pl.lit(definition.name), version=pl.lit(definition.version))
        .select(PHENOTYPES.names())
        for definition in definitions
    ]
    together = pl.concat([pl.DataFrame(schema=PHENOTYPES), *rows])
    ordered = together.sort(_ORDER, nulls_last=False, maintain_order=True)
    return _Derived(ordered, record.evidence_is, not_judged(record, needed))


def write_phenotypes(
    out: Path, dataset: Dataset, definitions: Sequence[Definition], ontology: Ontology | None = None
) -> pl.DataFrame:
    """Derive a dataset's phenotypes and write them as one Parquet file.

    Args:
        out: the file; it is replaced as a whole.
        dataset: whose.
        definitions: as for derive_phenotypes.
        ontology: likewise.

    Returns:
        What was written, columns of PHENOTYPES. The file's metadata (read_phenotypes_metadata) hold format,
        ontology digest, what evidence is, and title, version, is_shown, meaning and digest of every
        definition, and why the dataset cannot answer it (not_judged), where it cannot.

    Raises:
        ConfigurationError: as derive_phenotypes.
        StorageError: the file cannot be written.
    """
    import pyarrow.parquet as pq

    derived = _derived(dataset, definitions, ontology)
    metadata = _metadata(definitions, derived, (ontology or active_ontology()).digest)
    table = derived.rows.to_arrow()
    kept = {**(table.schema.metadata or {}), _KEY: json.dumps(metadata, sort_keys=True).encode()}
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        pq.write_table(
            table.replace_schema_metadata(kept), temporary, compression="zstd", compression_level=1
        )
        temporary.replace(out)
    except OSError as error:
        raise StorageError(
            Problem(
                "the phenotypes cannot be written",
                str(out),
                error.strerror or "",
                next_step="check the folder",
            )
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return derived.rows


def _metadata(definitions: Sequence[Definition], derived: _Derived, ontology_digest: str) -> dict[str, Any]:
    """What stands beside the rows: by which definitions and which ontology they were made."""
    return {
        "format": FORMAT,
        "evidence": derived.evidence_is,
        "ontology_digest": ontology_digest,
        "definitions": {
            definition.name: {
                "title": definition.title,
                "version": definition.version,
                "is_shown": definition.is_shown,
                "meaning": explain_definition(definition),
                "digest": definition.digest,
                "file": definition.file,
                "not_judged": derived.not_judged.get(definition.name),
            }
            for definition in definitions
        },
    }


def definitions_of(file: Path) -> dict[str, dict[str, Any]]:
    """Title, version, is_shown, meaning, digest, file and not_judged of every definition of a file."""
    held = read_phenotypes_metadata(file).get("definitions")
    return dict(held) if isinstance(held, dict) else {}


def read_phenotypes_metadata(file: Path) -> dict[str, object]:
    """What write_phenotypes wrote beside the rows; empty where another program wrote the file."""
    import pyarrow.parquet as pq

    held = pq.read_schema(file).metadata or {}
    return dict(json.loads(held[_KEY])) if _KEY in held else {}
