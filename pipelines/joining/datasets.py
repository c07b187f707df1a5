"""Datasets of one project become one: each person's record from all sources, every fact once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ontology.errors import ConfigurationError, InputError, Problem
from phenotype.writing import DatasetWriter
from pipelines.joining.account import JoinAccount
from pipelines.joining.codings import JoinedCodings, join_codings
from pipelines.joining.conflicts import CONFLICTS
from pipelines.joining.contacts import JoinedContacts, join_contacts, with_joined_ids
from pipelines.joining.lineage import copy_lineage, lineage_offsets, settled, with_settled_ids
from pipelines.joining.parts import Source, open_sources
from pipelines.joining.rule import JoinRule, load_rule
from pipelines.joining.shards import Shards, join_shard
from pipelines.joining.summary import account_of_files, descriptions, keep_account, metadata, rejected_rows
from pipelines.sources.workspace import locked_folder, named


def join_datasets(
    paths: Sequence[Path], out: Path, rule: JoinRule | None = None, *, n_shards: int | None = None
) -> JoinAccount:
    """Join datasets that were made under one key; the result is the same whatever their order.

    Memory is bounded by the largest shard of all sources together, the contacts and codings, and sixteen
    bytes for each fact that two sources tell.

    Args:
        paths: the datasets.
        out: the new dataset's folder; a dataset that is there is replaced once the new one is whole.
        rule: when facts are one; the default where it is not given.
        n_shards: how many event files; as many as the largest source has where it is not given.

    Returns:
        What became of every fact, as join.json has it.

    Raises:
        InputError: datasets that cannot be read.
        ConfigurationError: datasets of different keys, policies or calendars; out is a source or in use.
    """
    rule, out = rule or load_rule(), named(out)
    sources = open_sources(paths)
    if any(out.resolve() == source.dataset.path.resolve() for source in sources):
        raise ConfigurationError(
            Problem("the joined dataset would replace a source", str(out), next_step="give another folder")
        )
    with locked_folder(out) as folder:
        try:
            writer = DatasetWriter(out, n_shards or max(len(source.dataset.shards) for source in sources))
            try:
                return _joined(sources, rule, writer)
            finally:
                writer.discard()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _joined(sources: Sequence[Source], rule: JoinRule, writer: DatasetWriter) -> JoinAccount:
    """Contacts and codings of all sources first, then their events shard by shard, then the lineage."""
    account = JoinAccount()
    offsets = lineage_offsets(sources)
    contacts = join_contacts([(source.name, source.dataset.contacts()) for source in sources], rule.contacts)
    codings = _joined_codings(sources, offsets, contacts, account)
    shards = Shards(sources, offsets, contacts.ids, writer.n_shards, writer.work)
    moves, conflicts = [codings.moved], [contacts.conflicts, codings.conflicts]
    are_capped = bool((sources[0].metadata.get("identity_policy") or {}).get("oldest_age"))
    for shard in range(writer.n_shards):
        named = [(source.name, events) for source, events in zip(sources, shards.read(shard), strict=True)]
        joined = join_shard(named, rule, account, ages_are_capped=are_capped)
        writer.add_events(joined.events)
        moves.append(joined.moved)
        conflicts.append(joined.conflicts)
    account.n_unlinked = shards.n_unlinked + writer.write_events(contacts.contacts["contact_id"])
    settled_moves = settled(moves)
    copy_lineage(sources, offsets, settled_moves, writer)
    told = pl.concat(conflicts)
    for column in ("lineage_id", "other_lineage_id"):
        told = with_settled_ids(told, settled_moves, column)
    account.conflicts.update(dict(told["kind"].value_counts().iter_rows()))
    _count(account, sources, shards)
    account.n_events, account.n_lineage = writer.n_events, writer.n_lineage
    account.n_contacts, account.n_same_contacts = contacts.contacts.height, contacts.n_same
    account.n_left_out_contacts = contacts.n_left_out
    account.n_codings, account.n_same_codings = codings.codings.height, codings.n_same
    if not account.is_closed:
        advice = "this is a fault of the program: report it"
        raise InputError(Problem("the account of the join does not close", next_step=advice))
    _finish(Beside(sources, rule, contacts.contacts, codings.codings, told), writer, account)
    return account


def _joined_codings(
    sources: Sequence[Source], offsets: Sequence[int], contacts: JoinedContacts, account: JoinAccount
) -> JoinedCodings:
    """The codings of all sources under the ids of the join; those of contacts left out are left out."""
    given = []
    for number, (source, offset) in enumerate(zip(sources, offsets, strict=True)):
        ids = contacts.ids.filter(pl.col("part") == number).drop("part")
        codings = source.dataset.codings().with_columns(pl.col("lineage_id") + offset)
        there = with_joined_ids(codings, ids).join(contacts.contacts, on="contact_id", how="semi")
        account.n_left_out_codings += codings.height - there.height
        given.append((source.name, there))
    return join_codings(given)


def _count(account: JoinAccount, sources: Sequence[Source], shards: Shards) -> None:
    """What each source holds."""
    for number, source in enumerate(sources):
        lineage = source.dataset.path / "lineage.parquet"
        n_lineage = pl.scan_parquet(lineage).select(pl.len()).collect().item() if lineage.exists() else 0
        account.sources[source.name] = {
            "events": shards.n_events[number],
            "contacts": source.dataset.contacts().height,
            "codings": source.dataset.codings().height,
            "lineage_rows": int(n_lineage),
            "subjects": shards.n_subjects[number],
        }


@dataclass(frozen=True)
class Beside:
    """What stands beside the events of a joined dataset.

    Attributes:
        sources: in canonical order.
        rule: when facts were one.
        contacts, codings, conflicts: tables of the join.
    """

    sources: Sequence[Source]
    rule: JoinRule
    contacts: pl.DataFrame
    codings: pl.DataFrame
    conflicts: pl.DataFrame


def _finish(beside: Beside, writer: DatasetWriter, account: JoinAccount) -> None:
    """Write what stands beside the events, and move the dataset into place."""
    sources = beside.sources
    windows = pl.concat([source.dataset.observation() for source in sources]).unique()
    account.n_windows = windows.height

    def write_account(folder: Path) -> None:
        files = account_of_files(sources, account)
        text = json.dumps(files, indent=1, ensure_ascii=False) + "\n"
        (folder / "ingest.json").write_text(text, encoding="utf-8")
        (folder / "join.json").write_text(account.as_json(), encoding="utf-8")
        told = beside.conflicts.select(CONFLICTS.names()).sort(pl.all(), nulls_last=False)
        told.write_parquet(folder / "conflicts.parquet", compression="zstd", compression_level=1)
        for source in sources:
            keep_account(source, folder / "parts" / source.name)

    writer.finish(
        contacts=beside.contacts,
        codings=beside.codings,
        observation=windows,
        rejected=rejected_rows(sources),
        descriptions=descriptions(sources),
        metadata=metadata(sources, beside.rule),
        write_account=write_account,
    )
