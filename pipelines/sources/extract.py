"""A source by its mapping: the whole way from an input to a dataset, with every record accounted for."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from phenotype.writing import ROWS_HELD, DatasetWriter, default_n_shards
from pipelines.identity import Pseudonyms, default_key_path, fingerprint, load_or_make_key
from pipelines.identity.policy import IdentityPolicy, load_policy
from pipelines.sources.accounting import IngestAccount
from pipelines.sources.context import Context
from pipelines.sources.discovery import reading_order
from pipelines.sources.extraction import Extraction
from pipelines.sources.inputs import RecordTables, open_input
from pipelines.sources.mapping import Mapping, load_mapping
from pipelines.sources.quarantine import Quarantine
from pipelines.sources.workspace import named, workspace

__all__ = ["ingest", "load_mapping"]
MASKED = "person numbers masked, cells by column"
FEWEST_HELD = 60_000
FEWEST_A_SHARD = 10_000
"""Events that are held of a source of records, at least, and for each file that they may be put aside in."""


def ingest(
    mapping: Mapping,
    input_path: Path,
    out: Path,
    *,
    n_shards: int | None = None,
    key_path: Path | None = None,
    quarantine: Path | None = None,
    max_reject_share: float | None = None,
    n_workers: int | None = None,
    policy: IdentityPolicy | None = None,
    keep_ids: bool = False,
) -> IngestAccount:
    """Turn one source into a dataset.

    Args:
        mapping: what the source's tables mean, and which reader makes them.
        input_path: the folder (or the one file) that holds the source.
        out: the dataset's folder; a dataset that is there is replaced once the new one is whole.
        n_shards: how many event files; made from the input's size where it is not given.
        key_path: the project's pseudonym key, made where it is absent; `<out>.key` where it is not given.
        quarantine: a folder for the rejected rows as they were sent, mode 700; none where not given.
        max_reject_share: in place of the mapping's own.
        n_workers: processes that read records; by the input's size where it is not given.
        policy: what happens to dates, ages and free text; the default where it is not given.
        keep_ids: whether ids that are whole numbers stay: for datasets whose ids are pseudonyms already.

    Returns:
        What became of every row, as ingest.json has it.

    Raises:
        InputError: files that are missing, unreadable or lack columns, all at once; nothing is written.
        RejectsError: more rows were rejected than allowed; nothing is written.
        ConfigurationError: the key or a folder cannot be used.
    """
    out = named(out)
    key = load_or_make_key(key_path or default_key_path(out), out)
    kept = Quarantine(quarantine, out) if quarantine else None
    with workspace(out, mapping, input_path) as records:
        given = open_input(mapping, input_path, records, n_workers=n_workers, keep_raw=kept is not None)
        pseudonyms = Pseudonyms(key, mapping.id_space or mapping.name, keep_ids=keep_ids)
        context = Context(mapping, pseudonyms, policy or load_policy())
        shards = n_shards or default_n_shards(given.n_bytes)
        writer = DatasetWriter(out, shards, rows_held=_rows_held(shards) if given.of_records else ROWS_HELD)
        try:
            extraction = Extraction(context, given, writer, kept)
            extraction.account.not_read = given.not_read
            for name in reading_order(mapping):
                extraction.read_table(name, mapping.tables[name])
            if isinstance(given, RecordTables):
                extraction.add_fates(given)
            most = mapping.max_reject_share if max_reject_share is None else max_reject_share
            extraction.account.check_rejects(most)
            context.pseudonyms.check()
            told = _metadata(mapping, fingerprint(key)) | context.policy.metadata()
            told |= {"ids": "kept"} if keep_ids else {}
            _finish(extraction, context, writer, told, _companion(context, input_path, keep_ids=keep_ids))
        finally:
            writer.discard()
    return extraction.account


def _companion(
    context: Context, input_path: Path, *, keep_ids: bool
) -> Callable[[Path], dict[str, int]] | None:
    """What writes beside the dataset's own tables, where the mapping asks for it; gives counts."""
    if context.mapping.take_along is None:
        return None
    from pipelines.sources.meds import take_along

    return partial(take_along, input_path, context=context, keep_ids=keep_ids)


def _rows_held(n_shards: int) -> int:
    """How many events of records are held: few, for memory's sake, but no spilled file is to be tiny."""
    return min(ROWS_HELD, max(FEWEST_HELD, FEWEST_A_SHARD * n_shards))


def _finish(
    extraction: Extraction,
    context: Context,
    writer: DatasetWriter,
    metadata: dict[str, Any],
    companion: Callable[[Path], dict[str, int]] | None,
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
    from pipelines.identity.unordered import forget_order

    gate = context.guard.gate
    rejected, told = gate.frame(account.rejected), gate.content(metadata)

    def write_account(folder: Path) -> None:
        """Write ingest.json, once what stands beside the tables has been written and counted."""
        account.totals |= companion(folder) if companion else {}
        if context.guard.is_shifted:
            forget_order(folder, writer.work)
        content = gate.content(account.content())
        if gate.found:
            content.setdefault("notes", {})[MASKED] = gate.found
        (folder / "ingest.json").write_text(
            json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    writer.finish(
        contacts=contacts,
        codings=codings,
        observation=windows,
        rejected=rejected,
        descriptions=collection.descriptions(),
        metadata=told,
        write_account=write_account,
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
        "id_spaces": [mapping.id_space or mapping.name],
        "clock": "UTC" if _is_in_utc(mapping) else "as written",
    }


def _is_in_utc(mapping: Mapping) -> bool:
    """Whether times become UTC: a zone is named, or the reader's clock is UTC."""
    if mapping.reader == "fhir":
        return bool(mapping.options.get("clock", "UTC") == "UTC")
    return mapping.time_zone is not None or _names_zone(mapping.model_dump(exclude_none=True))


def _names_zone(node: object) -> bool:
    if isinstance(node, dict):
        return "zone" in node or any(map(_names_zone, node.values()))
    return isinstance(node, list | tuple) and any(map(_names_zone, node))
