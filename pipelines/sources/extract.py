"""Tables by mapping: the whole way from an input folder to a dataset, with every row accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from phenotype.writing import DatasetWriter, default_n_shards
from pipelines.identity import Pseudonyms, default_key_path, fingerprint, load_or_make_key
from pipelines.sources.accounting import IngestAccount
from pipelines.sources.context import Context
from pipelines.sources.discovery import discover, files_not_read, reading_order
from pipelines.sources.extraction import Extraction
from pipelines.sources.mapping import Mapping, load_mapping
from pipelines.sources.quarantine import Quarantine
from pipelines.sources.tables import SourceFile

__all__ = ["ingest", "load_mapping"]

UNPACKED = 8
"""How many times larger a parquet or gzip file is unpacked, roughly; it only sets the number of shards."""


def ingest(
    mapping: Mapping,
    input_path: Path,
    out: Path,
    *,
    n_shards: int | None = None,
    key_path: Path | None = None,
    quarantine: Path | None = None,
    max_reject_share: float | None = None,
) -> IngestAccount:
    """Turn the tables of one source into a dataset.

    Args:
        mapping: what the tables mean.
        input_path: the folder (or the one file) that holds them.
        out: the dataset's folder; a dataset that is there is replaced once the new one is whole.
        n_shards: how many event files; made from the input's size where it is not given.
        key_path: the project's pseudonym key, made where it is absent; `<out>.key` where it is not given.
        quarantine: a folder for the rejected rows as they were sent, mode 700; none where not given.
        max_reject_share: in place of the mapping's own.

    Returns:
        What became of every row, as ingest.json has it.

    Raises:
        InputError: files that are missing, unreadable or lack columns, all at once; nothing is written.
        RejectsError: more rows were rejected than allowed; nothing is written.
        ConfigurationError: the key or a folder cannot be used.
    """
    files = discover(mapping, input_path)
    key = load_or_make_key(key_path or default_key_path(out), out)
    context = Context(mapping, Pseudonyms(key, mapping.id_space or mapping.name))
    out.parent.mkdir(parents=True, exist_ok=True)
    writer = DatasetWriter(out, n_shards or default_n_shards(_unpacked_bytes(files)))
    try:
        extraction = Extraction(context, writer, Quarantine(quarantine, out) if quarantine else None)
        extraction.account.not_read = files_not_read(files, input_path)
        for name in reading_order(mapping):
            extraction.read_table(name, mapping.tables[name], files[name])
        extraction.account.check_rejects(
            mapping.max_reject_share if max_reject_share is None else max_reject_share
        )
        context.pseudonyms.check()
        _finish(extraction, context, writer, _metadata(mapping, fingerprint(key)))
    finally:
        writer.discard()
    return extraction.account


def _finish(
    extraction: Extraction, context: Context, writer: DatasetWriter, metadata: dict[str, Any]
) -> None:
    """Combine what was collected, write it, and close the account."""
    collection, account = extraction.collection, extraction.account
    contacts = collection.contacts()
    codings = collection.codings()
    windows = collection.windows(contacts)
    n_unlinked = writer.write_events(contacts["contact_id"])
    account.totals = {
        "subjects": writer.n_subjects,
        "events": writer.n_events,
        "contacts": contacts.height,
        "codings": codings.height,
        "observation_windows": windows.height,
        "lineage_rows": writer.n_lineage,
        "events_without_their_contact": n_unlinked,
        **context.counts,
    }
    writer.finish(
        contacts=contacts,
        codings=codings,
        observation=windows,
        rejected=account.rejected,
        descriptions=collection.descriptions(),
        metadata=metadata,
        account_json=account.as_json(),
    )


def _unpacked_bytes(files: dict[str, list[SourceFile]]) -> int:
    """How many bytes of text the input holds, roughly."""
    sources = {source.path: source for found in files.values() for source in found}
    return sum(
        path.stat().st_size * (UNPACKED if source.is_parquet or path.suffix == ".gz" else 1)
        for path, source in sources.items()
    )


def _metadata(mapping: Mapping, key_fingerprint: str) -> dict[str, Any]:
    anchor = mapping.nominal_anchor
    return {
        "dataset_name": mapping.name,
        "dataset_version": mapping.version,
        "license": mapping.licence,
        "description_uri": mapping.source,
        "title": mapping.title,
        "nominal_anchor": anchor.replace(tzinfo=None).isoformat() if anchor else None,
        "key_fingerprint": key_fingerprint,
    }
